//! Images and labels read from files that people already have: NumPy arrays, IDX (MNIST), the
//! binary version of CIFAR-10, and folders of PNG pictures.
//!
//! What a file is, its content decides, never its name. Lengths that a header announces are held
//! against the file's true length before memory is taken, so that a damaged or hostile file ends
//! in one line of error.

mod cifar;
mod classes;
mod fitted_set;
pub mod fitting;
mod grid;
mod idx;
mod image_set;
mod label_list;
mod npy;
mod npz;
mod pictures;
pub mod preprocessing;
mod reading;
mod rounding;
mod shape;
mod source;
mod unlike;

pub use fitted_set::FittedSet;
pub use fitting::{check_shape, fit};
pub use grid::MAX_LEVEL;
pub use image_set::{ImageSet, Pixels};
pub use npz::Part;
pub use preprocessing::{ImageLayout, Preprocessing};
pub use reading::{read_images, read_inputs, read_labels};
pub use shape::Fits;
pub use unlike::warnings;

#[cfg(test)]
mod tests;

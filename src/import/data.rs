//! Images and labels read from files that people already have: NumPy arrays, IDX (MNIST), the
//! binary version of CIFAR-10, and folders of PNG pictures.
//!
//! What a file is, its content decides, never its name. Lengths that a header announces are held
//! against the file's true length before memory is taken, so that a damaged or hostile file ends
//! in one line of error.

mod cifar;
mod classes;
pub mod fitting;
mod grid;
mod idx;
mod label_list;
mod npy;
mod npz;
mod pictures;
pub mod preprocessing;
mod rounding;
mod source;
mod unlike;

use std::path::Path;

pub use fitting::{FittedSet, check_shape, fit};
pub use grid::MAX_LEVEL;
pub use preprocessing::{Layout, Preprocessing};
pub use unlike::warnings;

use crate::core::error::{Error, Result};
use source::Source;

/// The formats named where a file is none of them.
const IMAGE_FORMATS: &str = "give a .npy or .npz file, IDX (as MNIST) or CIFAR-10 binary, plain or \
     gzip, or a folder of PNG images with labels.csv";
/// The formats named where a file holds no labels.
const LABEL_FORMATS: &str = "give a .npy or .npz file, IDX (as MNIST) or CIFAR-10 binary, plain or \
     gzip, or a text file with one whole number per line";

/// The most images of a file or folder.
const MOST_IMAGES: usize = 1_000_000;

/// Images with their labels where the file or folder holds them.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    /// The file or folder, as errors name it.
    pub place: String,
    /// The shape of one image as stored: `[28, 28]`, `[3, 32, 32]` or `[784]`.
    pub shape: Vec<usize>,
    /// All images, one after the other, row-major.
    pub pixels: Pixels,
    /// One number per image, as the file has it.
    pub labels: Option<Vec<f64>>,
}

/// Which part of an archive that holds several is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Training,
    Test,
}

/// Stored pixel values, `count * product(shape)` of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// Bytes as a camera gives them.
    Integer(Vec<u8>),
    /// Finite floats.
    Real(Vec<f32>),
}

impl Pixels {
    /// Returns how many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(values) => values.len(),
            Self::Real(values) => values.len(),
        }
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ImageSet {
    /// Returns how many images there are.
    pub fn count(&self) -> usize {
        let elements = element_count(&self.shape).unwrap_or(0).max(1);
        self.pixels.len() / elements
    }
}

/// Refuses, in the name of a file, the shape of one image that its header announces.
pub type Fits<'a> = dyn Fn(&str, &[usize]) -> Result<()> + 'a;

/// Reads the images of a file or folder, and its labels where it holds them; of an archive with a
/// training and a test part, those of one part. What does not fit is left unread.
///
/// # Errors
///
/// [`Error::Read`] where `path` cannot be opened; [`Error::Invalid`] or [`Error::Unsupported`]
/// where it holds no usable images, with what to change; what `fits` gives.
pub fn read_images(path: &Path, part: Part, fits: &Fits) -> Result<ImageSet> {
    if path.is_dir() {
        return pictures::read(path, fits);
    }
    let source = Source::open(path)?;
    match Format::of(&source) {
        Format::Npy => npy::images(source, fits),
        Format::Npz => npz::images(path, part, fits),
        Format::Idx => idx::images(source, fits),
        Format::Cifar => cifar::images(source, fits),
        Format::Png => Err(Error::invalid(
            source.place,
            "is a single PNG image: give its folder, with a labels.csv (columns file,label)",
        )),
        Format::Text => Err(Error::invalid(
            source.place,
            format!("is text, which can hold labels only: {IMAGE_FORMATS}"),
        )),
        Format::Unknown => Err(Error::invalid(
            source.place,
            format!("is in no known format: {IMAGE_FORMATS}"),
        )),
    }
}

/// Reads the labels of a file or folder, one for each of at most `most` images.
///
/// # Errors
///
/// As for [`read_images`].
pub fn read_labels(path: &Path, part: Part, most: usize) -> Result<Vec<f64>> {
    if path.is_dir() {
        return pictures::labels(path, most);
    }
    let source = Source::open(path)?;
    match Format::of(&source) {
        Format::Npy => npy::labels(source, most),
        Format::Npz => npz::labels(path, part, most),
        Format::Idx => idx::labels(source, most),
        Format::Cifar => cifar::labels(source, most),
        Format::Text => label_list::read(source, most),
        Format::Png | Format::Unknown => Err(Error::invalid(
            source.place,
            format!("holds no labels: {LABEL_FORMATS}"),
        )),
    }
}

/// What the first bytes and the length of a file say that it is.
enum Format {
    Npy,
    Npz,
    Idx,
    Cifar,
    Png,
    Text,
    Unknown,
}

impl Format {
    /// Returns the format of a file.
    ///
    /// A CIFAR-10 record may begin with the bytes that open an IDX file, so IDX counts first
    /// where its header agrees with the file's length, and last where it does not.
    fn of(source: &Source) -> Self {
        let head = source.head();
        if head.starts_with(npy::MAGIC) {
            Self::Npy
        } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            Self::Npz
        } else if head.starts_with(b"\x89PNG\r\n\x1a\n") {
            Self::Png
        } else if idx::announced_bytes(head) == Some(source.length) {
            Self::Idx
        } else if cifar::looks_like(source) {
            Self::Cifar
        } else if idx::opens(head) {
            Self::Idx
        } else if label_list::looks_like(head) {
            Self::Text
        } else {
            Self::Unknown
        }
    }
}

/// Returns bytes as labels.
fn numbers(labels: Vec<u8>) -> Vec<f64> {
    labels.into_iter().map(f64::from).collect()
}

/// Returns the product of a shape, or `None` where it overflows.
fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
}

/// Refuses an array whose shape, with the number of images first, is not that of images, or not of
/// such as fit.
fn check_images_shape(place: &str, shape: &[usize], fits: &Fits) -> Result<()> {
    if !(2..=4).contains(&shape.len()) {
        return Err(Error::invalid(
            place,
            format!(
                "has shape {shape:?}: images need 2 to 4 axes, images first, as in [10000, 28, 28]"
            ),
        ));
    }
    if shape.contains(&0) {
        return Err(Error::invalid(
            place,
            format!("has shape {shape:?}, which holds no pixels: give at least one image"),
        ));
    }
    check_image_count(place, shape[0])?;
    fits(place, &shape[1..])
}

/// Refuses more images than any use asks for.
fn check_image_count(place: &str, count: usize) -> Result<()> {
    if count <= MOST_IMAGES {
        return Ok(());
    }
    let reason = format!("has {count} images, at most {MOST_IMAGES} are read: give fewer");
    Err(Error::invalid(place, reason))
}

/// Refuses an array of labels of another shape than `[n]` or `[n, 1]`, or of more labels than `most`.
fn check_labels_shape(place: &str, shape: &[usize], most: usize) -> Result<()> {
    match shape {
        [count] | [count, 1] if *count > 0 => check_label_count(place, *count, most),
        _ => Err(Error::invalid(
            place,
            format!("has shape {shape:?}: labels need one axis, one class number per image"),
        )),
    }
}

/// Refuses more labels than there are images.
fn check_label_count(place: &str, count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    let reason = format!("has {count} labels for {most} images: give one label per image");
    Err(Error::invalid(place, reason))
}

#[cfg(test)]
mod tests;

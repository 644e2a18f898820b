//! A trained network as it can be placed: its operations, its layers, its quantisation, its test
//! images, and the folder that holds them.
//!
//! Nothing here runs a network on images or knows of encryption. The entry point is [`Model::load`].

pub mod answer;
pub mod boundary;
pub mod build;
pub mod format;
mod graph;
mod index;
mod input;
pub mod layer;
pub mod npy;
pub mod outline;
pub mod output_mode;
pub mod protection;
pub mod quantise;
mod read;
mod room;
pub mod source;
mod tensors;
mod test_set;
mod training;
pub mod values;

pub use graph::{Granularity, Layer, Model, Node};
pub use index::{NodeId, ValueId};
pub use input::Input;
pub use test_set::TestSet;

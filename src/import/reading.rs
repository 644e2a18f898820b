//! A file of another program becomes a network: read, checked, lowered.

use std::path::Path;

use super::lower::lower;
use super::network::Network;
use super::onnx::{self, GivenShape};
use crate::core::error::Result;

/// Returns the network of a file.
///
/// # Errors
///
/// [`Error::Read`](crate::Error::Read) where the file cannot be read, [`Error::Invalid`](crate::Error::Invalid) where it is wrong and
/// [`Error::Unsupported`](crate::Error::Unsupported) where it asks for what this program does not do.
pub fn read_network(path: &Path) -> Result<Network> {
    read_network_of(path, &[])
}

/// As [`read_network`], of inputs to which a person gives shapes.
///
/// # Errors
///
/// As [`read_network`], and where a shape does not fit the file.
pub fn read_network_of(path: &Path, shapes: &[GivenShape]) -> Result<Network> {
    lower(&onnx::read(path, shapes)?)
}

/// Returns the network of a file's bytes; `place` names it in errors. Numbers in files of their
/// own are refused.
///
/// # Errors
///
/// As [`read_network`].
pub fn read_network_bytes(bytes: &[u8], place: &str) -> Result<Network> {
    lower(&onnx::read_bytes(bytes, place)?)
}

//! A file of another program becomes a network: read, checked, lowered.

use std::path::Path;

use super::lower::lower;
use super::network::Network;
use super::onnx;
use crate::core::error::Result;

/// Returns the network of a file.
///
/// # Errors
///
/// [`Error::Read`](crate::Error::Read) where the file cannot be read, [`Error::Invalid`](crate::Error::Invalid) where it is wrong and
/// [`Error::Unsupported`](crate::Error::Unsupported) where it asks for what this program does not do.
pub fn read_network(path: &Path) -> Result<Network> {
    lower(&onnx::read(path)?)
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

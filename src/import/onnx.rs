//! Reads ONNX files, without trust: a file can be wrong in any way and the answer is an error that
//! names the file, the node and the reason.
//!
//! Reading goes from bytes to messages ([`schema`]), from messages to a checked [`Graph`], and
//! from there to a [`Network`] ([`super::lower`]).

mod census;
mod external;
pub mod graph;
pub mod node;
pub mod schema;
pub mod tensor;

use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use self::external::Folder;
use self::schema::ModelProto;
use super::Network;
use super::fault::Place;
use super::lower::lower;
use crate::foreign::quoted;
use crate::{Error, Result, file};

pub use graph::Graph;
pub use node::Node;
pub use tensor::Tensor;

/// The most bytes of a file: what protobuf allows.
const MOST_BYTES: u64 = 1 << 31;

/// Returns the network of a file.
///
/// # Errors
///
/// [`Error::Read`] where the file cannot be read, [`Error::Invalid`] where it is wrong and
/// [`Error::Unsupported`] where it asks for what this program does not do.
pub fn read(path: &Path) -> Result<Network> {
    let bytes = file::read(path, MOST_BYTES)?;
    let place = path.display().to_string();
    decode(bytes.into(), &place, &Folder::of(path))
}

/// Returns the network of a file's bytes; `place` names it in errors. Numbers in files of their
/// own are refused.
///
/// # Errors
///
/// As [`read`].
pub fn read_bytes(bytes: &[u8], place: &str) -> Result<Network> {
    decode(Bytes::copy_from_slice(bytes), place, &Folder::none())
}

fn decode(bytes: Bytes, place: &str, folder: &Folder) -> Result<Network> {
    census::check(&bytes).place(|| place.into())?;
    let model = ModelProto::decode(bytes).map_err(|error| {
        let reason = quoted(&error.to_string());
        Error::invalid(place, format!("not an ONNX file: {reason}"))
    })?;
    lower(&Graph::build(model, place, folder)?)
}

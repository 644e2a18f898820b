//! Reads ONNX files, without trust: a file can be wrong in any way and the answer is an error that
//! names the file, the node and the reason.
//!
//! Reading goes from bytes to messages ([`onnx_schema`](crate::core::onnx_schema)), and from messages to a checked [`Graph`].

mod branches;
mod census;
mod external;
#[cfg(test)]
pub(super) mod fixture;
pub mod graph;
pub mod input;
mod names;
pub mod node;
pub mod tensor;

use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use self::external::Folder;
use super::fault::Place;
use crate::core::foreign::quoted;
use crate::core::onnx_schema::ModelProto;
use crate::machine::file;
use crate::{Error, Result};

pub use graph::Graph;
pub use input::{GivenShape, GraphInput};
pub use node::Node;
pub use tensor::Tensor;

/// The most bytes of a file: what protobuf allows.
const MOST_BYTES: u64 = 1 << 31;

/// Returns the graph of a file; `shapes` are those that a person gives its inputs.
///
/// # Errors
///
/// [`Error::Read`] where the file cannot be read, [`Error::Invalid`] where it is wrong and
/// [`Error::Unsupported`] where it asks for what this program does not do.
pub fn read(path: &Path, shapes: &[GivenShape]) -> Result<Graph> {
    let bytes = file::read(path, MOST_BYTES)?;
    let place = path.display().to_string();
    decode(bytes.into(), &place, &Folder::of(path), shapes)
}

/// Returns the graph of a file's bytes; `place` names it in errors. Numbers in files of their
/// own are refused.
///
/// # Errors
///
/// As [`read`].
pub fn read_bytes(bytes: &[u8], place: &str) -> Result<Graph> {
    decode(Bytes::copy_from_slice(bytes), place, &Folder::none(), &[])
}

fn decode(bytes: Bytes, place: &str, folder: &Folder, shapes: &[GivenShape]) -> Result<Graph> {
    census::check(&bytes).place(|| place.into())?;
    let model = ModelProto::decode(bytes).map_err(|error| {
        let reason = quoted(&error.to_string());
        Error::invalid(place, format!("not an ONNX file: {reason}"))
    })?;
    Graph::build(model, place, folder, shapes)
}

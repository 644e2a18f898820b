//! Turns a checked ONNX graph into a [`Network`].
//!
//! The nodes are taken in order (`operators`). Numbers that do not depend on the input are computed
//! at once (`constants`); functions of single elements are collected until a layer needs them as a
//! value (`value::Wire`); everything else becomes a step of the `draft`. Passes over the draft then
//! merge what can be merged (`rewrite`), and put the residual blocks and the names in place
//! (`finish`).

mod affine;
mod arithmetic;
mod attributes;
mod blocks;
mod choice;
mod classes;
mod classifier;
mod condition;
mod constants;
mod copies;
mod dead;
mod draft;
mod elementwise;
mod expression;
mod finish;
#[cfg(test)]
pub(super) mod fixture;
mod functions;
mod input;
mod join;
mod layout;
mod linear;
mod lowering;
mod maps;
mod names;
mod operators;
mod output;
mod pad;
mod pick;
mod pinnable;
mod pinned;
mod pins;
mod pool;
mod quantisers;
mod range;
mod reduce;
mod reshape;
mod resize;
mod rewrite;
mod tail;
mod value;
mod view;
mod window;
mod windowed;

use self::lowering::Lowering;
use super::fault::Place;
use super::network::Network;
use super::onnx::Graph;
use crate::core::error::Result;

/// Returns the network of a graph.
///
/// # Errors
///
/// Names the file, the node and what is wrong with it or not supported.
pub fn lower(graph: &Graph) -> Result<Network> {
    let place = || graph.place.clone();
    let mut lowering = Lowering::new(graph).place(place)?;
    for node in &graph.nodes {
        operators::lower(&mut lowering, node).place(|| graph.place_of(node))?;
    }
    let output = output::output(&mut lowering).place(place)?;
    let draft = rewrite::rewrite(lowering.draft, output.logits.root);
    let parts = input::parts(graph);
    let network = finish::finish(draft, parts, output.tail, output.classes);
    finish::check_numbers(&network).place(place)?;
    Ok(network)
}

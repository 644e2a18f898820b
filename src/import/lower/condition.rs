//! Branches of which one runs, whatever the image.

use super::lowering::Lowering;
use super::value::Value;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::Node;
use crate::import::onnx::tensor::Data;

/// Returns whether a condition holds.
///
/// # Errors
///
/// A sentence where that depends on the image.
pub fn holds(lowering: &mut Lowering<'_>, condition: usize) -> Outcome<bool> {
    let Value::Constant(constant) = lowering.value(condition)? else {
        return unsupported("runs under a condition that depends on the network's input");
    };
    match &constant.tensor.data {
        Data::Integer { values, .. } if values.len() == 1 => Ok(values[0] != 0),
        _ => invalid("runs under a condition that is neither true nor false"),
    }
}

/// Lowers what is left of an `If` once its branches lie before it: it hands on what one of them makes.
///
/// # Errors
///
/// As [`holds`].
pub fn choose(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Vec<Value>> {
    let outputs = node.outputs.len();
    let start = match holds(lowering, node.input(0)?)? {
        true => 1,
        false => 1 + outputs,
    };
    let chosen = (start..start + outputs).map(|index| node.input(index));
    chosen
        .map(|input| lowering.value(input?).cloned())
        .collect()
}

//! The inputs of a graph: their shapes, and the types of their numbers.

use std::collections::HashMap;

use super::graph::{MOST_ACTIVATIONS, Names};
use super::schema::ValueInfoProto;
use super::tensor::{IntegerKind, Tensor, element_count, is_float};
use crate::core::foreign::quoted;
use crate::import::fault::{Outcome, invalid, unsupported};

/// The most inputs of a file.
const MOST_INPUTS: usize = 64;

/// One input of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphInput {
    /// What stands for it in the graph.
    pub value: usize,
    /// What the file calls it.
    pub name: String,
    /// Of one image, without the batch.
    pub shape: Vec<usize>,
    /// The type of its numbers where these are integers.
    pub kind: Option<IntegerKind>,
}

/// Returns the inputs that are no constants, in the file's order.
///
/// # Errors
///
/// A sentence where there are none or too many, or one has no fixed shape.
pub(super) fn inputs(
    infos: &[ValueInfoProto],
    constants: &HashMap<usize, Tensor>,
    names: &mut Names,
) -> Outcome<Vec<GraphInput>> {
    let mut inputs: Vec<GraphInput> = Vec::new();
    for info in infos {
        let name = info.name.as_deref().unwrap_or_default();
        let value = names.number(name);
        if constants.contains_key(&value) {
            continue;
        }
        if inputs.iter().any(|input| input.value == value) {
            return invalid(format!("two inputs are called {}", quoted(name)));
        }
        let (shape, kind) = input_type(info)?;
        inputs.push(GraphInput {
            value,
            name: name.to_owned(),
            shape,
            kind,
        });
    }
    let counts = inputs.iter().map(GraphInput::count);
    match inputs.len() {
        0 => invalid("the graph has no input"),
        1..=MOST_INPUTS if counts.sum::<usize>() <= MOST_ACTIVATIONS => Ok(inputs),
        1..=MOST_INPUTS => invalid(format!(
            "the inputs have more than {MOST_ACTIVATIONS} elements together"
        )),
        count => unsupported(format!("{count} inputs; at most {MOST_INPUTS} are read")),
    }
}

impl GraphInput {
    /// Returns the number of elements of one image.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Returns the shape of an input without the batch, and its type where that holds integers.
fn input_type(info: &ValueInfoProto) -> Outcome<(Vec<usize>, Option<IntegerKind>)> {
    let name = quoted(info.name.as_deref().unwrap_or_default());
    let tensor = info
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref());
    let Some(tensor) = tensor else {
        return unsupported(format!("input {name} is no tensor"));
    };
    let code = tensor.elem_type.unwrap_or(0);
    let kind = IntegerKind::from_code(code).filter(|kind| *kind != IntegerKind::Bool);
    if kind.is_none() && !is_float(code.into()) {
        return unsupported(format!("input {name} has no numbers but ONNX type {code}"));
    }
    let Some(shape) = &tensor.shape else {
        return unsupported(format!("input {name} has no shape"));
    };
    if !(2..=5).contains(&shape.dim.len()) {
        return unsupported(format!(
            "input {name} has {} axes; a batch and one to four more are read",
            shape.dim.len()
        ));
    }
    let mut sizes = Vec::new();
    for dim in &shape.dim[1..] {
        match dim.dim_value.map(usize::try_from) {
            Some(Ok(size)) if size > 0 => sizes.push(size),
            _ => return unsupported(format!("input {name} has an axis without a fixed size")),
        }
    }
    match element_count(&sizes) {
        Ok(count) if count <= MOST_ACTIVATIONS => Ok((sizes, kind)),
        _ => invalid(format!(
            "input {name} has more than {MOST_ACTIVATIONS} elements"
        )),
    }
}

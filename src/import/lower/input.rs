//! The network's input as a file takes it: with the channels last, as whole numbers, or in several parts.

use std::collections::HashMap;

use super::draft::{NetworkDraft, Stage};
use super::layout::AxisLayout;
use super::value::{ClientValue, Integers, Value, Wire};
use crate::core::foreign::quoted;
use crate::import::fault::Outcome;
use crate::import::network::InputPart;
use crate::import::onnx::{Graph, GraphInput};
use crate::model::layer::pinned::Kind;

/// Said of a file whose images have their channels last.
const CHANNELS_LAST: &str = "The file takes its images with the channels last; here they have them \
                             first: give --layout hwc where the data files are stored as the file \
                             takes them.";

/// Said of a file that takes integers.
const WHOLE_NUMBERS: &str = "The file takes whole numbers: give the data as it is stored, without \
                             --scale, --mean and --std.";

/// Returns the shape of what the inputs of a graph become: the file's only input, or a list.
pub fn shape(graph: &Graph) -> Vec<usize> {
    match &graph.inputs[..] {
        [only] => only.shape.clone(),
        several => vec![several.iter().map(GraphInput::count).sum()],
    }
}

/// Returns what the inputs of a graph stand for, and sets the input's shape in the draft: the file's
/// only input, or a list of all elements of its inputs, one after the other.
///
/// # Errors
///
/// A sentence where they have too many elements.
pub fn values(graph: &Graph, draft: &mut NetworkDraft) -> Outcome<HashMap<usize, Value>> {
    if let [only] = &graph.inputs[..] {
        let mut wire = draft.output(0, &only.shape);
        wire.exclusive = false;
        if let Some((shape, layout)) = channels_last(graph, only) {
            draft.input_shape = shape.to_vec();
            wire.layout = layout;
            if shape[0] > 1 {
                draft.notes.push(CHANNELS_LAST.into());
            }
        }
        wire.integers = integers(only, draft);
        return Ok(HashMap::from([(only.value, value(only, wire, draft))]));
    }
    draft.notes.push(one_after_the_other(&graph.inputs));
    let mut values = HashMap::new();
    let mut start = 0;
    for input in &graph.inputs {
        let end = start + input.count();
        let picks = (start as u32..end as u32).collect();
        let root = draft.push(Stage::Pick(picks), vec![0], vec![end - start], None)?;
        let integers = integers(input, draft);
        let wire = Wire {
            layout: AxisLayout::plain(&input.shape),
            integers,
            exclusive: false,
            ..draft.output(root, &[])
        };
        values.insert(input.value, value(input, wire, draft));
        start = end;
    }
    Ok(values)
}

/// Returns what an input stands for.
fn value(input: &GraphInput, wire: Wire, draft: &mut NetworkDraft) -> Value {
    if input.is_batched {
        return Value::Wire(wire);
    }
    let name = quoted(&input.name);
    draft.notes.push(format!(
        "Input {name} has no axis for the batch: all of its elements are those of one image."
    ));
    let kind = match wire.integers {
        Some(_) => Kind::Integer,
        None => Kind::Float,
    };
    let wire = Wire {
        integers: None,
        ..wire
    };
    Value::Client(ClientValue { wire, kind })
}

/// Returns the inputs that the network's one stands for, where the file has several.
pub fn parts(graph: &Graph) -> Vec<InputPart> {
    let part = |input: &GraphInput| InputPart {
        name: input.name.clone(),
        shape: input.shape.clone(),
    };
    match &graph.inputs[..] {
        [_] => Vec::new(),
        several => several.iter().map(part).collect(),
    }
}

/// Returns a sentence on a file of several inputs.
fn one_after_the_other(inputs: &[GraphInput]) -> String {
    let name = |input: &GraphInput| format!("{} of {:?}", quoted(&input.name), input.shape);
    let names: Vec<String> = inputs.iter().map(name).collect();
    format!(
        "The file takes {} inputs, {}: here they are one list, one after the other; give the data as \
         .npz files with an array of each name, or as such lists.",
        inputs.len(),
        names.join(", ")
    )
}

/// Returns what the integers of an input are, where it takes such.
fn integers(input: &GraphInput, draft: &mut NetworkDraft) -> Option<Integers> {
    let (low, high) = input.kind?.range();
    if !draft.notes.iter().any(|note| note == WHOLE_NUMBERS) {
        draft.notes.push(WHOLE_NUMBERS.into());
    }
    Some(Integers {
        scale: 1.0,
        zero_point: 0,
        low,
        high,
        are_input: true,
    })
}

/// Returns how an input is kept whose channels are its last axis, one that is transposed to have
/// them first before any layer reads it; and its axes, which are right whatever reads them.
fn channels_last(graph: &Graph, input: &GraphInput) -> Option<([usize; 3], AxisLayout)> {
    const ELEMENTWISE: [&str; 11] = [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Neg",
        "Cast",
        "Pad",
        "Identity",
        "Dropout",
        "QuantizeLinear",
        "DequantizeLinear",
    ];
    let [height, width, channels] = input.shape[..] else {
        return None;
    };
    let mut reached = vec![input.value];
    for node in &graph.nodes {
        if !node
            .inputs
            .iter()
            .flatten()
            .any(|input| reached.contains(input))
        {
            continue;
        }
        if node.operator == "Transpose"
            && matches!(node.integers("perm"), Ok(Some([0, 3 | -1, 1, 2])))
        {
            let stored = [channels, height, width];
            let axes = AxisLayout::plain(&stored).transpose(&[1, 2, 0]).ok()?;
            return Some((stored, axes));
        }
        if ELEMENTWISE.contains(&node.operator.as_str()) {
            reached.extend(node.outputs.iter().flatten());
        }
    }
    None
}

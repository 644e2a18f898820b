//! The network's input as a file takes it: with the channels last, or as whole numbers.

use super::draft::NetworkDraft;
use super::layout::AxisLayout;
use super::value::{Integers, Wire};
use crate::import::onnx::Graph;

/// Said of a file whose images have their channels last.
const CHANNELS_LAST: &str = "The file takes its images with the channels last; here they have them \
                             first: give --layout hwc where the data files are stored as the file \
                             takes them.";

/// Said of a file that takes integers.
const WHOLE_NUMBERS: &str = "The file takes whole numbers: give the data as it is stored, without \
                             --scale, --mean and --std.";

/// Returns the input of a graph, and sets its shape in the draft.
pub fn wire(graph: &Graph, draft: &mut NetworkDraft) -> Wire {
    let mut input = draft.output(0, &graph.input_shape);
    input.exclusive = false;
    if let Some((shape, layout)) = channels_last(graph) {
        draft.input_shape = shape.to_vec();
        input.layout = layout;
        if shape[0] > 1 {
            draft.notes.push(CHANNELS_LAST.into());
        }
    }
    if let Some(kind) = graph.input_kind {
        let (low, high) = kind.range();
        input.integers = Some(Integers {
            scale: 1.0,
            zero_point: 0,
            low,
            high,
            are_input: true,
        });
        draft.notes.push(WHOLE_NUMBERS.into());
    }
    input
}

/// Returns how an input is kept whose channels are its last axis, one that is transposed to have
/// them first before any layer reads it; and its axes, which are right whatever reads them.
fn channels_last(graph: &Graph) -> Option<([usize; 3], AxisLayout)> {
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
    let [height, width, channels] = graph.input_shape[..] else {
        return None;
    };
    let mut reached = vec![graph.input];
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

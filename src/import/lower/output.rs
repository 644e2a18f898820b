//! What a file gives back, once all of its nodes are lowered.

use super::draft::{Stage, Step};
use super::lowering::Lowering;
use super::value::{ClientValue, Scores, Value};
use super::{maps, pick};
use crate::core::foreign::quoted;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::{Operation, Tail};
use crate::model::layer::pinned::Kind;

/// Returns what the file gives back, as a list: the scores rather than the label where it
/// gives both.
///
/// # Errors
///
/// A sentence where that is no list that a network here can make.
pub fn output(lowering: &mut Lowering<'_>) -> Outcome<Scores> {
    let mut best: Option<Scores> = None;
    let mut outputs = lowering.graph.outputs.clone();
    outputs.dedup();
    for output in outputs {
        let scores = match lowering.value(output)?.clone() {
            Value::Wire(logits) => Scores::of(logits, Tail::None),
            Value::Scores(scores) => scores,
            Value::Client(ClientValue {
                wire,
                kind: Kind::Float,
            }) => Scores::of(wire, Tail::None),
            Value::Client(_) => {
                let name = quoted(&lowering.graph.names[output]);
                return unsupported(format!("output {name} is of integers"));
            }
            Value::Padded(_) | Value::Turned(_) => {
                return unsupported("an output that is padded, or whose first axis is no batch");
            }
            Value::Constant(_) => return invalid("an output does not depend on the input"),
        };
        best = Some(match best {
            None => scores,
            Some(other) => same_logits(other, scores)?,
        });
    }
    let Some(mut scores) = best else {
        return invalid("the graph has no output");
    };
    let (root, order) = lowering.draft.flat(&scores.logits)?;
    if lowering.graph.nodes.is_empty() {
        return invalid("the network has no layers");
    }
    let picks = match (&scores.picks, order) {
        (Some(picks), order) => Some(pick::in_storage(picks, order.as_deref())),
        (None, order) => order,
    };
    scores.logits.root = match picks {
        Some(picks) => pick::pick(lowering, root, picks, None)?,
        None if is_shape_alone(lowering) => identity(lowering)?,
        None => root,
    };
    Ok(scores)
}

/// Returns whether no step makes anything but another shape.
fn is_shape_alone(lowering: &Lowering<'_>) -> bool {
    let is_shape = |step: &Step| {
        matches!(
            step.stage,
            Stage::Operation(Operation::Flatten | Operation::Reshape)
        )
    };
    lowering.draft.steps.iter().all(is_shape)
}

/// Adds a layer that makes the network's input its output, so that there is something to place.
fn identity(lowering: &mut Lowering<'_>) -> Outcome<usize> {
    let count = lowering.draft.shape(0).iter().product();
    lowering.draft.spend(count)?;
    let every: Vec<u32> = (0..count as u32).collect();
    let layer = Operation::Linear {
        map: maps::selection(&every, count),
        bias: vec![0.0; count],
        fixed: false,
    };
    let stage = Stage::Operation(layer);
    lowering.draft.push(stage, vec![0], vec![count], None)
}

/// Returns the better one of two outputs, which must come from the same logits.
fn same_logits(one: Scores, other: Scores) -> Outcome<Scores> {
    let (left, right) = (&one.logits, &other.logits);
    let is_same = left.root == right.root
        && left.function == right.function
        && left.layout.order() == right.layout.order();
    if !is_same {
        return unsupported("outputs of several kinds; a network here has one");
    }
    if one.picks != other.picks {
        // Beside a label, the scores of some classes say nothing more.
        let label = match (one.is_label(), other.is_label()) {
            (true, false) => one,
            (false, true) => other,
            _ => return unsupported("outputs of different classes; a network here has one"),
        };
        return Ok(Scores {
            tail: Tail::None,
            ..label
        });
    }
    let classes = match (&one.classes, &other.classes) {
        (Some(one), Some(other)) if one != other => {
            return unsupported("two outputs that name the classes in two ways");
        }
        (one, other) => one.clone().or(other.clone()),
    };
    let better = if one.is_label() { other } else { one };
    Ok(Scores { classes, ..better })
}

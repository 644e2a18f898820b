//! What follows the logits: probabilities and labels, which the client computes itself. Whatever
//! could change the order of the classes is honoured or refused.

use super::arithmetic::integers;
use super::constants::arrange::axis_of;
use super::lowering::Lowering;
use super::value::{Scores, Value};
use super::{classes, pick};
use crate::core::onnx_schema::data_type;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Tail;
use crate::import::onnx::Node;
use crate::import::onnx::tensor::{IntegerKind, is_float};

/// Lowers `Softmax`, `LogSoftmax`, `ArgMax` and `TopK` of the logits.
///
/// # Errors
///
/// A sentence where it is not over all of a value.
pub fn tail(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Vec<Value>> {
    /// From this version on the axis is one of the value's, before it began the flattened part.
    const OWN_AXIS: i64 = 13;
    let scores = Scores::of(lowering.wire(node, 0)?, Tail::None);
    let tail = match node.operator.as_str() {
        "Softmax" => Tail::Softmax,
        "LogSoftmax" => Tail::LogSoftmax,
        "TopK" => return best(lowering, node, &scores),
        _ => return Ok(vec![Value::Scores(label(node, scores)?)]),
    };
    let is_own = lowering.graph.opset >= OWN_AXIS;
    let axis = node.integer("axis", if is_own { -1 } else { 1 })?;
    let axis = axis_of(axis, scores.shape.len())?;
    let covered = if is_own {
        scores.shape[axis]
    } else {
        scores.shape[axis..].iter().product()
    };
    check_covers(&scores, axis, covered)?;
    Ok(vec![Value::Scores(Scores { tail, ..scores })])
}

/// Checks that so many elements along an axis are all scores, of which there are several.
fn check_covers(scores: &Scores, axis: usize, covered: usize) -> Outcome<()> {
    let count: usize = scores.shape.iter().product();
    if covered != count || axis == 0 && scores.shape.len() > 1 {
        return unsupported(format!(
            "over axis {axis} of a value of shape {:?}; only over all classes of one image",
            &scores.shape
        ));
    }
    if count == 1 {
        return unsupported("over a single number, which tells no classes apart");
    }
    Ok(())
}

/// Lowers what follows scores, if a node does that.
///
/// # Errors
///
/// A sentence where a node does not keep the order of the classes, as far as can be told.
pub fn after_scores(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Option<Vec<Value>>> {
    let mut found = None;
    for (index, &input) in node.inputs.iter().enumerate() {
        let Some(input) = input else { continue };
        if let (None, Value::Scores(scores)) = (&found, lowering.value(input)?) {
            found = Some((index, scores.clone()));
        }
    }
    let Some((index, scores)) = found else {
        return Ok(None);
    };
    let made = match (node.operator.as_str(), index, scores.is_label()) {
        ("ArgMax", 0, false) => label(node, scores)?,
        ("TopK", 0, false) => return best(lowering, node, &scores).map(Some),
        ("Log", 0, false) if scores.tail == Tail::Softmax => Scores {
            tail: Tail::LogSoftmax,
            ..scores
        },
        ("Cast", 0, _) => cast(node, scores)?,
        ("ZipMap", 0, false) => classes::zip_map(lowering, node, scores)?,
        ("Normalizer", 0, false) => normalised(lowering, node, scores)?,
        ("LabelEncoder", 0, true) => classes::encode(lowering, node, scores)?,
        ("Gather" | "ArrayFeatureExtractor", 1, true) => classes::look_up(lowering, node, scores)?,
        (operator, 0, _) if pick::moves(operator) => pick::of_scores(lowering, node, scores)?,
        _ => {
            return unsupported(
                "computes with what comes after the logits in a way that may change the order of \
                 the classes: export the network without it",
            );
        }
    };
    Ok(Some(vec![Value::Scores(made)]))
}

/// Returns the label of scores.
fn label(node: &Node, scores: Scores) -> Outcome<Scores> {
    if node.integer("select_last_index", 0)? != 0 {
        return unsupported("select_last_index: of equal scores the first wins here");
    }
    let axis = axis_of(node.integer("axis", 0)?, scores.shape.len())?;
    check_covers(&scores, axis, scores.shape[axis])?;
    let mut shape = scores.shape.clone();
    if node.integer("keepdims", 1)? != 0 {
        shape[axis] = 1;
    } else {
        shape.remove(axis);
    }
    Ok(Scores {
        tail: Tail::ArgMax,
        shape,
        ..scores
    })
}

/// Lowers `TopK` of scores: the first of the best is the label.
fn best(lowering: &mut Lowering<'_>, node: &Node, scores: &Scores) -> Outcome<Vec<Value>> {
    let count = match lowering.optional_constant(node, 1)? {
        Some(count) => integers(&count.tensor)?.first().copied(),
        None => Some(node.integer("k", 0)?),
    };
    let axis = axis_of(node.integer("axis", -1)?, scores.shape.len())?;
    check_covers(scores, axis, scores.shape[axis])?;
    let count = match count.map(usize::try_from) {
        Some(Ok(count)) if (1..=scores.count()).contains(&count) => count,
        _ => return invalid(format!("a k that is not 1 to {}", scores.count())),
    };
    if node.integer("largest", 1)? == 0 {
        return unsupported("largest = 0: the least of the scores is no label");
    }
    if node.integer("sorted", 1)? == 0 && count > 1 {
        return unsupported("sorted = 0: which of the best classes comes first is not said");
    }
    let indices = node.outputs.get(1).copied().flatten();
    if indices.is_none_or(|indices| lowering.graph.use_counts[indices] == 0) {
        return unsupported(
            "gives the best scores but not their classes: export its second output too",
        );
    }
    if count > 1 {
        let note = format!("The file gives the {count} best classes; the label is the first.");
        lowering.draft.notes.push(note);
    }
    let mut shape = scores.shape.clone();
    shape[axis] = count;
    let label = Value::Scores(Scores {
        tail: Tail::ArgMax,
        shape,
        ..scores.clone()
    });
    Ok(vec![label.clone(), label])
}

/// Lowers `Cast` of scores or a label.
fn cast(node: &Node, scores: Scores) -> Outcome<Scores> {
    const TEXT: i64 = data_type::STRING as i64;
    let code = node.integer("to", 0)?;
    if is_float(code) || scores.is_label() && code == TEXT {
        return Ok(scores);
    }
    let kind = i32::try_from(code).ok().and_then(IntegerKind::from_code);
    let largest = scores.count() as i64 - 1;
    let fits = |kind: IntegerKind| {
        let (low, high) = kind.range();
        let mut labels = scores.classes.iter().flatten().chain([&0, &largest]);
        labels.all(|label| (low..=high).contains(label))
    };
    if scores.is_label() && kind.is_some_and(fits) {
        return Ok(scores);
    }
    unsupported(format!(
        "a cast to ONNX type {code}, which does not hold every score"
    ))
}

/// Lowers `Normalizer` of scores.
fn normalised(lowering: &mut Lowering<'_>, node: &Node, scores: Scores) -> Outcome<Scores> {
    match (node.text("norm", "MAX")?, scores.tail) {
        // Probabilities add up to one already.
        ("L1", Tail::Softmax) => Ok(scores),
        // Whatever is above zero divides without changing the order.
        (norm @ ("L1" | "L2"), _) | (norm @ "MAX", Tail::Softmax) => {
            let text = format!(
                "The logits are the scores before the file's {norm} normaliser, which does not \
                 change the label."
            );
            lowering.draft.notes.push(text);
            Ok(Scores {
                tail: Tail::None,
                ..scores
            })
        }
        ("MAX", _) => unsupported("norm MAX of scores that may all be below zero"),
        _ => invalid("a norm that ONNX does not know"),
    }
}

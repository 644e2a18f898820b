//! What follows the logits: probabilities and labels, which the client computes itself.

use ndarray::{Array1, Array2, concatenate};

use super::Lowering;
use super::constants::arrange::axis_of;
use super::expression::{chain, line};
use super::linear::{dense, from_attributes};
use super::value::{Scores, Value, Wire};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::{Operation, Tail};
use crate::import::onnx::Node;
use crate::layer::Function;

/// Lowers `Softmax`, `LogSoftmax` and `ArgMax`.
///
/// # Errors
///
/// A sentence where it is not over all of a value.
pub fn tail(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    /// From this version on the axis is one of the value's, before it began the flattened part.
    const OWN_AXIS: i64 = 13;
    let logits = lowering.wire(node, 0)?;
    let full = [vec![1], logits.layout.shape()].concat();
    let is_label = node.operator == "ArgMax";
    let is_own = is_label || lowering.graph.opset >= OWN_AXIS;
    let default = match (is_label, is_own) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    };
    let axis = axis_of(node.integer("axis", default)?, full.len())?;
    let others = if is_own {
        [&full[..axis], &full[axis + 1..]].concat()
    } else {
        full[..axis].to_vec()
    };
    if axis == 0 || others.iter().any(|&size| size != 1) {
        return unsupported(format!(
            "over axis {axis} of a value of shape {:?}",
            &full[1..]
        ));
    }
    let tail = match node.operator.as_str() {
        "Softmax" => Tail::Softmax,
        "LogSoftmax" => Tail::LogSoftmax,
        _ => Tail::ArgMax,
    };
    Ok(Value::Scores(Scores { logits, tail }))
}

/// Lowers what follows scores without changing the label, if a node does that.
///
/// # Errors
///
/// A sentence where a node computes with scores in another way.
pub fn after_scores(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Option<Vec<Value>>> {
    const KEEPING: [&str; 11] = [
        "Identity",
        "Cast",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Gather",
        "ZipMap",
        "Normalizer",
        "ArrayFeatureExtractor",
        "LabelEncoder",
    ];
    let mut found = None;
    for &input in node.inputs.iter().flatten() {
        if let Value::Scores(scores) = lowering.value(input)? {
            found = Some(scores.clone());
        }
    }
    let Some(scores) = found else {
        return Ok(None);
    };
    let tail = match (node.operator.as_str(), scores.tail) {
        ("ArgMax", _) => Tail::ArgMax,
        ("Log", Tail::Softmax) => Tail::LogSoftmax,
        (operator, tail) if KEEPING.contains(&operator) => tail,
        _ => return unsupported("computes with what comes after the logits"),
    };
    Ok(Some(vec![Value::Scores(Scores { tail, ..scores })]))
}

/// Lowers scikit-learn's `LinearClassifier`: the label and the scores.
///
/// # Errors
///
/// A sentence where its numbers do not fit.
pub fn linear_classifier(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Vec<Value>> {
    let wire = lowering.wire(node, 0)?;
    let inputs = wire.layout.count();
    let coefficients = node.floats("coefficients")?.unwrap_or_default().len();
    let rows = coefficients / inputs;
    let mut operation = from_attributes(node, rows, inputs)?;
    let transform = node.text("post_transform", "NONE")?.to_owned();
    let tail = match (transform.as_str(), rows) {
        ("SOFTMAX", 2..) | ("LOGISTIC", 1 | 2) => Tail::Softmax,
        ("NONE" | "SOFTMAX" | "SOFTMAX_ZERO" | "LOGISTIC" | "PROBIT", _) => Tail::None,
        _ => return invalid("a post_transform that ONNX does not know"),
    };
    if let Operation::Dense { weights, bias, .. } = &mut operation {
        if rows == 1 {
            with_zero_row(weights, bias)?;
        } else if transform == "LOGISTIC" && rows == 2 {
            // The rows are opposites; the softmax of their halves is their logistic function.
            weights.mapv_inplace(|weight| weight / 2.0);
            bias.mapv_inplace(|bias| bias / 2.0);
        }
    }
    if tail == Tail::None && transform != "NONE" {
        let note = "The logits are the scores before the file's";
        let text = format!("{note} {transform}, which does not change the label.");
        lowering.draft.notes.push(text);
    }
    let name = lowering.name(node, None);
    let logits = dense(lowering, &wire, operation, name)?;
    let label = Scores {
        logits: logits.clone(),
        tail: Tail::ArgMax,
    };
    Ok(vec![
        Value::Scores(label),
        Value::Scores(Scores { logits, tail }),
    ])
}

/// Makes one score two logits: zero and the score.
fn with_zero_row(weights: &mut Array2<f32>, bias: &mut Array1<f32>) -> Outcome<()> {
    let zeros = Array2::zeros((1, weights.ncols()));
    let rows = concatenate(ndarray::Axis(0), &[zeros.view(), weights.view()]);
    let biases = concatenate(ndarray::Axis(0), &[Array1::zeros(1).view(), bias.view()]);
    match (rows, biases) {
        (Ok(rows), Ok(biases)) => (*weights, *bias) = (rows, biases),
        _ => return invalid("one score cannot become two"),
    }
    Ok(())
}

/// Lowers the probabilities `[1 - p, p]` that scikit-learn joins out of `p = sigmoid(z)`: they are
/// the softmax of `[0, z]`.
///
/// # Errors
///
/// A sentence where the values joined are others.
pub fn two_classes(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let joins = "joins values; only the probabilities of two classes are joined here";
    let [Some(_), Some(_)] = node.inputs[..] else {
        return unsupported(joins);
    };
    let (no, yes) = (lowering.wire(node, 0)?, lowering.wire(node, 1)?);
    let complement = chain(&Function::Sigmoid, line(-1.0, 1.0))?;
    let fits = no.root == yes.root
        && yes.function == Function::Sigmoid
        && no.function == complement
        && no.layout.count() == 1;
    if !fits || is_read_elsewhere(lowering, node, yes.root) {
        return unsupported(joins);
    }
    let operation = lowering.draft.operation_mut(yes.root);
    let Some(Operation::Dense {
        weights,
        bias,
        quantisation,
    }) = operation
    else {
        return unsupported(joins);
    };
    if weights.nrows() != 1 {
        return unsupported(joins);
    }
    with_zero_row(weights, bias)?;
    if let Some(quantisation) = quantisation {
        quantisation.scale = vec![quantisation.scale[0]; 2];
    }
    lowering.draft.steps[yes.root - 1].shape = vec![2];
    let logits: Wire = lowering.draft.output(yes.root, &[2]);
    Ok(Value::Scores(Scores {
        logits,
        tail: Tail::Softmax,
    }))
}

/// Returns whether anything but the inputs of a node comes from a root.
fn is_read_elsewhere(lowering: &Lowering<'_>, node: &Node, root: usize) -> bool {
    let is_own =
        |value: &usize| node.inputs.contains(&Some(*value)) && lowering.uses_left[*value] == 1;
    let is_of_root = |value: &Value| match value {
        Value::Wire(wire) => wire.root == root,
        Value::Scores(scores) => scores.logits.root == root,
        Value::Constant(_) => false,
    };
    let mut values = lowering.values.iter();
    values.any(|(value, made)| is_of_root(made) && !is_own(value))
        || lowering
            .draft
            .steps
            .iter()
            .any(|step| step.inputs.contains(&root))
}

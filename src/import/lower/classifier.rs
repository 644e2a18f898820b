//! Classifiers whose scores are those of a linear layer, and the two probabilities that one score
//! makes.

use ndarray::{Array1, Array2, concatenate};

use super::classes;
use super::constants::arrange::axis_of;
use super::expression::{as_line, chain, line};
use super::linear::{dense, from_attributes};
use super::lowering::Lowering;
use super::value::{Scores, Value};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::{Operation, Tail};
use crate::import::onnx::Node;
use crate::model::layer::Function;

/// Lowers scikit-learn's `LinearClassifier`: the label and the scores.
///
/// # Errors
///
/// A sentence where its numbers do not fit.
pub fn linear_classifier(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Vec<Value>> {
    let wire = lowering.number_wire(node, 0)?;
    let inputs = wire.layout.count();
    let coefficients = node.floats("coefficients")?.unwrap_or_default().len();
    let rows = coefficients / inputs;
    let mut operation = from_attributes(node, rows, inputs)?;
    let transform = node.text("post_transform", "NONE")?.to_owned();
    let Operation::Dense { weights, bias, .. } = &mut operation else {
        return invalid("is no dense layer");
    };
    let is_logistic_pair = transform == "LOGISTIC" && are_opposite(weights, bias);
    let tail = match (transform.as_str(), rows) {
        ("SOFTMAX", 2..) | ("LOGISTIC", 1) => Tail::Softmax,
        ("LOGISTIC", _) if is_logistic_pair => Tail::Softmax,
        ("NONE" | "SOFTMAX" | "LOGISTIC", _) => Tail::None,
        ("SOFTMAX_ZERO" | "PROBIT", _) => {
            return unsupported(format!("the post_transform {transform}"));
        }
        _ => return invalid("a post_transform that ONNX does not know"),
    };
    if rows == 1 {
        with_zero_row(weights, bias)?;
    } else if is_logistic_pair {
        // The softmax of the halves of opposite scores is their logistic function.
        weights.mapv_inplace(|weight| weight / 2.0);
        bias.mapv_inplace(|bias| bias / 2.0);
    }
    if tail == Tail::None && transform != "NONE" {
        let note = "The logits are the scores before the file's";
        let text = format!("{note} {transform}, which does not change the label.");
        lowering.draft.notes.push(text);
    }
    let name = lowering.name(node, None);
    let logits = dense(lowering, &wire, operation, name)?;
    let scores = classes::of_classifier(lowering, node, Scores::of(logits, tail))?;
    let label = Scores {
        tail: Tail::ArgMax,
        shape: vec![1],
        ..scores.clone()
    };
    Ok(vec![Value::Scores(label), Value::Scores(scores)])
}

/// Returns whether the second of two scores is always the first with another sign.
fn are_opposite(weights: &Array2<f32>, bias: &Array1<f32>) -> bool {
    weights.nrows() == 2
        && bias[0] == -bias[1]
        && weights
            .row(0)
            .iter()
            .zip(weights.row(1))
            .all(|(one, other)| *one == -other)
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

/// Lowers the scores of two classes that scikit-learn joins out of one number `z`: the
/// probabilities `[1 - p, p]` of `p = sigmoid(z)`, which are the softmax of `[0, z]`, and `[-z, z]`.
///
/// # Errors
///
/// A sentence where the values joined are others.
pub fn two_classes(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let joins = "joins values; only the scores of two classes are joined here";
    let [Some(_), Some(_)] = node.inputs[..] else {
        return unsupported(joins);
    };
    let (no, yes) = (lowering.wire(node, 0)?, lowering.wire(node, 1)?);
    let complement = chain(&Function::Sigmoid, line(-1.0, 1.0))?;
    let is_probability = yes.function == Function::Sigmoid && no.function == complement;
    let lines = if is_probability {
        [Some((0.0, 0.0)), Some((1.0, 0.0))]
    } else {
        [as_line(&no.function), as_line(&yes.function)]
    };
    let [Some(no_line), Some(yes_line)] = lines else {
        return unsupported(joins);
    };
    let are_numbers = no.layout.count() == 1 && [&no, &yes].iter().all(|w| w.integers.is_none());
    let rank = no.layout.shape().len() + 1;
    let is_along_classes = axis_of(node.integer("axis", 0)?, rank)? == rank - 1 && rank > 1;
    let fits = no.root == yes.root && are_numbers && is_along_classes;
    if !fits || lowering.is_read_elsewhere(node, yes.root) {
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
    let (row, own_bias) = (weights.row(0).to_owned(), bias[0]);
    let lines = [no_line, yes_line].map(|(scale, offset)| (scale as f32, offset as f32));
    *weights = Array2::from_shape_fn((2, row.len()), |(class, input)| lines[class].0 * row[input]);
    *bias = lines
        .iter()
        .map(|(scale, offset)| scale * own_bias + offset)
        .collect();
    if let Some(quantisation) = quantisation {
        let own = quantisation.scale[0];
        // Weights of zero are multiples of any step.
        let step = |scale: f32| if scale == 0.0 { own } else { own * scale.abs() };
        quantisation.scale = lines.iter().map(|(scale, _)| step(*scale)).collect();
    }
    lowering.draft.steps[yes.root - 1].shape = vec![2];
    let shape = [&no.layout.shape()[..rank - 2], &[2]].concat();
    let logits = lowering.draft.output(yes.root, &shape);
    if !is_probability {
        return Ok(Value::Wire(logits));
    }
    Ok(Value::Scores(Scores::of(logits, Tail::Softmax)))
}

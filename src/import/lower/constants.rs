//! Computes what does not depend on the network's input: shapes, reshaped and dequantised weights.

pub mod arrange;
pub mod quantise;

use std::rc::Rc;

use self::arrange::Sizes;
use super::arithmetic::{binary, common_shape, floats, integers, unary};
use super::expression::elementary;
use super::lowering::Lowering;
use super::value::{Constant, Value};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::tensor::{Data, IntegerKind, element_count, is_float};
use crate::import::onnx::{Node, Tensor};

/// Returns what a node makes where that does not depend on the input.
///
/// # Errors
///
/// A sentence where it cannot be computed.
pub fn fold(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Option<Constant>> {
    if node.operator == "Shape" && node.domain.is_empty() {
        return shape(lowering, node).map(Some);
    }
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for &input in &node.inputs {
        match input.map(|input| lowering.value(input)).transpose()? {
            None => inputs.push(None),
            Some(Value::Constant(constant)) => inputs.push(Some(Rc::clone(constant))),
            Some(_) => return Ok(None),
        }
    }
    let folded = of_inputs(lowering, node, &inputs)?;
    Ok(folded.map(|mut constant| {
        let origin = inputs.first().and_then(Option::as_ref);
        constant.origin = origin.and_then(|constant| constant.origin.clone());
        constant
    }))
}

/// Returns the value of a node with these inputs, where the operator is known for constants.
///
/// # Errors
///
/// A sentence where it cannot be computed.
pub fn of_inputs(
    lowering: &mut Lowering<'_>,
    node: &Node,
    inputs: &[Option<Rc<Constant>>],
) -> Outcome<Option<Constant>> {
    let input = |index: usize| match inputs.get(index).and_then(Option::as_ref) {
        Some(constant) => Ok(&**constant),
        None => invalid(format!("has no input {index}")),
    };
    let optional = |index: usize| inputs.get(index).and_then(Option::as_deref);
    let tensor = match (node.domain.as_str(), node.operator.as_str()) {
        ("", "Constant") => literal(lowering, node)?,
        ("", "ConstantOfShape") => filled(lowering, node, input(0)?)?,
        ("", operator @ ("Add" | "Sub" | "Mul" | "Div" | "Pow")) => {
            of_two(lowering, operator, &input(0)?.tensor, &input(1)?.tensor)?
        }
        ("", operator) if operator == "Neg" || elementary(operator).is_some() => {
            let tensor = &input(0)?.tensor;
            lowering.draft.spend(tensor.count())?;
            unary(operator, tensor)?
        }
        ("", "Concat") => joined(lowering, node, inputs)?,
        ("", "Gather") => gathered(lowering, node, &input(0)?.tensor, &input(1)?.tensor)?,
        ("ai.onnx.ml", "ArrayFeatureExtractor") => {
            features(lowering, &input(0)?.tensor, &input(1)?.tensor)?
        }
        ("", "Slice") => {
            lowering.draft.spend(input(0)?.tensor.count())?;
            arrange::slice(node, inputs)?
        }
        ("", "Expand" | "Tile") => repeated(lowering, node, input(0)?, input(1)?)?,
        (
            "",
            "Identity" | "Dropout" | "Cast" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze"
            | "Transpose",
        ) => {
            let constant = input(0)?;
            if node.operator == "Dropout" {
                check_dropout(node, optional(1), optional(2))?;
            }
            lowering.draft.spend(constant.tensor.count())?;
            return moved(node, constant, optional(1)).map(Some);
        }
        (_, "QuantizeLinear" | "DequantizeLinear" | "Quant" | "IntQuant" | "BipolarQuant")
        | ("", "Clip") => {
            lowering.draft.spend(2 * input(0)?.tensor.count())?;
            let constants: Vec<Option<&Constant>> = (0..4).map(optional).collect();
            return quantise::quantise(node, input(0)?, &constants[1..]).map(Some);
        }
        _ => return Ok(None),
    };
    Ok(Some(Constant::new(tensor)))
}

/// Returns two constants added, subtracted, multiplied, divided or raised to a power.
fn of_two(
    lowering: &mut Lowering<'_>,
    operator: &str,
    left: &Tensor,
    right: &Tensor,
) -> Outcome<Tensor> {
    let shape = common_shape(&left.shape, &right.shape)?;
    lowering.draft.spend(element_count(&shape)?)?;
    binary(operator, left, right)
}

/// Returns constants one after the other.
fn joined(
    lowering: &mut Lowering<'_>,
    node: &Node,
    inputs: &[Option<Rc<Constant>>],
) -> Outcome<Tensor> {
    let parts: Vec<&Tensor> = inputs
        .iter()
        .flatten()
        .map(|constant| &constant.tensor)
        .collect();
    lowering
        .draft
        .spend(parts.iter().map(|part| part.count()).sum())?;
    arrange::concat(&parts, node.integer("axis", 0)?)
}

/// Returns a constant repeated as `Expand` or `Tile` does it.
fn repeated(
    lowering: &mut Lowering<'_>,
    node: &Node,
    constant: &Constant,
    numbers: &Constant,
) -> Outcome<Tensor> {
    let (tensor, numbers) = (&constant.tensor, integers(&numbers.tensor)?);
    let shape = match node.operator.as_str() {
        "Tile" => arrange::tiled_shape(&tensor.shape, numbers)?,
        _ => common_shape(&tensor.shape, &arrange::sizes(numbers)?)?,
    };
    lowering.draft.spend(element_count(&shape)?)?;
    arrange::repeated(tensor, shape)
}

/// Returns what `Gather` takes of a constant.
fn gathered(
    lowering: &mut Lowering<'_>,
    node: &Node,
    data: &Tensor,
    indices: &Tensor,
) -> Outcome<Tensor> {
    let axis = node.integer("axis", 0)?;
    let count = data.count().saturating_mul(indices.count().max(1));
    lowering.draft.spend(count)?;
    arrange::gather(data, indices, axis)
}

/// Returns what `ArrayFeatureExtractor` takes of a constant, along its last axis.
fn features(lowering: &mut Lowering<'_>, data: &Tensor, indices: &Tensor) -> Outcome<Tensor> {
    let count = data.count().saturating_mul(indices.count().max(1));
    lowering.draft.spend(count)?;
    let flat = Tensor {
        shape: vec![indices.count()],
        data: indices.data.clone(),
    };
    arrange::gather(data, &flat, -1)
}

/// Checks that a `Dropout` drops nothing.
///
/// # Errors
///
/// A sentence where it is one that still trains.
pub fn check_dropout(
    node: &Node,
    ratio: Option<&Constant>,
    training: Option<&Constant>,
) -> Outcome<()> {
    let is_all_zero = |constant: &Constant| match &constant.tensor.data {
        Data::Integer { values, .. } => values.iter().all(|&value| value == 0),
        Data::Float(values) => values.iter().all(|&value| value == 0.0),
        Data::Text => false,
    };
    let keeps_all = node.optional_input(1).is_some() && ratio.is_some_and(is_all_zero);
    let is_inference = node.optional_input(2).is_none() || training.is_some_and(is_all_zero);
    if is_inference || keeps_all {
        return Ok(());
    }
    unsupported(
        "drops elements at random, because training_mode is set: export the network for inference",
    )
}

/// Returns the same numbers in another order, shape or type; the grid goes along.
fn moved(node: &Node, constant: &Constant, second: Option<&Constant>) -> Outcome<Constant> {
    let tensor = &constant.tensor;
    let axes = || -> Outcome<Option<Vec<i64>>> {
        match (node.integers("axes")?, second) {
            (Some(axes), _) => Ok(Some(axes.to_vec())),
            (None, Some(constant)) => Ok(Some(integers(&constant.tensor)?.to_vec())),
            (None, None) => Ok(None),
        }
    };
    let shape = match node.operator.as_str() {
        "Transpose" => return arrange::transpose(constant, node.integers("perm")?),
        "Cast" => return cast(constant, node.integer("to", 0)?),
        "Reshape" => {
            let Some(target) = second else {
                return invalid("has no input 1");
            };
            let zero_is_zero = node.integer("allowzero", 0)? != 0;
            Sizes(&tensor.shape).reshaped(integers(&target.tensor)?, zero_is_zero)?
        }
        "Flatten" => Sizes(&tensor.shape).flattened(node.integer("axis", 1)?)?,
        "Squeeze" => Sizes(&tensor.shape).squeezed(axes()?.as_deref())?,
        "Unsqueeze" => match axes()? {
            Some(axes) => Sizes(&tensor.shape).unsqueezed(&axes)?,
            None => return invalid("has no axes"),
        },
        _ => tensor.shape.clone(),
    };
    let grid = constant.grid.clone().filter(|grid| match grid.axis {
        None => true,
        Some(axis) => shape.get(..=axis) == tensor.shape.get(..=axis),
    });
    let tensor = Tensor {
        shape,
        data: tensor.data.clone(),
    };
    Ok(Constant {
        grid,
        ..Constant::new(tensor)
    })
}

/// Returns the numbers as another type.
fn cast(constant: &Constant, code: i64) -> Outcome<Constant> {
    let kind = i32::try_from(code).ok().and_then(IntegerKind::from_code);
    let data = match (&constant.tensor.data, kind) {
        (Data::Integer { values, .. }, Some(kind)) => {
            let integers = values.iter().map(|&value| held(value, value != 0, kind));
            Data::Integer {
                kind,
                values: integers.collect::<Outcome<_>>()?,
            }
        }
        (Data::Integer { values, .. }, None) if is_float(code) => {
            Data::Float(values.iter().map(|&value| value as f32).collect())
        }
        (Data::Float(values), Some(kind)) => {
            let integers = values
                .iter()
                .map(|&value| held(value as i64, value != 0.0, kind));
            Data::Integer {
                kind,
                values: integers.collect::<Outcome<_>>()?,
            }
        }
        (Data::Float(_), None) if is_float(code) => return Ok(constant.clone()),
        _ => return unsupported(format!("a cast to ONNX type {code}")),
    };
    let shape = constant.tensor.shape.clone();
    Ok(Constant::new(Tensor { shape, data }))
}

/// Returns a whole number as an integer of this kind; a truth value says whether it was zero.
fn held(value: i64, is_true: bool, kind: IntegerKind) -> Outcome<i64> {
    let (low, high) = kind.range();
    match kind {
        IntegerKind::Bool => Ok(is_true.into()),
        _ if (low..=high).contains(&value) => Ok(value),
        _ => unsupported(format!("casts {value} to a type of {low} to {high}")),
    }
}

/// Returns the shape of a value; the batch is taken as one image.
fn shape(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Constant> {
    let shape = match lowering.value(node.input(0)?)? {
        Value::Constant(constant) => constant.tensor.shape.clone(),
        Value::Wire(wire) => [vec![1], wire.layout.shape()].concat(),
        Value::Turned(wire) => vec![wire.layout.count(), 1],
        Value::Padded(padded) => {
            let borders = padded.border.iter().map(|[before, after]| before + after);
            let inner = padded.wire.layout.shape().into_iter();
            let sizes = inner.zip(borders).map(|(size, border)| size + border);
            std::iter::once(1).chain(sizes).collect()
        }
        Value::Scores(scores) => scores.shape.clone(),
        Value::Client(value) => value.shape(),
    };
    let rank = shape.len() as i64;
    let place = |index: i64| {
        let index = if index < 0 {
            index.saturating_add(rank)
        } else {
            index
        };
        index.clamp(0, rank) as usize
    };
    let (start, end) = (
        place(node.integer("start", 0)?),
        place(node.integer("end", rank)?),
    );
    let part = shape.get(start..end.max(start)).unwrap_or_default();
    let sizes: Vec<i64> = part.iter().map(|&size| size as i64).collect();
    Ok(Constant::new(Tensor::integers(vec![sizes.len()], sizes)))
}

/// Returns the constant that a node spells out.
fn literal(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Tensor> {
    if let Some(tensor) = node.tensor("value")? {
        lowering.draft.spend(tensor.count())?;
        return Ok(tensor.clone());
    }
    if let Some(values) = node.floats("value_floats")? {
        return Ok(Tensor::floats(vec![values.len()], values.to_vec()));
    }
    if let Some(values) = node.integers("value_ints")? {
        return Ok(Tensor::integers(vec![values.len()], values.to_vec()));
    }
    if node.has("value_float") {
        return Ok(Tensor::floats(
            vec![],
            vec![node.float("value_float", 0.0)?],
        ));
    }
    if node.has("value_int") {
        return Ok(Tensor::integers(
            vec![],
            vec![node.integer("value_int", 0)?],
        ));
    }
    unsupported("a constant that is no tensor or number")
}

/// Returns a constant of one number, repeated.
fn filled(lowering: &mut Lowering<'_>, node: &Node, shape: &Constant) -> Outcome<Tensor> {
    let mut sizes = Vec::new();
    for &size in integers(&shape.tensor)? {
        match usize::try_from(size) {
            Ok(size) => sizes.push(size),
            Err(_) => return invalid(format!("a size of {size}")),
        }
    }
    let count = element_count(&sizes)?;
    lowering.draft.spend(count)?;
    let data = match node.tensor("value")? {
        None => Data::Float(vec![0.0; count]),
        Some(tensor) if tensor.count() != 1 => return invalid("value is not one number"),
        Some(tensor) => match &tensor.data {
            Data::Integer { kind, values } => Data::Integer {
                kind: *kind,
                values: vec![values[0]; count],
            },
            _ => Data::Float(vec![floats(tensor)?[0]; count]),
        },
    };
    Ok(Tensor { shape: sizes, data })
}

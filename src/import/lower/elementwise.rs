//! Functions of single elements, and sums of two values.

use std::rc::Rc;

use super::affine::{Affine, apply};
use super::arithmetic::{common_shape, uniform};
use super::constants::arrange::axis_of;
use super::constants::check_dropout;
use super::copies::spread_to;
use super::draft::Stage;
use super::expression::{chain, constant, line, product, sum};
use super::functions::{leaky, of, own_function, power_of};
use super::lowering::Lowering;
use super::range::IntegerRange;
use super::value::{Constant, Integers, Value, Wire};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Operation;
use crate::import::onnx::Node;
use crate::import::onnx::tensor::{IntegerKind, is_float};
use crate::model::layer::Function;
use crate::model::layer::function::Elementary;

/// Lowers an operator that keeps the numbers.
///
/// # Errors
///
/// A sentence where it turns them into integers or drops some.
pub fn same(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    match node.operator.as_str() {
        "Cast" => return cast(wire, node.integer("to", 0)?).map(Value::Wire),
        "Dropout" => {
            let ratio = lowering.optional_constant(node, 1)?;
            let training = lowering.optional_constant(node, 2)?;
            check_dropout(node, ratio.as_deref(), training.as_deref())?;
        }
        _ => {}
    }
    if node.operator == "Dropout" && lowering.graph.opset < 7 && node.integer("is_test", 0)? == 0 {
        return unsupported("drops elements at random: export the network for inference");
    }
    Ok(Value::Wire(wire))
}

/// Returns a wire as another type.
fn cast(wire: Wire, code: i64) -> Outcome<Wire> {
    let of_input = wire.integers.filter(|integers| integers.are_input);
    if is_float(code) {
        let integers = wire.integers.filter(|integers| !integers.are_input);
        return Ok(Wire { integers, ..wire });
    }
    let kind = i32::try_from(code).ok().and_then(IntegerKind::from_code);
    match (of_input, kind.map(IntegerKind::range)) {
        (Some(own), Some((low, high))) if low <= own.low && own.high <= high => Ok(wire),
        _ => unsupported("a cast of values to integers that do not hold all of them"),
    }
}

/// Returns the one number of a constant, which leaves a wire its shape; `None` where its numbers differ.
///
/// # Errors
///
/// A sentence where the wire would have to be repeated along an axis of the constant.
pub fn number_beside(wire: &Wire, constant: &Constant) -> Outcome<Option<f32>> {
    let number = uniform(constant)?;
    let own = [&[1], &wire.layout.shape()[..]].concat();
    let shape = &constant.tensor.shape;
    if number.is_some() && common_shape(&own, shape)? != own {
        return unsupported(format!(
            "repeats a value along an axis of a constant of shape {shape:?}"
        ));
    }
    Ok(number)
}

/// Lowers a function of single elements.
///
/// # Errors
///
/// A sentence where its settings are not single numbers.
pub fn function(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    if let ("Pow", Value::Constant(base)) =
        (node.operator.as_str(), lowering.value(node.input(0)?)?)
    {
        let base = base.clone();
        let base = number_beside(&lowering.wire(node, 1)?, &base)?;
        return power_of_base(lowering, node, base).map(Value::Wire);
    }
    let wire = lowering.wire(node, 0)?;
    if node.operator == "Clip" && wire.integers.is_some() {
        return clip_integers(lowering, node, &wire).map(Value::Wire);
    }
    if wire.integers.is_some() {
        return unsupported("computes with the integers of a QuantizeLinear");
    }
    if node.operator == "Pow" {
        number_beside(&wire, &*lowering.constant(node, 1)?)?;
    }
    let function = match node.operator.as_str() {
        "Neg" => {
            let name = lowering.name(node, None);
            let affine = Affine::uniform(-1.0, 0.0);
            return apply(lowering, &wire, &affine, name).map(Value::Wire);
        }
        "PRelu" => {
            let mut slopes = lowering.constant(node, 1)?;
            let rank = wire.layout.shape().len();
            if lowering.graph.opset < 7 && slopes.tensor.shape.len() == 1 {
                // One for each channel.
                let behind = std::iter::repeat_n(1, rank - 1);
                Rc::make_mut(&mut slopes).tensor.shape.extend(behind);
            }
            match number_beside(&wire, &slopes)? {
                Some(slope) => leaky(slope),
                None => return leaky_channels(lowering, node, &wire, &slopes).map(Value::Wire),
            }
        }
        _ => own_function(lowering, node)?,
    };
    let result = match &function {
        // A power of a polynomial stays a polynomial.
        Function::Polynomial(polynomial) if node.operator == "Pow" => {
            let degree = polynomial.coefficients.len() - 1;
            (0..degree).try_fold(constant(1.0), |result, _| product(&result, &wire.function))?
        }
        _ => chain(&wire.function, function)?,
    };
    let wire = wire.with_function(result);
    Ok(Value::Wire(named(lowering, node, wire)))
}

/// Returns a leaky ReLU with slopes of its own for each channel: `slope · x + (1 - slope) · relu(x)`.
fn leaky_channels(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    slopes: &Constant,
) -> Outcome<Wire> {
    let slope = Affine::of_operator("Mul", slopes, false)?;
    let rest = Affine {
        shape: slope.shape.clone(),
        scale: slope.scale.iter().map(|slope| 1.0 - slope).collect(),
        offset: slope.offset.clone(),
    };
    let all = lowering.draft.settle(wire)?;
    let positive = all.with_function(Function::Relu);
    let line = apply(lowering, &all, &slope, None)?;
    let bend = apply(lowering, &positive, &rest, None)?;
    combine(lowering, node, "Add", &line, &bend)
}

/// Returns the wire, called as the node where it has no name yet.
pub fn named(lowering: &Lowering<'_>, node: &Node, wire: Wire) -> Wire {
    let name = wire.name.clone().or_else(|| lowering.name(node, None));
    Wire { name, ..wire }
}

/// Lowers `Pow` of one number by a value.
fn power_of_base(lowering: &mut Lowering<'_>, node: &Node, base: Option<f32>) -> Outcome<Wire> {
    let Some(base) = base else {
        return unsupported("powers of numbers that differ between elements");
    };
    let wire = lowering.wire(node, 1)?;
    if wire.integers.is_some() {
        return unsupported("computes with the integers of a QuantizeLinear");
    }
    let function = chain(&wire.function, power_of(base)?)?;
    Ok(named(lowering, node, wire.with_function(function)))
}

/// Lowers a `Clip` between `QuantizeLinear` and `DequantizeLinear`: fewer integers.
fn clip_integers(lowering: &mut Lowering<'_>, node: &Node, wire: &Wire) -> Outcome<Wire> {
    let low = lowering.optional_constant(node, 1)?;
    let high = lowering.optional_constant(node, 2)?;
    if wire.integers.is_some_and(|integers| integers.are_input) {
        return unsupported("clips the network's input before a Cast makes it floats");
    }
    let integers = wire.integers.map(|integers| -> Outcome<Integers> {
        let whole = (integers.low, integers.high);
        let range = IntegerRange::of_clip(low.as_deref(), high.as_deref(), whole)?;
        Ok(Integers {
            low: range.low,
            high: range.high,
            ..integers
        })
    });
    Ok(Wire {
        integers: integers.transpose()?,
        ..wire.clone()
    })
}

/// Lowers sums, differences, products, quotients and means.
///
/// # Errors
///
/// A sentence where two values cannot be combined.
pub fn arithmetic(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let operator = node.operator.as_str();
    let count = node.inputs.len();
    let is_many = matches!(operator, "Sum" | "Mean");
    if count == 0 || (!is_many && count != 2) {
        return invalid(format!("has {count} inputs"));
    }
    let mut result = lowering.value(node.input(0)?)?.clone();
    for index in 1..count {
        let next = lowering.value(node.input(index)?)?.clone();
        let operator = if is_many { "Add" } else { operator };
        result = Value::Wire(two(lowering, node, operator, [&result, &next])?);
    }
    if let ("Mean", Value::Wire(sum)) = (operator, &result) {
        let affine = Affine::uniform(1.0 / count as f32, 0.0);
        return apply(lowering, sum, &affine, None).map(Value::Wire);
    }
    Ok(result)
}

/// Returns two values added, subtracted, multiplied or divided, one of which may be constant.
///
/// # Errors
///
/// As [`arithmetic`].
pub fn two(
    lowering: &mut Lowering<'_>,
    node: &Node,
    operator: &str,
    values: [&Value; 2],
) -> Outcome<Wire> {
    let name = lowering.name(node, None);
    let aligned = match values {
        [left, Value::Constant(constant)] => {
            let rank = match left {
                Value::Wire(wire) => wire.layout.shape().len() + 1,
                _ => 0,
            };
            Value::Constant(Rc::new(aligned(node, constant, rank)?))
        }
        [_, right] => right.clone(),
    };
    match [values[0], &aligned] {
        [Value::Wire(left), Value::Wire(right)] => combine(lowering, node, operator, left, right),
        [Value::Wire(wire), Value::Constant(constant)] => {
            let affine = Affine::of_operator(operator, constant, false)?;
            apply(lowering, wire, &affine, name)
        }
        [Value::Constant(constant), Value::Wire(wire)] if operator == "Div" => {
            let reciprocal = chained(wire, of(Elementary::Reciprocal))?;
            let affine = Affine::of_operator("Mul", constant, true)?;
            apply(lowering, &reciprocal, &affine, name)
        }
        [Value::Constant(constant), Value::Wire(wire)] => {
            let affine = Affine::of_operator(operator, constant, true)?;
            apply(lowering, wire, &affine, name)
        }
        _ => unsupported(format!(
            "{operator} with what comes after the logits, or with turned values"
        )),
    }
}

/// Returns a constant whose axes are those of a value of so many, the batch among them: operator sets
/// before 7 name the first.
fn aligned(node: &Node, constant: &Constant, rank: usize) -> Outcome<Constant> {
    let mut made = constant.clone();
    if node.integer("broadcast", 0)? != 0 && node.has("axis") {
        let first = axis_of(node.integer("axis", 0)?, rank)?;
        let Some(behind) = rank.checked_sub(first + made.tensor.shape.len()) else {
            return invalid(format!(
                "a constant of {:?} from axis {first} on",
                made.tensor.shape
            ));
        };
        made.tensor.shape.extend(std::iter::repeat_n(1, behind));
    }
    Ok(made)
}

/// Returns a function of a wire.
///
/// # Errors
///
/// A sentence where the wire holds integers, or the function becomes too long.
pub fn chained(wire: &Wire, function: Function) -> Outcome<Wire> {
    if wire.integers.is_some() {
        return unsupported("computes with the integers of a QuantizeLinear");
    }
    Ok(wire.with_function(chain(&wire.function, function)?))
}

/// Returns two values combined: a function where both come from the same root, else an addition.
fn combine(
    lowering: &mut Lowering<'_>,
    node: &Node,
    operator: &str,
    left: &Wire,
    right: &Wire,
) -> Outcome<Wire> {
    if left.integers.is_some() || right.integers.is_some() {
        return unsupported("computes with the integers of a QuantizeLinear");
    }
    if left.layout != right.layout {
        let shape = common_shape(&left.layout.shape(), &right.layout.shape())?;
        let left = spread_to(lowering, node, left, &shape)?;
        let right = spread_to(lowering, node, right, &shape)?;
        return combine(lowering, node, operator, &left, &right);
    }
    let is_product = matches!(operator, "Mul" | "Div");
    let (left, right) = if is_product {
        common_root(lowering, left, right)
    } else {
        (left.clone(), right.clone())
    };
    if left.root == right.root {
        let wire = of_one_root(operator, &left, &right)?;
        return Ok(named(lowering, node, wire));
    }
    if is_product {
        return unsupported("a product or quotient of two different values");
    }
    let right = match operator {
        "Sub" => apply(lowering, &right, &Affine::uniform(-1.0, 0.0), None)?,
        _ => right,
    };
    let name = lowering.name(node, None);
    let mut inputs = [
        lowering.draft.materialise(&left)?,
        lowering.draft.materialise(&right)?,
    ];
    if lowering.draft.shape(inputs[0]) != lowering.draft.shape(inputs[1]) {
        for input in &mut inputs {
            *input = lowering.draft.flatten(*input)?;
        }
    }
    let shape = lowering.draft.shape(inputs[0]).to_vec();
    let root = lowering.draft.push(
        Stage::Operation(Operation::Add),
        inputs.to_vec(),
        shape,
        name,
    )?;
    Ok(Wire {
        layout: left.layout.clone(),
        ..lowering.draft.output(root, &[])
    })
}

/// Returns two functions of the same root combined.
fn of_one_root(operator: &str, left: &Wire, right: &Wire) -> Outcome<Wire> {
    let function = match operator {
        "Mul" => product(&left.function, &right.function)?,
        "Sub" => sum(&left.function, &chain(&right.function, line(-1.0, 0.0))?)?,
        "Div" => {
            let reciprocal = chain(&right.function, of(Elementary::Reciprocal))?;
            product(&left.function, &reciprocal)?
        }
        _ => sum(&left.function, &right.function)?,
    };
    Ok(Wire {
        exclusive: false,
        name: left.name.clone(),
        ..left.with_function(function)
    })
}

/// Returns two wires as functions of the same root, where activations lie between them.
pub fn common_root(lowering: &Lowering<'_>, left: &Wire, right: &Wire) -> (Wire, Wire) {
    let (mut left, mut right) = (left.clone(), right.clone());
    while left.root != right.root {
        let later = if left.root > right.root {
            &mut left
        } else {
            &mut right
        };
        match lowering.draft.before_activation(later) {
            Some(earlier) => *later = earlier,
            None => break,
        }
    }
    (left, right)
}

//! The larger or smaller one of values, comparisons, what follows from these, and choices between two
//! values.

use super::elementwise::{chained, common_root, named, number_beside, two};
use super::expression::{constant, line, short};
use super::functions::{clip, of, select};
use super::lowering::Lowering;
use super::value::{Value, Wire};
use crate::import::fault::{Outcome, unsupported};
use crate::import::onnx::Node;
use crate::model::layer::Function;
use crate::model::layer::function::Elementary;

/// Lowers `Min` and `Max`: of a value and one number they cut a range; of two values a and b,
/// `max(a, b) = b + relu(a - b)` and `min(a, b) = b - relu(b - a)`.
///
/// # Errors
///
/// A sentence where two inputs cannot be compared.
pub fn limit(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let is_max = node.operator == "Max";
    let mut result = lowering.value(node.input(0)?)?.clone();
    for index in 1..node.inputs.len() {
        let next = lowering.value(node.input(index)?)?.clone();
        // Constants come second: they need no look-up.
        let (left, right) = match (&result, &next) {
            (Value::Constant(_), Value::Wire(_)) => (next, result),
            _ => (result, next),
        };
        // Both are read twice, so that neither may be changed on the way.
        let (left, right) = (shared(left), shared(right));
        let number = match (&left, &right) {
            (Value::Wire(wire), Value::Constant(constant)) => number_beside(wire, constant)?,
            _ => None,
        };
        result = Value::Wire(match (&left, number) {
            (Value::Wire(wire), Some(number)) => {
                let (low, high) = match is_max {
                    true => (short(number), f64::INFINITY),
                    false => (f64::NEG_INFINITY, short(number)),
                };
                chained(wire, clip(low, high))?
            }
            _ if is_max => {
                let excess = two(lowering, node, "Sub", [&left, &right])?;
                let excess = Value::Wire(chained(&excess, Function::Relu)?);
                two(lowering, node, "Add", [&excess, &right])?
            }
            _ => {
                // -relu(b - a), of a - b.
                let excess = two(lowering, node, "Sub", [&left, &right])?;
                let below = clip(f64::NEG_INFINITY, 0.0);
                let excess = Value::Wire(chained(&excess, below)?);
                two(lowering, node, "Add", [&excess, &right])?
            }
        });
    }
    match result {
        Value::Wire(wire) => Ok(Value::Wire(named(lowering, node, wire))),
        _ => unsupported("compares what comes after the logits"),
    }
}

fn shared(value: Value) -> Value {
    match value {
        Value::Wire(wire) => Value::Wire(Wire {
            exclusive: false,
            ..wire
        }),
        other => other,
    }
}

/// Lowers comparisons and logic: truth is one, anything else zero.
///
/// # Errors
///
/// A sentence where two values cannot be compared.
pub fn comparison(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let [left, right] =
        [0, 1].map(|index| -> Outcome<Value> { Ok(lowering.value(node.input(index)?)?.clone()) });
    let values = [&left?, &right?];
    let operator = match node.operator.as_str() {
        "And" => "Mul",
        "Or" => "Add",
        _ => "Sub",
    };
    let wire = two(lowering, node, operator, values)?;
    let sign = |scale: f64| [of(Elementary::Sign), line(scale, 0.0), Function::Relu];
    // Of the difference, the product or the sum.
    let parts = match node.operator.as_str() {
        "Greater" => sign(1.0).to_vec(),
        "Less" => sign(-1.0).to_vec(),
        "GreaterOrEqual" => [&sign(-1.0)[..], &[line(-1.0, 1.0)]].concat(),
        "LessOrEqual" => [&sign(1.0)[..], &[line(-1.0, 1.0)]].concat(),
        "Equal" => vec![of(Elementary::Sign), of(Elementary::Abs), line(-1.0, 1.0)],
        "Xor" | "Or" => vec![of(Elementary::Sign), of(Elementary::Abs)],
        _ => Vec::new(),
    };
    let mut parts = parts.into_iter();
    let wire = parts.try_fold(wire, |wire, part| chained(&wire, part))?;
    Ok(Value::Wire(named(lowering, node, wire)))
}

/// Lowers `Where` of functions of one value.
///
/// # Errors
///
/// A sentence where the three come from different values.
pub fn choose(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let condition = lowering.wire(node, 0)?;
    let mut choices = [condition.clone(), condition.clone()];
    for (index, choice) in choices.iter_mut().enumerate() {
        match lowering.value(node.input(index + 1)?)?.clone() {
            Value::Wire(wire) => *choice = wire,
            Value::Constant(number) => match number_beside(&condition, &number)? {
                Some(number) => *choice = condition.with_function(constant(number.into())),
                None => return unsupported("chooses between numbers that differ between elements"),
            },
            _ => return unsupported("chooses between what comes after the logits"),
        }
    }
    let [mut yes, mut no] = choices;
    let mut condition = condition;
    // Each brings the others back to where all have come from.
    for _ in 0..2 {
        (condition, yes) = common_root(lowering, &condition, &yes);
        (yes, no) = common_root(lowering, &yes, &no);
        (no, condition) = common_root(lowering, &no, &condition);
    }
    let wires = [&condition, &yes, &no];
    if wires.iter().any(|wire| wire.integers.is_some()) {
        return unsupported("computes with the integers of a QuantizeLinear");
    }
    let is_one = |wire: &&Wire| wire.root == condition.root && wire.layout == condition.layout;
    if !wires.iter().all(is_one) {
        return unsupported("a choice by one value between others");
    }
    let function = select(condition.function.clone(), yes.function, no.function)?;
    let wire = Wire {
        exclusive: false,
        ..condition.with_function(function)
    };
    Ok(Value::Wire(named(lowering, node, wire)))
}

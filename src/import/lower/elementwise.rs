//! Functions of single elements, and sums of two values.

use super::affine::{Affine, apply};
use super::arithmetic::uniform;
use super::constants::check_dropout;
use super::draft::Stage;
use super::expression::{HIGHEST_POWER, chain, constant, line, product, short, sum};
use super::lowering::Lowering;
use super::range::{IntegerRange, clip_range};
use super::value::{Constant, Integers, Value, Wire};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Operation;
use crate::import::onnx::Node;
use crate::import::onnx::tensor::{IntegerKind, is_float};
use crate::model::layer::Function;
use crate::model::layer::function::{Clip, HardSigmoid, LeakyRelu};

/// Returns whether the operator is a function of single elements.
pub fn is_function(operator: &str) -> bool {
    const FUNCTIONS: [&str; 13] = [
        "Relu",
        "Clip",
        "LeakyRelu",
        "PRelu",
        "Sigmoid",
        "Tanh",
        "HardSigmoid",
        "HardSwish",
        "Swish",
        "Pow",
        "Neg",
        "Min",
        "Max",
    ];
    FUNCTIONS.contains(&operator)
}

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

/// Lowers a function of single elements.
///
/// # Errors
///
/// A sentence where its settings are not single numbers.
pub fn function(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    if matches!(node.operator.as_str(), "Min" | "Max") {
        return limit(lowering, node).map(Value::Wire);
    }
    let wire = lowering.wire(node, 0)?;
    if node.operator == "Clip" && wire.integers.is_some() {
        return clip_integers(lowering, node, &wire).map(Value::Wire);
    }
    if wire.integers.is_some() {
        return unsupported("computes with the integers of a QuantizeLinear");
    }
    let function = match node.operator.as_str() {
        "Neg" => {
            let name = lowering.name(node, None);
            let affine = Affine::uniform(-1.0, 0.0);
            return apply(lowering, &wire, &affine, name).map(Value::Wire);
        }
        "PRelu" => {
            let slopes = lowering.constant(node, 1)?;
            match uniform(&slopes)? {
                Some(slope) => leaky(slope),
                None => return leaky_channels(lowering, node, &wire, &slopes).map(Value::Wire),
            }
        }
        _ => own_function(lowering, node)?,
    };
    let result = match &function {
        // A power of a polynomial stays a polynomial.
        Function::Polynomial(polynomial) => {
            let degree = polynomial.coefficients.len() - 1;
            (0..degree).try_fold(constant(1.0), |result, _| product(&result, &wire.function))?
        }
        _ => chain(&wire.function, function)?,
    };
    let wire = wire.with_function(result);
    Ok(Value::Wire(named(lowering, node, wire)))
}

/// Returns the function of an operator whose settings are single numbers.
fn own_function(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Function> {
    Ok(match node.operator.as_str() {
        "Relu" => Function::Relu,
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "HardSwish" => Function::HardSwish,
        "HardSigmoid" => Function::HardSigmoid(HardSigmoid {
            alpha: short(node.float("alpha", 0.2)?),
            beta: short(node.float("beta", 0.5)?),
        }),
        "LeakyRelu" => leaky(node.float("alpha", 0.01)?),
        "Swish" => {
            let alpha = node.float("alpha", 1.0)?;
            let gate = chain(&line(alpha.into(), 0.0), Function::Sigmoid)?;
            product(&Function::Identity, &gate)?
        }
        "Clip" => {
            let low = lowering.optional_constant(node, 1)?;
            let high = lowering.optional_constant(node, 2)?;
            let (low, high) = clip_range(node, low.as_deref(), high.as_deref())?;
            clip(low, high)
        }
        _ => power(uniform(&*lowering.constant(node, 1)?)?)?,
    })
}

/// Returns the leaky ReLU with a slope of the file.
fn leaky(slope: f32) -> Function {
    Function::LeakyRelu(LeakyRelu {
        slope: short(slope),
    })
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
    combine(lowering, node, &line, &bend)
}

/// Returns the wire, called as the node where it has no name yet.
fn named(lowering: &Lowering<'_>, node: &Node, wire: Wire) -> Wire {
    let name = wire.name.clone().or_else(|| lowering.name(node, None));
    Wire { name, ..wire }
}

/// Returns `x` to a whole power.
fn power(exponent: Option<f32>) -> Outcome<Function> {
    let Some(exponent) = exponent else {
        return unsupported("exponents that differ between elements");
    };
    let whole = (0..=HIGHEST_POWER).find(|&power| power as f32 == exponent);
    let Some(whole) = whole else {
        return unsupported(format!(
            "the power {exponent}; whole ones up to {HIGHEST_POWER} are read"
        ));
    };
    (0..whole).try_fold(constant(1.0), |result, _| {
        product(&result, &Function::Identity)
    })
}

/// Returns the function that cuts to a range, whose ends may be infinite.
fn clip(low: f64, high: f64) -> Function {
    let (least, most) = (f64::from(f32::MIN), f64::from(f32::MAX));
    match (low, high) {
        (0.0, high) if high >= most => Function::Relu,
        (low, high) if low <= least && high >= most => Function::Identity,
        _ => Function::Clip(Clip {
            low: low.max(least),
            high: high.min(most),
        }),
    }
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

/// Lowers `Min` and `Max` of a value and a number.
fn limit(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Wire> {
    let [Some(first), Some(second)] = node.inputs[..] else {
        return unsupported(format!("{} inputs", node.inputs.len()));
    };
    let is_constant = matches!(lowering.value(first)?, Value::Constant(_));
    let (value, number) = if is_constant { (1, 0) } else { (0, 1) };
    let wire = lowering.wire(node, value)?;
    if lowering
        .value(if is_constant { first } else { second })?
        .is_wire()
    {
        return unsupported("the larger or smaller one of two values");
    }
    let Some(number) = uniform(&*lowering.constant(node, number)?)? else {
        return unsupported("limits that differ between elements");
    };
    if wire.integers.is_some() {
        return unsupported("computes with the integers of a QuantizeLinear");
    }
    let function = if node.operator == "Max" {
        clip(short(number), f64::INFINITY)
    } else {
        clip(f64::NEG_INFINITY, short(number))
    };
    let function = chain(&wire.function, function)?;
    Ok(named(lowering, node, wire.with_function(function)))
}

/// Lowers sums, differences, products and quotients.
///
/// # Errors
///
/// A sentence where two values cannot be combined.
pub fn arithmetic(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let operator = node.operator.as_str();
    let operands = node.inputs.len();
    if operands == 0 || (operator != "Sum" && operands != 2) {
        return invalid(format!("has {operands} inputs"));
    }
    let mut result = lowering.value(node.input(0)?)?.clone();
    for index in 1..operands {
        let next = lowering.value(node.input(index)?)?.clone();
        let name = lowering.name(node, None);
        result = Value::Wire(match (&result, &next) {
            (Value::Wire(left), Value::Wire(right)) => combine(lowering, node, left, right)?,
            (Value::Wire(wire), Value::Constant(constant)) => apply(
                lowering,
                wire,
                &Affine::of_operator(operator, constant, false)?,
                name,
            )?,
            (Value::Constant(constant), Value::Wire(wire)) => apply(
                lowering,
                wire,
                &Affine::of_operator(operator, constant, true)?,
                name,
            )?,
            _ => {
                return unsupported(format!(
                    "{operator} with what comes after the logits, or with padded or turned values"
                ));
            }
        });
    }
    Ok(result)
}

/// Returns two values combined: a function where both come from the same root, else an addition.
fn combine(lowering: &mut Lowering<'_>, node: &Node, left: &Wire, right: &Wire) -> Outcome<Wire> {
    if left.integers.is_some() || right.integers.is_some() {
        return unsupported("computes with the integers of a QuantizeLinear");
    }
    if left.layout != right.layout {
        return unsupported(format!(
            "values of shapes {:?} and {:?}, or of different order",
            left.layout.shape(),
            right.layout.shape()
        ));
    }
    let is_product = matches!(node.operator.as_str(), "Mul" | "Div");
    let (left, right) = if is_product {
        common_root(lowering, left, right)
    } else {
        (left.clone(), right.clone())
    };
    if left.root == right.root {
        let function = match node.operator.as_str() {
            "Mul" => product(&left.function, &right.function)?,
            "Sub" => sum(&left.function, &chain(&right.function, line(-1.0, 0.0))?)?,
            "Div" => return unsupported("a quotient of two values"),
            _ => sum(&left.function, &right.function)?,
        };
        let wire = Wire {
            exclusive: false,
            name: left.name.clone(),
            ..left.with_function(function)
        };
        return Ok(named(lowering, node, wire));
    }
    if is_product {
        return unsupported("a product or quotient of two different values");
    }
    let right = match node.operator.as_str() {
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

/// Returns two wires as functions of the same root, where activations lie between them.
fn common_root(lowering: &Lowering<'_>, left: &Wire, right: &Wire) -> (Wire, Wire) {
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

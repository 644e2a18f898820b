//! Nodes without an encrypted form: the client runs them as the file has them.

use std::rc::Rc;

use super::blocks::storage_shape;
use super::draft::Stage;
use super::lowering::Lowering;
use super::pad;
use super::pinnable::{
    check_batch, check_choice, check_infinite, check_integers, check_narrow, check_spread,
};
use super::value::{ClientValue, Constant, Scores, Value, Wire};
use super::view;
use crate::core::foreign::quoted;
use crate::import::fault::{Fault, Outcome, unsupported};
use crate::import::network::{Operation, Tail};
use crate::import::onnx::tensor::{Data, IntegerKind, element_count};
use crate::import::onnx::{Node, Tensor};
use crate::model::layer::pinned::{self, Attribute, Kind, Operand, Operator};
use crate::model::layer::{Function, Pinned};

/// The version of Microsoft's operators.
const CONTRIB_VERSION: i64 = 1;

/// Lowers a node that has no encrypted form, for this reason, to steps that the client runs; one that
/// reads constants alone is computed.
///
/// # Errors
///
/// A sentence with the reason, and why the client cannot run it either.
pub fn pin(lowering: &mut Lowering<'_>, node: &Node, reason: &str) -> Outcome<Vec<Value>> {
    made(lowering, node, reason).map_err(|fault| match fault {
        Fault::Unsupported(other) => {
            Fault::Unsupported(format!("{reason}; nor does the client run it: {other}"))
        }
        other => other,
    })
}

fn made(lowering: &mut Lowering<'_>, node: &Node, reason: &str) -> Outcome<Vec<Value>> {
    check_choice(lowering.graph, node)?;
    pad::settle(lowering, node)?;
    let mut operands = Vec::with_capacity(node.inputs.len());
    let mut is_batched = Vec::with_capacity(node.inputs.len());
    let mut read = Vec::new();
    for (index, &input) in node.inputs.iter().enumerate() {
        let value = match input {
            None => None,
            Some(input) => Some(lowering.value(input)?.clone()),
        };
        is_batched.push(matches!(value, Some(Value::Wire(_) | Value::Scores(_))));
        operands.push(match value {
            None => Operand::Absent,
            Some(value) => operand(lowering, (node, index), value, &mut read)?,
        });
    }
    let attributes = node.settings()?;
    let mut values = Vec::new();
    for (output, _) in node.outputs.iter().enumerate() {
        if !is_read(lowering, node, output) {
            // Nobody asks what it stands for.
            values.push(Value::Constant(Rc::new(Constant::new(Tensor::floats(
                vec![0],
                Vec::new(),
            )))));
            continue;
        }
        let operator = Operator {
            name: node.operator.clone(),
            domain: node.domain.clone(),
            opset: match node.domain.as_str() {
                "" => lowering.graph.opset,
                _ => CONTRIB_VERSION,
            },
            attributes: attributes.clone(),
            output,
        };
        let operator = in_own_words(operator, &operands)?;
        check_batch(&operator, &operands, &is_batched)?;
        check_integers(&operator, &operands)?;
        let pinned = Pinned::new(operator, operands.clone()).map_err(Fault::Unsupported)?;
        check_spread(&pinned.operator, &operands, &is_batched, pinned.shape())?;
        values.push(step(lowering, node, pinned, &read, reason)?);
    }
    Ok(values)
}

/// Returns whether anything reads an output of a node.
fn is_read(lowering: &Lowering<'_>, node: &Node, output: usize) -> bool {
    node.outputs[output].is_some_and(|value| lowering.graph.use_counts[value] > 0)
}

/// Returns a value as an operand; one that depends on the network's input is added to what is `read`.
fn operand(
    lowering: &mut Lowering<'_>,
    (node, index): (&Node, usize),
    value: Value,
    read: &mut Vec<ClientValue>,
) -> Outcome<Operand> {
    let client = match value {
        Value::Constant(constant) => {
            if is_narrow(&constant.tensor) {
                check_narrow(node, index)?;
            }
            let numbers = numbers(&constant.tensor)?;
            check_infinite(node, &numbers)?;
            return Ok(Operand::Constant(numbers));
        }
        Value::Client(client) => client,
        Value::Wire(wire) => {
            let shape = [vec![1], wire.layout.shape()].concat();
            if wire.integers.is_some_and(|of| wraps(of.low, of.high)) {
                check_narrow(node, index)?;
            }
            with_axes(wire, &shape)?
        }
        Value::Turned(wire) => {
            let shape = [wire.layout.count(), 1];
            with_axes(wire, &shape)?
        }
        Value::Scores(scores) => {
            let shape = scores.shape.clone();
            let root = probabilities(lowering, node, scores)?;
            with_axes(lowering.draft.output(root, &shape), &shape)?
        }
        Value::Padded(_) => return unsupported("reads what a Pad made"),
    };
    let shape = client.shape();
    let kind = match client.kind {
        // Truth that a function of reals tells is 0 or 1.
        Kind::Float if is_condition(node, index) => Kind::Boolean,
        kind => kind,
    };
    read.push(client);
    Ok(Operand::Value { shape, kind })
}

/// Returns whether an operator takes an operand as true or false.
fn is_condition(node: &Node, index: usize) -> bool {
    match node.operator.as_str() {
        "And" | "Or" | "Xor" | "Not" => true,
        "Where" => index == 0,
        _ => false,
    }
}

/// Returns the value of a wire with all axes that the file gives it.
fn with_axes(wire: Wire, shape: &[usize]) -> Outcome<ClientValue> {
    let kind = match wire.integers {
        Some(integers) if integers.are_input && wire.function == Function::Identity => {
            Kind::Integer
        }
        Some(_) => return unsupported("reads the integers of a quantiser"),
        None => Kind::Float,
    };
    let wire = Wire {
        layout: wire.layout.reshape(shape)?,
        integers: None,
        ..wire
    };
    Ok(ClientValue { wire, kind })
}

/// Returns whether integers from `low` to `high` wrap around where 32 bits with a sign do not.
fn wraps(low: i64, high: i64) -> bool {
    (low, high) != (0, 1) && (low > i32::MIN.into() || high < i32::MAX.into())
}

fn is_narrow(tensor: &Tensor) -> bool {
    let Data::Integer { kind, .. } = &tensor.data else {
        return false;
    };
    let (low, high) = kind.range();
    *kind != IntegerKind::Bool && wraps(low, high)
}

/// Returns the value that holds the numbers of a wire in the order of its axes.
fn stored(lowering: &mut Lowering<'_>, wire: &Wire) -> Outcome<usize> {
    let value = lowering.draft.materialise(wire)?;
    let Some(order) = wire.layout.order() else {
        return Ok(value);
    };
    lowering.draft.spend(order.len())?;
    let shape = storage_shape(&wire.layout.shape());
    lowering
        .draft
        .push(Stage::Pick(order), vec![value], shape, None)
}

/// Returns the value that holds scores which others compute with: the client's own tail is no more than
/// that.
fn probabilities(lowering: &mut Lowering<'_>, node: &Node, scores: Scores) -> Outcome<usize> {
    let name = match scores.tail {
        Tail::None => None,
        Tail::Softmax => Some("Softmax"),
        Tail::LogSoftmax => Some("LogSoftmax"),
        Tail::ArgMax | Tail::Sigmoid => return unsupported("computes with a label"),
    };
    if scores.picks.is_some() {
        return unsupported("computes with the scores of some classes");
    }
    let root = stored(lowering, &scores.logits)?;
    let Some(name) = name else {
        return Ok(root);
    };
    let shape = vec![1, lowering.draft.shape(root).iter().product()];
    let operands = [Operand::Value {
        shape,
        kind: Kind::Float,
    }];
    let operator = Operator {
        name: name.into(),
        domain: String::new(),
        opset: lowering.graph.opset,
        attributes: [("axis".to_owned(), Attribute::Integer(1))].into(),
        output: 0,
    };
    let read = [ClientValue {
        wire: lowering
            .draft
            .output(root, &[1, lowering.draft.shape(root).iter().product()]),
        kind: Kind::Float,
    }];
    let pinned = Pinned::new(operator, operands.to_vec()).map_err(Fault::Unsupported)?;
    match step(lowering, node, pinned, &read, "of all")? {
        Value::Wire(wire) => Ok(wire.root),
        _ => unsupported("scores that are no list"),
    }
}

/// Adds a step that the client runs, and returns what it makes; what depends on no value is computed.
fn step(
    lowering: &mut Lowering<'_>,
    node: &Node,
    pinned: Pinned,
    read: &[ClientValue],
    reason: &str,
) -> Outcome<Value> {
    let taken = pinned.operands.iter().filter_map(|operand| match operand {
        Operand::Constant(constant) => Some(constant.values.len()),
        Operand::Absent | Operand::Value { .. } => None,
    });
    lowering.draft.spend(taken.sum())?;
    let (shape, kind) = (pinned.shape().to_vec(), pinned.kind());
    lowering.draft.spend(element_count(&shape)?)?;
    let Some(first) = read.first() else {
        let values = pinned.run(&[]).map_err(Fault::Unsupported)?;
        return Ok(Value::Constant(Rc::new(Constant::new(tensor(
            shape, kind, &values,
        )))));
    };
    if let Some(moved) = view::moved(&mut lowering.draft, &pinned.operator, first, &shape)? {
        return Ok(moved);
    }
    let inputs = read.iter().map(|client| stored(lowering, &client.wire));
    let inputs = inputs.collect::<Outcome<Vec<usize>>>()?;
    if view::is_reshape(&pinned.operator) {
        // Its elements lie together now.
        return view::seen(lowering.draft.output(inputs[0], &shape), kind);
    }
    let operator = quoted(&node.operator);
    let told = (operator.trim_matches('"').to_owned(), reason.to_owned());
    lowering.draft.pinned.push(told);
    let name = lowering.name(node, None);
    let kept = storage_shape(shape.strip_prefix(&[1]).unwrap_or(&shape));
    let stage = Stage::Operation(Operation::Pinned(pinned));
    let root = lowering.draft.push(stage, inputs, kept, name)?;
    view::seen(lowering.draft.output(root, &shape), kind)
}

/// Returns an operator as the newest version has it where older ones mean something else by the same
/// words.
fn in_own_words(mut operator: Operator, operands: &[Operand]) -> Outcome<Operator> {
    let rank = operands
        .first()
        .and_then(Operand::typed)
        .map_or(0, |(shape, _)| shape.len() as i64);
    match operator.name.as_str() {
        // Before 13 the axis began the part of all axes that is one list.
        "Softmax" | "LogSoftmax" if operator.opset < 13 && operator.domain.is_empty() => {
            let axis = match operator.attributes.get("axis") {
                Some(Attribute::Integer(axis)) => *axis,
                _ => 1,
            };
            if axis != -1 && axis != rank - 1 {
                return unsupported(format!(
                    "operator set {} takes all axes from {axis} on as one",
                    operator.opset
                ));
            }
            operator
                .attributes
                .insert("axis".into(), Attribute::Integer(-1));
        }
        // What is now always so: the smaller operand is spread along the axes before its own.
        "Add" | "Sub" | "Mul" | "Div" | "Pow" if operator.opset < 7 => {
            let other = operands.get(1).and_then(Operand::typed);
            let own_rank = other.map_or(0, |(shape, _)| shape.len() as i64);
            let axis = operator.attributes.remove("axis");
            operator.attributes.remove("broadcast");
            if axis.is_some_and(|axis| axis != Attribute::Integer(rank - own_rank)) {
                return unsupported("spreads an operand along axes behind its own");
            }
        }
        "Resize" if operator.opset < 11 => return unsupported("operator sets below 11 of it"),
        // The client's runtime has another curve.
        "Resize" if operator.attributes.get("mode") == Some(&Attribute::Text("cubic".into())) => {
            return unsupported("mode \"cubic\"");
        }
        "Cast" => {
            let code = match operator.attributes.get("to") {
                Some(Attribute::Integer(code)) => i32::try_from(*code).unwrap_or(0),
                _ => 0,
            };
            operator
                .attributes
                .insert("to".into(), Attribute::Integer(kept_type(code)?.into()));
        }
        _ => {}
    }
    Ok(operator)
}

/// Returns the type that stands for another in a `Cast`: the client has float32, integers and bits.
fn kept_type(code: i32) -> Outcome<i32> {
    use crate::core::onnx_schema::data_type;
    match code {
        data_type::FLOAT | data_type::DOUBLE => Ok(data_type::FLOAT),
        data_type::INT32 | data_type::INT64 => Ok(data_type::INT32),
        data_type::BOOL => Ok(data_type::BOOL),
        _ => unsupported(format!("a cast to ONNX type {code}")),
    }
}

/// Returns the numbers of a constant.
fn numbers(tensor: &Tensor) -> Outcome<pinned::Constant> {
    /// From here on integers stand for the largest that there is.
    const LARGEST: u64 = 1 << 31;
    /// Up to this they are exact.
    const EXACT: u64 = 1 << 24;
    let (kind, values) = match &tensor.data {
        Data::Float(values) => (Kind::Float, values.clone()),
        Data::Integer { kind, values } => {
            let exact = |&value: &i64| match value.unsigned_abs() {
                ..=EXACT => Ok(value as f32),
                LARGEST.. => Ok(LARGEST as f32 * value.signum() as f32),
                _ => unsupported(format!("{value}, an integer of more than 24 bits")),
            };
            let kind = match kind {
                IntegerKind::Bool => Kind::Boolean,
                _ => Kind::Integer,
            };
            (kind, values.iter().map(exact).collect::<Outcome<_>>()?)
        }
        Data::Text => return unsupported("reads text"),
    };
    Ok(pinned::Constant {
        shape: tensor.shape.clone(),
        kind,
        values,
    })
}

/// Returns a constant of numbers that the client's runtime has computed.
fn tensor(shape: Vec<usize>, kind: Kind, values: &[f32]) -> Tensor {
    match kind {
        Kind::Float => Tensor::floats(shape, values.to_vec()),
        Kind::Integer | Kind::Boolean => {
            Tensor::integers(shape, values.iter().map(|&value| value as i64).collect())
        }
    }
}

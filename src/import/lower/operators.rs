//! Lowers one node: tells which file knows its operator.

use std::rc::Rc;

use super::lowering::Lowering;
use super::value::{ClientValue, Scores, Value, Wire};
use super::{
    affine, attributes, choice, classes, classifier, condition, constants, elementwise, expression,
    functions, join, linear, pad, pick, pinned, pool, quantisers, reduce, reshape, resize, tail,
    view, windowed,
};
use crate::core::foreign::quoted;
use crate::import::fault::{Fault, Outcome, unsupported};
use crate::import::network::Tail;
use crate::import::onnx::{Graph, Node};

/// Lowers one node.
///
/// # Errors
///
/// A sentence where it is wrong or not supported.
pub fn lower(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<()> {
    for &(condition, wanted) in &node.conditions {
        if condition::holds(lowering, condition)? != wanted {
            lowering.has_read(node);
            return Ok(());
        }
    }
    let is_if = node.operator == "If" && node.domain.is_empty();
    let made = match is_if {
        true => condition::choose(lowering, node),
        false => operator(lowering, node),
    };
    let made = match made {
        Err(Fault::Unsupported(reason)) => match view::lower(lowering, node, operator)? {
            Some(made) => made,
            None => pinned::pin(lowering, node, &reason)?,
        },
        made => made?,
    };
    let mut made = made.into_iter();
    for &output in &node.outputs {
        let Some(value) = made.next() else { break };
        if let Some(output) = output {
            let value = shared(lowering, value, output)?;
            lowering.keep(output, value);
        }
    }
    lowering.has_read(node);
    Ok(())
}

/// Returns what the outputs of a node stand for.
fn operator(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Vec<Value>> {
    attributes::check(node)?;
    for &input in node.inputs.iter().flatten() {
        lowering.value(input)?;
    }
    if let Some(constant) = constants::fold(lowering, node)? {
        return Ok(vec![Value::Constant(Rc::new(constant))]);
    }
    if let Some(scores) = tail::after_scores(lowering, node)? {
        return Ok(scores);
    }
    if let Some(padded) = pad::after_pad(lowering, node)? {
        return Ok(vec![padded]);
    }
    let operator = node.operator.as_str();
    if !matches!(operator, "Conv" | "MaxPool" | "AveragePool") {
        pad::settle(lowering, node)?;
    }
    let value = match (node.domain.as_str(), operator) {
        ("ai.onnx.ml", "LinearClassifier") => return classifier::linear_classifier(lowering, node),
        ("ai.onnx.ml", "ZipMap") => {
            let scores = Scores::of(lowering.wire(node, 0)?, Tail::None);
            Value::Scores(classes::zip_map(lowering, node, scores)?)
        }
        ("ai.onnx.ml", "LinearRegressor") => linear::linear_regressor(lowering, node)?,
        ("ai.onnx.ml", "Scaler") => affine::scaler(lowering, node)?,
        ("ai.onnx.ml", "ArrayFeatureExtractor") => pick::of_wire(lowering, node)?,
        ("ai.onnx.ml", _) => return unknown(operator),
        (_, "Quant" | "IntQuant") => quantisers::quant(lowering, node)?,
        (_, "BipolarQuant") => quantisers::bipolar_quant(lowering, node)?,
        (_, "QuantizeLinear") => quantisers::quantize_linear(lowering, node)?,
        (_, "DequantizeLinear") => quantisers::dequantize_linear(lowering, node)?,
        ("", "Conv") => pad::or_made(lowering, node, linear::conv)?,
        ("", "ConvTranspose") => windowed::conv_transpose(lowering, node)?,
        ("", "Gemm") => linear::gemm(lowering, node)?,
        ("", "MatMul") => linear::mat_mul(lowering, node)?,
        ("", "BatchNormalization") => affine::batch_normalization(lowering, node)?,
        ("", "MaxPool" | "AveragePool") => pad::or_made(lowering, node, pool::pool)?,
        ("", "GlobalAveragePool" | "GlobalMaxPool") => pool::global(lowering, node)?,
        ("", "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin") => {
            reduce::reduce(lowering, node)?
        }
        ("", "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Transpose") => {
            reshape::reshape(lowering, node)?
        }
        ("", "Identity" | "Dropout" | "Cast") => elementwise::same(lowering, node)?,
        ("", "Pad") => pad::pad(lowering, node)?,
        ("", "Gather" | "Slice" | "Expand" | "Tile") => pick::of_wire(lowering, node)?,
        ("", "Split") => return join::split(lowering, node),
        ("", "Resize" | "Upsample") => resize::resize(lowering, node)?,
        ("", "DepthToSpace" | "SpaceToDepth") => reshape::depth(lowering, node)?,
        ("", "Softmax" | "LogSoftmax" | "ArgMax" | "TopK") => return tail::tail(lowering, node),
        ("", "Concat") => join::concat(lowering, node)?,
        _ => match of_elements(lowering, node)? {
            Some(value) => value,
            None => return unknown(operator),
        },
    };
    Ok(vec![value])
}

/// Returns what a node makes that is a function of single elements, of one value or of several.
fn of_elements(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Option<Value>> {
    let value = match (node.domain.as_str(), node.operator.as_str()) {
        ("", "Add" | "Sub" | "Mul" | "Div" | "Sum" | "Mean") => {
            elementwise::arithmetic(lowering, node)?
        }
        ("", "Min" | "Max") => choice::limit(lowering, node)?,
        (
            "",
            "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Equal" | "And" | "Or" | "Xor",
        ) => choice::comparison(lowering, node)?,
        ("", "Where") => choice::choose(lowering, node)?,
        ("com.microsoft", "Gelu") => elementwise::function(lowering, node)?,
        ("", operator) if functions::is_function(operator) => {
            elementwise::function(lowering, node)?
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// Returns a value as those who read it get it: one that several layers read is made a layer.
fn shared(lowering: &mut Lowering<'_>, value: Value, output: usize) -> Outcome<Value> {
    Ok(match value {
        Value::Wire(wire) => Value::Wire(shared_wire(lowering, wire, output)?),
        Value::Client(ClientValue { wire, kind }) => Value::Client(ClientValue {
            wire: shared_wire(lowering, wire, output)?,
            kind,
        }),
        value => value,
    })
}

fn shared_wire(lowering: &mut Lowering<'_>, wire: Wire, output: usize) -> Outcome<Wire> {
    lowering.draft.spend(expression::size(&wire.function))?;
    let readers = lowering.graph.use_counts[output];
    if readers > 1 && wire.integers.is_none() && is_read_by_layer(lowering.graph, output) {
        return lowering.draft.settle(&wire);
    }
    Ok(Wire {
        exclusive: wire.exclusive && readers == 1,
        ..wire
    })
}

/// Returns whether a node that needs its input as a value reads this one.
fn is_read_by_layer(graph: &Graph, value: usize) -> bool {
    const LAYERS: [&str; 13] = [
        "Conv",
        "ConvTranspose",
        "ReduceSum",
        "ReduceMax",
        "ReduceMin",
        "Gemm",
        "MatMul",
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "ReduceMean",
        "BatchNormalization",
    ];
    let readers = graph.readers(value);
    readers
        .iter()
        .any(|&node| LAYERS.contains(&graph.nodes[node].operator.as_str()))
}

fn unknown<T>(operator: &str) -> Outcome<T> {
    let name = quoted(operator);
    unsupported(format!("the operator {}", name.trim_matches('"')))
}

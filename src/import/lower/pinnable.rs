//! Which nodes the client may run: those that give for one image what they give for it among others,
//! and numbers that are no choice among classes.

use std::collections::BTreeSet;

use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::{Graph, Node};
use crate::model::layer::pinned::{Attribute, Constant, Kind, Operand, Operator};

/// Operators that hand on what they read, in another shape or type.
const PASSING: &[&str] = &[
    "Cast",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Refuses a choice that the network gives back, where it is not that of the largest score: it would be
/// taken for a number.
pub fn check_choice(graph: &Graph, node: &Node) -> Outcome<()> {
    let chosen = match node.operator.as_str() {
        "ArgMax" | "ArgMin" => 0,
        "TopK" => 1,
        _ => return Ok(()),
    };
    let Some(chosen) = node.outputs.get(chosen).copied().flatten() else {
        return Ok(());
    };
    let mut reached = BTreeSet::from([chosen]);
    for node in &graph.nodes {
        let data = node.inputs.first().copied().flatten();
        if PASSING.contains(&node.operator.as_str())
            && data.is_some_and(|data| reached.contains(&data))
        {
            reached.extend(node.outputs.iter().flatten());
        }
    }
    if graph.outputs.iter().any(|output| reached.contains(output)) {
        return unsupported("an output that chooses in another way than by the largest score");
    }
    Ok(())
}

/// Refuses an operator that makes one number of several images. `is_batched` tells for each operand
/// whether its first axis is that of the batch.
pub fn check_batch(operator: &Operator, operands: &[Operand], is_batched: &[bool]) -> Outcome<()> {
    let mixed = operands
        .iter()
        .zip(is_batched)
        .enumerate()
        .filter(|(_, (_, is_batched))| **is_batched)
        .any(|(index, (operand, _))| {
            let rank = operand.typed().map_or(0, |(shape, _)| shape.len());
            mixes_first_axis(operator, operands, index, rank)
        });
    if mixed {
        return unsupported("computes over the axis of the batch");
    }
    Ok(())
}

/// Refuses an operator that spreads one image over several: a constant of another number for each image of
/// the batch, say. `shape` is that of what it makes.
pub fn check_spread(
    operator: &Operator,
    operands: &[Operand],
    is_batched: &[bool],
    shape: &[usize],
) -> Outcome<()> {
    const SPREADING: &[&str] = &[
        "Add",
        "And",
        "Div",
        "Equal",
        "FusedMatMul",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "MatMul",
        "Max",
        "Mean",
        "Min",
        "Mod",
        "Mul",
        "Or",
        "PRelu",
        "Pow",
        "Sub",
        "Sum",
        "Where",
        "Xor",
    ];
    let is_spread = |(operand, is_batched): (&Operand, &bool)| {
        let rank = operand.typed().map_or(0, |(shape, _)| shape.len());
        let batch = shape.len().checked_sub(rank);
        *is_batched && batch.is_some_and(|axis| shape.get(axis).is_some_and(|&size| size != 1))
    };
    let name = operator.name.as_str();
    if SPREADING.contains(&name) && operands.iter().zip(is_batched).any(is_spread) {
        return unsupported("makes several images of one");
    }
    Ok(())
}

/// Returns whether an operator makes one number of several along the first axis of an operand of a rank.
fn mixes_first_axis(operator: &Operator, operands: &[Operand], index: usize, rank: usize) -> bool {
    let is_set = |name: &str| matches!(operator.attributes.get(name), Some(Attribute::Integer(1)));
    let is_first = |axis: i64| axis == 0 || axis == -(rank as i64);
    let axis = |default: i64| match operator.attributes.get("axis") {
        Some(Attribute::Integer(axis)) => is_first(*axis),
        _ => is_first(default),
    };
    match operator.name.as_str() {
        "Softmax" | "LogSoftmax" | "TopK" | "LayerNormalization" | "RMSNormalization" => axis(-1),
        "ArgMax" | "ArgMin" | "Concat" | "Gather" | "GatherElements" => axis(0) && index == 0,
        "CumSum" => match operands.get(1) {
            Some(Operand::Constant(axis)) => axis.values.iter().any(|&axis| is_first(axis as i64)),
            _ => false,
        },
        name if name.starts_with("Reduce") => match axes(operator, operands) {
            Axes::All => true,
            Axes::None => false,
            Axes::Of(axes) => axes.into_iter().any(is_first),
        },
        "Gemm" => match index {
            0 => is_set("transA"),
            _ => index == 1 && !is_set("transB"),
        },
        // The second operand is summed over its last axis but one.
        "MatMul" | "FusedMatMul" => index == 1 && rank <= 2,
        "Einsum" => sums_first_letter(operator, index),
        _ => false,
    }
}

/// The axes that a reduction takes together.
enum Axes {
    All,
    None,
    Of(Vec<i64>),
}

fn axes(operator: &Operator, operands: &[Operand]) -> Axes {
    let given = match (operator.attributes.get("axes"), operands.get(1)) {
        (Some(Attribute::Integers(axes)), _) => axes.clone(),
        (_, Some(Operand::Constant(axes))) => axes.values.iter().map(|&axis| axis as i64).collect(),
        _ => Vec::new(),
    };
    let stays = operator.attributes.get("noop_with_empty_axes") == Some(&Attribute::Integer(1));
    match (given.is_empty(), stays) {
        (false, _) => Axes::Of(given),
        (true, true) => Axes::None,
        (true, false) => Axes::All,
    }
}

/// Returns whether an equation sums over the first axis of an operand.
fn sums_first_letter(operator: &Operator, index: usize) -> bool {
    let Some(Attribute::Text(equation)) = operator.attributes.get("equation") else {
        return true;
    };
    let equation: String = equation.chars().filter(|letter| *letter != ' ').collect();
    let (terms, made) = match equation.split_once("->") {
        Some((terms, made)) => (terms, Some(made)),
        None => (equation.as_str(), None),
    };
    let Some(first) = terms
        .split(',')
        .nth(index)
        .and_then(|term| term.chars().next())
    else {
        return true;
    };
    match made {
        // Every letter that stands once stays.
        None => terms.chars().filter(|&letter| letter == first).count() > 1,
        Some(made) => !made.contains(first),
    }
}

/// Refuses a value of the network of narrow integers, or of integers without a sign, where an operator
/// computes with it: such arithmetic wraps around, that of the client does not.
pub fn check_narrow(node: &Node, index: usize) -> Outcome<()> {
    let is_index = matches!(
        node.operator.as_str(),
        "Gather" | "GatherElements" | "GatherND"
    ) && index == 1;
    if is_index || node.operator == "Cast" {
        return Ok(());
    }
    unsupported("computes with integers that wrap around: cast them first")
}

/// Refuses integers where an operator may make more than 32 bits of them on the way.
pub fn check_integers(operator: &Operator, operands: &[Operand]) -> Outcome<()> {
    const GROWING: &[&str] = &[
        "CumSum",
        "Einsum",
        "FusedMatMul",
        "Gemm",
        "MatMul",
        "Mul",
        "Pow",
        "ReduceL1",
        "ReduceL2",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
        "Sum",
    ];
    let is_integer = |operand: &Operand| {
        operand
            .typed()
            .is_some_and(|(_, kind)| kind == Kind::Integer)
    };
    // What else they read may be an axis.
    if GROWING.contains(&operator.name.as_str()) && operands.first().is_some_and(is_integer) {
        return unsupported(
            "computes with integers that may grow beyond 32 bits: cast them to floats",
        );
    }
    Ok(())
}

/// Refuses an infinite constant, but where it masks, ends a range, or is compared.
pub fn check_infinite(node: &Node, constant: &Constant) -> Outcome<()> {
    const MASKING: &[&str] = &[
        "Add",
        "Attention",
        "Clip",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Pad",
        "ScatterElements",
        "ScatterND",
        "Sub",
        "Sum",
        "Where",
    ];
    let moves = PASSING.contains(&node.operator.as_str())
        || matches!(
            node.operator.as_str(),
            "Concat" | "Expand" | "Tile" | "Trilu"
        );
    let is_infinite = constant.values.iter().any(|value| value.is_infinite());
    if is_infinite && !moves && !MASKING.contains(&node.operator.as_str()) {
        return invalid("computes with a constant that is infinite");
    }
    Ok(())
}

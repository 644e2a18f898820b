//! `Pad`: a border that the convolution or pool which reads it takes as padding of its own, or else one
//! that is made.

use std::rc::Rc;

use super::affine::{Affine, apply};
use super::arithmetic::{integers, uniform};
use super::constants::arrange::axis_of;
use super::constants::check_dropout;
use super::copies::by_axes;
use super::draft::{NetworkDraft, Stage};
use super::expression::{chain, line};
use super::lowering::Lowering;
use super::reshape::image_axes;
use super::value::{Padded, Value, Wire};
use super::window::is_dilated;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Operation;
use crate::import::onnx::Node;
use crate::model::layer::Function;
use crate::model::layer::function::Quantise;

/// An image and its border, as a layer reads them.
pub struct Framed {
    /// The value inside.
    pub value: usize,
    pub channels: usize,
    /// Axes besides the channels: an image has two, rows one.
    pub axes: usize,
    /// Rows and columns with the border.
    pub size: [usize; 2],
    /// Top, left, bottom, right.
    pub border: [usize; 4],
    /// What the border is of.
    pub fill: f32,
    /// The least that the image may hold.
    pub least: f64,
}

/// The widest border.
const WIDEST: i64 = 1 << 12;

/// Lowers `Pad`: a border of one number around an image waits for what reads it, any other is made.
///
/// # Errors
///
/// A sentence where the batch is padded, or a mode or border is odd.
pub fn pad(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    if wire.integers.is_some() {
        return unsupported("pads integers");
    }
    let rank = wire.layout.shape().len() + 1;
    let border = border(lowering, node, rank)?;
    let fill = match lowering.optional_constant(node, 2)? {
        None => node.float("value", 0.0)?,
        Some(constant) => match uniform(&constant)? {
            Some(fill) => fill,
            None => return invalid("a value that is not one number"),
        },
    };
    if border.iter().all(|ends| *ends == [0, 0]) {
        return Ok(Value::Wire(wire));
    }
    let mode = node.text("mode", "constant")?;
    let outputs = &lowering.graph.outputs;
    let is_output = node
        .outputs
        .iter()
        .flatten()
        .any(|value| outputs.contains(value));
    let widths = border.iter().map(|ends| ends.map(usize::try_from));
    let widths = widths.map(|ends| match ends {
        [Ok(before), Ok(after)] => Some([before, after]),
        _ => None,
    });
    match widths.collect::<Option<Vec<_>>>() {
        Some(border) if mode == "constant" && rank == 4 && border[0] == [0, 0] && !is_output => {
            let wire = Wire {
                exclusive: false,
                ..wire
            };
            Ok(Value::Padded(Rc::new(Padded { wire, border, fill })))
        }
        _ => made(lowering, node, &wire, &border, mode, fill).map(Value::Wire),
    }
}

/// Returns how much a node puts before and after each axis but the batch; it cuts what is negative.
fn border(lowering: &mut Lowering<'_>, node: &Node, rank: usize) -> Outcome<Vec<[i64; 2]>> {
    let pads = match node.integers("pads")? {
        Some(pads) => pads.to_vec(),
        None => integers(&lowering.constant(node, 1)?.tensor)?.to_vec(),
    };
    let axes = match lowering.optional_constant(node, 3)? {
        Some(axes) => integers(&axes.tensor)?.to_vec(),
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return invalid(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let mut border = vec![[0; 2]; rank];
    for (index, &axis) in axes.iter().enumerate() {
        let ends = [pads[index], pads[index + axes.len()]];
        if ends
            .iter()
            .any(|&width| !(-WIDEST..=WIDEST).contains(&width))
        {
            return unsupported(format!("a border of {ends:?}; up to {WIDEST} are read"));
        }
        border[axis_of(axis, rank)?] = ends;
    }
    if border.remove(0) != [0, 0] {
        return unsupported("pads the batch");
    }
    Ok(border)
}

/// Returns a wire with its border as a value: zero around the value less what the border is of, which
/// is added again.
fn made(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    border: &[[i64; 2]],
    mode: &str,
    fill: f32,
) -> Outcome<Wire> {
    let shape = wire.layout.shape();
    let axes = shape
        .iter()
        .zip(border)
        .map(|(&size, &ends)| along(size, ends, mode));
    let axes = axes.collect::<Outcome<Vec<_>>>()?;
    if !fill.is_finite() {
        return unsupported("a border that is not finite before what takes none as its padding");
    }
    if mode != "constant" || fill == 0.0 {
        return by_axes(lowering, node, wire, &axes);
    }
    let lowered = apply(lowering, wire, &Affine::uniform(1.0, -fill), None)?;
    let bordered = by_axes(lowering, node, &lowered, &axes)?;
    apply(lowering, &bordered, &Affine::uniform(1.0, fill), None)
}

/// Returns which element each place along a padded axis repeats, if any.
fn along(size: usize, [before, after]: [i64; 2], mode: &str) -> Outcome<Vec<Option<usize>>> {
    let count = size as i64;
    // What is cut away is not wrapped over.
    let (first, last) = ((-before).max(0), count + after.min(0));
    let element = |place: i64| -> Option<usize> {
        let found = match mode {
            "edge" => place.clamp(0, count - 1),
            "wrap" => first + (place - first).rem_euclid((last - first).max(1)),
            "reflect" => {
                let round = place.rem_euclid((2 * (count - 1)).max(1));
                round.min(2 * (count - 1) - round)
            }
            _ => place,
        };
        (0..count).contains(&found).then_some(found as usize)
    };
    if !matches!(mode, "constant" | "edge" | "wrap" | "reflect") {
        return unsupported("a mode other than constant, edge, reflect and wrap");
    }
    if before + count + after < 1 {
        return invalid(format!("cuts all of an axis of {size}"));
    }
    Ok((-before..count + after).map(element).collect())
}

/// Makes the borders that a node reads values, where it does not take them as its own.
///
/// # Errors
///
/// As [`pad`].
pub fn settle(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<()> {
    for &input in node.inputs.iter().flatten() {
        let Value::Padded(padded) = lowering.value(input)?.clone() else {
            continue;
        };
        let border: Vec<[i64; 2]> = padded
            .border
            .iter()
            .map(|ends| ends.map(|width| width as i64))
            .collect();
        let wire = made(
            lowering,
            node,
            &padded.wire,
            &border,
            "constant",
            padded.fill,
        )?;
        let wire = Wire {
            exclusive: false,
            ..lowering.draft.settle(&wire)?
        };
        lowering.keep(input, Value::Wire(wire));
    }
    Ok(())
}

/// Lowers a node that may take a border as its own padding; where it cannot, the border is made.
///
/// # Errors
///
/// As `lower`.
pub fn or_made(
    lowering: &mut Lowering<'_>,
    node: &Node,
    lower: fn(&mut Lowering<'_>, &Node) -> Outcome<Value>,
) -> Outcome<Value> {
    let is_padded = matches!(lowering.value(node.input(0)?)?, Value::Padded(_));
    if !is_padded {
        return lower(lowering, node);
    }
    if !is_dilated(node)?
        && let Ok(made) = lower(lowering, node)
    {
        return Ok(made);
    }
    settle(lowering, node)?;
    lower(lowering, node)
}

/// Returns what a node that keeps numbers makes of a padded value.
///
/// # Errors
///
/// A sentence where it moves the batch, or drops elements.
pub fn after_pad(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Option<Value>> {
    let Some(input) = node.optional_input(0) else {
        return Ok(None);
    };
    let Value::Padded(padded) = lowering.value(input)?.clone() else {
        return Ok(None);
    };
    match node.operator.as_str() {
        "Conv" | "MaxPool" | "AveragePool" => return Ok(None),
        "Identity" => {}
        "Dropout" => {
            let ratio = lowering.optional_constant(node, 1)?;
            let training = lowering.optional_constant(node, 2)?;
            check_dropout(node, ratio.as_deref(), training.as_deref())?;
        }
        "Transpose" => {
            let order = image_axes(4, node.integers("perm")?)?;
            return Ok(Some(Value::Padded(Rc::new(Padded {
                border: order.iter().map(|&axis| padded.border[axis]).collect(),
                wire: Wire {
                    layout: padded.wire.layout.transpose(&order)?,
                    ..padded.wire.clone()
                },
                fill: padded.fill,
            }))));
        }
        _ => return Ok(None),
    }
    Ok(Some(Value::Padded(padded)))
}

/// Returns the image that a convolution or pool reads, with its border.
///
/// # Errors
///
/// A sentence where it is no image.
pub fn framed(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Framed> {
    let padded = match lowering.value(node.input(0)?)? {
        Value::Padded(padded) => Rc::clone(padded),
        _ => Rc::new(Padded {
            wire: lowering.wire(node, 0)?,
            border: vec![[0; 2]; 3],
            fill: 0.0,
        }),
    };
    let Padded { wire, border, fill } = &*padded;
    let draft = &mut lowering.draft;
    let least = least(draft, wire);
    // A convolution pads with zero, so its image is shifted to where the border is that.
    let shifted = if node.operator == "Conv" && *fill != 0.0 {
        wire.with_function(chain(&wire.function, line(1.0, -f64::from(*fill)))?)
    } else {
        wire.clone()
    };
    let (value, [channels, rows, columns]) = draft.image(&shifted)?;
    let axes = wire.layout.shape().len() - 1;
    let [depth, height, width] = border[..] else {
        return invalid("a border that is not of an image");
    };
    if depth != [0, 0] {
        return unsupported("pads with channels");
    }
    Ok(Framed {
        value,
        channels,
        axes,
        size: [rows + height[0] + height[1], columns + width[0] + width[1]],
        border: [height[0], width[0], height[1], width[1]],
        fill: *fill,
        least,
    })
}

/// Returns the least number that a wire may hold, as far as the functions before it tell.
fn least(draft: &NetworkDraft, wire: &Wire) -> f64 {
    if !wire.is_identity() {
        return least_of(&wire.function);
    }
    let mut value = wire.root;
    while let Some(step) = value.checked_sub(1).map(|index| &draft.steps[index]) {
        match &step.stage {
            Stage::Operation(Operation::Activation(function)) => return least_of(function),
            Stage::Operation(Operation::MaxPool { .. } | Operation::Largest { .. }) => {
                value = step.inputs[0];
            }
            _ => break,
        }
    }
    f64::NEG_INFINITY
}

/// Returns a number below which a function does not go.
fn least_of(function: &Function) -> f64 {
    match function {
        Function::Relu | Function::Sigmoid | Function::HardSigmoid(_) => 0.0,
        Function::Tanh => -1.0,
        Function::Clip(clip) => clip.low,
        Function::Quantise(Quantise { scale, low, .. }) => scale * *low as f64,
        Function::Chain(parts) => parts.last().map_or(f64::NEG_INFINITY, least_of),
        _ => f64::NEG_INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::lower::fixture::{draft, max_pool, step};
    use crate::model::layer::function::Clip;

    #[test]
    fn functions_tell_the_least_that_they_make() {
        let clip = Function::Clip(Clip {
            low: -2.0,
            high: 3.0,
        });
        let quantise = Function::Quantise(Quantise {
            scale: 0.5,
            low: -3,
            high: 4,
            bipolar: false,
        });
        for (function, expected) in [
            (Function::Relu, 0.0),
            (Function::Sigmoid, 0.0),
            (Function::Tanh, -1.0),
            (clip.clone(), -2.0),
            (quantise, -1.5),
            // The last of a chain has the last word.
            (Function::Chain(vec![Function::Relu, clip]), -2.0),
            (Function::Identity, f64::NEG_INFINITY),
        ] {
            assert_eq!(least_of(&function), expected, "{function:?}");
        }
    }

    #[test]
    fn a_max_pool_keeps_the_least_of_what_it_reads() {
        let relu = Operation::Activation(Function::Relu);
        let steps = vec![
            step(&[0], &[1, 4, 4], relu),
            step(&[1], &[1, 2, 2], max_pool()),
        ];
        let draft = draft(&[1, 4, 4], steps);
        let pooled = draft.output(2, &[1, 2, 2]);
        assert_eq!(least(&draft, &pooled), 0.0);
        assert_eq!(least(&draft, &pooled.with_function(Function::Tanh)), -1.0);
        let input = draft.output(0, &[1, 4, 4]);
        assert_eq!(least(&draft, &input), f64::NEG_INFINITY);
    }
}

//! `Pad`: a border that the convolution or pool which reads it takes as padding of its own.

use std::rc::Rc;

use super::arithmetic::{integers, uniform};
use super::constants::arrange::axis_of;
use super::constants::check_dropout;
use super::draft::{NetworkDraft, Stage};
use super::expression::{chain, line};
use super::lowering::Lowering;
use super::reshape::image_axes;
use super::value::{Padded, Value, Wire};
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

/// Lowers `Pad`.
///
/// # Errors
///
/// A sentence where it is not a border of one number around images.
pub fn pad(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let mode = node.text("mode", "constant")?;
    if mode != "constant" {
        return unsupported("a mode other than constant");
    }
    let wire = lowering.wire(node, 0)?;
    if wire.integers.is_some() {
        return unsupported("pads integers");
    }
    let rank = wire.layout.shape().len() + 1;
    let pads = match node.integers("pads")? {
        Some(pads) => pads.to_vec(),
        None => integers(&lowering.constant(node, 1)?.tensor)?.to_vec(),
    };
    let fill = match lowering.optional_constant(node, 2)? {
        None => node.float("value", 0.0)?,
        Some(constant) => match uniform(&constant)? {
            Some(fill) => fill,
            None => return invalid("a value that is not one number"),
        },
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
        for (end, &width) in [pads[index], pads[index + axes.len()]].iter().enumerate() {
            border[axis_of(axis, rank)?][end] = match usize::try_from(width) {
                Ok(size) if width <= WIDEST => size,
                _ => return unsupported(format!("a border of {width}; 0 to {WIDEST} are read")),
            };
        }
    }
    if border.iter().all(|ends| *ends == [0, 0]) {
        return Ok(Value::Wire(wire));
    }
    if rank != 4 || border.remove(0) != [0, 0] {
        return unsupported("pads what is no image, or the batch");
    }
    let wire = Wire {
        exclusive: false,
        ..wire
    };
    Ok(Value::Padded(Rc::new(Padded { wire, border, fill })))
}

/// Returns what a node makes of a padded value where it is no layer that takes it as it is.
///
/// # Errors
///
/// A sentence where nothing but a convolution or pool could read it.
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
        _ => {
            return unsupported("reads what a Pad made; only convolutions and pools take a border");
        }
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
    let [depth, height, width] = border[..] else {
        return invalid("a border that is not of an image");
    };
    if depth != [0, 0] {
        return unsupported("pads with channels");
    }
    Ok(Framed {
        value,
        channels,
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
            Stage::Operation(Operation::MaxPool { .. }) => value = step.inputs[0],
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

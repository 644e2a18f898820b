//! The quantisers of a network that was trained with them: `QuantizeLinear` with
//! `DequantizeLinear`, and QONNX's `Quant` and `BipolarQuant` (Pappalardo et al., *QONNX:
//! Representing Arbitrary-Precision Quantized Neural Networks*, 2022).

use super::affine::{Affine, apply};
use super::arithmetic::{finite_floats, integers, uniform};
use super::expression::{chain, line};
use super::lowering::Lowering;
use super::range::{quant_range, quantised_kind};
use super::value::{Integers, Value, Wire};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::Node;
use crate::model::layer::Function;
use crate::model::layer::function::Quantise;

/// Returns the one number of a constant input.
fn number(lowering: &mut Lowering<'_>, node: &Node, index: usize) -> Outcome<f64> {
    let constant = lowering.constant(node, index)?;
    finite_floats(&constant.tensor)?;
    match uniform(&constant)? {
        Some(number) => Ok(number.into()),
        None => unsupported("activations quantised by channel"),
    }
}

/// Returns a scale above zero.
fn scale(lowering: &mut Lowering<'_>, node: &Node, index: usize) -> Outcome<f64> {
    let scale = number(lowering, node, index)?;
    if scale <= 0.0 {
        return invalid(format!("a scale of {scale}"));
    }
    Ok(scale)
}

/// Returns the zero point of ONNX's quantisers, 0 where there is none.
fn zero_point(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<i64> {
    let Some(constant) = lowering.optional_constant(node, 2)? else {
        return Ok(0);
    };
    match integers(&constant.tensor)? {
        [first, rest @ ..] if rest.iter().all(|value| value == first) => Ok(*first),
        _ => unsupported("activations quantised by channel"),
    }
}

/// Returns a wire through one more function.
fn through(lowering: &Lowering<'_>, node: &Node, wire: &Wire, function: Function) -> Outcome<Wire> {
    let function = chain(&wire.function, function)?;
    Ok(Wire {
        name: wire.name.clone().or_else(|| lowering.name(node, None)),
        integers: None,
        ..wire.with_function(function)
    })
}

/// Lowers `QuantizeLinear`; the integers wait for `DequantizeLinear`.
///
/// # Errors
///
/// A sentence where its constants are not single numbers.
pub fn quantize_linear(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    if wire.integers.is_some() {
        return unsupported("quantises integers");
    }
    let zero_constant = lowering.optional_constant(node, 2)?;
    let (low, high) = quantised_kind(node, zero_constant.as_deref())?.range();
    let integers = Integers {
        scale: scale(lowering, node, 1)?,
        zero_point: zero_point(lowering, node)?,
        low,
        high,
        are_input: false,
    };
    Ok(Value::Wire(Wire {
        integers: Some(integers),
        ..wire
    }))
}

/// Lowers `DequantizeLinear` of a value.
///
/// # Errors
///
/// A sentence where the value holds no integers.
pub fn dequantize_linear(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    let Some(integers) = wire.integers else {
        return unsupported("integers that do not come from a QuantizeLinear");
    };
    let (scale, zero) = (scale(lowering, node, 1)?, zero_point(lowering, node)?);
    if integers.are_input {
        let floats = Wire {
            integers: None,
            ..wire
        };
        let affine = Affine::uniform(scale as f32, (-scale * zero as f64) as f32);
        let name = lowering.name(node, None);
        return apply(lowering, &floats, &affine, name).map(Value::Wire);
    }
    let quantise = quantise(
        integers.scale,
        integers.low,
        integers.high,
        integers.zero_point,
    )?;
    let mut result = through(lowering, node, &wire, quantise)?;
    if (scale, zero) != (integers.scale, integers.zero_point) {
        // Read with another scale or zero point than it was written with.
        let offset = (integers.zero_point.saturating_sub(zero)) as f64 * scale;
        let correction = line(scale / integers.scale, offset);
        result = through(lowering, node, &result, correction)?;
    }
    Ok(Value::Wire(result))
}

/// Returns the quantiser to `low..=high`, which hold the zero point.
fn quantise(scale: f64, low: i64, high: i64, zero_point: i64) -> Outcome<Function> {
    let (Some(low), Some(high)) = (low.checked_sub(zero_point), high.checked_sub(zero_point))
    else {
        return invalid(format!("a zero point of {zero_point}"));
    };
    Ok(Function::Quantise(Quantise {
        scale,
        low,
        high,
        bipolar: false,
    }))
}

/// Lowers QONNX's `Quant` of a value.
///
/// # Errors
///
/// A sentence where its constants are not single numbers.
pub fn quant(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    if wire.integers.is_some() {
        return unsupported("quantises integers");
    }
    let scale = scale(lowering, node, 1)?;
    let zero = number(lowering, node, 2)?;
    let bits = number(lowering, node, 3)?;
    let range = quant_range(node, bits)?;
    if zero.fract() != 0.0 || zero.abs() > 2f64.powi(31) {
        return unsupported(format!("a zero point of {zero}"));
    }
    let quantiser = quantise(scale, range.low, range.high, zero as i64)?;
    let function = if zero % 2.0 == 0.0 {
        quantiser
    } else {
        // Halves round to even with the zero point, so an odd one has to be there.
        let shifted = chain(
            &line(1.0, zero * scale),
            quantise(scale, range.low, range.high, 0)?,
        )?;
        chain(&shifted, line(1.0, -zero * scale))?
    };
    through(lowering, node, &wire, function).map(Value::Wire)
}

/// Lowers QONNX's `BipolarQuant` of a value.
///
/// # Errors
///
/// A sentence where its scale is not one number.
pub fn bipolar_quant(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    if wire.integers.is_some() {
        return unsupported("quantises integers");
    }
    let function = Function::Quantise(Quantise {
        scale: scale(lowering, node, 1)?,
        low: -1,
        high: 1,
        bipolar: true,
    });
    through(lowering, node, &wire, function).map(Value::Wire)
}

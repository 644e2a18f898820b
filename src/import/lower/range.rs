//! The ranges that nodes cut numbers to, as their attributes and constants say.

use super::arithmetic::floats;
use super::expression::short;
use super::value::Constant;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::Node;
use crate::import::onnx::tensor::{Data, IntegerKind};

/// The smallest and the largest integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegerRange {
    pub low: i64,
    pub high: i64,
}

impl IntegerRange {
    /// Returns the range that a `Clip` of integers leaves of `whole`.
    ///
    /// # Errors
    ///
    /// A sentence where nothing is left or an end is not one number.
    pub fn of_clip(
        low: Option<&Constant>,
        high: Option<&Constant>,
        whole: (i64, i64),
    ) -> Outcome<Self> {
        let end = |constant: Option<&Constant>, default: i64| match constant {
            None => Ok(default),
            Some(constant) => match (&constant.tensor.data, constant.tensor.count()) {
                (Data::Float(values), 1) => Ok(values[0] as i64),
                (Data::Integer { values, .. }, 1) => Ok(values[0]),
                _ => invalid("an end that is not one number"),
            },
        };
        let low = end(low, whole.0)?.max(whole.0);
        let high = end(high, whole.1)?.min(whole.1);
        if low > high {
            return invalid(format!("clips integers from {low} to {high}"));
        }
        Ok(Self { low, high })
    }
}

/// Returns the integers of a QONNX `Quant` of that many bits.
///
/// # Errors
///
/// A sentence where the width or the rounding is not known.
pub fn quant_range(node: &Node, bits: f64) -> Outcome<IntegerRange> {
    const MOST_BITS: u32 = 32;
    let Some(bits) = (1..=MOST_BITS).find(|&whole| f64::from(whole) == bits) else {
        return unsupported(format!(
            "{bits} bits; whole numbers up to {MOST_BITS} are read"
        ));
    };
    let rounding = node.text("rounding_mode", "ROUND")?;
    if !rounding.eq_ignore_ascii_case("ROUND") && !rounding.eq_ignore_ascii_case("HALF_EVEN") {
        return unsupported("a rounding other than ROUND, half to even");
    }
    let is_narrow = i64::from(node.integer("narrow", 0)? != 0);
    Ok(if node.integer("signed", 1)? != 0 {
        IntegerRange {
            low: -(1 << (bits - 1)) + is_narrow,
            high: (1 << (bits - 1)) - 1,
        }
    } else {
        IntegerRange {
            low: 0,
            high: (1 << bits) - 1 - is_narrow,
        }
    })
}

/// Returns the type of the integers that `QuantizeLinear` makes.
///
/// # Errors
///
/// A sentence where it is none that is known.
pub fn quantised_kind(node: &Node, zero_point: Option<&Constant>) -> Outcome<IntegerKind> {
    if let Some(zero_point) = zero_point {
        return match zero_point.tensor.data {
            Data::Integer { kind, .. } => Ok(kind),
            _ => unsupported("a zero point that is no integer"),
        };
    }
    match node.integer("output_dtype", 0)? {
        0 => Ok(IntegerKind::Uint8),
        code => match i32::try_from(code).ok().and_then(IntegerKind::from_code) {
            Some(kind) => Ok(kind),
            None => unsupported(format!("integers of ONNX type {code}")),
        },
    }
}

/// Returns the ends of a `Clip`, as inputs or attributes have them.
///
/// # Errors
///
/// A sentence where an end is not one number or they are the wrong way round.
pub fn clip_range(
    node: &Node,
    low: Option<&Constant>,
    high: Option<&Constant>,
) -> Outcome<(f64, f64)> {
    let end = |constant: Option<&Constant>, name: &str, default: f64| match constant {
        Some(constant) => match &*floats(&constant.tensor)? {
            [end] => Ok(short(*end)),
            _ => invalid("an end that is not one number"),
        },
        None if node.has(name) => node.float(name, 0.0).map(short),
        None => Ok(default),
    };
    let low = end(low, "min", f64::NEG_INFINITY)?;
    let high = end(high, "max", f64::INFINITY)?;
    if low > high {
        return invalid(format!("clips from {low} to {high}"));
    }
    Ok((low, high))
}

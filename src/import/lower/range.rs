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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::onnx::Tensor;
    use crate::import::onnx::fixture::{integer, node, text};

    fn number(value: f32) -> Constant {
        Constant::new(Tensor::floats(vec![], vec![value]))
    }

    #[test]
    fn bits_give_a_range_of_integers() {
        let (unsigned, narrow) = (integer("signed", 0), integer("narrow", 1));
        for (settings, expected) in [
            (vec![], (-8, 7)),
            (vec![narrow.clone()], (-7, 7)),
            (vec![unsigned.clone()], (0, 15)),
            (vec![unsigned, narrow], (0, 14)),
        ] {
            let range = quant_range(&node("Quant", &settings), 4.0).unwrap();
            assert_eq!((range.low, range.high), expected, "{settings:?}");
        }
        for bits in [0.0, 2.5, 33.0, f64::NAN] {
            assert!(quant_range(&node("Quant", &[]), bits).is_err(), "{bits}");
        }
        let floor = node("Quant", &[text("rounding_mode", "FLOOR")]);
        assert!(quant_range(&floor, 4.0).is_err());
    }

    #[test]
    fn a_clip_of_integers_leaves_a_part_of_them() {
        let of = |low: Option<f32>, high: Option<f32>| {
            let (low, high) = (low.map(number), high.map(number));
            let range = IntegerRange::of_clip(low.as_ref(), high.as_ref(), (-8, 7));
            range.ok().map(|range| (range.low, range.high))
        };
        assert_eq!(of(None, None), Some((-8, 7)));
        assert_eq!(of(Some(-3.0), Some(100.0)), Some((-3, 7)));
        assert_eq!(of(Some(5.0), Some(4.0)), None);
        let pair = Constant::new(Tensor::integers(vec![2], vec![0, 1]));
        assert!(IntegerRange::of_clip(Some(&pair), None, (-8, 7)).is_err());
    }

    #[test]
    fn the_ends_of_a_clip_are_as_a_person_writes_them() {
        let clip = node("Clip", &[]);
        let of = |low: f32, high: f32| clip_range(&clip, Some(&number(low)), Some(&number(high)));
        assert_eq!(of(0.1, 6.0).unwrap(), (0.1, 6.0));
        assert!(of(6.0, 0.1).is_err());
        let unbounded = (f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!(clip_range(&clip, None, None).unwrap(), unbounded);
    }
}

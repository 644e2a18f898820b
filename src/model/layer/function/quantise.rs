//! The rounding that a quantised network does itself, after ONNX's `QuantizeLinear` and QONNX's
//! `Quant`: half to even, then clipped.

use serde::{Deserialize, Serialize};

/// `scale · clamp(round(x / scale), low, high)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantise {
    pub scale: f64,
    /// Smallest integer.
    pub low: i64,
    /// Largest integer.
    pub high: i64,
    /// The sign instead: -scale below zero, +scale from zero on (QONNX's `BipolarQuant`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bipolar: bool,
}

impl Quantise {
    /// Returns the value at `x`.
    pub fn value(&self, x: f64) -> f64 {
        if self.bipolar {
            return if x < 0.0 { -self.scale } else { self.scale };
        }
        let integer = (x / self.scale).round_ties_even();
        integer.clamp(self.low as f64, self.high as f64) * self.scale
    }

    /// Checks its numbers.
    ///
    /// # Errors
    ///
    /// A sentence on what to change.
    pub fn check(&self) -> Result<(), String> {
        if self.scale > 0.0 && self.scale.is_finite() && self.low < self.high {
            return Ok(());
        }
        Err(format!(
            "quantise needs a positive scale and low < high, not {}, {} and {}",
            self.scale, self.low, self.high
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_and_ends_clip() {
        let quantise = Quantise {
            scale: 0.5,
            low: -1,
            high: 3,
            bipolar: false,
        };
        for (x, expected) in [(0.25, 0.0), (0.75, 1.0), (9.0, 1.5), (-9.0, -0.5)] {
            assert_eq!(quantise.value(x), expected, "at {x}");
        }
        let sign = Quantise {
            bipolar: true,
            ..quantise
        };
        assert_eq!((sign.value(-0.1), sign.value(0.0)), (-0.5, 0.5));
    }
}

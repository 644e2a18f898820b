//! Elementary functions: what the longer ones of a network are composed of.

use serde::{Deserialize, Serialize};

use super::softplus;

/// One of the functions that need no number but their argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Elementary {
    Abs,
    Ceil,
    Cos,
    /// The error function.
    Erf,
    Exp,
    Floor,
    /// The natural logarithm.
    Log,
    Reciprocal,
    /// Half to even.
    Round,
    /// -1, 0 or 1.
    Sign,
    Sin,
    /// `log(1 + e^x)`.
    Softplus,
    Sqrt,
    Tan,
}

impl Elementary {
    /// Returns the value at `x`; no finite number where there is none.
    pub fn value(self, x: f64) -> f64 {
        match self {
            Self::Abs => x.abs(),
            Self::Ceil => x.ceil(),
            Self::Cos => x.cos(),
            Self::Erf => libm::erf(x),
            Self::Exp => x.exp(),
            Self::Floor => x.floor(),
            Self::Log => x.ln(),
            Self::Reciprocal => x.recip(),
            Self::Round => x.round_ties_even(),
            // `signum` tells the two zeros apart.
            Self::Sign if x == 0.0 => 0.0,
            Self::Sign => x.signum(),
            Self::Sin => x.sin(),
            Self::Softplus => softplus::value(x),
            Self::Sqrt => x.sqrt(),
            Self::Tan => x.tan(),
        }
    }

    /// Returns the function's name, as ONNX has it in other letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Abs => "abs",
            Self::Ceil => "ceil",
            Self::Cos => "cos",
            Self::Erf => "erf",
            Self::Exp => "exp",
            Self::Floor => "floor",
            Self::Log => "log",
            Self::Reciprocal => "reciprocal",
            Self::Round => "round",
            Self::Sign => "sign",
            Self::Sin => "sin",
            Self::Softplus => "softplus",
            Self::Sqrt => "sqrt",
            Self::Tan => "tan",
        }
    }

    /// Returns whether a larger number never gets a smaller value, wherever there is one.
    pub fn is_monotone(self) -> bool {
        match self {
            Self::Ceil
            | Self::Erf
            | Self::Exp
            | Self::Floor
            | Self::Log
            | Self::Round
            | Self::Sign
            | Self::Softplus
            | Self::Sqrt => true,
            Self::Abs | Self::Cos | Self::Reciprocal | Self::Sin | Self::Tan => false,
        }
    }

    /// Returns the least and the greatest value over `low..=high`, `None` where one is not finite.
    pub fn reach(self, low: f64, high: f64) -> Option<(f64, f64)> {
        use std::f64::consts::PI;
        let ends = (self.value(low), self.value(high));
        let (least, most) = (ends.0.min(ends.1), ends.0.max(ends.1));
        let holds_zero = low <= 0.0 && high >= 0.0;
        // Whether some `first + n · period` lies within.
        let holds = |first: f64, period: f64| {
            let next = ((low - first) / period).ceil() * period + first;
            next <= high
        };
        let reach = match self {
            Self::Abs if holds_zero => (0.0, most),
            Self::Reciprocal if holds_zero => return None,
            Self::Tan if holds(PI / 2.0, PI) => return None,
            Self::Sin | Self::Cos => {
                let top = if self == Self::Cos { 0.0 } else { PI / 2.0 };
                let least = if holds(top + PI, 2.0 * PI) {
                    -1.0
                } else {
                    least
                };
                (least, if holds(top, 2.0 * PI) { 1.0 } else { most })
            }
            _ => (least, most),
        };
        let is_finite = ends.0.is_finite() && ends.1.is_finite();
        is_finite.then_some(reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_tables() {
        for (function, x, expected) in [
            (Elementary::Abs, -1.5, 1.5),
            (Elementary::Ceil, -1.5, -1.0),
            (Elementary::Cos, 1.0, 0.540_302_305_868_139_8),
            // Abramowitz and Stegun, table 7.1.
            (Elementary::Erf, 0.5, 0.520_499_877_8),
            (Elementary::Erf, -1.0, -0.842_700_792_9),
            (Elementary::Exp, 1.0, std::f64::consts::E),
            (Elementary::Floor, -1.5, -2.0),
            (Elementary::Log, 2.0, std::f64::consts::LN_2),
            (Elementary::Reciprocal, -4.0, -0.25),
            (Elementary::Round, 2.5, 2.0),
            (Elementary::Round, -3.5, -4.0),
            (Elementary::Sign, -0.0, 0.0),
            (Elementary::Sign, -7.0, -1.0),
            (Elementary::Sin, 1.0, 0.841_470_984_807_896_5),
            (Elementary::Softplus, 0.0, std::f64::consts::LN_2),
            (Elementary::Sqrt, 2.25, 1.5),
            (Elementary::Tan, 1.0, 1.557_407_724_654_902_2),
        ] {
            let found = function.value(x);
            assert!(
                (found - expected).abs() < 1e-9,
                "{function:?}({x}): {found}"
            );
        }
    }

    #[test]
    fn what_is_monotone_never_falls_and_nothing_leaves_its_reach() {
        use Elementary::{
            Abs, Ceil, Cos, Erf, Exp, Floor, Log, Reciprocal, Round, Sign, Sin, Softplus, Sqrt, Tan,
        };
        for function in [
            Abs, Ceil, Cos, Erf, Exp, Floor, Log, Reciprocal, Round, Sign, Sin, Softplus, Sqrt, Tan,
        ] {
            for (low, high) in [(-4.0, 4.0), (0.1, 1.5), (-0.5, 0.25), (2.0, 9.0)] {
                let values: Vec<f64> = (0..=1000)
                    .map(|step| function.value(low + (high - low) * f64::from(step) / 1000.0))
                    .collect();
                let falls = values.windows(2).any(|pair| pair[1] < pair[0]);
                assert!(!(function.is_monotone() && falls), "{function:?}");
                if let Some((least, most)) = function.reach(low, high) {
                    let holds = |value: &f64| (least..=most).contains(value);
                    assert!(values.iter().all(holds), "{function:?} {low} {high}");
                }
            }
        }
    }

    #[test]
    fn a_reach_with_a_pole_is_none() {
        assert_eq!(Elementary::Reciprocal.reach(-1.0, 3.0), None);
        assert_eq!(Elementary::Reciprocal.reach(0.5, 2.0), Some((0.5, 2.0)));
        assert_eq!(Elementary::Log.reach(0.0, 1.0), None);
        assert_eq!(Elementary::Sqrt.reach(-0.1, 1.0), None);
        assert_eq!(Elementary::Tan.reach(1.0, 2.0), None);
        assert_eq!(Elementary::Exp.reach(0.0, 1000.0), None);
        assert_eq!(
            Elementary::Sin.reach(0.0, 4.0).map(|reach| reach.1),
            Some(1.0)
        );
    }
}

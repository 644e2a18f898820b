//! Functions of each element with the server's rounding, and their gradients.
//!
//! The gradient passes straight through the rounding (Bengio, Léonard and Courville, *Estimating or
//! propagating gradients through stochastic neurons*, arXiv 1308.3432), and at an end of the range where it
//! leads back into it.

use crate::model::layer::Function;
use crate::model::quantise::QuantParams;

/// The slope that gradients see where a function is flat and they lead out of the flat part: without it a
/// unit that is silent on all queries never wakes.
const LEAST_SLOPE: f32 = 0.05;

/// A function of each element, rounded or not.
#[derive(Debug, Clone)]
pub struct Element {
    function: Function,
    /// The integers that the server rounds to; the client does not.
    rounding: Option<QuantParams>,
}

impl Element {
    /// Returns a function, rounded to integers where the server computes it.
    pub fn new(function: Function, rounding: Option<QuantParams>) -> Self {
        Self { function, rounding }
    }

    /// Returns the value at `x`.
    pub fn value(&self, x: f32) -> f32 {
        let value = self.function_value(x);
        match &self.rounding {
            None => value,
            Some(rounding) => {
                let scale = rounding.scale as f32;
                let integer = (value / scale).round();
                integer.clamp(rounding.low as f32, rounding.high as f32) * scale
            }
        }
    }

    /// Returns the gradient of a loss at `x` where that of the value is `gradient`.
    pub fn gradient(&self, x: f32, gradient: f32) -> f32 {
        let slope = self.slope(x);
        let Some(rounding) = &self.rounding else {
            return slope * gradient;
        };
        let level = self.function_value(x) / rounding.scale as f32;
        let outward = if gradient > 0.0 {
            level <= rounding.low as f32
        } else {
            level >= rounding.high as f32
        };
        match outward {
            true => 0.0,
            false if slope.abs() < LEAST_SLOPE => LEAST_SLOPE * gradient,
            false => slope * gradient,
        }
    }

    fn function_value(&self, x: f32) -> f32 {
        match self.function {
            Function::Relu => x.max(0.0),
            Function::Identity => x,
            _ => self.function.value(f64::from(x)) as f32,
        }
    }

    /// Returns the derivative of the function without its rounding.
    fn slope(&self, x: f32) -> f32 {
        match self.function {
            Function::Relu => f32::from(u8::from(x > 0.0)),
            Function::Identity => 1.0,
            _ => {
                let (x, step) = (f64::from(x), 1e-4 * (1.0 + f64::from(x).abs()));
                let ends = [x - step, x + step].map(|x| self.function.value(x));
                ((ends[1] - ends[0]) / (2.0 * step)) as f32
            }
        }
    }
}

#[cfg(test)]
impl Element {
    /// Returns the function without its rounding.
    pub(super) fn unrounded(self) -> Self {
        Self {
            rounding: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_pass_through_rounding_and_back_into_the_range() {
        let rounding = QuantParams {
            scale: 0.5,
            low: 0,
            high: 4,
        };
        let relu = Element::new(Function::Relu, Some(rounding));
        assert_eq!(
            [-1.0, 0.2, 0.3, 9.0].map(|x| relu.value(x)),
            [0.0, 0.0, 0.5, 2.0]
        );
        for (x, gradient, passed) in [
            (0.3, 2.0, 2.0),
            (9.0, 2.0, 2.0),
            (9.0, -2.0, 0.0),
            (-1.0, 2.0, 0.0),
            (-1.0, -2.0, -2.0 * LEAST_SLOPE),
        ] {
            assert_eq!(relu.gradient(x, gradient), passed, "{gradient} at {x}");
        }
        let smooth = Element::new(Function::Tanh, None);
        assert!((smooth.gradient(0.5, 1.0) - (1.0 - 0.5f32.tanh().powi(2))).abs() < 1e-4);
    }
}

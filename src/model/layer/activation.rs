//! A function of each element. The client runs it in float; the server looks it up, clipped and
//! quantised in one step.

use rayon::prelude::*;

use super::function::Function;
use crate::core::linear_map::Row;
use crate::model::quantise::QuantParams;

/// `function(x)`, on the server rounded to the integers of `output`.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    pub function: Function,
    pub output: QuantParams,
}

impl Activation {
    /// Returns the float outputs.
    pub fn run_float(&self, input: &[Row<f32>]) -> Vec<Row<f32>> {
        let look = |&x: &f32| self.function.value(f64::from(x)) as f32;
        input
            .par_iter()
            .map(|row| row.iter().map(look).collect())
            .collect()
    }

    /// Returns the server's integer output for the real input `x`.
    pub fn quantised(&self, x: f64) -> i64 {
        self.output.quantise(self.function.value(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clipped_relu_rounds_to_its_levels() {
        let relu = Activation {
            function: Function::Relu,
            output: QuantParams {
                scale: 3.0 / 15.0,
                low: 0,
                high: 15,
            },
        };
        for (x, expected) in [
            (-1.0, 0),
            (0.0, 0),
            (0.09, 0),
            (0.11, 1),
            (1.5, 8),
            (2.95, 15),
            (9.0, 15),
        ] {
            assert_eq!(relu.quantised(x), expected, "at {x}");
        }
    }
}

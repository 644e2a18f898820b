//! Fully connected layer.

use crate::core::linear_map::LinearMap;

/// `output[o] = Σ_i weights[o][i] · input[i] + bias[o]`.
#[derive(Debug, Clone)]
pub struct Dense {
    /// `[outputs, inputs]`.
    pub weights: Vec<f32>,
    pub outputs: usize,
    pub inputs: usize,
}

impl Dense {
    /// Returns the layer as a linear map.
    pub fn map(&self) -> LinearMap<f32> {
        LinearMap::dense(&self.weights, self.inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::linear_map::Row;

    #[test]
    fn ten_outputs_of_two_inputs_match_hand_worked_sums() {
        let weights = (0..20).map(|w| w as f32).collect();
        let dense = Dense {
            weights,
            outputs: 10,
            inputs: 2,
        };
        let input: Vec<Row<f32>> = vec![vec![1.0].into(), vec![10.0].into()];
        let output: Vec<f32> = dense.map().apply(&input).iter().map(|row| row[0]).collect();
        let expected: Vec<f32> = (0..10)
            .map(|o| (2 * o) as f32 + 10.0 * (2 * o + 1) as f32)
            .collect();
        assert_eq!(output, expected);
    }
}

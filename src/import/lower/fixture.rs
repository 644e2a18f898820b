//! Steps small enough to work out by hand.

use ndarray::{Array1, Array2, Array4};

use super::draft::{NetworkDraft, Stage, Step};
use crate::import::network::Operation;

/// Returns a step without a name.
pub fn step(inputs: &[usize], shape: &[usize], operation: Operation) -> Step {
    staged(inputs, shape, Stage::Operation(operation))
}

/// Returns a step at any stage, without a name.
pub fn staged(inputs: &[usize], shape: &[usize], stage: Stage) -> Step {
    Step {
        name: None,
        inputs: inputs.to_vec(),
        shape: shape.to_vec(),
        is_pinned: false,
        stage,
    }
}

/// Returns a draft of these steps.
pub fn draft(input_shape: &[usize], steps: Vec<Step>) -> NetworkDraft {
    let mut draft = NetworkDraft::new(input_shape, 1000);
    draft.steps = steps;
    draft
}

/// Returns a dense layer of floats.
pub fn dense(weights: Array2<f32>, bias: Array1<f32>) -> Operation {
    Operation::Dense {
        weights,
        bias,
        quantisation: None,
    }
}

/// Returns a convolution of floats whose window moves by one element.
pub fn conv(weights: Array4<f32>, bias: Array1<f32>, padding: usize, groups: usize) -> Operation {
    Operation::Conv2d {
        weights,
        bias,
        stride: [1, 1],
        padding: [padding; 4],
        groups,
        quantisation: None,
    }
}

/// Returns a max pool over windows of two by two.
pub fn max_pool() -> Operation {
    Operation::MaxPool {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0; 4],
    }
}

//! The layers a network is made of. Each kind is one file; flatten is no layer here, because it
//! only renames shapes.

pub mod average_pool;
pub mod conv2d;
pub mod dense;
pub mod relu;

use crate::linear_map::{LinearMap, Row};

pub use average_pool::AveragePool;
pub use conv2d::{Conv2d, Window};
pub use dense::Dense;
pub use relu::Relu;

/// A linear layer over the elements of its input: `output = map · input + bias`.
#[derive(Debug, Clone)]
pub struct Linear {
    pub map: LinearMap<f32>,
    pub geometry: Geometry,
    /// One per output element.
    pub bias: Vec<f32>,
    /// Bits of the integer weights where the input comes out of a look-up.
    pub weight_bits: u32,
    /// Smallest and largest value of each output element over the calibration data.
    pub range: Vec<(f32, f32)>,
}

/// The shape of a linear layer, where it has one that packed ciphertexts can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Geometry {
    /// Every output reads every input.
    Dense,
    /// Every output channel reads a window of every input channel.
    Convolution(Image),
    Other,
}

/// The shape of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Input channels.
    pub channels: usize,
    /// Input height and width.
    pub size: [usize; 2],
    pub kernel: [usize; 2],
    pub window: Window,
    /// Output height and width.
    pub output: [usize; 2],
}

/// What a placeable layer computes.
#[derive(Debug, Clone)]
pub enum Operation {
    Linear(Linear),
    Relu(Relu),
}

/// A placeable layer of a network.
#[derive(Debug, Clone)]
pub struct Layer {
    pub name: String,
    /// The operator's name in `model.json`.
    pub op: &'static str,
    /// Trained numbers in it, biases included.
    pub parameter_count: usize,
    pub input_shape: Vec<usize>,
    pub output_shape: Vec<usize>,
    pub operation: Operation,
}

impl Layer {
    /// Returns the layer's float outputs; the columns are independent inputs.
    pub fn run_float(&self, input: Vec<Row<f32>>) -> Vec<Row<f32>> {
        match &self.operation {
            Operation::Linear(linear) => linear.run_float(&input),
            Operation::Relu(_) => Relu::run_float(input),
        }
    }

    /// Returns the number of output elements.
    pub fn output_count(&self) -> usize {
        self.output_shape.iter().product()
    }

    /// Returns how many bootstraps the layer takes under encryption.
    pub fn bootstrap_count(&self) -> usize {
        match self.operation {
            Operation::Linear(_) => 0,
            Operation::Relu(_) => self.output_count(),
        }
    }
}

impl Linear {
    fn run_float(&self, input: &[Row<f32>]) -> Vec<Row<f32>> {
        let mut output = self.map.apply(input);
        for (row, bias) in output.iter_mut().zip(&self.bias) {
            for value in row.iter_mut() {
                *value += bias;
            }
        }
        output
    }
}

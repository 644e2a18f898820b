//! The operations that a network is made of. Each kind is one file; flatten is no operation here,
//! because it only renames shapes.

pub mod activation;
pub mod average_pool;
pub mod conv2d;
pub mod dense;
pub mod finite;
pub mod function;
pub mod max_pool;
pub mod pinned;

use std::collections::HashSet;

use crate::core::linear_map::{LinearMap, Row};

pub use activation::Activation;
pub use average_pool::AveragePool;
pub use conv2d::{Conv2d, Window};
pub use dense::Dense;
pub use function::Function;
pub use max_pool::MaxPool;
pub use pinned::Pinned;

/// What a node of the network computes.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Of one value.
    Linear(Linear),
    /// The sum of two values, element by element.
    Add(Add),
    /// A function of each element of one value.
    Activation(Activation),
    /// Of one value.
    MaxPool(MaxPool),
    /// An operator that has no encrypted form, of one value or several.
    Pinned(Pinned),
}

/// A linear operation on the elements of its input: `output = map · input + bias`.
#[derive(Debug, Clone)]
pub struct Linear {
    pub map: LinearMap<f32>,
    pub geometry: Geometry,
    /// One per output element.
    pub bias: Vec<f32>,
    /// Added to the bias where the weights are integers: makes up for the mean of their rounding.
    pub correction: Vec<f32>,
    /// Bits of the integer weights where the input comes out of a look-up.
    pub weight_bits: u32,
    /// Per output element: the weights are integer multiples of it, as a quantised network has
    /// them.
    pub weight_scale: Option<Vec<f32>>,
    /// Smallest and largest value of each output element over the calibration data.
    pub range: Vec<(f32, f32)>,
}

/// The sum of two values.
#[derive(Debug, Clone)]
pub struct Add {
    /// As [`Linear::range`].
    pub range: Vec<(f32, f32)>,
}

/// The shape of a linear operation, where it has one that packed ciphertexts can use.
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

impl Operation {
    /// Returns the float outputs for the operands; the columns are independent inputs.
    ///
    /// # Panics
    ///
    /// Panics where the number of operands is not that of the operation.
    pub fn run_float(&self, operands: &[&[Row<f32>]]) -> Vec<Row<f32>> {
        match (self, operands) {
            (Self::Linear(linear), [input]) => linear.run_float(input),
            (Self::Activation(activation), [input]) => activation.run_float(input),
            (Self::MaxPool(pool), [input]) => pool.run_float(input),
            (Self::Add(_), [left, right]) => add(left, right),
            (Self::Pinned(pinned), operands) => pinned.run_float(operands),
            _ => panic!("{} operands for {self:?}", operands.len()),
        }
    }

    /// Returns the smallest and largest value of each output element over the calibration data, from
    /// those of the first operand's elements where the operation does not hold them itself.
    pub fn range_after(&self, first: impl FnOnce() -> Vec<(f32, f32)>) -> Vec<(f32, f32)> {
        match self {
            Self::Linear(linear) => linear.range.clone(),
            Self::Add(add) => add.range.clone(),
            Self::Pinned(pinned) => pinned.range.clone(),
            Self::Activation(activation) => {
                let of = |(low, high): (f32, f32)| {
                    let (low, high) = activation.function.range(low.into(), high.into());
                    (low as f32, high as f32)
                };
                // The elements of a channel have one range.
                let first = first();
                first
                    .chunk_by(|left, right| left == right)
                    .flat_map(|run| vec![of(run[0]); run.len()])
                    .collect()
            }
            Self::MaxPool(pool) => {
                let first = first();
                let of_window = |window: &Vec<u32>| {
                    let ends = window.iter().map(|&element| first[element as usize]);
                    widest(ends).unwrap_or((0.0, 0.0))
                };
                pool.windows.iter().map(of_window).collect()
            }
        }
    }

    /// Returns how many bootstraps the operation takes under encryption for that many outputs.
    pub fn bootstrap_count(&self, output_count: usize) -> usize {
        match self {
            Self::Linear(_) | Self::Add(_) | Self::Pinned(_) => 0,
            Self::Activation(_) => output_count,
            Self::MaxPool(pool) => pool.comparison_count(),
        }
    }
}

/// Returns the range that holds all of these, none where there are none.
pub fn widest<T: PartialOrd>(ranges: impl IntoIterator<Item = (T, T)>) -> Option<(T, T)> {
    let smaller = |a: T, b: T| if b < a { b } else { a };
    let larger = |a: T, b: T| if b > a { b } else { a };
    ranges
        .into_iter()
        .reduce(|all, one| (smaller(all.0, one.0), larger(all.1, one.1)))
}

impl Linear {
    /// Checks that the weights are the integer multiples that they are said to be.
    ///
    /// # Errors
    ///
    /// A sentence that names the first weight that is not.
    pub fn check_weight_scale(&self) -> Result<(), String> {
        let Some(scales) = &self.weight_scale else {
            return Ok(());
        };
        let mut seen = HashSet::new();
        let blocks = self.map.blocks.iter();
        // The positions of a convolution share their weights.
        for block in blocks.filter(|block| seen.insert(block.weights.as_ptr())) {
            let rows = block.weights.chunks_exact(block.inputs.len());
            for (&output, row) in block.outputs.iter().zip(rows) {
                let scale = scales[output as usize];
                let is_multiple = |weight: &f32| {
                    let integer = weight / scale;
                    integer.abs() < 32768.0 && (integer - integer.round()).abs() < 1e-2
                };
                if let Some(weight) = row.iter().find(|weight| !is_multiple(weight)) {
                    return Err(format!(
                        "weight {weight} is no multiple of its weight_scale {scale}"
                    ));
                }
            }
        }
        Ok(())
    }

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

fn add(left: &[Row<f32>], right: &[Row<f32>]) -> Vec<Row<f32>> {
    left.iter()
        .zip(right)
        .map(|(left, right)| left.iter().zip(right).map(|(a, b)| a + b).collect())
        .collect()
}

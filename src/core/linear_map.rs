//! Linear layers as blocks of one matrix product, for floats, integers and ciphertexts alike.
//!
//! A tensor is a list of *rows*, one per element, in the layer's element order. The columns are
//! whatever there is to run at once: the test images in the clear, or the `k·N + 1` coefficients
//! of each LWE ciphertext under encryption. So the same kernel and the same map serve the
//! client's float layers, the integer simulation and the server.

mod narrow;
mod panel;
mod product;

use std::sync::Arc;

use rayon::prelude::*;

use self::panel::{PANEL, ROWS, add_products};
use super::simd::{self, Task};

/// One element of a tensor over all columns.
pub type Row<T> = Box<[T]>;

/// A number that linear maps work on.
pub trait Element: Copy + Default + Send + Sync + 'static {
    /// Returns `self + weight · value`; integers wrap modulo 2^64.
    fn multiply_add(self, weight: Self, value: Self) -> Self;
    /// Returns the weight as a real number; `u64` weights are two's complement.
    fn to_real(self) -> f64;

    /// Adds a block's output rows for `input`, all of them of `columns`.
    #[inline(always)]
    fn add_block(
        block: &Block<Self>,
        output: &mut [Row<Self>],
        input: &[Row<Self>],
        columns: usize,
    ) {
        block.add_to(output, input, columns);
    }
}

impl Element for f32 {
    #[inline(always)]
    fn multiply_add(self, weight: Self, value: Self) -> Self {
        self + weight * value
    }

    fn to_real(self) -> f64 {
        f64::from(self)
    }
}

impl Element for u64 {
    #[inline(always)]
    fn multiply_add(self, weight: Self, value: Self) -> Self {
        self.wrapping_add(weight.wrapping_mul(value))
    }

    fn to_real(self) -> f64 {
        self as i64 as f64
    }

    #[inline(always)]
    fn add_block(
        block: &Block<Self>,
        output: &mut [Row<Self>],
        input: &[Row<Self>],
        columns: usize,
    ) {
        match narrow::weights(&block.weights) {
            Some(weights) => narrow::add_to(&block.inputs, &weights, output, input, columns),
            None => block.add_to(output, input, columns),
        }
    }
}

/// Stands in [`Block::inputs`] for a zero from padding.
pub const PADDING: u32 = u32::MAX;

/// A small dense product: `output[outputs[r]] = Σ_j weights[r][j] · input[inputs[j]]`.
#[derive(Debug, Clone)]
pub struct Block<T> {
    /// `[outputs, inputs]`, row-major; shared by all positions of a convolution.
    pub weights: Arc<[T]>,
    /// Element indices of the input tensor, or [`PADDING`].
    pub inputs: Vec<u32>,
    /// Element indices of the output tensor.
    pub outputs: Vec<u32>,
}

/// A linear layer: every output element belongs to exactly one block.
#[derive(Debug, Clone)]
pub struct LinearMap<T> {
    pub input_count: usize,
    pub output_count: usize,
    pub blocks: Vec<Block<T>>,
}

/// Output rows of one block of a dense map, the unit of work of a core.
const DENSE_BLOCK_ROWS: usize = 8;

impl<T: Element> LinearMap<T> {
    /// Returns the map of a dense matrix `[outputs, inputs]`, row-major.
    ///
    /// # Panics
    ///
    /// Panics without inputs.
    pub fn dense(weights: &[T], inputs: usize) -> Self {
        let block = |(index, weights): (usize, &[T])| {
            let first = (index * DENSE_BLOCK_ROWS) as u32;
            Block {
                weights: weights.into(),
                inputs: (0..inputs as u32).collect(),
                outputs: (first..first + (weights.len() / inputs) as u32).collect(),
            }
        };
        let of_blocks = weights.chunks(DENSE_BLOCK_ROWS * inputs);
        Self {
            input_count: inputs,
            output_count: weights.len() / inputs,
            blocks: of_blocks.enumerate().map(block).collect(),
        }
    }

    /// Returns the output rows for `input`, on all cores.
    ///
    /// # Panics
    ///
    /// As [`Self::add_to`].
    pub fn apply(&self, input: &[Row<T>]) -> Vec<Row<T>> {
        let mut output = vec![Box::default(); self.output_count];
        self.add_to(&mut output, input);
        output
    }

    /// Adds the output rows for `input` to `output`, on all cores; an empty row stands for zeros.
    ///
    /// # Panics
    ///
    /// Panics unless there are `input_count` rows of one length, and `output_count` of that length or
    /// empty.
    pub fn add_to(&self, output: &mut [Row<T>], input: &[Row<T>]) {
        assert_eq!(input.len(), self.input_count, "rows of the input");
        assert_eq!(output.len(), self.output_count, "rows of the output");
        let columns = input.first().map_or(0, |row| row.len());
        let mut rows_of = |block: &Block<T>| -> Vec<Row<T>> {
            block
                .outputs
                .iter()
                .map(|&index| std::mem::take(&mut output[index as usize]))
                .collect()
        };
        let mut rows: Vec<Vec<Row<T>>> = self.blocks.iter().map(&mut rows_of).collect();
        self.blocks
            .par_iter()
            .zip(&mut rows)
            .for_each(|(block, output)| {
                simd::run(AddBlock {
                    block,
                    output,
                    input,
                    columns,
                });
            });
        for (block, rows) in self.blocks.iter().zip(rows) {
            for (&index, row) in block.outputs.iter().zip(rows) {
                output[index as usize] = row;
            }
        }
    }

    /// Returns the multiplications of a weight with an input, padding included.
    pub fn multiplication_count(&self) -> usize {
        self.blocks
            .iter()
            .map(|b| b.inputs.len() * b.outputs.len())
            .sum()
    }

    /// Returns the squared Euclidean norm of the weights of each output.
    pub fn squared_norms(&self) -> Vec<f64> {
        let mut norms = vec![0.0; self.output_count];
        for block in &self.blocks {
            let rows = block.weights.chunks_exact(block.inputs.len());
            for (&output, row) in block.outputs.iter().zip(rows) {
                let pairs = block.inputs.iter().zip(row);
                let inside = pairs.filter(|(input, _)| **input != PADDING);
                norms[output as usize] = inside.map(|(_, w)| w.to_real().powi(2)).sum();
            }
        }
        norms
    }

    /// Returns the block and the row within it that computes each output element.
    pub fn locate_outputs(&self) -> Vec<(u32, u32)> {
        let mut place = vec![(0, 0); self.output_count];
        for (block_index, block) in self.blocks.iter().enumerate() {
            for (row, &output) in block.outputs.iter().enumerate() {
                place[output as usize] = (block_index as u32, row as u32);
            }
        }
        place
    }
}

/// Adds a block's output rows for `input`, all of them of `columns`.
struct AddBlock<'a, T> {
    block: &'a Block<T>,
    output: &'a mut [Row<T>],
    input: &'a [Row<T>],
    columns: usize,
}

impl<T: Element> Task for AddBlock<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.output.iter_mut().filter(|row| row.is_empty()) {
            *row = vec![T::default(); self.columns].into();
        }
        T::add_block(self.block, self.output, self.input, self.columns);
    }
}

impl<T: Element> Block<T> {
    #[inline(always)]
    fn add_to(&self, output: &mut [Row<T>], input: &[Row<T>], columns: usize) {
        let mut panel = vec![[T::default(); PANEL]; self.inputs.len()];
        for start in (0..columns).step_by(PANEL) {
            let width = PANEL.min(columns - start);
            for (&index, gathered) in self.inputs.iter().zip(&mut panel) {
                if let Some(row) = input.get(index as usize) {
                    gathered[..width].copy_from_slice(&row[start..start + width]);
                }
            }
            let rows = output
                .chunks_mut(ROWS)
                .zip(self.weights.chunks(ROWS * panel.len()));
            for (rows, weights) in rows {
                let mut sums = [[T::default(); PANEL]; ROWS];
                for (sums, row) in sums.iter_mut().zip(rows.iter()) {
                    sums[..width].copy_from_slice(&row[start..start + width]);
                }
                add_products(&mut sums, width, weights, &panel, T::multiply_add);
                for (row, sums) in rows.iter_mut().zip(&sums) {
                    row[start..start + width].copy_from_slice(&sums[..width]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_dense_block_equals_the_naive_product(
            inputs in 1usize..9, outputs in 1usize..20, columns in 1usize..140, seed: u64,
            weight_bits in 1u32..=64,
        ) {
            let number = |index: usize| seed.wrapping_mul(index as u64 * 2 + 1).rotate_left(17);
            let weight = |index: usize| (number(index) as i64 >> (64 - weight_bits)) as u64;
            let weights: Vec<u64> = (0..inputs * outputs).map(weight).collect();
            let rows: Vec<Row<u64>> = (0..inputs)
                .map(|row| (0..columns).map(|column| number(row * columns + column + 7)).collect())
                .collect();
            let map = LinearMap::dense(&weights, inputs);
            let result = map.apply(&rows);
            for output in 0..outputs {
                for column in 0..columns {
                    let expected = (0..inputs).fold(0u64, |sum, input| {
                        sum.wrapping_add(weights[output * inputs + input].wrapping_mul(rows[input][column]))
                    });
                    prop_assert_eq!(result[output][column], expected);
                }
            }
            let mut sum = result.clone();
            sum[0] = Row::default();
            map.add_to(&mut sum, &rows);
            prop_assert_eq!(&sum[0], &result[0]);
            for (sum, once) in sum.iter().zip(&result).skip(1) {
                prop_assert!(sum.iter().zip(once).all(|(sum, once)| *sum == once.wrapping_mul(2)));
            }
        }
    }

    #[test]
    fn padding_reads_zero() {
        let map = LinearMap {
            input_count: 1,
            output_count: 1,
            blocks: vec![Block {
                weights: vec![5u64, 7].into(),
                inputs: vec![PADDING, 0],
                outputs: vec![0],
            }],
        };
        assert_eq!(map.apply(&[vec![3].into()])[0][0], 21);
    }
}

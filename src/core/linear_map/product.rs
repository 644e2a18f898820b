//! Maps made of maps: one after the other, and two side by side. Blocks of the same weights on inputs
//! that lie alike share them in the outcome too, so that the positions of a convolution stay one
//! matrix, while those that padding cuts short get a matrix of their own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

use super::{Block, LinearMap, PADDING};

/// Input elements in the order of their first appearance.
#[derive(Default)]
struct Columns {
    elements: Vec<u32>,
    places: HashMap<u32, u32>,
}

impl Columns {
    /// Returns the column of an element; [`PADDING`] has none.
    fn of(&mut self, element: u32) -> u32 {
        if element == PADDING {
            return PADDING;
        }
        *self.places.entry(element).or_insert_with(|| {
            self.elements.push(element);
            self.elements.len() as u32 - 1
        })
    }

    fn of_all(&mut self, elements: &[u32]) -> Vec<u32> {
        elements.iter().map(|&element| self.of(element)).collect()
    }

    /// Returns the elements; at least one column, which may be padding.
    fn into_inputs(self) -> Vec<u32> {
        if self.elements.is_empty() {
            return vec![PADDING];
        }
        self.elements
    }
}

/// Weights by what they are made of: blocks that are made alike share them.
struct Shared<T> {
    known: HashMap<Vec<u64>, usize>,
    recipes: Vec<T>,
}

impl<T: Sync> Shared<T> {
    fn new() -> Self {
        Self {
            known: HashMap::new(),
            recipes: Vec::new(),
        }
    }

    /// Returns the number of the weights that a pattern stands for.
    fn number(&mut self, pattern: Vec<u64>, recipe: T) -> usize {
        let next = self.recipes.len();
        let number = *self.known.entry(pattern).or_insert(next);
        if number == next {
            self.recipes.push(recipe);
        }
        number
    }

    /// Returns the map whose blocks have those inputs, outputs and weights, the latter by number.
    fn map(
        self,
        blocks: Vec<(Vec<u32>, Vec<u32>, usize)>,
        [input_count, output_count]: [usize; 2],
        make: impl Fn(&T) -> Vec<f64> + Sync,
    ) -> LinearMap<f32> {
        let narrowed =
            |weights: Vec<f64>| weights.into_iter().map(|weight| weight as f32).collect();
        let recipes = self.recipes.par_iter();
        let made: Vec<Arc<[f32]>> = recipes.map(|recipe| narrowed(make(recipe))).collect();
        let blocks = blocks.into_iter().map(|(inputs, outputs, number)| Block {
            weights: Arc::clone(&made[number]),
            inputs,
            outputs,
        });
        let map = LinearMap {
            input_count,
            output_count,
            blocks: blocks.collect(),
        };
        map.dense_form().unwrap_or(map)
    }
}

/// Adds weights times a factor to the columns that they go to.
fn add_row(sums: &mut [f64], columns: &[u32], row: &[f32], factor: f64) {
    for (&column, &weight) in columns.iter().zip(row) {
        // Padding has no column.
        if let Some(sum) = sums.get_mut(column as usize) {
            *sum += factor * f64::from(weight);
        }
    }
}

fn address(block: &Block<f32>) -> u64 {
    block.weights.as_ptr() as u64
}

fn row(block: &Block<f32>, row: u32) -> &[f32] {
    let depth = block.inputs.len();
    &block.weights[row as usize * depth..][..depth]
}

impl LinearMap<f32> {
    /// Returns the map of `inner` followed by this one. Zeros from padding carry nothing: an output
    /// whose window sticks out has fewer weights.
    ///
    /// # Panics
    ///
    /// Panics unless this map reads as many elements as `inner` makes.
    pub fn after(&self, inner: &Self) -> Self {
        assert_eq!(self.input_count, inner.output_count, "elements in between");
        let places = inner.locate_outputs();
        let mut shared = Shared::new();
        let blocks = self
            .blocks
            .iter()
            .map(|block| {
                let mut columns = Columns::default();
                let mut pattern = vec![address(block)];
                // The inner row behind each input, with its columns of the outcome.
                let mut taps: Vec<Option<(&[f32], Vec<u32>)>> = Vec::new();
                for &middle in &block.inputs {
                    let Some(&(index, of_row)) = places.get(middle as usize) else {
                        pattern.push(u64::MAX);
                        taps.push(None);
                        continue;
                    };
                    let inner = &inner.blocks[index as usize];
                    let placed = columns.of_all(&inner.inputs);
                    pattern.extend([address(inner), u64::from(of_row)]);
                    pattern.extend(placed.iter().map(|&column| u64::from(column)));
                    taps.push(Some((row(inner, of_row), placed)));
                }
                let inputs = columns.into_inputs();
                let number = shared.number(pattern, (block, taps, inputs.len()));
                (inputs, block.outputs.clone(), number)
            })
            .collect();
        let counts = [inner.input_count, self.output_count];
        shared.map(blocks, counts, |(block, taps, width)| {
            let mut weights = vec![0.0; block.outputs.len() * width];
            let rows = block.weights.chunks_exact(block.inputs.len());
            for (sums, factors) in weights.chunks_exact_mut(*width).zip(rows) {
                for (tap, &factor) in taps.iter().zip(factors) {
                    if let Some((row, columns)) = tap {
                        add_row(sums, columns, row, f64::from(factor));
                    }
                }
            }
            weights
        })
    }

    /// Returns the multiplications of [`Self::after`], without making it, or `None` where they exceed
    /// `most`.
    pub fn multiplications_after(&self, inner: &Self, most: usize) -> Option<usize> {
        let places = inner.locate_outputs();
        let mut count = 0;
        let mut seen = vec![0u32; inner.input_count];
        for (index, block) in self.blocks.iter().enumerate() {
            let mark = index as u32 + 1;
            let middle = block.inputs.iter();
            let blocks = middle.filter_map(|&middle| Some(places.get(middle as usize)?.0));
            let mut width = 0;
            let mut last = None;
            for inner_block in blocks {
                // Neighbouring elements often lie in one block.
                if last.replace(inner_block) == Some(inner_block) {
                    continue;
                }
                for &element in &inner.blocks[inner_block as usize].inputs {
                    if let Some(seen) = seen.get_mut(element as usize)
                        && *seen != mark
                    {
                        *seen = mark;
                        width += 1;
                    }
                }
            }
            count += block.outputs.len() * width;
            if count > most {
                return None;
            }
        }
        Some(count)
    }

    /// Returns the sum of two maps of the same input and output.
    ///
    /// # Panics
    ///
    /// Panics unless their elements agree in number.
    pub fn plus(&self, other: &Self) -> Self {
        assert_eq!(self.input_count, other.input_count, "elements of the input");
        assert_eq!(self.output_count, other.output_count, "outputs");
        let (left, right) = (self.locate_outputs(), other.locate_outputs());
        // Outputs of the same two blocks stay together.
        let mut together: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        for (output, (left, right)) in left.iter().zip(&right).enumerate() {
            let outputs = together.entry((left.0, right.0)).or_default();
            outputs.push(output as u32);
        }
        let mut shared = Shared::new();
        let blocks = together
            .into_iter()
            .map(|((of_left, of_right), outputs)| {
                let mut columns = Columns::default();
                let blocks = [
                    &self.blocks[of_left as usize],
                    &other.blocks[of_right as usize],
                ];
                let placed = blocks.map(|block| columns.of_all(&block.inputs));
                let sides = |&output: &u32| {
                    let of_row = [left[output as usize].1, right[output as usize].1];
                    [0, 1].map(|side| (blocks[side], of_row[side]))
                };
                let rows: Vec<[(&Block<f32>, u32); 2]> = outputs.iter().map(sides).collect();
                let mut pattern: Vec<u64> = blocks.map(address).into();
                pattern.extend(placed.iter().flatten().map(|&column| u64::from(column)));
                pattern.extend(rows.iter().flatten().map(|&(_, row)| u64::from(row)));
                let inputs = columns.into_inputs();
                let number = shared.number(pattern, (rows, placed, inputs.len()));
                (inputs, outputs, number)
            })
            .collect();
        let counts = [self.input_count, self.output_count];
        shared.map(blocks, counts, |(rows, placed, width)| {
            let mut weights = vec![0.0; rows.len() * width];
            for (sums, sides) in weights.chunks_exact_mut(*width).zip(rows) {
                for (&(block, of_row), columns) in sides.iter().zip(placed) {
                    add_row(sums, columns, row(block, of_row), 1.0);
                }
            }
            weights
        })
    }

    /// Returns the map for numbers per element: `map · values`.
    pub fn apply_to(&self, values: &[f64]) -> Vec<f64> {
        let mut output = vec![0.0; self.output_count];
        for block in &self.blocks {
            let rows = block.weights.chunks_exact(block.inputs.len());
            for (&element, row) in block.outputs.iter().zip(rows) {
                let inside = block.inputs.iter().zip(row);
                let products = inside.filter_map(|(&input, &weight)| {
                    Some(f64::from(weight) * values.get(input as usize)?)
                });
                output[element as usize] = products.sum();
            }
        }
        output
    }

    /// Returns the map as a dense matrix where every output reads every input.
    fn dense_form(&self) -> Option<Self> {
        if !self.is_dense() {
            return None;
        }
        let mut weights = vec![0.0; self.input_count * self.output_count];
        for block in &self.blocks {
            let rows = block.weights.chunks_exact(self.input_count);
            for (&output, row) in block.outputs.iter().zip(rows) {
                let of_output = &mut weights[output as usize * self.input_count..];
                for (&input, &weight) in block.inputs.iter().zip(row) {
                    of_output[input as usize] = weight;
                }
            }
        }
        Some(Self::dense(&weights, self.input_count))
    }

    /// Returns whether every output reads every input, each once.
    pub fn is_dense(&self) -> bool {
        self.blocks
            .iter()
            .all(|block| block.inputs.len() == self.input_count && !block.inputs.contains(&PADDING))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::linear_map::Row;
    use crate::model::layer::{AveragePool, Conv2d, Window};
    use proptest::prelude::*;

    /// Returns a convolution of three by three on four by four, and how many elements it makes.
    fn conv(
        channels: [usize; 2],
        padding: [usize; 4],
        stride: usize,
        seed: usize,
    ) -> LinearMap<f32> {
        let window = Window {
            stride: [stride; 2],
            padding,
        };
        let small = |index: usize| ((index * 7919 + seed) % 15) as f32 - 7.0;
        let conv = Conv2d {
            weights: (0..channels[0] * channels[1] * 9).map(small).collect(),
            out_channels: channels[1],
            in_channels: channels[0],
            groups: 1,
            kernel: [3, 3],
            window,
        };
        let output = window.output_size([4, 4], [3, 3]).expect("fits");
        conv.map([4, 4], output)
    }

    fn rows(count: usize) -> Vec<Row<f32>> {
        let row = |element: usize| [(element % 5) as f32, (element % 7) as f32 - 3.0].into();
        (0..count).map(row).collect()
    }

    proptest! {
        #[test]
        fn maps_in_a_row_and_side_by_side_equal_what_they_are_made_of(
            channels in prop::array::uniform3(1usize..4), stride in 1usize..3, seed in 0usize..1000,
            padding in prop::array::uniform4(0usize..3),
        ) {
            // Padded by one on all sides, the inner map keeps the size.
            let inner = conv([channels[0], channels[1]], [1; 4], 1, seed);
            let outer = conv([channels[1], channels[2]], padding, stride, seed + 1);
            let input = rows(inner.input_count);
            let composed = outer.after(&inner);
            prop_assert_eq!(composed.apply(&input), outer.apply(&inner.apply(&input)));
            let count = composed.multiplication_count();
            let most = outer.multiplications_after(&inner, count);
            prop_assert_eq!(most, Some(count));
            prop_assert_eq!(outer.multiplications_after(&inner, count - 1), None);

            let other = conv([channels[0], channels[1]], [1; 4], 1, seed + 2);
            let sum = inner.plus(&other).apply(&input);
            let (one, two) = (inner.apply(&input), other.apply(&input));
            for ((sum, one), two) in sum.iter().zip(one).zip(two) {
                prop_assert!(sum.iter().zip(&one).zip(&two).all(|((s, a), b)| *s == a + b));
            }
            let values: Vec<f64> = input.iter().map(|row| f64::from(row[1])).collect();
            let reals = inner.apply_to(&values);
            let pairs = reals.iter().zip(inner.apply(&input));
            prop_assert!(pairs.into_iter().all(|(real, row)| *real == f64::from(row[1])));
        }
    }

    #[test]
    fn positions_inside_share_weights_and_those_at_the_edge_have_their_own() {
        let (inner, outer) = (conv([1, 2], [1; 4], 1, 3), conv([2, 1], [1; 4], 1, 4));
        let composed = outer.after(&inner);
        let mut sizes: BTreeMap<*const f32, usize> = BTreeMap::new();
        for block in &composed.blocks {
            *sizes.entry(block.weights.as_ptr()).or_default() += 1;
        }
        // On four by four every row and column is first, second, last but one or last.
        assert_eq!((composed.blocks.len(), sizes.len()), (16, 16));
        let wide = Conv2d {
            weights: vec![1.0, 2.0, 3.0],
            out_channels: 1,
            in_channels: 1,
            groups: 1,
            kernel: [1, 3],
            window: Window {
                stride: [1, 1],
                padding: [0, 1, 0, 1],
            },
        };
        let map = wide.map([1, 9], [1, 9]);
        let composed = map.after(&map);
        let shared = composed.blocks.iter().map(|block| block.weights.as_ptr());
        let distinct: std::collections::BTreeSet<_> = shared.collect();
        assert_eq!((composed.blocks.len(), distinct.len()), (9, 5));
    }

    #[test]
    fn a_dense_layer_behind_a_pool_is_dense() {
        let pool = AveragePool::side_by_side([2, 2]).map(1, [4, 4], [2, 2]);
        let dense = LinearMap::dense(&[1.0, 2.0, 3.0, 4.0, -1.0, 0.5, 0.0, 8.0], 4);
        let composed = dense.after(&pool);
        assert!(composed.is_dense() && composed.input_count == 16);
        let input = rows(16);
        assert_eq!(composed.apply(&input), dense.apply(&pool.apply(&input)));
    }

    #[test]
    fn a_window_of_padding_alone_reads_nothing() {
        let inner = conv([1, 1], [1; 4], 1, 0);
        let outer = LinearMap {
            input_count: 16,
            output_count: 1,
            blocks: vec![Block {
                weights: [5.0].into(),
                inputs: vec![PADDING],
                outputs: vec![0],
            }],
        };
        assert_eq!(outer.after(&inner).apply(&rows(16))[0][..], [0.0, 0.0]);
    }
}

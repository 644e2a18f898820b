//! Integer weights and ranges.
//!
//! Weights are quantised symmetrically per output element: `real = scale · integer` with
//! |integer| ≤ 2^(bits-1) - 1 (Jacob et al., CVPR 2018, without a zero point). The scales of the
//! input's elements are folded into the weights first, so that one scale per output element is
//! all that remains. Each row of integers is then divided by its greatest common divisor, which
//! is exact: an average pool of four elements gets four ones.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::linear_map::{Block, LinearMap, PADDING};

/// The error, as a fraction of a step, below which float32 weights count as integers.
const EXACT_FRACTION: f64 = 1e-3;

/// The integers that stand for a tensor's reals, all elements on one scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    /// `real = scale · integer`.
    pub scale: f64,
    /// Smallest integer.
    pub low: i64,
    /// Largest integer.
    pub high: i64,
}

impl QuantParams {
    /// Returns parameters of `bits` bits that cover the range; symmetric where it holds
    /// negative numbers, else from zero.
    pub fn covering(low: f64, high: f64, bits: u32) -> Self {
        let largest = low.abs().max(high.abs()).max(f64::MIN_POSITIVE);
        let (low, high) = if low < 0.0 {
            let high = (1 << (bits - 1)) - 1;
            (-high, high)
        } else {
            (0, (1 << bits) - 1)
        };
        Self {
            scale: largest / high as f64,
            low,
            high,
        }
    }

    /// Returns the nearest integer in range.
    pub fn quantise(&self, real: f64) -> i64 {
        ((real / self.scale).round() as i64).clamp(self.low, self.high)
    }
}

/// How a party quantises a value's elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantisation {
    /// Per element: `real = scale · integer + offset`.
    pub scales: Vec<f64>,
    pub offsets: Vec<f64>,
    /// Smallest integer.
    pub low: i64,
    /// Largest integer.
    pub high: i64,
}

impl Quantisation {
    /// Returns the same parameters for each of `count` elements.
    pub fn uniform(parameters: QuantParams, count: usize) -> Self {
        Self {
            scales: vec![parameters.scale; count],
            offsets: vec![0.0; count],
            low: parameters.low,
            high: parameters.high,
        }
    }

    /// Returns the nearest integer in range of an element.
    pub fn quantise(&self, element: usize, real: f64) -> i64 {
        let integer = ((real - self.offsets[element]) / self.scales[element]).round() as i64;
        integer.clamp(self.low, self.high)
    }
}

/// How fine the integers of weights are.
#[derive(Debug, Clone, Copy)]
pub struct WeightBits<'a> {
    /// The largest weight of a row takes so many.
    pub bits: u32,
    /// Per output element, if anything: the largest scale. A row whose largest weight would take more
    /// than that leaves the others too few integers.
    pub most_scales: &'a [f64],
}

impl WeightBits<'_> {
    /// Returns bits that the largest weight of a row takes, however far it exceeds all others.
    pub fn plain(bits: u32) -> Self {
        Self {
            bits,
            most_scales: &[],
        }
    }
}

/// A linear map in integers.
pub struct QuantisedRows {
    /// Weights in two's complement.
    pub map: LinearMap<u64>,
    /// Per output element: `real = scale · integer`, for inputs counted in integers; infinite where
    /// all weights are zero.
    pub scales: Vec<f64>,
    /// Per output element: whether its integers are its weights without any error.
    pub exact: Vec<bool>,
}

/// Weights of one block in integers.
type Rows = (Arc<[u64]>, Vec<(f64, bool)>);

/// Returns the map in integers of `bits` bits, or in the integers that `weight_scale` (per output
/// element) says it has.
///
/// `input_scales` has one scale per input element; positions of a convolution whose inputs have other
/// scales get integers of their own. With `reduce`, rows are divided by their greatest common divisor, which leaves integers too few
/// for a bias that is no multiple of it.
pub fn quantise_map(
    map: &LinearMap<f32>,
    bits: WeightBits<'_>,
    weight_scale: Option<&[f32]>,
    input_scales: &[f64],
    reduce: bool,
) -> QuantisedRows {
    let mut rows = vec![(0.0, false); map.output_count];
    let mut done: HashMap<usize, Rows> = HashMap::new();
    let ColumnScales { of_block, distinct } = ColumnScales::of(map, input_scales);
    let blocks = map.blocks.iter().zip(of_block).map(|(block, columns)| {
        let (weights, of_block) = done.entry(columns).or_insert_with(|| {
            let own = weight_scale.map(|scales| {
                block
                    .outputs
                    .iter()
                    .map(|&output| scales[output as usize])
                    .collect::<Vec<_>>()
            });
            quantise_rows(block, bits, own.as_deref(), &distinct[columns], reduce)
        });
        for (&output, &row) in block.outputs.iter().zip(of_block.iter()) {
            rows[output as usize] = row;
        }
        Block {
            weights: Arc::clone(weights),
            inputs: block.inputs.clone(),
            outputs: block.outputs.clone(),
        }
    });
    let map = LinearMap {
        input_count: map.input_count,
        output_count: map.output_count,
        blocks: blocks.collect(),
    };
    let (scales, exact) = rows.into_iter().unzip();
    QuantisedRows { map, scales, exact }
}

/// Returns the map with each weight times its input's scale and its output's `factor` rounded to
/// an integer. Outputs that share weights must share the factor.
pub fn fill_map(
    map: &LinearMap<f32>,
    input_scales: &[f64],
    factor: impl Fn(usize) -> f64,
) -> LinearMap<u64> {
    let mut done: HashMap<usize, Arc<[u64]>> = HashMap::new();
    let ColumnScales { of_block, distinct } = ColumnScales::of(map, input_scales);
    let blocks = map.blocks.iter().zip(of_block).map(|(block, columns)| {
        let weights = done.entry(columns).or_insert_with(|| {
            let columns = &distinct[columns];
            let rows = block.weights.chunks_exact(block.inputs.len());
            let integers = block.outputs.iter().zip(rows).flat_map(|(&output, row)| {
                let factor = factor(output as usize);
                let reals = row.iter().zip(columns);
                reals.map(move |(&w, scale)| (f64::from(w) * scale * factor).round() as i64 as u64)
            });
            integers.collect()
        });
        Block {
            weights: Arc::clone(weights),
            inputs: block.inputs.clone(),
            outputs: block.outputs.clone(),
        }
    });
    LinearMap {
        input_count: map.input_count,
        output_count: map.output_count,
        blocks: blocks.collect(),
    }
}

/// The input scales behind the weight columns of a map's blocks.
struct ColumnScales {
    /// By block: which of the distinct ones are its.
    of_block: Vec<usize>,
    /// Those of blocks that differ in their weights or in a scale; zero for a column that is padding in
    /// all blocks.
    distinct: Vec<Vec<f64>>,
}

impl ColumnScales {
    /// Returns the scales behind the columns of each block. A column that is padding in one block gets
    /// its scale from a block of the same weights where it is not.
    fn of(map: &LinearMap<f32>, input_scales: &[f64]) -> Self {
        let mut known: HashMap<*const f32, Vec<usize>> = HashMap::new();
        let mut distinct: Vec<Vec<f64>> = Vec::new();
        let of_block = map
            .blocks
            .iter()
            .map(|block| {
                let scale = |&input: &u32| input_scales.get(input as usize).copied().unwrap_or(0.0);
                let columns: Vec<f64> = block.inputs.iter().map(scale).collect();
                let agrees = |other: &Vec<f64>| {
                    other
                        .iter()
                        .zip(&columns)
                        .all(|(a, b)| *a == 0.0 || *b == 0.0 || a == b)
                };
                let alike = known.entry(block.weights.as_ptr()).or_default();
                if let Some(&found) = alike.iter().find(|&&index| agrees(&distinct[index])) {
                    for (known, scale) in distinct[found].iter_mut().zip(columns) {
                        *known = known.max(scale);
                    }
                    return found;
                }
                distinct.push(columns);
                alike.push(distinct.len() - 1);
                distinct.len() - 1
            })
            .collect();
        Self { of_block, distinct }
    }
}

/// Returns integers, scale and exactness of each row of a block.
fn quantise_rows(
    block: &Block<f32>,
    bits: WeightBits<'_>,
    weight_scale: Option<&[f32]>,
    column_scales: &[f64],
    reduce: bool,
) -> Rows {
    let mut integers = Vec::with_capacity(block.weights.len());
    let mut rows = Vec::with_capacity(block.outputs.len());
    let largest = ((1i64 << (bits.bits - 1)) - 1) as f64;
    // A column that is padding everywhere has no scale.
    let mut scales = column_scales.iter().filter(|&&scale| scale > 0.0);
    let common = scales.next().copied();
    let uniform = scales.all(|&scale| Some(scale) == common);
    for (index, row) in block.weights.chunks_exact(block.inputs.len()).enumerate() {
        let reals: Vec<f64> = row
            .iter()
            .zip(column_scales)
            .map(|(&w, s)| f64::from(w) * s)
            .collect();
        let peak = reals
            .iter()
            .fold(0.0, |peak: f64, real| peak.max(real.abs()));
        let scale = match weight_scale {
            Some(scales) if uniform => f64::from(scales[index]) * common.unwrap_or(1.0),
            // A row of zeros has no scale of its own.
            _ if peak == 0.0 => f64::INFINITY,
            _ => peak / largest,
        };
        let (rounded, exact) = rounded_to(&reals, scale);
        let most = bits.most_scales.get(block.outputs[index] as usize);
        let (scale, rounded) = match most {
            Some(&most) if !exact && weight_scale.is_none() && scale > most => {
                (most, rounded_to(&reals, most).0)
            }
            _ => (scale, rounded),
        };
        // A file's own scale is the same for rows that must keep it in common.
        let divisor = if weight_scale.is_some() || !reduce {
            1
        } else {
            rounded
                .iter()
                .fold(0, |gcd, &integer| greatest_common_divisor(gcd, integer))
                .max(1)
        };
        integers.extend(rounded.iter().map(|integer| (integer / divisor) as u64));
        rows.push((scale * divisor as f64, exact));
    }
    (integers.into(), rows)
}

/// Returns the nearest integers to reals on a scale, and whether they are those without any error.
fn rounded_to(reals: &[f64], scale: f64) -> (Vec<i64>, bool) {
    let rounded: Vec<i64> = reals
        .iter()
        .map(|real| (real / scale).round() as i64)
        .collect();
    let errors = reals
        .iter()
        .zip(&rounded)
        .map(|(real, &n)| (real - n as f64 * scale).abs());
    let exact = errors.fold(0.0, f64::max) <= EXACT_FRACTION * scale;
    (rounded, exact && reals.iter().any(|real| *real != 0.0))
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 {
        a.abs()
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// Returns the smallest and largest value of each output element over all inputs in range,
/// saturated to 64 bits.
pub fn worst_case_range(
    map: &LinearMap<u64>,
    bias: &[i64],
    input: &[(i64, i64)],
) -> Vec<(i64, i64)> {
    let mut ranges = vec![(0, 0); map.output_count];
    for block in &map.blocks {
        let rows = block.weights.chunks_exact(block.inputs.len());
        for (&output, row) in block.outputs.iter().zip(rows) {
            let start = bias[output as usize];
            ranges[output as usize] = block
                .inputs
                .iter()
                .zip(row)
                .filter(|(input, _)| **input != PADDING)
                .fold((start, start), |(low, high), (&element, &weight)| {
                    let (from, to) = input[element as usize];
                    let ends = [from, to].map(|end| (weight as i64).saturating_mul(end));
                    (
                        low.saturating_add(ends[0].min(ends[1])),
                        high.saturating_add(ends[0].max(ends[1])),
                    )
                });
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::layer::{AveragePool, Dense};
    use proptest::prelude::*;

    fn dense(weights: Vec<f32>, inputs: usize) -> LinearMap<f32> {
        let outputs = weights.len() / inputs;
        Dense {
            weights,
            outputs,
            inputs,
        }
        .map()
    }

    #[test]
    fn covering_parameters_reach_both_ends() {
        let signed = QuantParams::covering(-2.0, 1.0, 8);
        assert_eq!((signed.low, signed.high), (-127, 127));
        assert_eq!(signed.quantise(-2.0), -127);
        assert_eq!(signed.quantise(9.0), 127);
        let unsigned = QuantParams::covering(0.0, 5.1, 8);
        assert_eq!((unsigned.quantise(5.1), unsigned.quantise(-1.0)), (255, 0));
    }

    #[test]
    fn an_average_pool_is_ones_at_any_width() {
        let pool = AveragePool::side_by_side([2, 2]);
        let QuantisedRows { map, scales, exact } = quantise_map(
            &pool.map(1, [2, 2], [1, 1]),
            WeightBits::plain(8),
            None,
            &[0.5; 4],
            true,
        );
        assert_eq!(map.blocks[0].weights[..], [1, 1, 1, 1]);
        assert!(exact[0]);
        assert!((scales[0] - 0.125).abs() < 1e-12);
    }

    #[test]
    fn pooled_channels_of_different_scales_stay_apart() {
        let pool = AveragePool::side_by_side([1, 2]);
        let QuantisedRows { map, scales, .. } = quantise_map(
            &pool.map(2, [1, 2], [1, 1]),
            WeightBits::plain(8),
            None,
            &[0.5, 0.5, 3.0, 3.0],
            true,
        );
        let rows: Vec<_> = [4u64, 6, 10, 20].map(|value| vec![value].into()).into();
        let output = map.apply(&rows);
        let reals: Vec<f64> = output
            .iter()
            .zip(&scales)
            .map(|(row, s)| row[0] as f64 * s)
            .collect();
        // The means of 2.0 and 3.0, and of 30 and 60.
        assert!(
            (reals[0] - 2.5).abs() < 1e-9 && (reals[1] - 45.0).abs() < 1e-9,
            "{reals:?}"
        );
    }

    proptest! {
        #[test]
        fn integers_times_scale_lie_within_half_a_step(
            weights in prop::collection::vec(-3.0f32..3.0, 12), bits in 2u32..9,
        ) {
            let input_scales = [0.5, 2.0, 1.0, 0.25];
            let map = dense(weights.clone(), 4);
            let QuantisedRows { map, scales, .. } = quantise_map(&map, WeightBits::plain(bits), None, &input_scales, true);
            let largest = (1 << (bits - 1)) - 1;
            for (index, (&integer, &weight)) in map.blocks[0].weights.iter().zip(&weights).enumerate() {
                let (output, input) = (index / 4, index % 4);
                let real = f64::from(weight) * input_scales[input];
                prop_assert!((integer as i64).abs() <= largest);
                let error = (scales[output] * integer as i64 as f64 - real).abs();
                prop_assert!(error <= scales[output] / 2.0 + 1e-9);
            }
        }

        #[test]
        fn no_input_leaves_the_worst_case_range(
            weights in prop::collection::vec(-9i64..9, 6), input in prop::collection::vec(0i64..16, 3),
        ) {
            let float = dense(weights.iter().map(|&w| w as f32).collect(), 3);
            let map = quantise_map(&float, WeightBits::plain(8), None, &[1.0; 3], true).map;
            let ranges = worst_case_range(&map, &[5, -5], &[(0, 15); 3]);
            let rows: Vec<_> = input.iter().map(|&value| vec![value as u64].into()).collect();
            for ((row, (low, high)), bias) in map.apply(&rows).iter().zip(ranges).zip([5, -5]) {
                let value = row[0] as i64 + bias;
                prop_assert!((low..=high).contains(&value));
            }
        }
    }
}

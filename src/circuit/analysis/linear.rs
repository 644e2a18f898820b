//! Integer weights between sources: *natural* ones, which are as small as their bits allow and do
//! not depend on the sources' steps, and the terms of those that make look-ups fill half a turn.

use std::collections::HashMap;

use super::analyst::Analyst;
use super::combination::Weights;
use super::draft::DraftStep;
use super::filling::FillingTerm;
use super::grid::{UPLOAD_BITS, widen};
use super::planned::Term;
use super::value::DraftValue;
use crate::core::linear_map::{LinearMap, PADDING};
use crate::model::quantise::{QuantisedRows, WeightBits, fill_map, quantise_map, worst_case_range};
use crate::model::{NodeId, ValueId};

/// The integer that the widest end of a sum gets where further weights read it.
const SUM_INTEGER: f64 = 16384.0;
/// The largest integers that calibrated outputs may become, of uploads alone and behind look-ups.
const MOST_FRESH_INTEGER: f64 = 67_108_864.0;
const MOST_INTEGER: f64 = 262_144.0;
/// The same where further weights read them: it leaves those of eight bits their sums' bits of a turn.
const MOST_FACTOR_INTEGER: f64 = 1_048_576.0;
/// The integer that the bias of a row of zeros gets.
const ZERO_ROW_INTEGER: f64 = 1024.0;
/// By how much rounding a row of weights of eight bits may err, as a fraction of the range of its sums: a
/// weight that far exceeds the others, on an input that hardly varies say, takes more than its bits.
/// With each bit less it may err by twice as much.
const MOST_ROW_ERROR: f64 = 1.0 / 64.0;

impl Analyst<'_> {
    /// Quantises weights on one source whose outputs are read as they are.
    pub(super) fn natural(
        &mut self,
        node: NodeId,
        source: ValueId,
        weights: &Weights,
    ) -> DraftValue {
        let value = node.value();
        let input = self.values[&source].clone();
        let mut bias = self.linear.bias(value);
        let plain = bias.iter().all(|&bias| bias == 0.0)
            && input.offsets.iter().all(|&offset| offset == 0.0);
        let calibrated = self.model.range(value);
        let mut rows = quantise(weights, &input, &calibrated, plain);
        let offsets = weights.map.apply_to(&input.offsets);
        bias.iter_mut()
            .zip(offsets)
            .for_each(|(b, offset)| *b += offset);
        let most_integer = match (self.linear.reader_count(value), input.fresh) {
            (1.., _) => MOST_FACTOR_INTEGER,
            (0, true) => MOST_FRESH_INTEGER,
            (0, false) => MOST_INTEGER,
        };
        coarsen(&mut rows, weights, &input, &calibrated, &bias, most_integer);
        let bias: Vec<i64> = bias
            .iter()
            .zip(&rows.scales)
            .map(|(bias, scale)| (bias / scale).round() as i64)
            .collect();
        let mut range = worst_case_range(&rows.map, &bias, &input.range);
        // A fresh value has precision to spare: its worst-case range is kept, and no input at all
        // can overflow it.
        if !input.fresh {
            narrow(&mut range, &rows.scales, &calibrated);
        }
        let draft = DraftStep::Natural {
            terms: vec![Term::Matrix(rows.map)],
            bias,
            geometry: weights.geometry,
            group: input.group,
        };
        let slot = self.push(node, vec![input.slot], draft);
        DraftValue {
            slot,
            group: input.group,
            offsets: vec![0.0; rows.scales.len()],
            scales: rows.scales,
            range,
            fresh: input.fresh,
            aligned: input.aligned,
        }
    }

    /// Makes a value whose channels all lie on one scale, a sum that further weights read say: all its
    /// operands are brought to that, and `correction` is added, in reals. The scale makes the widest end
    /// of all ranges [`SUM_INTEGER`].
    pub(super) fn on_one_scale(&mut self, node: NodeId, correction: &[f32]) -> DraftValue {
        let (slots, mut filling, mut ranges) = self.filling(node.value());
        let biases = filling.bias.iter_mut().zip(&mut ranges);
        for ((bias, (low, high)), &correction) in biases.zip(correction) {
            let correction = f64::from(correction);
            *bias += correction;
            *low += correction.min(0.0);
            *high += correction.max(0.0);
        }
        let ends = ranges.iter().map(|(low, high)| low.abs().max(high.abs()));
        let widest = ends.fold(f64::MIN_POSITIVE, f64::max);
        let scale = widest / SUM_INTEGER;
        let group = self.groups.add();
        filling.base = Some(group);
        filling.fills = vec![1.0 / scale; ranges.len() / filling.channel_size];
        self.groups.limit_all(filling.limits());
        let range = ranges
            .iter()
            .map(|(low, high)| ((low / scale).floor() as i64, (high / scale).ceil() as i64));
        let slot = self.push(node, slots, DraftStep::Filling(filling));
        DraftValue {
            slot,
            group,
            offsets: vec![0.0; ranges.len()],
            scales: vec![scale; ranges.len()],
            range: range.collect(),
            fresh: self.is_fresh(node.value()),
            aligned: false,
        }
    }

    /// Returns the term of weights in front of a look-up, what the offsets of their input add, and the
    /// range that its integers can reach at worst, in reals.
    pub(super) fn matrix_term(
        weights: &Weights,
        input: &DraftValue,
        calibrated: &[(f32, f32)],
    ) -> (FillingTerm, Vec<f64>, Vec<(f64, f64)>) {
        let rows = quantise(weights, input, calibrated, true);
        let bias = weights.map.apply_to(&input.offsets);
        let worst = real_worst_range(&weights.map, input, &bias);
        let term = FillingTerm {
            group: input.group,
            aligned: input.aligned,
            input_scales: input.scales.clone(),
            map: Some(weights.map.clone()),
            natural: rows.scales.iter().copied().zip(rows.exact).collect(),
        };
        (term, bias, worst)
    }

    /// Returns the term of a value that a look-up reads as it is; otherwise as
    /// [`Self::matrix_term`].
    pub(super) fn identity_term(input: &DraftValue) -> (FillingTerm, Vec<f64>, Vec<(f64, f64)>) {
        let ends = input.range.iter().zip(&input.scales).zip(&input.offsets);
        let worst = ends.map(|(((low, high), scale), offset)| {
            (*low as f64 * scale + offset, *high as f64 * scale + offset)
        });
        let term = FillingTerm {
            group: input.group,
            aligned: input.aligned,
            input_scales: input.scales.clone(),
            map: None,
            natural: input.scales.iter().map(|&scale| (scale, true)).collect(),
        };
        (term, input.offsets.clone(), worst.collect())
    }
}

/// Returns the smallest and largest real value of each output over all integers of the input: its bias
/// and, for each weight w on an element of scale s, the least and the most of w · s · integer.
fn real_worst_range(map: &LinearMap<f32>, input: &DraftValue, bias: &[f64]) -> Vec<(f64, f64)> {
    let mut ranges: Vec<(f64, f64)> = bias.iter().map(|&bias| (bias, bias)).collect();
    for block in &map.blocks {
        let rows = block.weights.chunks_exact(block.inputs.len());
        for (&output, row) in block.outputs.iter().zip(rows) {
            let (low, high) = &mut ranges[output as usize];
            for (&element, &weight) in block.inputs.iter().zip(row) {
                if element == PADDING {
                    continue;
                }
                let (from, to) = input.range[element as usize];
                let weight = f64::from(weight) * input.scales[element as usize];
                let ends = [weight * from as f64, weight * to as f64];
                *low += ends[0].min(ends[1]);
                *high += ends[0].max(ends[1]);
            }
        }
    }
    ranges
}

/// Returns weights as integers for an input; `calibrated` are the ranges of what they add up to.
fn quantise(
    weights: &Weights,
    input: &DraftValue,
    calibrated: &[(f32, f32)],
    reduce: bool,
) -> QuantisedRows {
    let bits = if input.fresh {
        UPLOAD_BITS
    } else {
        weights.bits
    };
    let most_error = MOST_ROW_ERROR * f64::from(1u32 << UPLOAD_BITS.saturating_sub(bits));
    let most_scales = most_scales(&weights.map, input, calibrated, most_error);
    let bits = WeightBits {
        bits,
        most_scales: &most_scales,
    };
    let scale = weights.scale.as_deref();
    quantise_map(&weights.map, bits, scale, &input.scales, reduce)
}

/// Returns, per output element, the scale at which rounding its weights errs by that fraction of its
/// calibrated range, infinite where it has none.
///
/// A rounded weight is off by s/√12, and an input of m integers lies about m/2 from their middle at
/// most, so that the sum errs by s/√12 · √(Σ (m/2)²) at most, as standard deviations add up.
fn most_scales(
    map: &LinearMap<f32>,
    input: &DraftValue,
    calibrated: &[(f32, f32)],
    fraction: f64,
) -> Vec<f64> {
    let mut scales = vec![f64::INFINITY; map.output_count];
    for block in &map.blocks {
        let read = block.inputs.iter();
        let ranges = read.filter_map(|&element| input.range.get(element as usize));
        let squares: f64 = ranges
            .map(|(low, high)| ((high - low) as f64 / 2.0).powi(2))
            .sum();
        let error = (squares / 12.0).sqrt();
        for &output in &block.outputs {
            let (low, high) = calibrated[output as usize];
            let width = f64::from(high - low);
            if width > 0.0 && error > 0.0 {
                scales[output as usize] = fraction * width / error;
            }
        }
    }
    scales
}

/// Coarsens rows whose weights are so small against their range or bias that those would become
/// huge integers, and gives rows of zeros a scale. No scale is less than the larger of the two over
/// `most_integer`.
fn coarsen(
    rows: &mut QuantisedRows,
    weights: &Weights,
    input: &DraftValue,
    calibrated: &[(f32, f32)],
    bias: &[f64],
    most_integer: f64,
) {
    let mut coarser = false;
    let mut scales = rows.scales.clone();
    for (element, scale) in scales.iter_mut().enumerate() {
        let (low, high) = calibrated[element];
        let reach = f64::from(low.abs().max(high.abs()));
        let least = reach.max(bias[element].abs()) / most_integer;
        if scale.is_infinite() {
            *scale = bias[element].abs().max(f64::from(f32::MIN_POSITIVE)) / ZERO_ROW_INTEGER;
        } else if *scale < least {
            *scale = least;
            coarser = true;
        }
    }
    // Outputs that share their weights share their scale.
    let mut widest: HashMap<(*const u64, usize), f64> = HashMap::new();
    let outputs = rows.map.blocks.iter().flat_map(|block| {
        let address = block.weights.as_ptr();
        let outputs = block.outputs.iter().enumerate();
        outputs.map(move |(row, &output)| ((address, row), output as usize))
    });
    for (row, output) in outputs.clone() {
        let widest = widest.entry(row).or_insert(0.0);
        *widest = widest.max(scales[output]);
    }
    for (row, output) in outputs {
        rows.scales[output] = widest[&row];
    }
    if coarser {
        let scales = &rows.scales;
        rows.map = fill_map(&weights.map, &input.scales, |element| 1.0 / scales[element]);
    }
}

/// Narrows worst-case ranges to what range calibration saw, widened by the margin. One that it misses
/// altogether stays: whatever its integers are, they lie in it.
fn narrow(ranges: &mut [(i64, i64)], scales: &[f64], calibrated: &[(f32, f32)]) {
    for ((range, scale), &calibrated) in ranges.iter_mut().zip(scales).zip(calibrated) {
        let (low, high) = widen(calibrated);
        let low = ((low / scale).floor() as i64).max(range.0);
        let high = ((high / scale).ceil() as i64).min(range.1);
        if low <= high {
            *range = (low, high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyse;
    use crate::circuit::analysis::analyst::fixture::{
        self, all_inputs, answers, dense, network, value, walked,
    };
    use crate::core::placement::Segment;
    use crate::model::layer::Geometry;
    use proptest::prelude::*;

    /// Returns dense weights of eight bits, of rows of that many inputs.
    fn weights(rows: &[f32], inputs: usize) -> Weights {
        Weights {
            map: LinearMap::dense(rows, inputs),
            geometry: Geometry::Dense,
            bits: 8,
            scale: None,
        }
    }

    #[test]
    fn the_worst_range_takes_for_each_weight_the_end_that_it_likes() {
        let input = value(&[0.5, 1.0], &[(0, 3), (-1, 2)]);
        let map = LinearMap::dense(&[1.0, -2.0], 2);
        // 1 + (0 to 1.5) + (-4 to 2).
        assert_eq!(real_worst_range(&map, &input, &[1.0]), [(-3.0, 4.5)]);
        let mut padded = map;
        padded.blocks[0].inputs[0] = PADDING;
        assert_eq!(real_worst_range(&padded, &input, &[1.0]), [(-3.0, 3.0)]);
    }

    proptest! {
        #[test]
        fn no_integers_leave_the_worst_range(
            rows in prop::collection::vec(-3.0f32..3.0, 6), bias in prop::array::uniform2(-2.0f64..2.0),
            fractions in prop::array::uniform3(0i64..=4),
        ) {
            let input = value(&[0.5, 1.0, 0.25], &[(-8, 8), (0, 12), (4, 4)]);
            let map = LinearMap::dense(&rows, 3);
            let pick = input.range.iter().zip(&input.scales).zip(fractions);
            let reals: Vec<f64> = pick
                .map(|(((low, high), scale), fraction)| (low + (high - low) * fraction / 4) as f64 * scale)
                .collect();
            let ranges = real_worst_range(&map, &input, &bias);
            for ((sum, bias), (low, high)) in map.apply_to(&reals).iter().zip(bias).zip(ranges) {
                let real = sum + bias;
                prop_assert!(low - 1e-9 <= real && real <= high + 1e-9, "{} to {}: {}", low, high, real);
            }
        }

        #[test]
        fn natural_integers_stand_for_reals_within_half_a_unit_for_each_weight(
            rows in prop::array::uniform4(-3.0f32..3.0), bias in prop::array::uniform2(-2.0f32..2.0),
        ) {
            let linear = dense(&[&rows[..2], &rows[2..]], &bias);
            let model = network(fixture::input(2, 3), vec![(vec![0], linear)]);
            let analysis = analyse(&model, &Segment::whole(1)).expect("fits");
            let map = LinearMap::dense(&rows, 2);
            let inputs = all_inputs(2, 3);
            for (input, answer) in inputs.iter().zip(answers(&analysis, &inputs)) {
                let sums = map.apply_to(&[input[0] as f64, input[1] as f64]);
                // Each weight and the bias are off by half a unit at most.
                let units = (input[0] + input[1] + 1) as f64 / 2.0;
                for (element, integer) in answer.into_iter().enumerate() {
                    let download = &analysis.downloads[0];
                    let (scale, (low, high)) = (download.scales[element], download.range[element]);
                    prop_assert!((low..=high).contains(&integer), "{} to {}: {}", low, high, integer);
                    let error = integer as f64 * scale - (sums[element] + f64::from(bias[element]));
                    prop_assert!(error.abs() <= units * scale * (1.0 + 1e-6), "{} of {}", error, scale);
                }
            }
        }
    }

    #[test]
    fn rounding_errs_by_a_fraction_of_the_range_at_the_most_scale() {
        let input = value(&[1.0, 1.0], &[(0, 6), (-4, 4)]);
        let map = LinearMap::dense(&[1.0; 4], 2);
        let scales = most_scales(&map, &input, &[(-1.0, 1.0), (2.0, 2.0)], 0.25);
        // A scale of s errs by s · √((3² + 4²) / 12), which is to be a quarter of two.
        let error = scales[0] * (25.0_f64 / 12.0).sqrt();
        assert!((error - 0.5).abs() < 1e-12, "{error}");
        assert_eq!(scales[1], f64::INFINITY);
    }

    #[test]
    fn calibration_narrows_worst_cases_to_what_it_saw_and_a_margin() {
        let cases = [
            // Widened by a quarter, -2 to 4.
            ((-100, 100), 0.5, (-1.0, 3.0), (-4, 8)),
            ((-100, 100), 0.3, (-1.0, 3.0), (-7, 14)),
            ((0, 5), 0.5, (-1.0, 3.0), (0, 5)),
            // Calibration misses these altogether.
            ((10, 20), 1.0, (0.0, 1.0), (10, 20)),
            ((-20, -10), 1.0, (0.0, 1.0), (-20, -10)),
        ];
        for (worst, scale, calibrated, expected) in cases {
            let mut range = [worst];
            narrow(&mut range, &[scale], &[calibrated]);
            assert_eq!(range, [expected], "{worst:?} at {scale}");
        }
    }

    #[test]
    fn rows_are_coarsened_until_range_and_bias_are_small_integers() {
        let weights = weights(&[0.0, 0.0, 10.0, -3.0], 2);
        let input = value(&[1.0, 1.0], &[(0, 2), (0, 2)]);
        let calibrated = [(0.0, 0.0), (-3.0, 1.0)];
        let coarsened = |most_integer| {
            let mut rows = quantise(&weights, &input, &calibrated, true);
            let bias = [2.0, 512.0];
            coarsen(
                &mut rows,
                &weights,
                &input,
                &calibrated,
                &bias,
                most_integer,
            );
            let integers = rows.map.blocks[0].weights.iter();
            (rows.scales, integers.map(|&w| w as i64).collect::<Vec<_>>())
        };
        // The bias of 512 becomes 1,024, and that of the row of zeros does so anyway.
        let (scales, integers) = coarsened(1024.0);
        assert_eq!(scales, [2.0 / 1024.0, 0.5]);
        assert_eq!(integers, [0, 0, 20, -6]);
        let (scales, integers) = coarsened(1e9);
        assert_eq!(scales, [2.0 / 1024.0, 10.0 / 127.0], "fine enough as it is");
        assert_eq!(integers, [0, 0, 127, -38]);
    }

    #[test]
    fn outputs_that_share_their_weights_share_the_widest_scale() {
        let mut weights = weights(&[1.0], 1);
        let mut second = weights.map.blocks[0].clone();
        second.outputs = vec![1];
        weights.map.blocks.push(second);
        weights.map.output_count = 2;
        let input = value(&[1.0], &[(0, 2)]);
        let calibrated = [(0.0, 1.0); 2];
        let mut rows = quantise(&weights, &input, &calibrated, true);
        coarsen(
            &mut rows,
            &weights,
            &input,
            &calibrated,
            &[100.0, 800.0],
            100.0,
        );
        assert_eq!(rows.scales, [8.0, 8.0]);
    }

    #[test]
    fn the_widest_end_of_a_sum_is_its_largest_integer() {
        let linear = dense(&[&[1.0, 1.0], &[2.0, -1.0]], &[0.0, 0.0]);
        let model = network(fixture::input(2, 3), vec![(vec![0], linear)]);
        let value = walked(&model, 0).on_one_scale(NodeId::new(0), &[0.5, 0.0]);
        // Worst cases of 0 to 6 and -3 to 6, a sixteenth of their widths at either end, and the
        // correction: -0.375 to 6.875 and -3.5625 to 6.5625.
        let scale = 6.875 / 16384.0;
        assert_eq!(value.scales, [scale, scale]);
        assert_eq!(value.range, [(-894, 16384), (-8490, 15640)]);
        assert!(value.fresh && !value.aligned);
    }
}

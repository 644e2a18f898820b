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

/// The integer that the widest end of a sum gets where further weights read it.
const SUM_INTEGER: f64 = 16384.0;
/// The largest integers that calibrated outputs may become, of uploads alone and behind look-ups.
const MOST_FRESH_INTEGER: f64 = 67_108_864.0;
const MOST_INTEGER: f64 = 262_144.0;
/// The same where further weights read them: it leaves those of eight bits their sums' bits of a turn.
const MOST_FACTOR_INTEGER: f64 = 1_048_576.0;
/// The integer that the bias of a row of zeros gets.
const ZERO_ROW_INTEGER: f64 = 1024.0;
/// By how much rounding a row of weights of eight bits may err, as a share of the range of its sums: a
/// weight that far exceeds the others, on an input that hardly varies say, takes more than its bits.
/// With each bit less it may err by twice as much.
const MOST_ROW_ERROR: f64 = 1.0 / 64.0;

impl Analyst<'_> {
    /// Quantises weights on one source whose outputs are read as they are.
    pub(super) fn natural(&mut self, value: usize, source: usize, weights: &Weights) -> DraftValue {
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
        let slot = self.push(value - 1, vec![input.slot], draft);
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
    pub(super) fn on_one_scale(&mut self, value: usize, correction: &[f32]) -> DraftValue {
        let (slots, mut filling, mut ranges) = self.filling(value);
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
        let slot = self.push(value - 1, slots, DraftStep::Filling(filling));
        DraftValue {
            slot,
            group,
            offsets: vec![0.0; ranges.len()],
            scales: vec![scale; ranges.len()],
            range: range.collect(),
            fresh: self.linear.is_fresh(value),
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

/// Returns, per output element, the scale at which rounding its weights errs by that share of its
/// calibrated range, infinite where it has none.
///
/// A rounded weight is off by s/√12, and an input of m integers lies about m/2 from their middle at
/// most, so that the sum errs by s/√12 · √(Σ (m/2)²) at most, as standard deviations add up.
fn most_scales(
    map: &LinearMap<f32>,
    input: &DraftValue,
    calibrated: &[(f32, f32)],
    share: f64,
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
                scales[output as usize] = share * width / error;
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

/// Narrows worst-case ranges to what calibration saw, widened by the margin.
fn narrow(ranges: &mut [(i64, i64)], scales: &[f64], calibrated: &[(f32, f32)]) {
    for ((range, scale), &calibrated) in ranges.iter_mut().zip(scales).zip(calibrated) {
        let (low, high) = widen(calibrated);
        let low = ((low / scale).floor() as i64).max(range.0);
        let high = ((high / scale).ceil() as i64).min(range.1);
        *range = (low.min(high), high);
    }
}

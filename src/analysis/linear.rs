//! Integer weights between sources: *natural* ones, which are as small as their bits allow and do
//! not depend on the sources' steps, and those that make look-ups fill half a turn.

use super::{Analyst, Draft, PlannedLinear, Term, UPLOAD_BITS, Value, widen};
use crate::layer::{Add, Geometry, Linear};
use crate::linear_map::{LinearMap, PADDING};
use crate::quantise::{QuantisedRows, fill_map, quantise_map, worst_case_range};
use crate::statistics::median;

/// The most integer factor with which an addition brings its operands to one scale.
const MOST_FACTOR: i64 = 127;

/// The least factor on an input that is read as it is beside rounded weights: its channel's fill
/// gives way by one part in so many at most.
const LEAST_FACTOR_ALONE: f64 = 4.0;
/// The least factors on inputs that are read as they are and do not share a scale: the ratio of
/// the factors errs by half of one part in so many at most.
const LEAST_FACTOR_TOGETHER: f64 = 32.0;

/// The weights in front of a look-up, before the steps of the sources are known.
pub struct Filling {
    pub terms: Vec<FillingTerm>,
    /// Per element, in reals.
    pub bias: Vec<f64>,
    pub geometry: Geometry,
    /// Elements of a channel.
    pub channel_size: usize,
    /// Per channel: integers of the grid for the real number 1 that just fill half a turn.
    pub fills: Vec<f64>,
}

/// One input of a look-up's weights.
pub struct FillingTerm {
    pub group: usize,
    /// Per element of the input: `real = scale · integer`.
    pub input_scales: Vec<f64>,
    /// None for the input as it is.
    pub map: Option<LinearMap<f32>>,
    /// Per element of the output: the natural integers' scale, and whether they are the weights
    /// without any error.
    pub natural: Vec<(f64, bool)>,
}

/// A channel once the steps are known.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    /// `real = scale · integer of the grid`.
    pub scale: f64,
    /// All integers are multiples of it.
    pub quantum: i64,
}

impl Analyst<'_> {
    /// Quantises a linear node whose output is read as it is.
    pub(super) fn natural_linear(&mut self, node: usize, linear: &Linear) -> Value {
        let input = self.values[&self.model.nodes[node].inputs[0]].clone();
        let rows = self.quantise(linear, &input);
        let bias = real_bias(linear, &input.offsets);
        let bias: Vec<i64> = bias
            .iter()
            .zip(&rows.scales)
            .map(|(bias, scale)| (bias / scale).round() as i64)
            .collect();
        let mut range = worst_case_range(&rows.map, &bias, &input.range);
        // A fresh value has precision to spare: its worst-case range is kept, and no input at all
        // can overflow it.
        if !input.fresh {
            narrow(&mut range, &rows.scales, &linear.range);
        }
        let draft = Draft::Natural {
            terms: vec![Term::Matrix(rows.map)],
            bias,
            geometry: linear.geometry,
            group: input.group,
        };
        let slot = self.push(node, vec![input.slot], draft);
        Value {
            slot,
            group: input.group,
            offsets: vec![0.0; rows.scales.len()],
            scales: rows.scales,
            range,
            fresh: input.fresh,
        }
    }

    fn quantise(&self, linear: &Linear, input: &Value) -> QuantisedRows {
        let bits = if input.fresh {
            UPLOAD_BITS
        } else {
            linear.weight_bits
        };
        quantise_map(
            &linear.map,
            bits,
            linear.weight_scale.as_deref(),
            &input.scales,
        )
    }

    /// Adds two values that are read as their sum is: both are brought to one scale.
    pub(super) fn natural_add(&mut self, node: usize, add: &Add) -> Value {
        let [left, right] = [0, 1].map(|side| {
            let value = self.model.nodes[node].inputs[side];
            self.values[&value].clone()
        });
        self.join(left.group, right.group);
        let factors: Vec<(i64, i64)> = left
            .scales
            .iter()
            .zip(&right.scales)
            .map(|(left, right)| common_factors(left / right))
            .collect();
        let scales: Vec<f64> = left
            .scales
            .iter()
            .zip(&factors)
            .map(|(scale, (factor, _))| scale / *factor as f64)
            .collect();
        let offsets = left.offsets.iter().zip(&right.offsets).zip(&scales);
        let bias: Vec<i64> = offsets
            .map(|((left, right), scale)| ((left + right) / scale).round() as i64)
            .collect();
        let sum = |end: fn(&(i64, i64)) -> i64, index: usize| {
            let (left_factor, right_factor) = factors[index];
            let left = end(&left.range[index]).saturating_mul(left_factor);
            let right = end(&right.range[index]).saturating_mul(right_factor);
            left.saturating_add(right).saturating_add(bias[index])
        };
        let mut range: Vec<(i64, i64)> = (0..scales.len())
            .map(|index| (sum(|range| range.0, index), sum(|range| range.1, index)))
            .collect();
        let fresh = left.fresh && right.fresh;
        if !fresh {
            narrow(&mut range, &scales, &add.range);
        }
        let (left_factors, right_factors) = factors.into_iter().unzip();
        let draft = Draft::Natural {
            terms: vec![Term::Scale(left_factors), Term::Scale(right_factors)],
            bias,
            geometry: Geometry::Other,
            group: left.group,
        };
        let slot = self.push(node, vec![left.slot, right.slot], draft);
        Value {
            slot,
            group: left.group,
            offsets: vec![0.0; scales.len()],
            scales,
            range,
            fresh,
        }
    }

    /// Returns the term of a linear node in front of a look-up, its bias, and the range that its
    /// integers can reach at worst, in reals.
    pub(super) fn matrix_term(
        &self,
        linear: &Linear,
        input: &Value,
    ) -> (FillingTerm, Vec<f64>, Vec<(f64, f64)>) {
        let rows = self.quantise(linear, input);
        let bias = real_bias(linear, &input.offsets);
        let zeros = vec![0; bias.len()];
        let worst = worst_case_range(&rows.map, &zeros, &input.range);
        let worst = worst.iter().zip(&rows.scales).zip(&bias);
        let worst = worst.map(|(((low, high), scale), bias)| {
            (*low as f64 * scale + bias, *high as f64 * scale + bias)
        });
        let term = FillingTerm {
            group: input.group,
            input_scales: input.scales.clone(),
            map: Some(linear.map.clone()),
            natural: rows.scales.iter().copied().zip(rows.exact).collect(),
        };
        let worst = worst.collect();
        (term, bias, worst)
    }

    /// Returns the term of a value that a look-up reads as it is; otherwise as
    /// [`Self::matrix_term`].
    pub(super) fn identity_term(input: &Value) -> (FillingTerm, Vec<f64>, Vec<(f64, f64)>) {
        let ends = input.range.iter().zip(&input.scales).zip(&input.offsets);
        let worst = ends.map(|(((low, high), scale), offset)| {
            (*low as f64 * scale + offset, *high as f64 * scale + offset)
        });
        let term = FillingTerm {
            group: input.group,
            input_scales: input.scales.clone(),
            map: None,
            natural: input.scales.iter().map(|&scale| (scale, true)).collect(),
        };
        (term, input.offsets.clone(), worst.collect())
    }
}

impl Filling {
    /// Returns, for each term, the largest step that its group may have.
    ///
    /// Rounded weights err by the same share of half a turn in every channel, so that their bits
    /// are those of the median channel. Weights without error keep at least a factor of one, and of
    /// more where other terms have to meet them.
    pub fn most_steps(&self) -> Vec<(usize, f64)> {
        let exact = |term: &FillingTerm| term.natural.iter().any(|&(_, exact)| exact);
        let least_factor = match self.terms.iter().filter(|term| exact(term)).count() {
            _ if self.terms.len() == 1 => 1.0,
            0 | 1 => LEAST_FACTOR_ALONE,
            _ => LEAST_FACTOR_TOGETHER,
        };
        let most = |term: &FillingTerm| {
            let natural = term.natural.iter().enumerate();
            let steps = natural.filter(|(_, (scale, _))| scale.is_finite());
            let steps = steps.map(|(element, (scale, exact))| (self.fill(element) * scale, *exact));
            let (exact, rounded): (Vec<_>, Vec<_>) = steps.partition(|(_, exact)| *exact);
            let least = exact.iter().map(|(step, _)| step / least_factor);
            let rounded = median(rounded.iter().map(|(step, _)| *step));
            (
                term.group,
                least.chain(rounded).fold(f64::INFINITY, f64::min),
            )
        };
        self.terms.iter().map(most).collect()
    }

    fn fill(&self, element: usize) -> f64 {
        self.fills[element / self.channel_size]
    }

    /// Returns the weights for the steps of all groups, and what each channel has become.
    pub fn settle(self, steps_of: &[i64]) -> (PlannedLinear, Vec<Filled>) {
        let steps: Vec<i64> = self.terms.iter().map(|term| steps_of[term.group]).collect();
        let quantum = match steps.as_slice() {
            [first, others @ ..] if others.iter().all(|step| step == first) => *first,
            _ => 1,
        };
        let fills: Vec<f64> = (0..self.fills.len())
            .map(|channel| self.settled_fill(channel, &steps))
            .collect();
        let fill_of = |element: usize| fills[element / self.channel_size];
        let bias = self.bias.iter().enumerate().map(|(element, bias)| {
            (bias * fill_of(element) / quantum as f64).round() as i64 * quantum
        });
        let bias: Vec<i64> = bias.collect();
        let terms = self.terms.iter().zip(&steps).map(|(term, &step)| {
            let factor = |element: usize| fill_of(element) / step as f64;
            match &term.map {
                None => {
                    let scales = term.input_scales.iter().enumerate();
                    let factors = scales.map(|(e, scale)| (factor(e) * scale).round().max(1.0));
                    Term::Scale(factors.map(|factor| factor as i64).collect())
                }
                Some(map) => Term::Matrix(fill_map(map, &term.input_scales, factor)),
            }
        });
        let linear = PlannedLinear {
            terms: terms.collect(),
            bias,
            geometry: self.geometry,
        };
        let filled = fills.iter().map(|fill| Filled {
            scale: 1.0 / fill,
            quantum,
        });
        (linear, filled.collect())
    }

    /// Returns a channel's fill, lowered to where the first term that has no error of its own
    /// keeps none.
    fn settled_fill(&self, channel: usize, steps: &[i64]) -> f64 {
        let fill = self.fills[channel];
        let first = channel * self.channel_size;
        let mut exact = self
            .terms
            .iter()
            .zip(steps)
            .filter(|(term, _)| term.natural[first].1);
        exact.next().map_or(fill, |(term, &step)| {
            let scale = term.natural[first].0;
            let multiple = (fill * scale / step as f64 * (1.0 + 1e-12))
                .floor()
                .max(1.0);
            multiple * step as f64 / scale
        })
    }
}

/// Returns a linear layer's bias where its input has offsets: `bias + Σ weights · offsets`.
fn real_bias(linear: &Linear, offsets: &[f64]) -> Vec<f64> {
    let own = linear.bias.iter().zip(&linear.correction);
    let mut bias: Vec<f64> = own
        .map(|(&bias, &c)| f64::from(bias) + f64::from(c))
        .collect();
    if offsets.iter().all(|&offset| offset == 0.0) {
        return bias;
    }
    for block in &linear.map.blocks {
        let rows = block.weights.chunks_exact(block.inputs.len());
        for (&output, row) in block.outputs.iter().zip(rows) {
            let inside = block
                .inputs
                .iter()
                .zip(row)
                .filter(|(input, _)| **input != PADDING);
            let added: f64 = inside
                .map(|(&input, &weight)| f64::from(weight) * offsets[input as usize])
                .sum();
            bias[output as usize] += added;
        }
    }
    bias
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

/// Returns the smallest positive integers up to [`MOST_FACTOR`] whose ratio is nearest to `ratio`.
fn common_factors(ratio: f64) -> (i64, i64) {
    let candidate = |(left, right): (i64, i64)| {
        let error = (left as f64 / right as f64 / ratio).ln().abs();
        (error, (left, right))
    };
    let other = |factor: f64| (factor.round() as i64).clamp(1, MOST_FACTOR);
    let pairs = (1..=MOST_FACTOR).map(|factor| {
        if ratio < 1.0 {
            (other(ratio * factor as f64), factor)
        } else {
            (factor, other(factor as f64 / ratio))
        }
    });
    let exact_enough = 1e-9;
    let mut best = (f64::INFINITY, (1, 1));
    for found in pairs.map(candidate) {
        if found.0 < best.0 {
            best = found;
        }
        if best.0 < exact_enough {
            break;
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_meet_at_small_factors() {
        assert_eq!(common_factors(1.0), (1, 1));
        assert_eq!(common_factors(2.5), (5, 2));
        assert_eq!(common_factors(0.25), (1, 4));
        let (left, right) = common_factors(std::f64::consts::PI);
        assert!((left as f64 / right as f64 / std::f64::consts::PI - 1.0).abs() < 1e-3);
    }
}

//! Range calibration: what calibration images tell of a float network, which is the range and mean of
//! each channel in front of activations, and how activations are distributed.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::images::{Images, real_rows};
use crate::core::linear_map::Row;
use crate::model::layer::{Activation, Operation, Pinned, widest};
use crate::model::quantise::QuantParams;
use crate::model::values::{Values, Wiring};
use crate::model::{Model, Node, NodeId, ValueId};

/// How the range of a quantised activation is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeMethod {
    /// The range with the least mean squared error (Banner et al., NeurIPS 2019, and others).
    Mse,
    /// From the least to the greatest value that was seen.
    MinMax,
    /// All but one in ten thousand values at either end.
    Percentile,
}

/// Cells of a histogram.
const CELLS: usize = 4096;
/// What [`RangeMethod::Percentile`] cuts off at either end.
const CUT: f64 = 1e-4;
/// Fractions of the widest range that [`RangeMethod::Mse`] tries.
const SHRINKS: usize = 100;

/// Per node of the network.
pub struct Calibration(Vec<Measured>);

/// What was seen of a node's output.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Per channel: smallest and largest value.
    pub ranges: Vec<(f32, f32)>,
    /// Per channel.
    pub means: Vec<f64>,
    /// Of all values.
    pub histogram: Histogram,
}

/// How values are distributed between the least and the greatest.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    pub low: f64,
    pub high: f64,
    counts: Vec<u64>,
}

impl Calibration {
    /// Runs the images through the float network, twice: for the ranges, then for the histograms
    /// within them.
    pub fn measure(model: &Model, images: &Images) -> Self {
        let mut measured: Vec<Measured> = vec![Measured::default(); model.nodes.len()];
        let count = images.count() as f64;
        observe(model, images, &mut |node, rows| {
            let of_node = model.node(node);
            // What a function gives beyond all numbers is cut off; a mask at the client is not.
            let cuts = matches!(of_node.operation, Operation::Activation(_));
            measured[node.index()].widen(rows, of_node.channel_size, count, cuts);
        });
        for (measured, node) in measured.iter_mut().zip(&model.nodes) {
            let is_activation = matches!(node.operation, Operation::Activation(_));
            measured.histogram = Histogram::empty(&measured.ranges, is_activation);
        }
        observe(model, images, &mut |node, rows| {
            measured[node.index()].histogram.add(rows);
        });
        Self(measured)
    }

    /// Returns what was seen of a node.
    pub fn of(&self, node: NodeId) -> &Measured {
        &self.0[node.index()]
    }
}

/// Shows each node's float output on each portion of the images.
pub fn observe(model: &Model, images: &Images, see: &mut dyn FnMut(NodeId, &[Row<f32>])) {
    let wiring = Wiring::of(model);
    for portion in images.portions() {
        let mut values = Values::default();
        values.insert(ValueId::INPUT, real_rows(model, portion));
        for (id, node) in model.nodes_by_id() {
            let rows = node.operation.run_float(&values.of(&node.inputs));
            see(id, &rows);
            values.insert(id.value(), rows);
            values.forget(&wiring, id.index() + 1);
        }
    }
}

/// Returns the first operator of the client's that gives nothing for an image, and why.
pub fn first_failure(model: &Model, images: &Images) -> Option<(NodeId, String)> {
    let is_pinned = |node: &Node| matches!(node.operation, Operation::Pinned(_));
    if !model.nodes.iter().any(is_pinned) {
        return None;
    }
    let wiring = Wiring::of(model);
    for portion in images.portions() {
        let mut values = Values::default();
        values.insert(ValueId::INPUT, real_rows(model, portion));
        for (id, node) in model.nodes_by_id() {
            let operands = values.of(&node.inputs);
            let rows = node.operation.run_float(&operands);
            if let Operation::Pinned(pinned) = &node.operation
                && let Some(reason) = failure(pinned, &operands, &rows)
            {
                return Some((id, reason));
            }
            values.insert(id.value(), rows);
            values.forget(&wiring, id.index() + 1);
        }
    }
    None
}

/// Returns why an operator gives nothing for one of its images, `[elements, images]`.
fn failure(pinned: &Pinned, operands: &[&[Row<f32>]], made: &[Row<f32>]) -> Option<String> {
    let is_nan = |image: &usize| made.iter().all(|row| row[*image].is_nan());
    let images = made.first().map_or(0, |row| row.len());
    let of_image = |image: usize| {
        let operands = operands.iter();
        let values = operands.map(|rows| rows.iter().map(|row| row[image]).collect());
        pinned.run(&values.collect::<Vec<Vec<f32>>>()).err()
    };
    (0..images).filter(is_nan).find_map(of_image)
}

impl Measured {
    /// Returns whether all values were finite.
    pub fn is_finite(&self) -> bool {
        let finite = |(low, high): &(f32, f32)| low.is_finite() && high.is_finite();
        self.ranges.iter().all(finite)
    }

    fn widen(&mut self, rows: &[Row<f32>], channel_size: usize, image_count: f64, cuts: bool) {
        let seen: Vec<(f32, f32, f64)> = rows
            .par_chunks(channel_size)
            .map(|channel| {
                let kept = |value: &f32| !cuts || value.is_finite();
                let values = || channel.iter().flatten().copied().filter(kept);
                let low = values().fold(f32::INFINITY, f32::min);
                let high = values().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = values().map(f64::from).sum();
                (low, high, sum / (channel.len() as f64 * image_count))
            })
            .collect();
        self.ranges
            .resize(seen.len(), (f32::INFINITY, f32::NEG_INFINITY));
        self.means.resize(seen.len(), 0.0);
        let known = self.ranges.iter_mut().zip(&mut self.means);
        for ((range, mean), (low, high, part)) in known.zip(seen) {
            *range = (range.0.min(low), range.1.max(high));
            *mean += part;
        }
    }
}

impl Histogram {
    fn empty(ranges: &[(f32, f32)], counted: bool) -> Self {
        let (low, high) = widest(ranges.iter().copied()).unwrap_or((0.0, 0.0));
        Self {
            low: f64::from(low),
            high: f64::from(high),
            counts: vec![0; if counted { CELLS } else { 0 }],
        }
    }

    fn add(&mut self, rows: &[Row<f32>]) {
        if self.counts.is_empty() {
            return;
        }
        let width = (self.high - self.low).max(f64::MIN_POSITIVE) / CELLS as f64;
        let sum = rows
            .par_chunks(64)
            .map(|rows| {
                let mut counts = vec![0u64; CELLS];
                for &value in rows.iter().flatten().filter(|value| value.is_finite()) {
                    let cell = ((f64::from(value) - self.low) / width) as usize;
                    counts[cell.min(CELLS - 1)] += 1;
                }
                counts
            })
            .reduce(
                || vec![0; CELLS],
                |mut sum, counts| {
                    sum.iter_mut()
                        .zip(counts)
                        .for_each(|(sum, count)| *sum += count);
                    sum
                },
            );
        self.counts
            .iter_mut()
            .zip(sum)
            .for_each(|(count, added)| *count += added);
    }

    fn centre(&self, cell: usize) -> f64 {
        self.low + (self.high - self.low) * (cell as f64 + 0.5) / CELLS as f64
    }

    /// Returns the integers for values so distributed, on `bits` bits, by a method.
    pub fn quantisation(&self, bits: u32, method: RangeMethod) -> QuantParams {
        match method {
            RangeMethod::MinMax => levels(self.low, self.high, bits),
            RangeMethod::Percentile => {
                let (low, high) = self.percentiles();
                levels(low, high, bits)
            }
            RangeMethod::Mse => {
                let best = (1..=SHRINKS)
                    .map(|fraction| {
                        let fraction = fraction as f64 / SHRINKS as f64;
                        levels(self.low * fraction, self.high * fraction, bits)
                    })
                    .map(|levels| (self.squared_error(&levels), levels))
                    .min_by(|a, b| a.0.total_cmp(&b.0));
                best.map_or(levels(self.low, self.high, bits), |(_, levels)| levels)
            }
        }
    }

    fn percentiles(&self) -> (f64, f64) {
        let total: u64 = self.counts.iter().sum();
        let cut = (total as f64 * CUT) as u64;
        let low = passed(self.counts.iter(), cut);
        let high = passed(self.counts.iter().rev(), cut);
        (self.centre(low), self.centre(CELLS - 1 - high))
    }

    fn squared_error(&self, levels: &QuantParams) -> f64 {
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(cell, &count)| {
                let value = self.centre(cell);
                let rounded = levels.quantise(value) as f64 * levels.scale;
                (value - rounded).powi(2) * count as f64
            })
            .sum()
    }
}

/// Returns the first place at which more than `cut` has been counted.
fn passed<'a>(mut counts: impl Iterator<Item = &'a u64>, cut: u64) -> usize {
    let mut sum = 0;
    let place = counts.position(|count| {
        sum += count;
        sum > cut
    });
    place.unwrap_or(0)
}

/// Returns the integers of `bits` bits whose reals reach from `low` to `high`, zero among them.
fn levels(low: f64, high: f64, bits: u32) -> QuantParams {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let steps = f64::from((1u32 << bits) - 1);
    let scale = ((high - low) / steps).max(f64::from(f32::MIN_POSITIVE));
    let least = (low / scale).round() as i64;
    QuantParams {
        scale,
        low: least,
        high: least + (1 << bits) - 1,
    }
}

/// Returns the integers of an activation: its own where it has any and no bits are asked for.
pub fn output_of(
    activation: &Activation,
    histogram: &Histogram,
    method: RangeMethod,
    bits: Option<u32>,
    default_bits: u32,
) -> QuantParams {
    let own = activation.function.quantisation();
    match (own, bits) {
        (Some(own), None) => own,
        (Some(own), Some(bits)) if own.high - own.low < 1 << bits => own,
        (_, bits) => histogram.quantisation(bits.unwrap_or(default_bits), method),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[f32]) -> Histogram {
        let ends = values.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| {
            (low.min(v), high.max(v))
        });
        let mut histogram = Histogram::empty(&[ends], true);
        histogram.add(&[values.into()]);
        histogram
    }

    #[test]
    fn levels_hold_zero_and_both_ends() {
        let unsigned = levels(0.0, 3.0, 4);
        assert_eq!((unsigned.low, unsigned.high), (0, 15));
        assert!((unsigned.scale - 0.2).abs() < 1e-12);
        let signed = levels(-0.5, 1.0, 4);
        assert_eq!((signed.low, signed.high), (-5, 10));
        let positive = levels(2.0, 3.0, 2);
        assert_eq!((positive.low, positive.quantise(0.0)), (0, 0));
    }

    #[test]
    fn an_outlier_widens_the_range_of_min_max_alone() {
        let mut values: Vec<f32> = (0..40_000).map(|index| index as f32 / 40_000.0).collect();
        values.push(20.0);
        let histogram = histogram(&values);
        let reach = |method| {
            let levels = histogram.quantisation(4, method);
            levels.scale * levels.high as f64
        };
        assert!((reach(RangeMethod::MinMax) - 20.0).abs() < 1e-9);
        assert!(reach(RangeMethod::Percentile) < 1.1);
        assert!(reach(RangeMethod::Mse) < 4.0);
    }
}

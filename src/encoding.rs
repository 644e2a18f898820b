//! How the range of an activation's input lies on the torus: with or without a padding bit, how
//! large a step it leaves, and how noise compares to it.

use std::ops::Range;

use crate::analysis::{Activation, Stretch};
use crate::fhe::noise;
use crate::fhe::parameters::ParameterSet;
use crate::layer::Relu;
use crate::program::{Table, torus};

/// Returns the noise of a stretch's look-up as a share of an output step, at its worst channel, or
/// `None` where the guard bands leave no room at all.
pub fn step_noise(
    stretch: &Stretch,
    activation: &Activation,
    parameters: &ParameterSet,
    log2_p_fail_lookup: f64,
) -> Option<f64> {
    let quantile = noise::two_sided_quantile(log2_p_fail_lookup);
    let (channels, share) = widest_share(stretch, activation, parameters, quantile)?;
    let of_channel = |channel: &Channel| {
        channel.sigma / (share * channel.ramp / activation.relu.largest() as f64)
    };
    Some(channels.iter().map(of_channel).fold(0.0, f64::max))
}

/// Returns by how much of a turn half an accumulator integer exceeds the noise at the wanted
/// failure probability and half a cell of the table; not negative where look-ups are exact.
pub fn table_margin(
    stretch: &Stretch,
    activation: &Activation,
    parameters: &ParameterSet,
    log2_p_fail_lookup: f64,
) -> Option<f64> {
    let quantile = noise::two_sided_quantile(log2_p_fail_lookup);
    let (channels, share) = widest_share(stretch, activation, parameters, quantile)?;
    let half_cell = 0.25 / parameters.literal().polynomial_size as f64;
    let margin = |channel: &Channel| share / 2.0 - quantile * channel.sigma - half_cell;
    Some(channels.iter().map(margin).fold(f64::INFINITY, f64::min))
}

/// Returns a look-up's channels and the share of the torus that the integer 1 can take.
fn widest_share(
    stretch: &Stretch,
    activation: &Activation,
    parameters: &ParameterSet,
    quantile: f64,
) -> Option<(Vec<Channel>, f64)> {
    let input = if stretch.fresh {
        noise::fresh_variance(parameters)
    } else {
        noise::bootstrap_variance(parameters)
    };
    let added = noise::look_up_variance(parameters);
    let norms = stretch.squared_norms.iter();
    let sigma: Vec<f64> = norms.map(|norm| (norm * input + added).sqrt()).collect();
    let channels = channels(stretch, &sigma, activation);
    let (_, share) = widest_encoding(&channels, quantile);
    (share > 0.0).then_some((channels, share))
}

/// What a look-up of one channel must cover.
pub struct Channel {
    scale: f64,
    range: (f64, f64),
    /// Input integers from the ramp's foot at zero to its top.
    ramp: f64,
    /// Standard deviation of the noise, as a share of the torus.
    pub sigma: f64,
}

/// Returns the channels of an activation whose elements have that noise.
pub fn channels(stretch: &Stretch, sigma: &[f64], activation: &Activation) -> Vec<Channel> {
    let size = activation.elements_per_table;
    (0..stretch.scales.len())
        .step_by(size)
        .map(|first| Channel::new(stretch, sigma, first..first + size, &activation.relu))
        .collect()
}

impl Channel {
    fn new(stretch: &Stretch, sigma: &[f64], elements: Range<usize>, relu: &Relu) -> Self {
        let scale = stretch.scales[elements.start];
        let ranges = &stretch.range[elements.clone()];
        Self {
            scale,
            range: (
                ranges.iter().map(|range| range.0).min().unwrap_or(0) as f64,
                ranges.iter().map(|range| range.1).max().unwrap_or(0) as f64,
            ),
            ramp: relu.clip / scale,
            sigma: sigma[elements].iter().copied().fold(0.0, f64::max),
        }
    }

    /// Returns the largest share of the torus that the integer 1 may take.
    ///
    /// With a padding bit the range fills [0, 1/2). Without, it fills the whole turn: a clipped
    /// ReLU less half its plateau satisfies g(x + 1/2) = -g(x) but for the mirror image of its
    /// ramp, so that phases from -(1/2 - ramp) to 1/2 are read rightly.
    fn step_share(&self, padding_bit: bool, quantile: f64) -> f64 {
        let (low, high) = self.range;
        let guard = quantile * self.sigma;
        if padding_bit {
            (0.5 - 2.0 * guard) / (high - low).max(1.0)
        } else {
            (0.5 - guard) / self.reach().max(1.0)
        }
    }

    /// Returns the integers that a half turn without a padding bit must hold.
    fn reach(&self) -> f64 {
        (self.ramp - self.range.0.min(0.0)).max(self.range.1)
    }

    /// Returns the offset, as a share of the torus, that centres the range.
    fn offset(&self, padding_bit: bool, share: f64) -> f64 {
        if padding_bit {
            0.25 - (self.range.0 + self.range.1) / 2.0 * share
        } else {
            0.0
        }
    }

    /// Returns the distance from either end of the range to the end of the valid phases.
    pub fn guard(&self, padding_bit: bool, step: u64) -> f64 {
        let share = step as f64 / 2f64.powi(64);
        let (low, high) = self.range;
        if padding_bit {
            (0.5 - (high - low) * share) / 2.0
        } else {
            0.5 - self.reach() * share
        }
    }

    /// Returns the look-up table of the channel.
    pub fn table(
        &self,
        padding_bit: bool,
        step: u64,
        size: usize,
        relu: &Relu,
        centre: i64,
    ) -> Table {
        let share = step as f64 / 2f64.powi(64);
        let offset = self.offset(padding_bit, share);
        let values = (0..size).map(|cell| {
            let phase = (cell as f64 + 0.5) / (2 * size) as f64;
            // Accumulators are integers: a cell belongs to the nearest.
            let integer = ((phase - offset) / share).round();
            2 * relu.quantised(integer * self.scale) - centre
        });
        Table {
            values: values.collect(),
            offset: torus(offset),
            range: (self.range.0 as i64, self.range.1 as i64),
        }
    }
}

/// Returns whether the encoding with a padding bit leaves the larger step, and the step's share.
pub fn widest_encoding(channels: &[Channel], quantile: f64) -> (bool, f64) {
    let share = |padding_bit| {
        let shares = channels.iter().map(|c| c.step_share(padding_bit, quantile));
        shares.fold(f64::INFINITY, f64::min)
    };
    let (with, without) = (share(true), share(false));
    (with >= without, with.max(without))
}

/// Returns the largest even torus element not above `share` of a turn.
pub fn even_step(share: f64) -> u64 {
    ((share * 2f64.powi(64)) as u64).min(1 << 63) & !1
}

//! How the range of an activation's input lies on the torus: with or without a padding bit, how
//! large a unit it leaves, and how noise compares to it.

use crate::circuit::analysis::{
    Analysis, Channel, Gain, HALF_TURN, PlannedDownload, PlannedLookUp, RANGE_MARGIN,
};
use crate::circuit::program::Table;
use crate::core::torus::{TURN, torus};
use crate::fhe::noise;
use crate::fhe::parameters::ParameterSet;
use crate::model::layer::Activation;

/// Variances that the sources add for each squared weight on them, and the look-up itself.
#[derive(Debug, Clone, Copy)]
pub struct SourceNoise {
    pub fresh: f64,
    pub look_up: f64,
    /// Of the keyswitch and the modulus switch.
    pub added: f64,
}

impl SourceNoise {
    /// Returns the noise under a parameter set of uploads that travel whole and are not packed.
    pub fn of(parameters: &ParameterSet) -> Self {
        Self {
            fresh: noise::fresh_variance(parameters),
            look_up: noise::bootstrap_variance(parameters),
            added: noise::look_up_variance(parameters),
        }
    }

    /// Returns the variance of a linear combination of sources, as a fraction of the torus.
    pub fn variance(&self, gain: &Gain) -> f64 {
        gain.fresh * self.fresh + gain.look_up * self.look_up
    }

    /// Returns the standard deviation of the phase that a look-up reads.
    pub fn look_up_sigma(&self, gain: &Gain) -> f64 {
        (self.variance(gain) + self.added).sqrt()
    }
}

impl Analysis {
    /// Returns the largest fraction of the torus that the grid's integer 1 may take; not positive
    /// where the noise leaves no room.
    pub fn most_fraction(&self, noise: &SourceNoise, quantile: f64) -> f64 {
        let look_ups = self
            .look_ups()
            .map(|look_up| look_up.most_fraction(noise, quantile));
        let downloads = self
            .downloads
            .iter()
            .map(|download| download.most_fraction(noise, quantile));
        look_ups.chain(downloads).fold(f64::INFINITY, f64::min)
    }
}

impl PlannedLookUp {
    /// Returns the channels with the standard deviation at the worst element of each.
    fn noisy_channels<'a>(
        &'a self,
        noise: &'a SourceNoise,
    ) -> impl Iterator<Item = (&'a Channel, f64)> {
        self.channels
            .iter()
            .map(move |channel| (channel, noise.look_up_sigma(&channel.worst_gain)))
    }

    /// Returns the largest fraction of the torus that the grid's integer 1 may take.
    pub fn most_fraction(&self, noise: &SourceNoise, quantile: f64) -> f64 {
        self.noisy_channels(noise)
            .map(|(channel, sigma)| channel.most_fraction(quantile * sigma))
            .fold(f64::INFINITY, f64::min)
    }

    /// Returns the noise as a fraction of an output step, the mean over the channels that
    /// are not constant, where the grid's
    /// integer 1 takes that fraction of the torus.
    pub fn step_noise(&self, noise: &SourceNoise, fraction: f64) -> f64 {
        let (sum, count) = self
            .noisy_channels(noise)
            .filter(|(channel, _)| channel.step_width.is_finite())
            .map(|(channel, sigma)| sigma / (fraction * channel.step_width))
            .fold((0.0, 0.0), |(sum, count), noise| (sum + noise, count + 1.0));
        sum / f64::max(count, 1.0)
    }

    /// Returns the noise as a fraction of the range, the mean over the channels, where the grid's
    /// integer 1 takes that fraction of the torus.
    pub fn range_noise(&self, noise: &SourceNoise, fraction: f64) -> f64 {
        let sum: f64 = self
            .noisy_channels(noise)
            .map(|(channel, sigma)| sigma / (fraction * (channel.high - channel.low)))
            .sum();
        sum / self.channels.len().max(1) as f64
    }

    /// Returns by how much of a turn half an accumulator integer exceeds the noise at the wanted
    /// failure probability and half a cell of the table of that many cells in half a turn; not
    /// negative where look-ups are exact.
    pub fn table_margin(
        &self,
        noise: &SourceNoise,
        fraction: f64,
        quantile: f64,
        cells: usize,
    ) -> f64 {
        let half_cell = 0.25 / cells as f64;
        self.noisy_channels(noise)
            .map(|(channel, sigma)| {
                fraction * channel.quantum as f64 / 2.0 - quantile * sigma - half_cell
            })
            .fold(f64::INFINITY, f64::min)
    }
}

impl PlannedDownload {
    /// Returns the largest integer, at either side of zero; at least one.
    pub fn largest(&self) -> f64 {
        let ends = self.range.iter();
        let largest = ends.map(|(low, high)| low.abs().max(high.abs())).max();
        largest.unwrap_or(0).max(1) as f64
    }

    /// Returns the standard deviation of the noisiest element, as a fraction of the torus.
    pub fn noisiest(&self, noise: &SourceNoise) -> f64 {
        let variances = self.gains.iter().map(|gain| noise.variance(gain));
        variances.fold(0.0, f64::max).sqrt()
    }

    /// Returns the largest fraction of the torus that the grid's integer 1 may take.
    pub fn most_fraction(&self, noise: &SourceNoise, quantile: f64) -> f64 {
        let room = 0.5 - quantile * self.noisiest(noise);
        room / ((self.largest() + 0.5) * self.step as f64)
    }

    /// Returns the noise as a fraction of the range of an element, the mean over the elements, where
    /// the grid's integer 1 takes that fraction of the torus.
    pub fn range_noise(&self, noise: &SourceNoise, fraction: f64) -> f64 {
        let elements = self.gains.iter().zip(&self.range);
        let noises = elements.map(|(gain, (low, high))| {
            let range = (high - low).max(1) as f64 * self.step as f64 * fraction;
            noise.variance(gain).sqrt() / range
        });
        noises.sum::<f64>() / self.gains.len().max(1) as f64
    }
}

impl Channel {
    /// Returns the grid's integers from `low` to `high` in which half a turn counts.
    fn reach(&self) -> f64 {
        if self.padding_bit {
            self.high - self.low
        } else {
            (self.top - self.low).max(self.high - self.foot)
        }
    }

    /// Returns the largest fraction of the torus that the integer 1 may take, with a noise margin where
    /// the range ends.
    pub fn most_fraction(&self, noise_margin: f64) -> f64 {
        let room = if self.padding_bit {
            0.5 - 2.0 * noise_margin
        } else {
            0.5 - noise_margin
        };
        room / self.reach().max(1.0)
    }

    /// Returns the distance from either end of the range to the end of the valid phases.
    pub fn noise_margin(&self, unit: u64) -> f64 {
        let fraction = unit as f64 / TURN;
        if self.padding_bit {
            (0.5 - self.reach() * fraction) / 2.0
        } else {
            0.5 - self.reach() * fraction
        }
    }

    /// Returns the grid's integers by which a range that is calibrated was widened at either end.
    pub fn margin(&self) -> f64 {
        (self.high - self.low) * RANGE_MARGIN / (1.0 + 2.0 * RANGE_MARGIN)
    }

    /// Returns the offset, as a fraction of the torus, that puts the range where it is read rightly.
    fn offset(&self, fraction: f64) -> f64 {
        if self.padding_bit {
            0.25 - (self.low + self.high) / 2.0 * fraction
        } else {
            -self.foot * fraction
        }
    }

    /// Returns the phases of integers, noise included, that a table reads rightly, as fractions of a turn:
    /// a half turn around the range, or all up to the mirror images of the other plateau's end.
    fn readable(&self, fraction: f64) -> (f64, f64) {
        if self.padding_bit {
            let offset = self.offset(fraction);
            (-offset, 0.5 - offset)
        } else {
            (self.top * fraction - 0.5, self.foot * fraction + 0.5)
        }
    }

    /// Returns the smallest and largest integer that the network was calibrated for, rounding
    /// included.
    pub fn integers(&self) -> (i64, i64) {
        let slack = self.quantum as f64;
        let (low, high) = (self.low - slack, self.high + slack);
        (low.floor() as i64, high.ceil() as i64)
    }

    /// Returns the look-up table of the channel.
    pub fn table(&self, unit: u64, size: usize, activation: &Activation, centre: i64) -> Table {
        let fraction = unit as f64 / TURN;
        let offset = self.offset(fraction);
        let quantum = self.quantum as f64;
        let values = (0..size).map(|cell| {
            let phase = (cell as f64 + 0.5) / (2 * size) as f64;
            // Accumulators are multiples of the quantum: a cell belongs to the nearest.
            let integer = ((phase - offset) / fraction / quantum).round() * quantum;
            // The plateaus go on where the range ends: the other half of the turn mirrors them.
            let integer = if self.padding_bit {
                integer
            } else {
                integer.clamp(self.low, self.high)
            };
            2 * activation.quantised(integer * self.scale) - centre
        });
        Table {
            values: values.collect(),
            offset: torus(offset),
            padding_bit: self.padding_bit,
            range: self.integers(),
            readable: self.readable(fraction),
            scale: self.scale,
        }
    }
}

/// Returns the unit for a fraction of the torus: even, and with room for what may be half a turn.
pub fn even_unit(fraction: f64) -> u64 {
    let largest = (1u64 << 63) / HALF_TURN as u64;
    ((fraction * TURN) as u64).min(largest) & !1
}

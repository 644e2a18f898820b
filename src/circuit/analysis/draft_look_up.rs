//! A look-up before the steps of the sources are known.

use super::cover::{Cover, step_width};
use super::filling::Filled;
use super::gain::Gain;
use super::planned_look_up::{Channel, PlannedLookUp, Purpose};
use crate::model::layer::Activation;

/// A look-up before the steps of the sources are known.
pub(super) struct DraftLookUp {
    pub name: String,
    pub purpose: Purpose,
    pub activation: Activation,
    /// Per channel: the real number that the activation counts as one; none where it counts reals.
    pub units: Vec<f64>,
    /// As [`PlannedLookUp::log2_p_leave`].
    pub log2_p_leave: Option<f64>,
    pub elements_per_table: usize,
    pub centre: i64,
    /// Per channel, as the activation counts.
    pub covers: Vec<Cover>,
}

impl DraftLookUp {
    /// Returns the look-up whose channels have been filled and whose output has that step.
    pub fn settle(self, filled: Vec<Filled>, gains: Vec<Gain>, output_step: i64) -> PlannedLookUp {
        let elements = gains.chunks(self.elements_per_table);
        let drafts = self.covers.iter().zip(filled).zip(elements).enumerate();
        let settled = drafts.map(|(channel, ((cover, filled), gains))| {
            // `number = real / unit` and `real = scale · integer`; covers count in numbers.
            let Filled { scale, quantum } = filled;
            let scale = scale / self.units.get(channel).copied().unwrap_or(1.0);
            Channel {
                step_width: step_width(cover, &self.activation) / scale,
                worst_gain: gains.iter().fold(Gain::default(), |worst, gain| Gain {
                    fresh: worst.fresh.max(gain.fresh),
                    look_up: worst.look_up.max(gain.look_up),
                    steps: worst.steps.max(gain.steps),
                }),
                scale,
                low: cover.low / scale,
                high: cover.high / scale,
                foot: cover.foot / scale,
                top: cover.top / scale,
                padding_bit: cover.padding_bit,
                quantum,
            }
        });
        let channels = settled.collect();
        PlannedLookUp {
            name: self.name,
            purpose: self.purpose,
            activation: self.activation,
            channels,
            elements_per_table: self.elements_per_table,
            output_step,
            centre: self.centre,
            gains,
            log2_p_leave: self.log2_p_leave,
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyst::fixture::relu;

    /// Returns the settled look-up of two elements of one channel that is filled at 0.5 a grid integer.
    fn settled(units: Vec<f64>) -> PlannedLookUp {
        let cover = Cover {
            low: -1.0,
            high: 3.0,
            foot: 0.0,
            top: 2.0,
            padding_bit: true,
        };
        let draft = DraftLookUp {
            name: "relu".into(),
            purpose: Purpose::Activation,
            activation: relu(1.0, 4),
            units,
            log2_p_leave: None,
            elements_per_table: 2,
            centre: 0,
            covers: vec![cover],
        };
        let filled = Filled {
            scale: 0.5,
            quantum: 4,
        };
        let gain = |fresh, look_up, steps| Gain {
            fresh,
            look_up,
            steps,
        };
        draft.settle(
            vec![filled],
            vec![gain(1.0, 5.0, 7.0), gain(2.0, 3.0, 8.0)],
            6,
        )
    }

    #[test]
    fn a_channel_lies_on_the_grid_by_its_scale() {
        let look_up = settled(Vec::new());
        let channel = look_up.channels[0];
        assert_eq!(
            (channel.scale, channel.quantum, look_up.output_step),
            (0.5, 4, 6)
        );
        assert_eq!((channel.low, channel.high), (-2.0, 6.0));
        assert_eq!((channel.foot, channel.top), (0.0, 4.0));
        // From 0 to 2 the first step begins and the last ends: one step is two wide, four integers.
        assert_eq!(channel.step_width, 4.0);
        let worst = channel.worst_gain;
        assert_eq!((worst.fresh, worst.look_up, worst.steps), (2.0, 5.0, 8.0));
    }

    #[test]
    fn a_unit_makes_the_scale_that_of_numbers_in_it() {
        // Two reals are one number: a grid integer is half a real, a quarter of a number.
        let channel = settled(vec![2.0]).channels[0];
        assert_eq!(
            (channel.scale, channel.low, channel.high),
            (0.25, -4.0, 12.0)
        );
        assert_eq!(channel.step_width, 8.0);
    }
}

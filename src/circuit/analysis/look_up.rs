//! Activations as look-ups: the weights in front of them, and how each channel lies on the turn.

use super::analyst::Analyst;
use super::combination::Operand;
use super::cover::covers;
use super::draft::DraftStep;
use super::draft_look_up::DraftLookUp;
use super::filling::Filling;
use super::grid::{HALF_TURN, widen};
use super::planned_look_up::Purpose;
use super::value::DraftValue;
use crate::model::layer::{Activation, Geometry};
use crate::model::{NodeId, ValueId};

/// Slack of a worst-case range for the rounding of the final weights.
const ROUNDING_SLACK: f64 = 1.0 / 16.0;
/// What is to be looked up.
pub(super) struct Wanted<'a> {
    pub name: String,
    pub node: NodeId,
    /// The node that the weights in front belong to.
    pub at: NodeId,
    pub activation: &'a Activation,
    pub purpose: Purpose,
    /// Per channel: the real number that the activation counts as one; none where it counts reals.
    pub units: Vec<f64>,
    /// As [`super::PlannedLookUp::log2_p_leave`].
    pub log2_p_leave: Option<f64>,
}

impl Analyst<'_> {
    /// Looks up an activation.
    pub(super) fn activation(&mut self, node: NodeId, activation: &Activation) -> DraftValue {
        let input = self.model.node(node).inputs[0];
        let (slots, filling, ranges) = self.filling(input);
        let absorbed = input
            .producer()
            .filter(|&before| self.linear.get(input).is_some() && self.is_absorbed(before));
        let wanted = Wanted {
            name: self.model.node(node).name.clone(),
            node,
            at: absorbed.unwrap_or(node),
            activation,
            purpose: Purpose::Activation,
            units: Vec::new(),
            log2_p_leave: None,
        };
        self.look_up(wanted, slots, filling, &ranges)
    }

    /// Returns the weights that make a value, without fills: the slots that they read, and the real
    /// range of each element. A combination is made anew from what it reads, anything else, and what
    /// others read too, is taken as it is.
    pub(super) fn filling(&self, value: ValueId) -> (Vec<usize>, Filling, Vec<(f64, f64)>) {
        let is_at_hand = self.values.contains_key(&value);
        let made = self.linear.get(value).filter(|_| !is_at_hand);
        let itself = [Operand {
            value,
            weights: None,
        }];
        let terms = made.map_or(&itself[..], |made| &made.terms);
        let count = self.model.element_count(value);
        let bias = made.map_or_else(|| vec![0.0; count], |made| made.bias.clone());
        let geometry = match terms {
            [
                Operand {
                    weights: Some(weights),
                    ..
                },
            ] => weights.geometry,
            _ => Geometry::Other,
        };
        // What is taken as it is keeps its own range.
        let calibrated = match made {
            Some(_) => self.model.range(value),
            None => Vec::new(),
        };
        let mut slots = Vec::new();
        let mut ranges: Vec<(f64, f64)> = bias.iter().map(|&bias| (bias, bias)).collect();
        let mut filling = Filling {
            terms: Vec::new(),
            bias,
            geometry,
            channel_size: self.model.channel_size(value),
            base: None,
            fills: Vec::new(),
        };
        for operand in terms {
            let input = &self.values[&operand.value];
            let (term, bias, worst) = match &operand.weights {
                None => Self::identity_term(input),
                Some(weights) => Self::matrix_term(weights, input, &calibrated),
            };
            slots.push(input.slot);
            filling.terms.push(term);
            for (sum, bias) in filling.bias.iter_mut().zip(&bias) {
                *sum += bias;
            }
            for (range, worst) in ranges.iter_mut().zip(&worst) {
                *range = (range.0 + worst.0, range.1 + worst.1);
            }
        }
        for (range, calibrated) in ranges.iter_mut().zip(calibrated) {
            let slack = (range.1 - range.0) * ROUNDING_SLACK;
            let (low, high) = widen(calibrated);
            let high = high.min(range.1 + slack);
            *range = (low.max(range.0 - slack).min(high), high);
        }
        (slots, filling, ranges)
    }

    /// Adds the weights that fill a look-up, and the look-up itself.
    pub(super) fn look_up(
        &mut self,
        wanted: Wanted<'_>,
        slots: Vec<usize>,
        mut filling: Filling,
        ranges: &[(f64, f64)],
    ) -> DraftValue {
        let Wanted {
            name,
            node,
            at,
            activation,
            purpose,
            units,
            log2_p_leave,
        } = wanted;
        let channel_size = filling.channel_size;
        let unit = |channel: usize| units.get(channel).copied().unwrap_or(1.0);
        let in_units = |(element, (low, high)): (usize, &(f64, f64))| {
            let unit = unit(element / channel_size);
            (low / unit, high / unit)
        };
        let counted: Vec<(f64, f64)> = ranges.iter().enumerate().map(in_units).collect();
        let (covers, centre) = covers(&counted, channel_size, activation);
        // `fill · reach` is half a turn, with the reach in reals.
        filling.fills = covers
            .iter()
            .enumerate()
            .map(|(channel, cover)| {
                let reach = cover.reach() * unit(channel);
                HALF_TURN as f64 / reach.max(f64::MIN_POSITIVE)
            })
            .collect();
        self.groups.limit_all(filling.limits());
        let output = activation.output;
        let scale_of = |element: usize| output.scale * unit(element / channel_size);
        let scales = (0..ranges.len()).map(scale_of).collect();
        let draft = DraftLookUp {
            name,
            purpose,
            activation: activation.clone(),
            units,
            log2_p_leave,
            elements_per_table: channel_size,
            centre,
            covers,
        };
        let filled = self.push(at, slots, DraftStep::Filling(filling));
        let group = self.groups.add();
        let slot = self.push(node, vec![filled], DraftStep::LookUp { draft, group });
        DraftValue {
            slot,
            group,
            scales,
            offsets: vec![0.0; ranges.len()],
            range: vec![(output.low, output.high); ranges.len()],
            fresh: false,
            aligned: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyse;
    use crate::circuit::analysis::analyst::fixture::{
        answers, input, linear, network, relu, walked,
    };
    use crate::core::placement::Segment;
    use crate::model::layer::{Linear, Operation};
    use crate::model::{Input, Model};

    #[test]
    fn ranges_are_the_calibrated_ones_widened_but_hardly_wider_than_the_worst_case() {
        let linear = Operation::Linear(Linear {
            range: vec![(0.0, 2.0), (-100.0, 100.0)],
            ..linear(&[&[1.0, 1.0], &[2.0, -1.0]], &[0.0, 0.0])
        });
        let model = network(input(2, 3), vec![(vec![0], linear)]);
        let (slots, filling, ranges) = walked(&model, 0).filling(ValueId::new(1));
        // Worst cases of 0 to 6 and -3 to 6, and a sixteenth of their widths at either end.
        assert_eq!(ranges, [(-0.375, 2.5), (-3.5625, 6.5625)]);
        assert_eq!((slots, filling.terms.len()), (vec![0], 1));
        assert!(filling.terms[0].map.is_some());
    }

    /// Returns a ReLU of integers i that stand for 2i - 1.
    fn relu_of_odd_numbers() -> Model {
        let input = Input {
            scale: vec![2.0; 2],
            offset: vec![-1.0; 2],
            ..input(2, 3)
        };
        network(input, vec![(vec![0], Operation::Activation(relu(1.0, 3)))])
    }

    #[test]
    fn a_value_taken_as_it_is_keeps_its_own_range() {
        let model = relu_of_odd_numbers();
        let (_, filling, ranges) = walked(&model, 0).filling(ValueId::INPUT);
        assert_eq!(ranges, [(-1.0, 5.0); 2]);
        assert_eq!(filling.bias, [-1.0, -1.0]);
        assert!(filling.terms[0].map.is_none());
    }

    #[test]
    fn channels_fill_half_a_turn_and_read_their_function() {
        let model = relu_of_odd_numbers();
        let value = &walked(&model, 1).values[&ValueId::new(1)];
        assert_eq!(
            (&value.scales[..], &value.range[..]),
            (&[1.0; 2][..], &[(0, 3); 2][..])
        );
        assert!(!value.fresh && value.aligned);
        let analysis = analyse(&model, &Segment::whole(1)).expect("fits");
        let look_up = analysis.look_ups().next().expect("one");
        assert_eq!(look_up.channels.len(), 2);
        for channel in &look_up.channels {
            // The turn holds it without a padding bit: the plateau at zero is the longer.
            assert!(!channel.padding_bit);
            let reach = (channel.high - channel.foot).max(channel.top - channel.low);
            assert!((reach / HALF_TURN as f64 - 1.0).abs() < 1e-6, "{channel:?}");
            assert!(
                (channel.low * channel.scale + 1.0).abs() < 1e-6,
                "{channel:?}"
            );
        }
        let inputs: Vec<Vec<i64>> = (0..4).map(|integer| vec![integer, 3 - integer]).collect();
        assert_eq!(
            answers(&analysis, &inputs),
            [[0, 3], [1, 3], [3, 1], [3, 0]],
            "relu of -1, 1, 3 and 5 up to 3"
        );
    }
}

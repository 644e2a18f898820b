//! Activations as look-ups: what each channel must cover, and how it lies on the turn.

use super::combination::Operand;
use super::linear::{Filled, Filling};
use super::{Analyst, Draft as Step, Gain, HALF_TURN, Value, widen};
use crate::model::layer::{Activation, Geometry};

/// Points at which a function is tried for its plateaus.
const SAMPLES: usize = 2048;
/// Slack of a worst-case range for the rounding of the final weights.
const ROUNDING_SLACK: f64 = 1.0 / 16.0;
/// The least width of a channel's range, as a share of the widest channel's: one that is never
/// active has next to none, and weights that made it fill a turn would multiply noise, and with it
/// the guard bands of all, for nothing.
const LEAST_WIDTH: f64 = 1.0 / 8.0;
/// Halvings that narrow down where a function of two values jumps: to less than a grid integer.
const HALVINGS: usize = 48;

/// What a look-up is for, which decides how precise it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An operation of the network.
    Activation,
    /// Which of two logits is the larger.
    Comparison,
    /// Whether several bits are all set.
    Conjunction,
    /// A value as it is, before it leaves.
    Protection,
}

/// What is to be looked up.
pub(super) struct Wanted<'a> {
    pub name: String,
    pub node: usize,
    /// The node that the weights in front belong to.
    pub at: usize,
    pub activation: &'a Activation,
    pub purpose: Purpose,
    /// Per channel: the real number that the activation counts as one; none where it counts reals.
    pub units: Vec<f64>,
    /// As [`PlannedLookUp::log2_p_leave`].
    pub log2_p_leave: Option<f64>,
}

/// An activation as look-ups.
#[derive(Debug, Clone)]
pub struct PlannedLookUp {
    pub name: String,
    pub purpose: Purpose,
    /// Of numbers as the channels' scales give them.
    pub activation: Activation,
    pub channels: Vec<Channel>,
    pub elements_per_table: usize,
    /// Grid integers of the output's integer 1; even.
    pub output_step: i64,
    /// The sum of the outputs at both ends, which look-ups without a padding bit are symmetric
    /// about.
    pub centre: i64,
    /// Per element.
    pub gains: Vec<Gain>,
    /// log2 of the probability that deviations of earlier look-ups carry a value out of its range;
    /// none where the range is a calibrated one, whose margin is there for them.
    pub log2_p_leave: Option<f64>,
}

/// What the look-ups of one channel must cover, in integers of the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Channel {
    /// `number = scale · integer`, for the number that the activation is of.
    pub scale: f64,
    pub low: f64,
    pub high: f64,
    /// The end of the plateau from `low` on.
    pub foot: f64,
    /// The beginning of the plateau up to `high`.
    pub top: f64,
    /// Whether the range lies in the half turn [0, 1/2) or fills the whole turn.
    pub padding_bit: bool,
    /// All integers are multiples of it.
    pub quantum: i64,
    /// The mean width of an output step between the plateaus.
    pub step_width: f64,
    /// The largest of its elements, on uploads and on look-ups.
    pub worst_gain: Gain,
}

/// A look-up before the steps of the sources are known.
pub struct Draft {
    name: String,
    purpose: Purpose,
    activation: Activation,
    /// As [`Wanted::units`].
    units: Vec<f64>,
    log2_p_leave: Option<f64>,
    elements_per_table: usize,
    centre: i64,
    /// Per channel, as the activation counts.
    covers: Vec<Cover>,
}

/// What a channel must cover, as the activation counts.
#[derive(Debug, Clone, Copy)]
struct Cover {
    low: f64,
    high: f64,
    foot: f64,
    top: f64,
    padding_bit: bool,
}

impl Cover {
    /// Returns how much of it half a turn must hold.
    ///
    /// With a padding bit that is the range. Without, the range fills the whole turn: a function
    /// with two plateaus, less their mean, satisfies g(x + 1/2) = -g(x) but for the mirror image of
    /// what lies between the plateaus, so that phases from top - 1/2 to foot + 1/2 are read
    /// rightly.
    fn reach(&self) -> f64 {
        if self.padding_bit {
            self.high - self.low
        } else {
            self.whole_turn_reach()
        }
    }

    fn whole_turn_reach(&self) -> f64 {
        (self.top - self.low).max(self.high - self.foot)
    }
}

impl Analyst<'_> {
    /// Looks up an activation.
    pub(super) fn activation(&mut self, node: usize, activation: &Activation) -> Value {
        let input = self.model.nodes[node].inputs[0];
        let (slots, filling, ranges) = self.filling(input);
        let absorbed = input
            .checked_sub(1)
            .filter(|_| self.linear.get(input).is_some() && self.is_absorbed(input));
        let wanted = Wanted {
            name: self.model.nodes[node].name.clone(),
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
    pub(super) fn filling(&self, value: usize) -> (Vec<usize>, Filling, Vec<(f64, f64)>) {
        let made = self.linear.get(value);
        let made = made.filter(|_| !self.values.contains_key(&value));
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
    ) -> Value {
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
        let counted = ranges.iter().enumerate().map(|(element, (low, high))| {
            let unit = unit(element / channel_size);
            (low / unit, high / unit)
        });
        let counted: Vec<(f64, f64)> = counted.collect();
        let (covers, centre) = covers(&counted, channel_size, activation);
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
        let scales = (0..ranges.len()).map(|element| output.scale * unit(element / channel_size));
        let scales = scales.collect();
        let draft = Draft {
            name,
            purpose,
            activation: activation.clone(),
            units,
            log2_p_leave,
            elements_per_table: channel_size,
            centre,
            covers,
        };
        let filled = self.push(at, slots, Step::Filling(filling));
        let group = self.groups.add();
        let slot = self.push(node, vec![filled], Step::LookUp { draft, group });
        Value {
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

/// Returns what each channel must cover, and the look-up's centre.
fn covers(
    ranges: &[(f64, f64)],
    channel_size: usize,
    activation: &Activation,
) -> (Vec<Cover>, i64) {
    let channels = ranges.chunks(channel_size).map(|elements| {
        let ends = elements.iter().copied();
        let widest = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        widest.unwrap_or((0.0, 0.0))
    });
    let mut channels: Vec<(f64, f64)> = channels.collect();
    let widths = channels.iter().map(|(low, high)| high - low);
    // A range of one point has no width to fill the turn with.
    let least_width =
        (LEAST_WIDTH * widths.fold(0.0, f64::max)).max(activation.output.scale / 16.0);
    for (low, high) in &mut channels {
        *high = high.max(*low + least_width);
    }
    let widest = channels.iter().copied();
    let widest = widest.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let (least, most) = widest.unwrap_or((0.0, 0.0));
    let plateaus = (activation.quantised(least), activation.quantised(most));
    let covers = channels.into_iter().map(|(low, high)| {
        let ends = (activation.quantised(low), activation.quantised(high));
        let (foot, top) = plateau_ends(low, high, activation);
        let mut cover = Cover {
            low,
            high,
            foot,
            top,
            padding_bit: true,
        };
        cover.padding_bit = ends != plateaus || cover.whole_turn_reach() >= high - low;
        cover
    });
    (covers.collect(), plateaus.0 + plateaus.1)
}

/// Returns where the plateau from `low` on ends and where the one up to `high` begins, on the safe
/// side by one sample.
fn plateau_ends(low: f64, high: f64, activation: &Activation) -> (f64, f64) {
    let at = |index: usize| low + (high - low) * index as f64 / SAMPLES as f64;
    let (first, last) = (activation.quantised(low), activation.quantised(high));
    let foot = (0..=SAMPLES).find(|&index| activation.quantised(at(index)) != first);
    let top = (0..=SAMPLES).rfind(|&index| activation.quantised(at(index)) != last);
    match (foot, top) {
        (Some(foot), Some(top)) => {
            let ends = (at(foot.saturating_sub(1)), at((top + 1).min(SAMPLES)));
            // Two values, if the first jumps to the last and to nothing between: a sign does so too.
            let edge = jump(ends, first, activation);
            if foot == top + 1 && activation.quantised(edge.1) == last {
                edge
            } else {
                ends
            }
        }
        // The function is constant.
        _ => (low, low),
    }
}

/// Returns where a function of two values jumps from `first` to the other, from both sides: the
/// edge between two cells of its table is to lie there.
fn jump((low, high): (f64, f64), first: i64, activation: &Activation) -> (f64, f64) {
    (0..HALVINGS).fold((low, high), |(low, high), _| {
        let middle = low + (high - low) / 2.0;
        if activation.quantised(middle) == first {
            (middle, high)
        } else {
            (low, middle)
        }
    })
}

/// Returns the mean width of an output step between the plateaus, in reals; infinite where the
/// function is constant.
fn step_width(cover: &Cover, activation: &Activation) -> f64 {
    let width = cover.top - cover.foot;
    let at =
        |index: usize| activation.quantised(cover.foot + width * index as f64 / SAMPLES as f64);
    let steps = (0..SAMPLES).map(|index| at(index).abs_diff(at(index + 1)));
    let jumps = steps.clone().filter(|&step| step > 0).count();
    match (jumps, steps.sum::<u64>()) {
        (0, _) => f64::INFINITY,
        // From a lone jump it is as far to another as the range reaches.
        (1, _) => (cover.high - cover.low) / 2.0,
        // The plateaus end where the first step begins and the last one ends.
        (_, steps) => width / (steps - 1) as f64,
    }
}

impl Draft {
    /// Returns the look-up whose channels have been filled and whose output has that step.
    pub fn settle(self, filled: Vec<Filled>, gains: Vec<Gain>, output_step: i64) -> PlannedLookUp {
        let elements = gains.chunks(self.elements_per_table);
        let channels = self.covers.iter().zip(filled).zip(elements).enumerate();
        let channels = channels.map(|(channel, ((cover, filled), gains))| {
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
        let channels = channels.collect();
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
    use crate::model::layer::Function;
    use crate::model::layer::function::Quantise;
    use crate::model::quantise::QuantParams;

    #[test]
    fn a_sign_is_one_jump_however_far_it_goes() {
        let widths = [(true, -1), (false, 0)].map(|(bipolar, low)| {
            let sign = Quantise {
                scale: 1.0,
                low,
                high: 1,
                bipolar,
            };
            let activation = Activation {
                function: Function::Quantise(sign),
                output: QuantParams {
                    scale: 1.0,
                    low,
                    high: 1,
                },
            };
            let (covers, _) = covers(&[(-9.0, 7.0)], 1, &activation);
            let cover = &covers[0];
            assert!(
                cover.top - cover.foot < 1e-9,
                "{} to {}",
                cover.foot,
                cover.top
            );
            step_width(cover, &activation)
        });
        assert_eq!(widths, [8.0, 8.0]);
    }
}

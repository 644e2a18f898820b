//! What a channel of a look-up must cover of the function that is looked up.

use crate::model::layer::Activation;

/// Points at which a function is tried for its plateaus.
const SAMPLES: usize = 2048;
/// The least width of a channel's range, as a fraction of the widest channel's: one that is never
/// active has next to none, and weights that made it fill a turn would multiply noise, and with it
/// the noise margins of all, for nothing.
const LEAST_WIDTH: f64 = 1.0 / 8.0;
/// Halvings that narrow down where a function of two values jumps: to less than a grid integer.
const HALVINGS: usize = 48;

/// What a channel must cover, as the activation counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cover {
    pub low: f64,
    pub high: f64,
    pub foot: f64,
    pub top: f64,
    pub padding_bit: bool,
}

impl Cover {
    /// Returns how much of it half a turn must hold.
    ///
    /// With a padding bit that is the range. Without, the range fills the whole turn: a function
    /// with two plateaus, less their mean, satisfies g(x + 1/2) = -g(x) but for the mirror image of
    /// what lies between the plateaus, so that phases from top - 1/2 to foot + 1/2 are read
    /// rightly.
    pub fn reach(&self) -> f64 {
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

/// Returns what each channel must cover, and the look-up's centre.
pub(super) fn covers(
    ranges: &[(f64, f64)],
    channel_size: usize,
    activation: &Activation,
) -> (Vec<Cover>, i64) {
    let mut channels: Vec<(f64, f64)> = ranges.chunks(channel_size).map(widest).collect();
    let widths = channels.iter().map(|(low, high)| high - low);
    // A range of one point has no width to fill the turn with.
    let least_width =
        (LEAST_WIDTH * widths.fold(0.0, f64::max)).max(activation.output.scale / 16.0);
    for (low, high) in &mut channels {
        *high = high.max(*low + least_width);
    }
    let (least, most) = widest(&channels);
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
        // Without one, a channel is symmetric about the centre of all, and needs both plateaus.
        cover.padding_bit = ends != plateaus || cover.whole_turn_reach() >= high - low;
        cover
    });
    (covers.collect(), plateaus.0 + plateaus.1)
}

/// Returns the range that holds all of these; nothing but zero where there are none.
fn widest(ranges: &[(f64, f64)]) -> (f64, f64) {
    let ends = ranges.iter().copied();
    let all = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    all.unwrap_or((0.0, 0.0))
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
pub(super) fn step_width(cover: &Cover, activation: &Activation) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyst::fixture::relu;
    use crate::model::layer::Function;
    use crate::model::layer::function::Quantise;
    use crate::model::quantise::QuantParams;
    use proptest::prelude::*;

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

    #[test]
    fn a_relu_needs_half_a_turn_from_each_end_to_the_plateau_opposite() {
        // Rounded to steps of 0.5, the first begins at 0.25 and the last, of eight, at 3.75. A sample
        // is 1/256 wide.
        let relu = relu(0.5, 8);
        let (found, centre) = covers(&[(-2.0, 6.0)], 1, &relu);
        let [cover] = found[..] else {
            panic!("one channel");
        };
        assert_eq!((cover.low, cover.high, centre), (-2.0, 6.0, 8));
        assert_eq!((cover.foot, cover.top), (0.25 - 1.0 / 256.0, 3.75));
        assert!(!cover.padding_bit);
        // From -2 to 3.75 and from 0.25 less a sample to 6.
        assert_eq!(cover.reach(), 5.75 + 1.0 / 256.0);
        // Seven steps lie between the first jump and the last.
        assert_eq!(step_width(&cover, &relu), (3.5 + 1.0 / 256.0) / 7.0);
    }

    #[test]
    fn a_channel_without_both_plateaus_keeps_its_range_in_half_a_turn() {
        let relu = relu(0.5, 8);
        let (found, centre) = covers(&[(-2.0, 6.0), (-1.0, -0.9)], 1, &relu);
        let silent = found[1];
        // An eighth of the widest channel's width, of which nothing is active.
        assert_eq!((silent.low, silent.high, silent.reach()), (-1.0, 0.0, 1.0));
        assert!(silent.padding_bit);
        assert_eq!(step_width(&silent, &relu), f64::INFINITY);
        assert_eq!(centre, 8, "the centre is that of all channels");
        // Elements of a channel share its range; a lone point gets a sixteenth of a step.
        let ends = |ranges: &[(f64, f64)]| {
            let cover = covers(ranges, ranges.len(), &relu).0[0];
            (cover.low, cover.high)
        };
        assert_eq!(ends(&[(-2.0, 1.0), (0.0, 6.0)]), (-2.0, 6.0));
        assert_eq!(ends(&[(3.0, 3.0)]), (3.0, 3.0 + 0.5 / 16.0));
    }

    proptest! {
        #[test]
        fn plateaus_are_constant_and_half_a_turn_reaches_from_each_to_the_end_opposite(
            low in -8.0f64..8.0, width in 0.0f64..16.0, scale in 0.1f64..2.0, high in 1i64..16,
            fraction in 0.0f64..1.0,
        ) {
            let relu = relu(scale, high);
            let cover = covers(&[(low, low + width)], 1, &relu).0[0];
            let on_foot = (cover.low + (cover.foot - cover.low) * fraction).min(cover.foot);
            prop_assert_eq!(relu.quantised(on_foot), relu.quantised(cover.low));
            let on_top = (cover.high - (cover.high - cover.top) * fraction).max(cover.top);
            prop_assert_eq!(relu.quantised(on_top), relu.quantised(cover.high));
            let reach = cover.reach() + 1e-9;
            prop_assert!(cover.top - cover.low <= reach && cover.high - cover.foot <= reach);
            prop_assert!(reach <= cover.high - cover.low + 2e-9);
        }
    }
}

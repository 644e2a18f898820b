//! What a channel of a look-up must cover of the function that is looked up.

use crate::model::layer::Activation;

/// Points at which a function is tried for its plateaus.
const SAMPLES: usize = 2048;
/// The least width of a channel's range, as a share of the widest channel's: one that is never
/// active has next to none, and weights that made it fill a turn would multiply noise, and with it
/// the guard bands of all, for nothing.
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

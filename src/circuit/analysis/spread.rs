//! How far step deviations of earlier look-ups carry a value beyond the integers that its sources are
//! made for.
//!
//! Noise moves a look-up by a step now and then, so that what the next one reads is not the clear
//! integer. A range that follows from the integers of its sources alone, as those of a pool do, must
//! have room for that.

use crate::fhe::noise::two_sided_quantile;

/// The noise that a look-up may have unless the settings say otherwise, as a fraction of an output
/// step.
pub const DEFAULT_STEP_NOISE: f64 = 0.5;
/// log2 of the failure probability that no look-up may exceed unless the settings say otherwise.
pub const DEFAULT_LOG2_P_FAIL_LOOKUP: f64 = -64.0;
/// By how much the noise of a compiled look-up may exceed the bound: rounded uploads add up to one
/// part in 64 of its variance, and a step's width is sampled to one part in some hundreds.
const NOISE_SLACK: f64 = 1.02;
/// The fewest cells of a table: the shortest polynomial that is chosen.
const FEWEST_CELLS: f64 = 512.0;

/// What holds of the noise of look-ups whichever parameter set is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseBound {
    /// The standard deviation, at most, as a fraction of an output step; zero where no look-up reads
    /// another integer than the clear one.
    pub step_noise: f64,
    /// log2 of the failure probability that no look-up may exceed.
    pub log2_p_fail_lookup: f64,
}

impl Default for NoiseBound {
    fn default() -> Self {
        Self {
            step_noise: DEFAULT_STEP_NOISE,
            log2_p_fail_lookup: DEFAULT_LOG2_P_FAIL_LOOKUP,
        }
    }
}

impl NoiseBound {
    /// Returns by how many steps `rounds` rounds of comparisons carry a pooled value above the
    /// largest integer of its elements, at most; they differ by `width`. All values of a comparison
    /// keep to it but with the failure probability of a look-up.
    ///
    /// b + relu(a - b), read with noise, is b + relu(a - b + e) ≤ max(b, a + e), where e is the noise
    /// in steps, rounded to whole ones; and never less than b. So the value after r rounds is at most
    /// the largest, over the elements below it, of the element plus the e of the rounds that it
    /// entered as a. Each e is at most the noise plus 1/2 plus half a cell of the table, and the
    /// noises of a path are Gaussian and correlated only where one round subtracts what the next adds,
    /// b's own. Of r of them with standard deviation s, the sum exceeds z·s·√r with the Gaussian's
    /// tail at z, and the 2^(r+1) elements below the two values of a comparison add up their tails:
    /// integers reach z·s·√r + r·(1/2 + cell/2) and no more, the first integer above which fails. No
    /// round adds more than the width, where relu ends.
    pub fn overshoot(&self, rounds: u32, width: i64) -> i64 {
        if rounds == 0 || self.step_noise == 0.0 {
            return 0;
        }
        let count = f64::from(rounds);
        let most = width.saturating_mul(i64::from(rounds));
        let quantile = two_sided_quantile(self.log2_p_fail_lookup - (count + 1.0));
        let noise = quantile * self.step_noise * NOISE_SLACK;
        // Half a turn holds the differences and a noise margin at either end.
        let cell = ((2 * width + most) as f64 + 2.0 * noise) / FEWEST_CELLS;
        let reach = noise * count.sqrt() + count * (0.5 + cell / 2.0);
        (reach.floor() as i64).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    const WIDTH: i64 = 15;

    #[test]
    fn overshoots_match_hand_worked_ones() {
        // z = 9.29 for 2^-66 and 9.36 for 2^-67: 9.29·0.51 + 0.5 and 9.36·0.51·√2 + 1.
        let bound = NoiseBound::default();
        assert_eq!(
            [0, 1, 2].map(|rounds| bound.overshoot(rounds, WIDTH)),
            [0, 5, 7]
        );
        let exact = NoiseBound {
            step_noise: 0.0,
            ..bound
        };
        assert_eq!(exact.overshoot(4, WIDTH), 0);
        let noisy = NoiseBound {
            step_noise: 100.0,
            ..bound
        };
        assert_eq!(
            noisy.overshoot(2, WIDTH),
            2 * WIDTH,
            "relu ends at the width"
        );
    }

    #[test]
    fn a_simulated_tree_keeps_to_the_bound_as_often_as_it_says() {
        // A failure probability that can be counted: of 20,000 trees of 16 equal elements, the
        // largest that can be, no more than that fraction pass the bound.
        let bound = NoiseBound {
            step_noise: 0.5,
            log2_p_fail_lookup: -6.0,
        };
        let (trees, rounds) = (20_000, 4);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut passed = vec![0; rounds];
        for _ in 0..trees {
            let mut values = vec![WIDTH; 1 << rounds];
            for (round, passed) in passed.iter_mut().enumerate() {
                values = values
                    .chunks(2)
                    .map(|pair| {
                        let noise: f64 = StandardNormal.sample(&mut random);
                        let read = (pair[0] - pair[1]) as f64 + bound.step_noise * noise;
                        pair[1] + (read.round() as i64).clamp(0, WIDTH)
                    })
                    .collect();
                let most = WIDTH + bound.overshoot(round as u32 + 1, WIDTH);
                *passed += i32::from(values[0] > most);
            }
        }
        let allowed = f64::from(trees) * bound.log2_p_fail_lookup.exp2();
        for (round, passed) in passed.into_iter().enumerate() {
            assert!(f64::from(passed) <= allowed, "round {round}: {passed}");
        }
    }

    proptest! {
        #[test]
        fn an_overshoot_grows_with_rounds_and_noise_up_to_what_the_rounds_can_add(
            rounds in 0u32..8, width in 1i64..256, step_noise in 0.0f64..2.0, more in 1.0f64..4.0,
        ) {
            let bound = NoiseBound { step_noise, ..NoiseBound::default() };
            let noisier = NoiseBound { step_noise: step_noise * more, ..bound };
            let overshoot = bound.overshoot(rounds, width);
            prop_assert!((0..=i64::from(rounds) * width).contains(&overshoot));
            prop_assert!(overshoot <= bound.overshoot(rounds + 1, width));
            prop_assert!(overshoot <= noisier.overshoot(rounds, width));
        }
    }
}

//! Step deviations: how often a look-up lands one or more output steps from the clear value of the
//! same input, because noise moved the phase that it read.

use crate::circuit::program::LookUpStep;
use crate::core::torus::TURN;
use crate::fhe::noise::log2_two_sided_tail;
use crate::record::deviations::Deviations;

impl Deviations {
    /// Returns the predicted tally of one look-up of `integer`: the probability that Gaussian noise
    /// of the step's sigma carries the phase to the nearest cell, on either side, whose output
    /// differs by so many steps.
    pub fn predicted(step: &LookUpStep, element: usize, integer: i64) -> Self {
        let table = step.table(element);
        let sigma = step.sigma[element];
        let phase = (integer as u64)
            .wrapping_mul(step.unit)
            .wrapping_add(table.offset);
        let cell_bits = u64::BITS - 1 - table.values.len().ilog2();
        let cell = 1u64 << cell_bits;
        let clear = step.read(table, phase);
        // Beyond this many cells the probability is negligible.
        let reach = (REACH_STD * sigma * TURN / cell as f64).ceil() as u64 + 1;
        let into_cell = phase % cell;
        let mut tally = Self {
            look_ups: 1,
            ..Self::default()
        };
        for (upward, first_edge) in [(true, cell - into_cell), (false, into_cell)] {
            let mut steps_seen = 0;
            for index in 1..=reach {
                let moved = index.wrapping_mul(cell);
                let beyond = if upward {
                    phase.wrapping_add(moved)
                } else {
                    phase.wrapping_sub(moved)
                };
                let distance = step.read(table, beyond).abs_diff(clear).min(2);
                if distance > steps_seen {
                    let edge = first_edge as f64 + (index - 1) as f64 * cell as f64;
                    let tail = one_sided_tail(edge / TURN / sigma);
                    if steps_seen == 0 {
                        tally.one_step += tail;
                    }
                    if distance == 2 {
                        tally.two_steps += tail;
                        break;
                    }
                    steps_seen = distance;
                }
            }
        }
        tally
    }
}

/// Standard deviations beyond which a deviation is not looked for.
const REACH_STD: f64 = 8.0;

/// Returns P(Z > z) of a standard normal variable.
fn one_sided_tail(z: f64) -> f64 {
    log2_two_sided_tail(z).exp2() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::Purpose;
    use crate::circuit::program::Table;
    use crate::model::NodeId;

    /// Cells 0..8 read 0, 0, 1, 1, 2, 2, 3, 3 on the first half turn.
    fn staircase(sigma: f64) -> LookUpStep {
        LookUpStep {
            purpose: Purpose::Activation,
            node: NodeId::new(0),
            tables: vec![Table {
                values: (0..8).map(|cell| 2 * (cell / 2)).collect(),
                offset: 0,
                padding_bit: true,
                range: (0, 7),
                readable: (0.0, 0.5),
                scale: 1.0,
            }],
            elements_per_table: 1,
            sigma: vec![sigma],
            // One integer is one cell of 1/16 turn.
            unit: 1 << 60,
            output_step: 2,
            centre: 0,
        }
    }

    #[test]
    fn predictions_match_hand_worked_tails() {
        // The integer 4 lies on the edge between the outputs 1 and 2, and reads 2: half of the
        // noise carries it below. Two cells above and below are the next edges.
        let sigma = 1.0 / 16.0;
        let found = Deviations::predicted(&staircase(sigma), 0, 4);
        let (at_0, at_2, at_4) = (0.5, one_sided_tail(2.0), one_sided_tail(4.0));
        assert!((found.one_step - (at_0 + at_2)).abs() < 1e-9, "{found:?}");
        assert!((found.two_steps - (at_2 + at_4)).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn little_noise_in_the_middle_of_a_step_deviates_never() {
        let found = Deviations::predicted(&staircase(1e-4), 0, 5);
        assert!(
            found.one_step < 1e-12 && found.two_steps < 1e-12,
            "{found:?}"
        );
        assert_eq!(found.rates().map(|rates| rates.0 < 1e-12), Some(true));
        assert_eq!(Deviations::default().rates(), None);
    }

    #[test]
    fn observations_count_whole_steps() {
        let tally = [(3, 3), (3, 4), (3, 1), (3, 2)]
            .map(|(clear, found)| Deviations::observed(clear, found))
            .into_iter()
            .fold(Deviations::default(), Deviations::plus);
        assert_eq!(
            (tally.one_step, tally.two_steps, tally.look_ups),
            (3.0, 1.0, 4)
        );
    }
}

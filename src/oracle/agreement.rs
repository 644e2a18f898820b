//! Whether what the client decrypted lies within the error model.
//!
//! Each server segment is checked on the very integers that were uploaded to it. An exact
//! linear download must equal the clear run. Any other value must lie within [`BOUND_STD`] standard
//! deviations of the mean of 512 clear runs with the predicted noise (six are the two-sided
//! quantile of 1 - 2·10^-9 of a Gaussian), or no further outside their extremes than a single step
//! deviation carries: deviations come in whole steps, and one that is rarer than the draws is no
//! error. That is one step after a look-up, and the row's largest weight after a linear layer. Nor
//! is it an error where noise of the value's own, within as many of its standard deviations, rounds
//! it to the next integer: a value that lies near the middle of two may do so more rarely than the
//! draws tell, however small the noise. A bit
//! of a label may differ only where one of its comparisons reads logits within that bound of each
//! other.

use std::collections::BTreeMap;

use crate::circuit::analysis::{Purpose, Term};
use crate::circuit::program::{Action, LookUpStep, NoiseSeed, Program, columns};
use crate::core::linear_map::{PADDING, Row};
use crate::core::torus::{TURN, torus};
use crate::party::inference::Exchange;

/// Half-width of the bound in standard deviations.
pub const BOUND_STD: f64 = 6.0;
/// Clear runs with noise that estimate mean and standard deviation.
const DRAWS: usize = 512;

/// Returns whether every decrypted integer lies within the bound.
pub fn within_error_model(program: &Program, exchange: &Exchange, seed: NoiseSeed) -> bool {
    let uploaded = |count: usize| columns(&exchange.uploaded, count);
    let downloads = &program.interface.downloads;
    let only_exact = program.bootstrap_count() == 0 && downloads.iter().all(|d| d.exact);
    if only_exact {
        let clear = program.run_clear(&uploaded(1), None).outputs;
        return clear.iter().zip(&exchange.downloaded).all(|(rows, found)| {
            rows.iter()
                .map(|row| row[0] as i64)
                .eq(found.iter().copied())
        });
    }
    let mut close_calls = Vec::new();
    let mut note = |step: &LookUpStep, rows: &[Row<u64>]| {
        if step.purpose == Purpose::Comparison {
            let close = rows
                .iter()
                .enumerate()
                .map(|(element, row)| is_close_call(step, element, row));
            close_calls.push(close.collect());
        }
    };
    let draws = program
        .observe_clear(&uploaded(DRAWS), Some(seed), &mut note)
        .outputs;
    let unsure = unsure_bits(program, close_calls);
    let downloads = draws.iter().zip(&exchange.downloaded).enumerate();
    downloads.into_iter().all(|(index, (draws, found))| {
        let slacks = single_step_effects(program, index, &unsure);
        let encoding = &program.interface.downloads[index];
        let slacks = slacks
            .into_iter()
            .zip(&encoding.noise_std)
            .map(|(step, &std)| {
                if encoding.exact {
                    step
                } else {
                    step.max(rounded_noise(std))
                }
            });
        draws
            .iter()
            .zip(found)
            .zip(slacks)
            .all(|((row, &found), slack)| within(row, found as f64, slack))
    })
}

/// Returns whether a value lies within the bound that its draws give.
fn within(draws: &Row<u64>, found: f64, slack: f64) -> bool {
    let (mean, std) = mean_and_std(draws);
    let values = draws.iter().map(|&value| value as i64 as f64);
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    (found - mean).abs() <= BOUND_STD * std || (low - slack..=high + slack).contains(&found)
}

/// Returns how many integers further than the draws tell a value between integers may round to by
/// noise of its own: one, for noise that carries further shows in the draws.
fn rounded_noise(std: f64) -> f64 {
    (BOUND_STD * std).ceil().min(1.0)
}

fn mean_and_std(draws: &Row<u64>) -> (f64, f64) {
    let values = draws.iter().map(|&value| value as i64 as f64);
    let mean = values.clone().sum::<f64>() / DRAWS as f64;
    let squares = values.map(|value| (value - mean).powi(2));
    (mean, (squares.sum::<f64>() / (DRAWS - 1) as f64).sqrt())
}

/// Returns whether the integers that a comparison reads, with its own noise, come within the bound
/// of where it changes its mind.
fn is_close_call(step: &LookUpStep, element: usize, draws: &Row<u64>) -> bool {
    let (mean, std) = mean_and_std(draws);
    let table = step.table(element);
    let centre = (mean.round() as i64 as u64).wrapping_mul(step.unit);
    let centre = centre.wrapping_add(table.offset);
    let turns = (std * step.unit as f64 / TURN).hypot(step.sigma[element]);
    let bound = torus(BOUND_STD * turns.min(0.25 / BOUND_STD));
    let read = |phase| step.read(table, phase);
    let ends = [centre.wrapping_sub(bound), centre.wrapping_add(bound)];
    ends.into_iter().any(|end| read(end) != read(centre))
}

/// Returns, per slot that holds bits, which of them depend on a close call; `close_calls` has one
/// list for each step of comparisons.
fn unsure_bits(program: &Program, close_calls: Vec<Vec<bool>>) -> BTreeMap<usize, Vec<bool>> {
    let mut close_calls = close_calls.into_iter();
    let mut unsure: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
    for (index, step) in program.steps.iter().enumerate() {
        let read = unsure.get(&step.inputs[0]);
        let of_step = match (&step.action, read) {
            (Action::LookUp(look_up), _) if look_up.purpose == Purpose::Comparison => {
                close_calls.next()
            }
            (Action::LookUp(_), read) => read.cloned(),
            // Sums of bits have one term.
            (Action::Linear(linear), Some(read)) => {
                let terms = linear.weights.terms.first();
                terms.map(|term| unsure_sums(term, read))
            }
            (Action::Linear(_), None) => None,
        };
        let slot = program.upload_steps.len() + index;
        unsure.extend(of_step.map(|bits| (slot, bits)));
    }
    unsure
}

/// Returns which outputs of a term read an unsure bit.
fn unsure_sums(term: &Term, unsure: &[bool]) -> Vec<bool> {
    match term {
        Term::Scale(_) => unsure.to_vec(),
        Term::Matrix(map) => {
            let mut sums = vec![false; map.output_count];
            for block in &map.blocks {
                let any = block
                    .inputs
                    .iter()
                    .filter(|&&input| input != PADDING)
                    .any(|&input| unsure[input as usize]);
                for &output in &block.outputs {
                    sums[output as usize] = any;
                }
            }
            sums
        }
    }
}

/// Returns, per element of a download, how far one step deviation of one look-up can carry it.
fn single_step_effects(
    program: &Program,
    download: usize,
    unsure: &BTreeMap<usize, Vec<bool>>,
) -> Vec<f64> {
    let encoding = &program.interface.downloads[download];
    let slot = program.download_slots[download];
    let count = encoding.scales.len();
    let Some(step) = slot.checked_sub(program.upload_steps.len()) else {
        return vec![0.0; count];
    };
    if let Some(unsure) = unsure.get(&slot) {
        return unsure
            .iter()
            .map(|&unsure| f64::from(u8::from(unsure)))
            .collect();
    }
    let grid_step = (encoding.step / program.unit) as f64;
    let of_slot = |slot: usize| match slot.checked_sub(program.upload_steps.len()) {
        None => 0.0,
        Some(before) => match &program.steps[before].action {
            Action::LookUp(look_up) => look_up.output_step as f64,
            // What reaches it from further back is told by the draws.
            Action::Linear(_) => grid_step,
        },
    };
    let step = &program.steps[step];
    match &step.action {
        Action::LookUp(look_up) => vec![look_up.output_step as f64 / grid_step; count],
        Action::Linear(linear) => {
            let mut effects = vec![0.0; count];
            for (term, &input) in linear.weights.terms.iter().zip(&step.inputs) {
                let one = of_slot(input) / grid_step;
                for (effect, weight) in effects.iter_mut().zip(largest_weights(term, count)) {
                    *effect = f64::max(*effect, weight * one);
                }
            }
            effects
        }
    }
}

/// Returns the largest weight of each output of a term.
fn largest_weights(term: &Term, count: usize) -> Vec<f64> {
    match term {
        Term::Scale(factors) => factors.iter().map(|factor| factor.abs() as f64).collect(),
        Term::Matrix(map) => {
            let mut largest = vec![0.0; count];
            for block in &map.blocks {
                let rows = block.weights.chunks_exact(block.inputs.len());
                for (&output, row) in block.outputs.iter().zip(rows) {
                    let weights = row.iter().map(|&weight| (weight as i64).unsigned_abs());
                    largest[output as usize] = weights.max().unwrap_or(0) as f64;
                }
            }
            largest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_that_rounds_to_the_next_integer_is_no_error() {
        // Of 7.46 with noise of 0.01: one value in 30,000 is an 8, and none of the draws.
        let draws: Row<u64> = vec![7; DRAWS].into();
        let slack = rounded_noise(0.01);
        assert_eq!(slack, 1.0);
        assert!(within(&draws, 8.0, slack) && within(&draws, 6.0, slack));
        assert!(!within(&draws, 9.0, slack) && !within(&draws, 8.0, 0.0));
        assert_eq!(rounded_noise(0.0), 0.0);
        // Large noise is in the draws: it widens nothing.
        assert_eq!(rounded_noise(300.0), 1.0);
    }
}

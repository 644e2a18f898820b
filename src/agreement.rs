//! Whether what the client decrypted lies within the error model.
//!
//! Each server segment is checked on the very integers that were uploaded to it. An exact
//! linear download must equal the clear run. Any other value must lie within [`BOUND_STD`] standard
//! deviations of the mean of 512 clear runs with the predicted noise (six are the two-sided
//! quantile of 1 - 2·10^-9 of a Gaussian), or no further outside their extremes than a single step
//! deviation carries: deviations come in whole steps, and one that is rarer than the draws is no
//! error. That is one step after a look-up, and the row's largest weight after a linear layer.

use crate::analysis::Term;
use crate::inference::Exchange;
use crate::linear_map::Row;
use crate::program::{Action, NoiseSeed, Program};

/// Half-width of the bound in standard deviations.
pub const BOUND_STD: f64 = 6.0;
/// Clear runs with noise that estimate mean and standard deviation.
const DRAWS: usize = 512;

/// Returns whether every decrypted integer lies within the bound.
pub fn within_error_model(program: &Program, exchange: &Exchange, seed: NoiseSeed) -> bool {
    let constant = |columns: usize| -> Vec<Vec<Row<u64>>> {
        let uploads = exchange.uploaded.iter();
        uploads
            .map(|integers| {
                let integers = integers.iter();
                integers
                    .map(|&value| vec![value as u64; columns].into())
                    .collect()
            })
            .collect()
    };
    let downloads = &program.interface.downloads;
    let only_exact = program.bootstrap_count() == 0 && downloads.iter().all(|d| d.exact);
    if only_exact {
        let clear = program.run_clear(&constant(1), None).outputs;
        return clear.iter().zip(&exchange.downloaded).all(|(rows, found)| {
            let expected = rows.iter().map(|row| row[0] as i64);
            expected.eq(found.iter().copied())
        });
    }
    let draws = program.run_clear(&constant(DRAWS), Some(seed)).outputs;
    let downloads = draws.iter().zip(&exchange.downloaded).enumerate();
    downloads.into_iter().all(|(index, (draws, found))| {
        let slacks = single_step_effects(program, index);
        let values = draws.iter().zip(found).zip(slacks);
        values
            .into_iter()
            .all(|((row, &found), slack)| within(row, found as f64, slack))
    })
}

/// Returns whether a value lies within the bound that its draws give.
fn within(draws: &Row<u64>, found: f64, slack: f64) -> bool {
    let values = draws.iter().map(|&value| value as i64 as f64);
    let mean = values.clone().sum::<f64>() / DRAWS as f64;
    let squares = values.clone().map(|value| (value - mean).powi(2));
    let variance = squares.sum::<f64>() / (DRAWS - 1) as f64;
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    (found - mean).abs() <= BOUND_STD * variance.sqrt()
        || (low - slack..=high + slack).contains(&found)
}

/// Returns, per element of a download, how far one step deviation of one look-up can carry it.
fn single_step_effects(program: &Program, download: usize) -> Vec<f64> {
    let encoding = &program.interface.downloads[download];
    let slot = program.download_slots[download];
    let count = encoding.scales.len();
    let Some(step) = slot.checked_sub(program.upload_steps.len()) else {
        return vec![0.0; count];
    };
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

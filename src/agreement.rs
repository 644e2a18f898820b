//! Whether what the client decrypted lies within the error model.
//!
//! Each server segment is checked on the very integers that were uploaded to it. An exact
//! linear download must equal the clear run. Any other value must lie within [`BOUND_STD`] standard
//! deviations of the mean of 512 clear runs with the predicted noise (six are the two-sided
//! quantile of 1 - 2·10^-9 of a Gaussian), or no further outside their extremes than a single step
//! deviation carries: deviations come in whole steps, and one that is rarer than the draws is no
//! error. That is one step after a look-up, and the row's largest weight after a linear layer.

use crate::linear_map::Row;
use crate::program::{NoiseSeed, Program, Step};

/// Half-width of the bound in standard deviations.
pub const BOUND_STD: f64 = 6.0;
/// Clear runs with noise that estimate mean and standard deviation.
const DRAWS: usize = 512;

/// Returns whether every decrypted integer lies within the bound.
pub fn within_error_model(
    program: &Program,
    uploaded: &[i64],
    downloaded: &[i64],
    seed: NoiseSeed,
) -> bool {
    let constant = |columns: usize| -> Vec<Row<u64>> {
        let integers = uploaded.iter();
        integers
            .map(|&value| vec![value as u64; columns].into())
            .collect()
    };
    let only_exact = program.bootstrap_count() == 0 && program.interface.download.exact;
    if only_exact {
        let clear = program.run_clear(constant(1), None).output;
        let expected = clear.iter().map(|row| row[0] as i64);
        return expected.eq(downloaded.iter().copied());
    }
    let slacks = single_step_effects(program);
    let draws = program.run_clear(constant(DRAWS), Some(seed)).output;
    let values = draws.iter().zip(downloaded).zip(slacks);
    values.into_iter().all(|((row, &found), slack)| {
        let values = row.iter().map(|&value| value as i64 as f64);
        let mean = values.clone().sum::<f64>() / DRAWS as f64;
        let squares = values.clone().map(|value| (value - mean).powi(2));
        let variance = squares.sum::<f64>() / (DRAWS - 1) as f64;
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let found = found as f64;
        (found - mean).abs() <= BOUND_STD * variance.sqrt()
            || (low - slack..=high + slack).contains(&found)
    })
}

/// Returns, per element of the answer, how far one step deviation of one look-up can carry it.
fn single_step_effects(program: &Program) -> Vec<f64> {
    let mut effects = vec![0.0; program.interface.download.scales.len()];
    match program.steps.last() {
        Some(Step::LookUp(_)) => effects.fill(1.0),
        Some(Step::Linear(linear)) => {
            for block in &linear.map.blocks {
                let rows = block.weights.chunks_exact(block.inputs.len());
                for (&output, row) in block.outputs.iter().zip(rows) {
                    let weights = row.iter().map(|&weight| (weight as i64).unsigned_abs());
                    effects[output as usize] = weights.max().unwrap_or(0) as f64;
                }
            }
        }
        None => {}
    }
    effects
}

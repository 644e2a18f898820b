//! Whether what the client decrypted lies within the error model.
//!
//! Each server segment is checked on the very integers that were uploaded to it. An exact
//! download must equal the clear run. Any other must lie within [`BOUND_STD`] standard deviations
//! of the mean of [`DRAWS`] clear runs with the predicted noise, plus one step where the segment
//! ends in a look-up (whose outputs are whole steps). Six standard deviations are the two-sided
//! Gaussian quantile of 1 - 2·10^-9 per value.

use crate::linear_map::Row;
use crate::program::{NoiseSeed, Program, Step};

/// Half-width of the bound in standard deviations.
pub const BOUND_STD: f64 = 6.0;
/// Clear runs with noise that estimate mean and standard deviation.
const DRAWS: usize = 256;

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
    let slack = match program.steps.last() {
        Some(Step::LookUp(_)) => 1.0,
        _ => 0.0,
    };
    let draws = program.run_clear(constant(DRAWS), Some(seed)).output;
    draws.iter().zip(downloaded).all(|(row, &found)| {
        let values = row.iter().map(|&value| value as i64 as f64);
        let mean = values.clone().sum::<f64>() / DRAWS as f64;
        let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / (DRAWS - 1) as f64;
        (found as f64 - mean).abs() <= BOUND_STD * variance.sqrt() + slack
    })
}

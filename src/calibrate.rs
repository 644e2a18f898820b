//! Measures this machine's figures for the cost model, and how well it predicts.

use std::time::Instant;

use crate::cost::CostModel;
use crate::error::Result;
use crate::fhe::bootstrap::look_up;
use crate::fhe::cipher::{encrypt, expand};
use crate::fhe::keys::{EvaluationKey, SecretKey};
use crate::fhe::packed::extract;
use crate::fhe::parameters::ParameterSet;
use crate::linear_map::Row;
use crate::statistics::{Summary, summarise};

/// Look-ups of a measured batch.
const BATCH: usize = 64;
/// Batches that a figure is the median of.
const BATCHES: usize = 5;

/// Measured times of one parameter set.
#[derive(Debug, Clone, Copy)]
pub struct Calibrated {
    pub parameters: ParameterSet,
    /// Seconds per look-up with all cores busy.
    pub activation_s: Summary,
    /// Core-seconds per keyswitch.
    pub keyswitch_core_s: Summary,
    pub key_generation_s: f64,
    /// The cost model that these times fit.
    pub cost: CostModel,
}

/// Measures a parameter set with keys of its own.
///
/// # Errors
///
/// [`crate::Error::Message`] where a key cannot be read back.
pub fn calibrate(parameters: ParameterSet) -> Result<Calibrated> {
    let start = Instant::now();
    let secret = SecretKey::generate(parameters);
    let seeded = secret.evaluation_key();
    let key_generation_s = start.elapsed().as_secs_f64();
    let key = EvaluationKey::expand(seeded, parameters);
    let ciphertext = &expand(&parameters, &encrypt(&secret, &[vec![1 << 60; BATCH]]))[0];
    let rows: Vec<Row<u64>> = (0..BATCH)
        .map(|i| extract(&parameters, ciphertext, i))
        .collect();
    let table = vec![0; parameters.literal().polynomial_size];
    let activation_s = measure(|| look_up(&key, &mut rows.clone(), |_| &table));
    let keyswitch_core_s = measure(|| {
        key.keyswitch(&rows);
    });
    let cores = rayon::current_num_threads() as f64;
    Ok(Calibrated {
        parameters,
        activation_s,
        keyswitch_core_s,
        key_generation_s,
        cost: CostModel::fitted(
            &parameters,
            activation_s.median * cores,
            keyswitch_core_s.median,
        ),
    })
}

/// Returns the seconds per ciphertext of a batch, after one batch to warm up.
fn measure(mut batch: impl FnMut()) -> Summary {
    batch();
    let times: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            batch();
            start.elapsed().as_secs_f64() / BATCH as f64
        })
        .collect();
    let Some(summary) = summarise(times) else {
        unreachable!("there are batches");
    };
    summary
}

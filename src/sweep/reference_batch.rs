//! A fixed batch of bootstraps that tells how fast the machine is at the moment.

use std::convert::Infallible;
use std::time::Instant;

use crate::core::linear_map::Row;
use crate::core::statistics::{Summary, measure_until_steady};
use crate::fhe::bootstrap::look_up;
use crate::fhe::cipher::{encrypt, expand};
use crate::fhe::keys::{EvaluationKey, SecretKey};
use crate::fhe::packed::extract;
use crate::fhe::parameters::ParameterSet;

/// Ciphertexts to bootstrap, with keys of their own.
pub struct ReferenceBatch {
    key: EvaluationKey,
    rows: Vec<Row<u64>>,
    table: Vec<u64>,
    /// Making secret and evaluation key.
    pub key_generation_s: f64,
}

impl ReferenceBatch {
    /// Makes keys of a parameter set and a batch of so many ciphertexts.
    pub fn new(parameters: ParameterSet, batch: usize) -> Self {
        let start = Instant::now();
        let secret = SecretKey::generate(parameters);
        let seeded = secret.evaluation_key();
        let key_generation_s = start.elapsed().as_secs_f64();
        let ciphertext = &expand(&parameters, &encrypt(&secret, &[vec![1 << 60; batch]]))[0];
        Self {
            key: EvaluationKey::expand(seeded, parameters),
            rows: (0..batch)
                .map(|i| extract(&parameters, ciphertext, i))
                .collect(),
            table: vec![0; parameters.literal().polynomial_size],
            key_generation_s,
        }
    }

    /// Returns the seconds per look-up with all cores busy; one batch tells where it agrees with what
    /// was measured `before`.
    pub fn look_up_s(&self, before: Option<f64>) -> Summary {
        self.measure(before, || {
            look_up(&self.key, &mut self.rows.clone(), |_| &self.table, &|_| ())
        })
    }

    /// Returns the core-seconds per keyswitch.
    pub fn keyswitch_core_s(&self) -> Summary {
        self.measure(None, || {
            self.key.keyswitch(&self.rows);
        })
    }

    /// Returns the seconds per ciphertext of a batch.
    fn measure(&self, before: Option<f64>, mut batch: impl FnMut()) -> Summary {
        let measured = measure_until_steady(before, || -> Result<f64, Infallible> {
            let start = Instant::now();
            batch();
            Ok(start.elapsed().as_secs_f64() / self.rows.len() as f64)
        });
        match measured {
            Ok(summary) => summary,
            Err(never) => match never {},
        }
    }
}

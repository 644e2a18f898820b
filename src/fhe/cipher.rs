//! Encryption for the upload, expansion on the server, decryption of the download.
//!
//! A *phase* is what a ciphertext hides: a torus element, an integer modulo 2^64 that stands for
//! that share of a full turn.

use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::*;

use super::keys::SecretKey;
use super::parameters::ParameterSet;
use crate::linear_map::Row;

/// Freshly encrypted phases: a seed for all masks and one body coefficient per phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededPhases {
    /// Public seed of the masks.
    pub seed: u128,
    /// One body coefficient per phase; phase i is coefficient i mod N of polynomial i / N.
    pub bodies: Vec<u64>,
}

/// Encrypts one phase per coefficient of as few GLWE ciphertexts as hold them.
pub fn encrypt(key: &SecretKey, phases: &[u64]) -> SeededPhases {
    let parameters = key.parameters();
    let size = parameters.literal().polynomial_size;
    let mut seeder = new_seeder();
    let seeder = seeder.as_mut();
    let seed = seeder.seed();
    let mut plaintexts = phases.to_vec();
    plaintexts.resize(phases.len().next_multiple_of(size), 0);
    let mut ciphertexts = SeededGlweCiphertextList::new(
        0u64,
        parameters.glwe_size(),
        parameters.polynomial_size(),
        GlweCiphertextCount(plaintexts.len() / size),
        Seed(seed.0).into(),
        CiphertextModulus::new_native(),
    );
    encrypt_seeded_glwe_ciphertext_list(
        &key.glwe,
        &mut ciphertexts,
        &PlaintextList::from_container(plaintexts),
        parameters.glwe_noise(),
        seeder,
    );
    let mut bodies = ciphertexts.into_container();
    // Coefficients beyond the last phase are never extracted, so they need not travel.
    bodies.truncate(phases.len());
    SeededPhases {
        seed: seed.0,
        bodies,
    }
}

/// Returns one LWE ciphertext of `k·N + 1` coefficients per phase, mask first, body last.
pub fn expand(parameters: &ParameterSet, seeded: &SeededPhases) -> Vec<Row<u64>> {
    let size = parameters.literal().polynomial_size;
    let mut bodies = seeded.bodies.clone();
    bodies.resize(seeded.bodies.len().next_multiple_of(size), 0);
    let ciphertexts = SeededGlweCiphertextList::from_container(
        bodies,
        parameters.glwe_size(),
        parameters.polynomial_size(),
        Seed(seeded.seed).into(),
        CiphertextModulus::new_native(),
    )
    .decompress_into_glwe_ciphertext_list();
    let mut rows = Vec::with_capacity(seeded.bodies.len());
    for ciphertext in ciphertexts.iter() {
        let count = size.min(seeded.bodies.len() - rows.len());
        rows.extend((0..count).map(|coefficient| {
            let mut lwe = LweCiphertext::new(
                0u64,
                LweSize(parameters.big_size()),
                CiphertextModulus::new_native(),
            );
            extract_lwe_sample_from_glwe_ciphertext(
                &ciphertext,
                &mut lwe,
                MonomialDegree(coefficient),
            );
            lwe.into_container().into_boxed_slice()
        }));
    }
    rows
}

/// Returns ciphertexts without mask or noise that hide nothing: for tests of the whole server
/// path against the clear simulation.
pub fn insecure_trivial(parameters: &ParameterSet, phases: &[u64]) -> Vec<Row<u64>> {
    phases
        .iter()
        .map(|&phase| {
            let mut row = vec![0; parameters.big_size()].into_boxed_slice();
            row[parameters.big_dimension()] = phase;
            row
        })
        .collect()
}

/// Returns the phase of each LWE ciphertext, noise included.
///
/// # Panics
///
/// Panics where a row has not `k·N + 1` coefficients.
pub fn decrypt(key: &SecretKey, rows: &[Row<u64>]) -> Vec<u64> {
    let lwe_key = key.glwe.as_lwe_secret_key();
    rows.iter()
        .map(|row| {
            let lwe = LweCiphertext::from_container(&row[..], CiphertextModulus::new_native());
            decrypt_lwe_ciphertext(&lwe_key, &lwe).0
        })
        .collect()
}

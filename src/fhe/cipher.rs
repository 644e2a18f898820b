//! Encryption for the upload, expansion on the server, decryption of the download.
//!
//! A *phase* is what a ciphertext hides: a torus element, an integer modulo 2^64 that stands for
//! that share of a full turn.

use tfhe::core_crypto::commons::generators::EncryptionRandomGenerator;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::*;

use super::generator::BatchGenerator;
use super::keys::SecretKey;
use super::packed::extract;
use super::parameters::ParameterSet;
use crate::core::linear_map::Row;

/// Freshly encrypted GLWE ciphertexts: a seed for all masks, and the body coefficients in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededCiphertexts {
    /// Public seed of the masks.
    pub seed: u128,
    /// The leading body coefficients of each ciphertext.
    pub bodies: Vec<Vec<u64>>,
}

/// Encrypts the leading phases of each GLWE ciphertext.
///
/// # Panics
///
/// Panics where there are more phases than coefficients.
pub fn encrypt(key: &SecretKey, phases: &[Vec<u64>]) -> SeededCiphertexts {
    let parameters = key.parameters();
    let size = parameters.literal().polynomial_size;
    let mut seeder = new_seeder();
    let seeder = seeder.as_mut();
    let seed = seeder.seed();
    let plaintexts: Vec<u64> = phases
        .iter()
        .flat_map(|phases| padded(phases, size))
        .collect();
    let mut ciphertexts = SeededGlweCiphertextList::new(
        0u64,
        parameters.glwe_size(),
        parameters.polynomial_size(),
        GlweCiphertextCount(phases.len()),
        Seed(seed.0).into(),
        CiphertextModulus::new_native(),
    );
    let mut generator =
        EncryptionRandomGenerator::<BatchGenerator>::new(ciphertexts.compression_seed(), seeder);
    encrypt_seeded_glwe_ciphertext_list_with_pre_seeded_generator(
        &key.glwe,
        &mut ciphertexts,
        &PlaintextList::from_container(plaintexts),
        parameters.glwe_noise(),
        &mut generator,
    );
    let coefficients = ciphertexts.into_container();
    let bodies = coefficients.chunks_exact(size).zip(phases);
    SeededCiphertexts {
        seed: seed.0,
        bodies: bodies
            .map(|(body, phases)| body[..phases.len()].to_vec())
            .collect(),
    }
}

/// Returns the GLWE ciphertexts, `[k + 1, N]` each, body last. Body coefficients that were not
/// sent are zero and decrypt to garbage.
pub fn expand(parameters: &ParameterSet, seeded: &SeededCiphertexts) -> Vec<Row<u64>> {
    let size = parameters.literal().polynomial_size;
    let bodies: Vec<u64> = seeded
        .bodies
        .iter()
        .flat_map(|body| padded(body, size))
        .collect();
    let compressed = SeededGlweCiphertextList::from_container(
        bodies,
        parameters.glwe_size(),
        parameters.polynomial_size(),
        Seed(seeded.seed).into(),
        CiphertextModulus::new_native(),
    );
    let mut ciphertexts = GlweCiphertextList::new(
        0,
        parameters.glwe_size(),
        parameters.polynomial_size(),
        compressed.glwe_ciphertext_count(),
        CiphertextModulus::new_native(),
    );
    decompress_seeded_glwe_ciphertext_list::<_, _, _, BatchGenerator>(
        &mut ciphertexts,
        &compressed,
    );
    ciphertexts
        .into_container()
        .chunks_exact(parameters.big_dimension() + size)
        .map(Into::into)
        .collect()
}

/// Returns the coefficients followed by zeros up to `size` in all.
fn padded(coefficients: &[u64], size: usize) -> impl Iterator<Item = u64> + '_ {
    assert!(
        coefficients.len() <= size,
        "more coefficients than the polynomial has"
    );
    let zeros = std::iter::repeat_n(0, size - coefficients.len());
    coefficients.iter().copied().chain(zeros)
}

/// Returns GLWE ciphertexts without mask or noise that hide nothing: for tests of the whole server
/// path against the clear simulation.
pub fn insecure_trivial(parameters: &ParameterSet, phases: &[Vec<u64>]) -> Vec<Row<u64>> {
    let size = parameters.literal().polynomial_size;
    phases
        .iter()
        .map(|phases| {
            let mask = std::iter::repeat_n(0, parameters.big_dimension());
            mask.chain(padded(phases, size)).collect()
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

/// Returns the phases at some coefficients of a GLWE ciphertext, of which only the mask and those
/// body coefficients were sent.
///
/// # Panics
///
/// Panics where the row has not `k·N` coefficients and one more for each of `coefficients`.
pub fn decrypt_packed(key: &SecretKey, row: &[u64], coefficients: &[usize]) -> Vec<u64> {
    let parameters = key.parameters();
    let (mask, bodies) = row.split_at(parameters.big_dimension());
    let size = parameters.literal().polynomial_size;
    let mut ciphertext = mask.to_vec();
    ciphertext.resize(mask.len() + size, 0);
    for (coefficient, &body) in coefficients.iter().zip(bodies) {
        ciphertext[mask.len() + coefficient] = body;
    }
    if coefficients.len() <= FEW_COEFFICIENTS {
        let extracted: Vec<Row<u64>> = coefficients
            .iter()
            .map(|&coefficient| extract(parameters, &ciphertext, coefficient))
            .collect();
        return decrypt(key, &extracted);
    }
    let ciphertext = GlweCiphertext::from_container(
        ciphertext,
        parameters.polynomial_size(),
        CiphertextModulus::new_native(),
    );
    let mut phases = PlaintextList::new(0u64, PlaintextCount(size));
    decrypt_glwe_ciphertext(&key.glwe, &ciphertext, &mut phases);
    let phases = phases.as_ref();
    coefficients
        .iter()
        .map(|&coefficient| phases[coefficient])
        .collect()
}

/// Coefficients up to which one inner product each is faster than the polynomial product that
/// decrypts them all.
const FEW_COEFFICIENTS: usize = 64;

//! Look-ups on batches of LWE ciphertexts: keyswitch, centred modulus switch, blind rotation.
//!
//! A look-up table has N cells for the half turn [0, 1/2); the other half reads the same cells
//! negated (the negacyclic rule X^N = -1). Cell j covers the phases [j, j + 1) / 2N: the centred
//! modulus switch (Bergerat et al., 2023) subtracts half a cell.

use rayon::prelude::*;
use tfhe::core_crypto::prelude::*;

use super::keys::EvaluationKey;
use super::packed::extract;
use super::parameters::ParameterSet;
use super::rotation::{SwitchedLwe, blind_rotate};
use crate::core::linear_map::Row;

/// The most ciphertexts that one thread rotates together: each bootstrap-key element is read once for all
/// of them.
///
/// More than fit the second-level cache are no slower: on two cores of Zen 4 with 1 MiB, batches of 16 to 48 of
/// the fast set take the same time within 2 %, of 8 6 % more; with 512 KiB (Zen 3, AVX2) 32 take 6 %
/// less than 16. Larger ones would only make progress coarser.
pub const LARGEST_BATCH: usize = 32;

/// Replaces each ciphertext of `rows` by its look-up, on all cores.
///
/// `table(i)` holds the N torus values that row i may become; `advance` hears how many more rows are
/// done.
///
/// # Panics
///
/// Panics where a row or table has not the size of the key's parameter set.
pub fn look_up<'a>(
    key: &EvaluationKey,
    rows: &mut [Row<u64>],
    table: impl Fn(usize) -> &'a [u64] + Sync,
    advance: &(dyn Fn(usize) + Sync),
) {
    if rows.is_empty() {
        return;
    }
    let (_, batch) = batches(rows.len(), rayon::current_num_threads());
    rows.par_chunks_mut(batch)
        .enumerate()
        .for_each(|(index, rows)| {
            look_up_batch(key, rows, |row| table(index * batch + row));
            advance(rows.len());
        });
}

/// Returns the look-ups that give every thread one batch, as large as batches get.
pub fn full_batches() -> usize {
    LARGEST_BATCH * rayon::current_num_threads()
}

/// Returns how many batches a thread rotates, one after the other, for so many look-ups, and the
/// ciphertexts of a batch.
pub fn batches(look_ups: usize, threads: usize) -> (usize, usize) {
    let rounds = look_ups.div_ceil(threads * LARGEST_BATCH).max(1);
    (rounds, look_ups.div_ceil(threads * rounds))
}

fn look_up_batch<'a>(
    key: &EvaluationKey,
    rows: &mut [Row<u64>],
    table: impl Fn(usize) -> &'a [u64],
) {
    let parameters = key.parameters();
    let switched: Vec<SwitchedLwe> = key
        .keyswitch
        .keyswitch(rows)
        .into_iter()
        .map(|ciphertext| switch_modulus(ciphertext, parameters))
        .collect();
    let mask_size = parameters.big_dimension();
    let accumulator_size = mask_size + parameters.literal().polynomial_size;
    let mut accumulators = vec![0; rows.len() * accumulator_size];
    for (index, accumulator) in accumulators.chunks_exact_mut(accumulator_size).enumerate() {
        accumulator[mask_size..].copy_from_slice(table(index));
    }
    blind_rotate(&key.bootstrap, &mut accumulators, &switched);
    for (accumulator, row) in accumulators.chunks_exact(accumulator_size).zip(rows) {
        *row = extract(parameters, accumulator, 0);
    }
}

/// Returns the ciphertext modulo 2N, its phase moved down by half a cell.
fn switch_modulus(ciphertext: LweCiphertextOwned<u64>, parameters: &ParameterSet) -> SwitchedLwe {
    let modulus = parameters.rotation_modulus_log();
    let switched =
        lwe_ciphertext_centered_binary_modulus_switch::<u64, usize, _>(ciphertext, modulus);
    SwitchedLwe::new(&switched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::simd::Path;
    use crate::fhe::cipher::{decrypt, encrypt, expand};
    use crate::fhe::keys::{SecretKey, SeededEvaluationKey};

    #[test]
    fn every_path_looks_the_same_up() {
        let set = ParameterSet::fast().expect("secure");
        let secret = SecretKey::generate(set);
        let bytes = secret.evaluation_key().to_bytes();
        let size = set.literal().polynomial_size;
        // Eight boxes of a sixteenth of a turn, and a table of their squares.
        let phases: Vec<u64> = (0..8).map(|box_| (2 * box_ + 1) << 59).collect();
        let square = |cell: usize| ((8 * cell / size) as u64).pow(2) << 57;
        let table: Vec<u64> = (0..size).map(square).collect();
        let uploaded = expand(&set, &encrypt(&secret, &[phases]));
        let rows: Vec<Row<u64>> = (0..8).map(|i| extract(&set, &uploaded[0], i)).collect();
        for path in Path::available() {
            let seeded = SeededEvaluationKey::from_bytes(&bytes, &set).expect("its own bytes");
            let key = EvaluationKey::expand_on(path, seeded, set);
            let mut rows = rows.clone();
            look_up(&key, &mut rows, |_| &table, &|_| {});
            for (index, phase) in decrypt(&secret, &rows).into_iter().enumerate() {
                let error = phase.wrapping_sub((index as u64).pow(2) << 57) as i64;
                // A sixteenth of the least difference of two cells; the noise is some 2^-17 of a turn.
                assert!(
                    error.unsigned_abs() < 1 << 53,
                    "{path}, box {index}: {error}"
                );
            }
        }
    }
}

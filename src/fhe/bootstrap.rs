//! Look-ups on batches of LWE ciphertexts: keyswitch, centred modulus switch, blind rotation.
//!
//! A look-up table has N cells for the half turn [0, 1/2); the other half reads the same cells
//! negated (the negacyclic rule X^N = -1). Cell j covers the phases [j, j + 1) / 2N: the centred
//! modulus switch (Bergerat et al., 2023) subtracts half a cell.

use rayon::prelude::*;
use tfhe::core_crypto::fft_impl::fft64::crypto::bootstrap::batch_blind_rotate_assign_scratch;
use tfhe::core_crypto::prelude::*;

use super::fourier::pinned_fft;
use super::keys::EvaluationKey;
use super::parameters::ParameterSet;
use crate::linear_map::Row;

/// The most ciphertexts that one thread rotates together: each bootstrap-key element is read
/// once for all of them, and their accumulators still fit the second-level cache.
const LARGEST_BATCH: usize = 16;

/// Replaces each ciphertext of `rows` by its look-up, on all cores.
///
/// `table(i)` holds the N torus values that row i may become.
///
/// # Panics
///
/// Panics where a row or table has not the size of the key's parameter set.
pub fn look_up<'a>(
    key: &EvaluationKey,
    rows: &mut [Row<u64>],
    table: impl Fn(usize) -> &'a [u64] + Sync,
) {
    if rows.is_empty() {
        return;
    }
    let threads = rayon::current_num_threads();
    let rounds = rows.len().div_ceil(threads * LARGEST_BATCH);
    let batch = rows.len().div_ceil(threads * rounds);
    rows.par_chunks_mut(batch)
        .enumerate()
        .for_each(|(index, rows)| {
            look_up_batch(key, rows, |row| table(index * batch + row));
        });
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
        .map(|ciphertext| SwitchedLwe::new(ciphertext, parameters))
        .collect();
    let mut accumulators = GlweCiphertextList::new(
        0u64,
        parameters.glwe_size(),
        parameters.polynomial_size(),
        GlweCiphertextCount(rows.len()),
        CiphertextModulus::new_native(),
    );
    for (index, mut accumulator) in accumulators.iter_mut().enumerate() {
        accumulator
            .get_mut_body()
            .as_mut()
            .copy_from_slice(table(index));
    }
    let fft = pinned_fft(parameters);
    let mut buffers = ComputationBuffers::new();
    buffers.resize(
        batch_blind_rotate_assign_scratch::<u64>(
            parameters.glwe_size(),
            parameters.polynomial_size(),
            CiphertextCount(rows.len()),
            fft.as_view(),
        )
        .unaligned_bytes_required(),
    );
    key.bootstrap.as_view().batch_blind_rotate_assign(
        accumulators.as_mut_view(),
        &switched,
        fft.as_view(),
        buffers.stack(),
    );
    for (accumulator, row) in accumulators.iter().zip(rows) {
        let mut output =
            LweCiphertext::from_container(row.as_mut(), CiphertextModulus::new_native());
        extract_lwe_sample_from_glwe_ciphertext(&accumulator, &mut output, MonomialDegree(0));
    }
}

/// An LWE ciphertext modulo 2N, kept so that a batch can read its mask at random.
struct SwitchedLwe {
    modulus: CiphertextModulusLog,
    mask: Vec<usize>,
    body: usize,
}

impl SwitchedLwe {
    fn new(ciphertext: LweCiphertextOwned<u64>, parameters: &ParameterSet) -> Self {
        let modulus = parameters.rotation_modulus_log();
        let lazy =
            lwe_ciphertext_centered_binary_modulus_switch::<u64, usize, _>(ciphertext, modulus);
        Self {
            modulus,
            mask: lazy.mask().collect(),
            body: lazy.body(),
        }
    }
}

impl ModulusSwitchedLweCiphertext<usize> for SwitchedLwe {
    fn log_modulus(&self) -> CiphertextModulusLog {
        self.modulus
    }

    fn lwe_dimension(&self) -> LweDimension {
        LweDimension(self.mask.len())
    }

    fn body(&self) -> usize {
        self.body
    }

    fn mask(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.mask.iter().copied()
    }
}

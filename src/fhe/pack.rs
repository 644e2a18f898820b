//! Packing of an answer: many LWE ciphertexts into the coefficients of one GLWE ciphertext.
//!
//! The packing keyswitch (Chillotti et al., CSCML 2021) needs a key of its own, of k·N·levels GLWE
//! ciphertexts; the answer then shares one mask. Its key encrypts a key under itself, as the
//! bootstrap key does (circular security).

use tfhe::core_crypto::commons::generators::EncryptionRandomGenerator;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::*;

use super::generator::BatchGenerator;
use super::keys::SecretKey;
use super::noise;
pub use super::packing_decomposition::PackingDecomposition;
use super::parameters::ParameterSet;
use crate::core::error::{Error, Result};
use crate::core::linear_map::{LinearMap, Row};

/// A packing key as it travels: a seed and `[k·N, levels, N]` body coefficients.
pub struct SeededPackingKey {
    seed: u128,
    bodies: Vec<u64>,
}

/// What the server packs with.
pub struct PackingKey {
    parameters: ParameterSet,
    decomposition: PackingDecomposition,
    /// `[k·N·levels]` GLWE ciphertexts of `(k + 1)·N` coefficients.
    rows: Vec<Row<u64>>,
}

const SEED_BYTES: usize = 16;

impl PackingDecomposition {
    /// Returns, for 1 to 4 levels, the decomposition of least noise when `count` ciphertexts are
    /// packed together; fewer levels mean a smaller key and less time.
    pub fn candidates(parameters: &ParameterSet, count: usize) -> impl Iterator<Item = Self> {
        let parameters = *parameters;
        (1..=4).filter_map(move |levels| {
            let variance = |of: &Self| noise::packing_variance(&parameters, of, count);
            (4..=52 / levels)
                .map(|base_log| Self { base_log, levels })
                .min_by(|a, b| variance(a).total_cmp(&variance(b)))
        })
    }

    /// Returns the bytes of a seeded key on the wire.
    pub fn key_bytes(&self, parameters: &ParameterSet) -> u64 {
        (SEED_BYTES + 8 * self.body_count(parameters)) as u64
    }

    fn seeded(
        &self,
        parameters: &ParameterSet,
        bodies: Vec<u64>,
        seed: u128,
    ) -> SeededLwePackingKeyswitchKeyOwned<u64> {
        SeededLwePackingKeyswitchKey::from_container(
            bodies,
            DecompositionBaseLog(self.base_log),
            DecompositionLevelCount(self.levels),
            parameters.glwe_size(),
            parameters.polynomial_size(),
            Seed(seed).into(),
            CiphertextModulus::new_native(),
        )
    }
}

impl SecretKey {
    /// Generates the key that packs ciphertexts under this key.
    pub fn packing_key(&self, decomposition: PackingDecomposition) -> SeededPackingKey {
        let parameters = self.parameters();
        let mut seeder = new_seeder();
        let seeder = seeder.as_mut();
        let seed = seeder.seed().0;
        let zeros = vec![0; decomposition.body_count(parameters)];
        let mut key = decomposition.seeded(parameters, zeros, seed);
        let mut generator =
            EncryptionRandomGenerator::<BatchGenerator>::new(key.compression_seed(), seeder);
        generate_seeded_lwe_packing_keyswitch_key_with_pre_seeded_generator(
            &self.glwe.as_lwe_secret_key(),
            &self.glwe,
            &mut key,
            parameters.glwe_noise(),
            &mut generator,
        );
        SeededPackingKey {
            seed,
            bodies: key.as_ref().to_vec(),
        }
    }
}

impl SeededPackingKey {
    /// Returns the bytes that go over the wire, little-endian: seed and bodies.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.seed.to_le_bytes().to_vec();
        bytes.reserve_exact(8 * self.bodies.len());
        bytes.extend(self.bodies.iter().flat_map(|body| body.to_le_bytes()));
        bytes
    }

    /// Reads a key of exactly the size that parameter set and decomposition prescribe.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] where the length is another.
    pub fn from_bytes(
        bytes: &[u8],
        parameters: &ParameterSet,
        decomposition: PackingDecomposition,
    ) -> Result<Self> {
        let expected = SEED_BYTES + 8 * decomposition.body_count(parameters);
        match bytes.split_first_chunk::<SEED_BYTES>() {
            Some((seed, bodies)) if bytes.len() == expected => Ok(Self {
                seed: u128::from_le_bytes(*seed),
                bodies: bodies
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&body| u64::from_le_bytes(body))
                    .collect(),
            }),
            _ => Err(Error::Message(format!(
                "packing key of {} bytes where {expected} belong",
                bytes.len()
            ))),
        }
    }
}

impl PackingKey {
    /// Expands the seed.
    pub fn expand(
        seeded: SeededPackingKey,
        parameters: ParameterSet,
        decomposition: PackingDecomposition,
    ) -> Self {
        let key = decomposition.seeded(&parameters, seeded.bodies, seeded.seed);
        let mut expanded = LwePackingKeyswitchKey::new(
            0,
            key.decomposition_base_log(),
            key.decomposition_level_count(),
            key.input_key_lwe_dimension(),
            key.output_key_glwe_dimension(),
            key.output_key_polynomial_size(),
            key.ciphertext_modulus(),
        );
        decompress_seeded_lwe_packing_keyswitch_key::<_, _, _, BatchGenerator>(&mut expanded, &key);
        let size = parameters.big_dimension() + parameters.literal().polynomial_size;
        Self {
            parameters,
            decomposition,
            rows: expanded
                .as_ref()
                .chunks_exact(size)
                .map(Into::into)
                .collect(),
        }
    }

    /// Returns whether the key serves that parameter set and decomposition.
    pub fn serves(&self, parameters: &ParameterSet, decomposition: PackingDecomposition) -> bool {
        self.parameters == *parameters && self.decomposition == decomposition
    }

    /// Returns GLWE ciphertexts whose leading coefficients hide the phases of `rows`, N at a time.
    pub fn pack(&self, rows: &[Row<u64>]) -> Vec<Row<u64>> {
        rows.chunks(self.parameters.literal().polynomial_size)
            .map(|group| self.pack_group(group))
            .collect()
    }

    /// Packs as Σ X^i · (body_i - Σ digit · key row): the inner sums are one matrix product of all
    /// digits with the key.
    fn pack_group(&self, group: &[Row<u64>]) -> Row<u64> {
        let size = self.parameters.literal().polynomial_size;
        let decomposer = SignedDecomposer::<u64>::new(
            DecompositionBaseLog(self.decomposition.base_log),
            DecompositionLevelCount(self.decomposition.levels),
        );
        let coefficients = group.iter().flat_map(|row| &row[..row.len() - 1]);
        let digits: Vec<u64> = coefficients
            .flat_map(|&coefficient| decomposer.decompose(coefficient))
            .map(|term| term.value())
            .collect();
        let sums = LinearMap::dense(&digits, self.rows.len()).apply(&self.rows);
        let mut packed = vec![0u64; self.parameters.big_dimension() + size].into_boxed_slice();
        for (degree, (sum, row)) in sums.iter().zip(group).enumerate() {
            for (packed, sum) in packed.chunks_exact_mut(size).zip(sum.chunks_exact(size)) {
                subtract_rotated(packed, sum, degree);
            }
            let body = &mut packed[self.parameters.big_dimension() + degree];
            *body = body.wrapping_add(row[row.len() - 1]);
        }
        packed
    }
}

/// Subtracts X^degree · `polynomial` modulo X^N + 1.
fn subtract_rotated(from: &mut [u64], polynomial: &[u64], degree: usize) {
    let (kept, wrapped) = polynomial.split_at(polynomial.len() - degree);
    let (low, high) = from.split_at_mut(degree);
    for (target, term) in high.iter_mut().zip(kept) {
        *target = target.wrapping_sub(*term);
    }
    for (target, term) in low.iter_mut().zip(wrapped) {
        *target = target.wrapping_add(*term);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_equals_tfhes_bit_for_bit() {
        let parameters = ParameterSet::fast().expect("secure");
        let decomposition = PackingDecomposition {
            base_log: 12,
            levels: 2,
        };
        // Any numbers make a key, since both do the same arithmetic on it.
        let number = |i: usize| {
            (i as u64 + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(23)
        };
        let bodies = (0..decomposition.body_count(&parameters))
            .map(number)
            .collect();
        let seeded = SeededPackingKey { seed: 7, bodies };
        let tfhes = decomposition.seeded(&parameters, seeded.bodies.clone(), seeded.seed);
        let tfhes = tfhes.decompress_into_lwe_packing_keyswitch_key();
        let key = PackingKey::expand(seeded, parameters, decomposition);
        let rows: Vec<Row<u64>> = (0..3)
            .map(|row| {
                (0..parameters.big_size())
                    .map(|i| number(row * 7919 + i))
                    .collect()
            })
            .collect();
        let list = LweCiphertextList::from_container(
            rows.concat(),
            LweSize(parameters.big_size()),
            CiphertextModulus::new_native(),
        );
        let mut expected = GlweCiphertext::new(
            0,
            parameters.glwe_size(),
            parameters.polynomial_size(),
            CiphertextModulus::new_native(),
        );
        keyswitch_lwe_ciphertext_list_and_pack_in_glwe_ciphertext(&tfhes, &list, &mut expected);
        assert_eq!(key.pack(&rows)[0][..], expected.as_ref()[..]);
    }
}

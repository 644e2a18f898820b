//! Packing of an answer: many LWE ciphertexts into the coefficients of one GLWE ciphertext.
//!
//! The packing keyswitch (Chillotti et al., CSCML 2021) needs a key of its own, of k·N·levels GLWE
//! ciphertexts; the answer then shares one mask. Its key encrypts a key under itself, as the
//! bootstrap key does (circular security).

use serde::Serialize;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::*;

use super::keys::SecretKey;
use super::noise;
use super::parameters::ParameterSet;
use crate::error::{Error, Result};
use crate::linear_map::Row;

/// Decomposition of a packing keyswitch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PackingDecomposition {
    pub base_log: usize,
    pub levels: usize,
}

/// A packing key as it travels: a seed and `[k·N, levels, N]` body coefficients.
pub struct SeededPackingKey {
    seed: u128,
    bodies: Vec<u64>,
}

/// What the server packs with.
pub struct PackingKey {
    parameters: ParameterSet,
    decomposition: PackingDecomposition,
    key: LwePackingKeyswitchKeyOwned<u64>,
}

const SEED_BYTES: usize = 16;

impl PackingDecomposition {
    /// Returns, for 1 to 4 levels, the decomposition of least noise when `count` ciphertexts are
    /// packed together; fewer levels mean a smaller key and less time.
    pub fn candidates(parameters: &ParameterSet, count: usize) -> impl Iterator<Item = Self> {
        let parameters = *parameters;
        (1..=4).filter_map(move |levels| {
            let bases = (4..=52 / levels).map(|base_log| Self { base_log, levels });
            bases.min_by(|a, b| {
                let variance = |of| noise::packing_variance(&parameters, of, count);
                variance(a).total_cmp(&variance(b))
            })
        })
    }

    fn body_count(&self, parameters: &ParameterSet) -> usize {
        parameters.big_dimension() * self.levels * parameters.literal().polynomial_size
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
        generate_seeded_lwe_packing_keyswitch_key(
            &self.glwe.as_lwe_secret_key(),
            &self.glwe,
            &mut key,
            parameters.glwe_noise(),
            seeder,
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
        Self {
            parameters,
            decomposition,
            key: key.decompress_into_lwe_packing_keyswitch_key(),
        }
    }

    /// Returns whether the key serves that parameter set and decomposition.
    pub fn serves(&self, parameters: &ParameterSet, decomposition: PackingDecomposition) -> bool {
        self.parameters == *parameters && self.decomposition == decomposition
    }

    /// Returns GLWE ciphertexts whose leading coefficients hide the phases of `rows`, N at a time.
    pub fn pack(&self, rows: &[Row<u64>]) -> Vec<Row<u64>> {
        let size = self.parameters.literal().polynomial_size;
        rows.chunks(size)
            .map(|rows| {
                let list = LweCiphertextList::from_container(
                    rows.concat(),
                    LweSize(self.parameters.big_size()),
                    CiphertextModulus::new_native(),
                );
                let mut packed = GlweCiphertext::new(
                    0,
                    self.parameters.glwe_size(),
                    self.parameters.polynomial_size(),
                    CiphertextModulus::new_native(),
                );
                par_keyswitch_lwe_ciphertext_list_and_pack_in_glwe_ciphertext(
                    &self.key,
                    &list,
                    &mut packed,
                );
                packed.into_container().into_boxed_slice()
            })
            .collect()
    }
}

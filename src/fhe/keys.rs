//! The client's secret key and the server's evaluation key, seeded on the wire.

use super::bootstrap_key;
use super::fourier::pinned_fft;
use super::generator::BatchGenerator;
use super::keyswitch::PackedKeyswitchKey;
use super::noise;
use super::parameters::ParameterSet;
use super::rotation::RotationKey;
use crate::core::error::{Error, Result};
use crate::core::linear_map::Row;
use crate::core::simd::{self, Path};
use tfhe::core_crypto::commons::generators::EncryptionRandomGenerator;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::*;

/// What only the client holds. Seeded by tfhe's seeder (the CPU's RDSEED, else the operating
/// system), never from a number that a person gives.
pub struct SecretKey {
    parameters: ParameterSet,
    /// Encrypts uploads; flattened, it is the key of the LWE ciphertexts between layers.
    pub(super) glwe: GlweSecretKeyOwned<u64>,
    /// Encrypts the ciphertexts that a blind rotation walks through.
    small: LweSecretKeyOwned<u64>,
}

/// The evaluation key as it travels: masks are replaced by the public seeds that generate them.
pub struct SeededEvaluationKey {
    bootstrap_seed: u128,
    /// `[n, levels, k + 1, N]`: the body of each GLWE ciphertext of the bootstrap key.
    bootstrap_bodies: Vec<u64>,
    keyswitch_seed: u128,
    /// `[k·N, levels]`: the body of each LWE ciphertext of the keyswitching key.
    keyswitch_bodies: Vec<u64>,
}

/// What the server computes look-ups with.
pub struct EvaluationKey {
    parameters: ParameterSet,
    pub(super) bootstrap: RotationKey,
    pub(super) keyswitch: PackedKeyswitchKey,
}

impl SecretKey {
    /// Generates a key pair's secret half.
    pub fn generate(parameters: ParameterSet) -> Self {
        pinned_fft(&parameters);
        let mut seeder = new_seeder();
        let mut generator = SecretRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed());
        Self {
            parameters,
            glwe: allocate_and_generate_new_binary_glwe_secret_key(
                parameters.glwe_dimension(),
                parameters.polynomial_size(),
                &mut generator,
            ),
            small: allocate_and_generate_new_binary_lwe_secret_key(
                parameters.lwe_dimension(),
                &mut generator,
            ),
        }
    }

    /// Returns the parameter set of the key.
    pub fn parameters(&self) -> &ParameterSet {
        &self.parameters
    }

    /// Generates the evaluation key that lets a server compute look-ups on this key's ciphertexts.
    pub fn evaluation_key(&self) -> SeededEvaluationKey {
        let parameters = &self.parameters;
        let lengths = BodyCounts::of(parameters);
        let bootstrap =
            || bootstrap_key::encrypt_bits(parameters, self.glwe.as_ref(), self.small.as_ref());
        let keyswitch = || {
            let mut seeder = new_seeder();
            let seed = seeder.seed();
            let bodies = vec![0; lengths.keyswitch];
            let mut key = keyswitch_from_bodies(parameters, bodies, Seed(seed.0));
            let mut generator = EncryptionRandomGenerator::<BatchGenerator>::new(
                key.compression_seed(),
                seeder.as_mut(),
            );
            generate_seeded_lwe_keyswitch_key_with_pre_seeded_generator(
                &self.glwe.as_lwe_secret_key(),
                &self.small,
                &mut key,
                parameters.lwe_noise(),
                &mut generator,
            );
            (seed.0, key.into_container())
        };
        // The keyswitch key is made on one core while the others work on the bootstrap key.
        let ((bootstrap_seed, bootstrap_bodies), (keyswitch_seed, keyswitch_bodies)) =
            rayon::join(bootstrap, keyswitch);
        SeededEvaluationKey {
            bootstrap_seed,
            bootstrap_bodies,
            keyswitch_seed,
            keyswitch_bodies,
        }
    }
}

impl SeededEvaluationKey {
    /// Returns the bytes that go over the wire, little-endian: seed and bodies of the bootstrap
    /// key, then of the keyswitching key.
    pub fn to_bytes(&self) -> Vec<u8> {
        let halves = [
            (self.bootstrap_seed, &self.bootstrap_bodies),
            (self.keyswitch_seed, &self.keyswitch_bodies),
        ];
        let mut bytes = Vec::with_capacity(
            halves
                .iter()
                .map(|(_, bodies)| SEED_BYTES + 8 * bodies.len())
                .sum(),
        );
        for (seed, bodies) in halves {
            bytes.extend(seed.to_le_bytes());
            bytes.extend(bodies.iter().flat_map(|body| body.to_le_bytes()));
        }
        bytes
    }

    /// Reads a key of exactly the size that the parameter set prescribes. Every value of a
    /// coefficient is a valid one, so the size is all there is to check.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] where the length is another.
    pub fn from_bytes(bytes: &[u8], parameters: &ParameterSet) -> Result<Self> {
        let counts = BodyCounts::of(parameters);
        let expected = 2 * SEED_BYTES + 8 * (counts.bootstrap + counts.keyswitch);
        if bytes.len() != expected {
            return Err(Error::Message(format!(
                "evaluation key of {} bytes where the parameter set {parameters} has {expected}",
                bytes.len(),
            )));
        }
        let (bootstrap, keyswitch) = bytes.split_at(SEED_BYTES + 8 * counts.bootstrap);
        let (bootstrap_seed, bootstrap_bodies) = read_half(bootstrap);
        let (keyswitch_seed, keyswitch_bodies) = read_half(keyswitch);
        Ok(Self {
            bootstrap_seed,
            bootstrap_bodies,
            keyswitch_seed,
            keyswitch_bodies,
        })
    }
}

/// Bytes of a seed on the wire.
const SEED_BYTES: usize = 16;

/// Body coefficients of the two halves of a seeded evaluation key.
struct BodyCounts {
    bootstrap: usize,
    keyswitch: usize,
}

impl BodyCounts {
    fn of(parameters: &ParameterSet) -> Self {
        let literal = parameters.literal();
        Self {
            bootstrap: literal.lwe_dimension
                * literal.bootstrap_levels
                * (literal.glwe_dimension + 1)
                * literal.polynomial_size,
            keyswitch: parameters.big_dimension() * literal.keyswitch_levels,
        }
    }
}

fn read_half(bytes: &[u8]) -> (u128, Vec<u64>) {
    let mut seed = [0; SEED_BYTES];
    let (seed_bytes, body_bytes) = bytes.split_at(SEED_BYTES);
    seed.copy_from_slice(seed_bytes);
    let bodies = body_bytes.as_chunks::<8>().0.iter();
    (
        u128::from_le_bytes(seed),
        bodies.map(|&body| u64::from_le_bytes(body)).collect(),
    )
}

fn bootstrap_from_bodies(
    parameters: &ParameterSet,
    bodies: Vec<u64>,
    seed: Seed,
) -> SeededLweBootstrapKeyOwned<u64> {
    let (base_log, levels) = parameters.bootstrap_decomposition();
    SeededLweBootstrapKey::from_container(
        bodies,
        parameters.glwe_size(),
        parameters.polynomial_size(),
        base_log,
        levels,
        seed.into(),
        CiphertextModulus::new_native(),
    )
}

fn keyswitch_from_bodies(
    parameters: &ParameterSet,
    bodies: Vec<u64>,
    seed: Seed,
) -> SeededLweKeyswitchKeyOwned<u64> {
    let (base_log, levels) = parameters.keyswitch_decomposition();
    SeededLweKeyswitchKey::from_container(
        bodies,
        base_log,
        levels,
        parameters.lwe_dimension().to_lwe_size(),
        seed.into(),
        CiphertextModulus::new_native(),
    )
}

impl EvaluationKey {
    /// Expands the seeds and transforms the bootstrap key to the Fourier domain.
    pub fn expand(seeded: SeededEvaluationKey, parameters: ParameterSet) -> Self {
        Self::expand_on(simd::path(), seeded, parameters)
    }

    /// Expands the seeds for a path.
    pub(super) fn expand_on(
        path: Path,
        seeded: SeededEvaluationKey,
        parameters: ParameterSet,
    ) -> Self {
        // The conversion below goes through tfhe's own plan table.
        pinned_fft(&parameters);
        let keyswitch = keyswitch_from_bodies(
            &parameters,
            seeded.keyswitch_bodies,
            Seed(seeded.keyswitch_seed),
        );
        let mut expanded = LweKeyswitchKey::new(
            0,
            keyswitch.decomposition_base_log(),
            keyswitch.decomposition_level_count(),
            keyswitch.input_key_lwe_dimension(),
            keyswitch.output_key_lwe_dimension(),
            keyswitch.ciphertext_modulus(),
        );
        par_decompress_seeded_lwe_keyswitch_key::<_, _, _, BatchGenerator>(
            &mut expanded,
            &keyswitch,
        );
        drop(keyswitch);
        let keyswitch = PackedKeyswitchKey::on(path, &expanded, noise::key_bits(&parameters));
        drop(expanded);
        let bootstrap = bootstrap_from_bodies(
            &parameters,
            seeded.bootstrap_bodies,
            Seed(seeded.bootstrap_seed),
        );
        let mut standard = LweBootstrapKey::new(
            0,
            bootstrap.glwe_size(),
            bootstrap.polynomial_size(),
            bootstrap.decomposition_base_log(),
            bootstrap.decomposition_level_count(),
            bootstrap.input_lwe_dimension(),
            bootstrap.ciphertext_modulus(),
        );
        par_decompress_seeded_lwe_bootstrap_key::<_, _, _, BatchGenerator>(
            &mut standard,
            &bootstrap,
        );
        drop(bootstrap);
        Self {
            parameters,
            bootstrap: RotationKey::on(path, &standard),
            keyswitch,
        }
    }

    /// Returns ciphertexts under the small key, the first part of a look-up alone: for timing it.
    pub fn keyswitch(&self, rows: &[Row<u64>]) -> Vec<LweCiphertextOwned<u64>> {
        self.keyswitch.keyswitch(rows)
    }

    /// Returns the parameter set of the key.
    pub fn parameters(&self) -> &ParameterSet {
        &self.parameters
    }
}

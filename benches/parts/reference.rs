//! tfhe's own keyswitch and bootstrap, one ciphertext after the other: what the engine is compared
//! to. Keys are fresh, of the very same parameters; buffers are allocated once per task.

use rayon::prelude::*;
use splitbench::core::linear_map::Row;
use splitbench::fhe::parameters::{ParameterLiteral, ParameterSet};
use tfhe::core_crypto::prelude::*;

/// tfhe's keys of a parameter set.
pub struct Reference {
    parameters: ParameterLiteral,
    /// The flattened GLWE key.
    big: LweSecretKeyOwned<u64>,
    small: LweSecretKeyOwned<u64>,
    pub keyswitch: LweKeyswitchKeyOwned<u64>,
    bootstrap: FourierLweBootstrapKeyOwned,
    fft: Fft,
}

impl Reference {
    /// Generates all keys.
    pub fn generate(parameters: &ParameterSet) -> Self {
        let parameters = *parameters.literal();
        let size = PolynomialSize(parameters.polynomial_size);
        let mut seeder = new_seeder();
        let seeder = seeder.as_mut();
        let mut secret = SecretRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed());
        let mut encryption =
            EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder);
        let glwe = allocate_and_generate_new_binary_glwe_secret_key(
            GlweDimension(parameters.glwe_dimension),
            size,
            &mut secret,
        );
        let small = allocate_and_generate_new_binary_lwe_secret_key(
            LweDimension(parameters.lwe_dimension),
            &mut secret,
        );
        let standard = par_allocate_and_generate_new_lwe_bootstrap_key(
            &small,
            &glwe,
            DecompositionBaseLog(parameters.bootstrap_base_log),
            DecompositionLevelCount(parameters.bootstrap_levels),
            gaussian(parameters.glwe_noise_std),
            CiphertextModulus::new_native(),
            &mut encryption,
        );
        let mut bootstrap = FourierLweBootstrapKey::new(
            standard.input_lwe_dimension(),
            standard.glwe_size(),
            standard.polynomial_size(),
            standard.decomposition_base_log(),
            standard.decomposition_level_count(),
        );
        par_convert_standard_lwe_bootstrap_key_to_fourier(&standard, &mut bootstrap);
        let big = glwe.into_lwe_secret_key();
        let keyswitch = allocate_and_generate_new_lwe_keyswitch_key(
            &big,
            &small,
            DecompositionBaseLog(parameters.keyswitch_base_log),
            DecompositionLevelCount(parameters.keyswitch_levels),
            gaussian(parameters.lwe_noise_std),
            CiphertextModulus::new_native(),
            &mut encryption,
        );
        Self {
            parameters,
            big,
            small,
            keyswitch,
            bootstrap,
            fft: Fft::new(size),
        }
    }

    /// Returns fresh ciphertexts of the phases under the big key.
    pub fn encrypt(&self, phases: &[u64]) -> Vec<Row<u64>> {
        let mut seeder = new_seeder();
        let seeder = seeder.as_mut();
        let mut encryption =
            EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder);
        let encrypted = phases.iter().map(|&phase| {
            let ciphertext = allocate_and_encrypt_new_lwe_ciphertext(
                &self.big,
                Plaintext(phase),
                gaussian(self.parameters.glwe_noise_std),
                CiphertextModulus::new_native(),
                &mut encryption,
            );
            ciphertext.into_container().into()
        });
        encrypted.collect()
    }

    /// Returns the phases of ciphertexts under the big key.
    pub fn decrypt(&self, rows: &[Row<u64>]) -> Vec<u64> {
        let phase = |row: &Row<u64>| decrypt_lwe_ciphertext(&self.big, &view(row)).0;
        rows.iter().map(phase).collect()
    }

    /// Returns the phase of a ciphertext under the small key.
    pub fn decrypt_small(&self, ciphertext: &LweCiphertextOwned<u64>) -> u64 {
        decrypt_lwe_ciphertext(&self.small, ciphertext).0
    }

    /// Returns an empty ciphertext under the small key.
    pub fn small_ciphertext(&self) -> LweCiphertextOwned<u64> {
        LweCiphertext::new(
            0,
            self.small.lwe_dimension().to_lwe_size(),
            CiphertextModulus::new_native(),
        )
    }

    /// Switches a ciphertext to the small key.
    pub fn keyswitch(&self, row: &Row<u64>, output: &mut LweCiphertextOwned<u64>) {
        keyswitch_lwe_ciphertext(&self.keyswitch, &view(row), output);
    }

    /// Returns a table as tfhe's accumulator.
    pub fn accumulator(&self, table: Vec<u64>) -> GlweCiphertextOwned<u64> {
        allocate_and_trivially_encrypt_new_glwe_ciphertext(
            GlweDimension(self.parameters.glwe_dimension).to_glwe_size(),
            &PlaintextList::from_container(table),
            CiphertextModulus::new_native(),
        )
    }

    /// Replaces each ciphertext by its look-up, on all cores.
    pub fn look_up(&self, rows: &mut [Row<u64>], accumulator: &GlweCiphertextOwned<u64>) {
        let buffers = || {
            let required = programmable_bootstrap_lwe_ciphertext_mem_optimized_requirement::<u64>(
                accumulator.glwe_size(),
                accumulator.polynomial_size(),
                self.fft.as_view(),
            );
            let mut buffers = ComputationBuffers::new();
            buffers.resize(required.unaligned_bytes_required());
            (buffers, self.small_ciphertext())
        };
        rows.par_iter_mut()
            .for_each_init(buffers, |(buffers, small), row| {
                self.keyswitch(row, small);
                programmable_bootstrap_lwe_ciphertext_mem_optimized(
                    small,
                    &mut LweCiphertext::from_container(
                        &mut row[..],
                        CiphertextModulus::new_native(),
                    ),
                    accumulator,
                    &self.bootstrap,
                    self.fft.as_view(),
                    buffers.stack(),
                );
            });
    }
}

fn gaussian(std: f64) -> Gaussian<f64> {
    Gaussian::from_dispersion_parameter(StandardDev(std), 0.0)
}

fn view(row: &Row<u64>) -> LweCiphertext<&[u64]> {
    LweCiphertext::from_container(&row[..], CiphertextModulus::new_native())
}

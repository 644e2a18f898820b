//! Encryptions of zero that a server makes without the secret key, to hide where an answer's mask
//! came from, and flooding noise to hide what its noise tells.
//!
//! The client hands over k GLWE encryptions of zero, a public key P = [A | B] with B = A·S + E, A of
//! k × k polynomials from a seed. The server draws r of k binary polynomials and Gaussian e of k + 1
//! polynomials with the parameter set's noise; rᵀ·P + e is a fresh encryption of zero. This is the
//! public-key encryption of Lyubashevsky, Peikert and Regev (Eurocrypt 2010) over modules.
//!
//! *What hides.* To the client, who knows A, S and E, the mask rᵀ·A + e is a sample of module-LWE with
//! secret r: k polynomials of size N with binary coefficients, of the dimension k·N and the noise that
//! the parameter set is checked for at 132 bits. What is left is the phase rᵀ·E + e_b - e·S, which
//! depends on r and e, and the noise of the answer, which depends on the weights. Flooding noise hides
//! both, up to the statistical distance that the compiler states. Against a client that forms its
//! public key otherwise nothing is claimed.

use rayon::prelude::*;
use tfhe::core_crypto::commons::math::random::RandomGenerator;
use tfhe::core_crypto::prelude::*;

use super::binary::BinaryPolynomials;
use super::cipher::{SeededCiphertexts, encrypt, expand};
use super::generator::BatchGenerator;
use super::keys::SecretKey;
use super::packed::extract;
use super::parameters::ParameterSet;
use crate::core::linear_map::Row;

/// A client's encryptions of zero, held by the server.
pub struct PublicZeros {
    parameters: ParameterSet,
    /// `[k, (k + 1)·N]`.
    rows: Vec<Row<u64>>,
}

/// Encrypts the zeros that make up a public key.
pub fn public_zeros(key: &SecretKey) -> SeededCiphertexts {
    let sizes = zero_sizes(key.parameters());
    let zeros: Vec<Vec<u64>> = sizes.into_iter().map(|size| vec![0; size]).collect();
    encrypt(key, &zeros)
}

/// Returns the body coefficients of each encryption of zero of a public key.
pub fn zero_sizes(parameters: &ParameterSet) -> Vec<usize> {
    vec![parameters.literal().polynomial_size; parameters.literal().glwe_dimension]
}

impl PublicZeros {
    /// Expands the seed.
    pub fn expand(seeded: &SeededCiphertexts, parameters: ParameterSet) -> Self {
        Self {
            rows: expand(&parameters, seeded),
            parameters,
        }
    }

    /// Returns the parameter set of the key behind them.
    pub fn parameters(&self) -> &ParameterSet {
        &self.parameters
    }

    /// Adds a fresh encryption of zero with flooding noise of that standard deviation, a share of
    /// the torus, to each GLWE ciphertext.
    pub fn hide_packed(&self, rows: &mut [Row<u64>], flooding_std: f64) {
        rows.par_iter_mut()
            .for_each(|row| add(row, &self.fresh(flooding_std)));
    }

    /// The same for LWE ciphertexts. Each takes an encryption of zero of its own: two samples of one
    /// would be related.
    pub fn hide(&self, rows: &mut [Row<u64>], flooding_std: f64) {
        rows.par_iter_mut().for_each(|row| {
            add(
                row,
                &extract(&self.parameters, &self.fresh(flooding_std), 0),
            );
        });
    }

    fn fresh(&self, flooding_std: f64) -> Vec<u64> {
        let size = self.parameters.literal().polynomial_size;
        let mut generator = RandomGenerator::<BatchGenerator>::new(new_seeder().seed());
        let mut zero = vec![0u64; (self.parameters.literal().glwe_dimension + 1) * size];
        generator.fill_slice_with_random_from_distribution(&mut zero, self.parameters.glwe_noise());
        for row in &self.rows {
            let mut binary = vec![0; size];
            generator.fill_slice_with_random_uniform_binary(&mut binary);
            // Exact: an error in the mask would be noise times the secret key.
            let binary = BinaryPolynomials::new(&binary, size);
            for (sum, factor) in zero.chunks_exact_mut(size).zip(row.chunks_exact(size)) {
                binary.add_products(sum, factor);
            }
        }
        let mut flooding = vec![0u64; size];
        let distribution = Gaussian::from_dispersion_parameter(StandardDev(flooding_std), 0.0);
        generator.fill_slice_with_random_from_distribution(&mut flooding, distribution);
        let body = zero.len() - size;
        add(&mut zero[body..], &flooding);
        zero
    }
}

fn add(sum: &mut [u64], terms: &[u64]) {
    for (sum, term) in sum.iter_mut().zip(terms) {
        *sum = sum.wrapping_add(*term);
    }
}

#[cfg(test)]
mod tests {
    use super::super::cipher::decrypt;
    use super::super::noise;
    use super::*;
    use crate::core::torus::TURN;

    #[test]
    fn zeros_are_fresh_and_as_noisy_as_predicted() {
        let parameters = ParameterSet::fast().expect("secure");
        let key = SecretKey::generate(parameters);
        let zeros = PublicZeros::expand(&public_zeros(&key), parameters);
        let hidden = |std: f64| {
            let blank: Row<u64> = vec![0; parameters.big_size()].into();
            let mut rows = vec![blank; 24];
            zeros.hide(&mut rows, std);
            assert_ne!(rows[0][..9], rows[1][..9]);
            let phases = decrypt(&key, &rows);
            let squares = phases.iter().map(|p| (*p as i64 as f64 / TURN).powi(2));
            (squares.sum::<f64>() / 24.0).sqrt()
        };
        let predicted = noise::zero_variance(&parameters).sqrt();
        let ratio = hidden(0.0) / predicted;
        assert!((0.5..1.6).contains(&ratio), "{ratio}");
        let flooded = hidden(1e-6) / 1e-6;
        assert!((0.5..1.6).contains(&flooded), "{flooded}");
    }
}

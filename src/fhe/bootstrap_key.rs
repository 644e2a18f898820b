//! Generation of the bootstrap key: GGSW encryptions of the bits that a blind rotation walks through.
//!
//! A GGSW encryption of a bit is, for each level of the decomposition and each polynomial of the
//! accumulator, a GLWE encryption of the bit at that level times the negated key polynomial, or
//! times 1 for the last. Masks come from a seed, in the order in which tfhe expands it; the bodies,
//! mask · key + noise + message, are made here, because the products are most of the work and tfhe's
//! are slow where the compiler may not use wide registers.

use rayon::prelude::*;
use tfhe::core_crypto::commons::math::random::RandomGenerator;
use tfhe::core_crypto::prelude::*;

use super::binary::BinaryPolynomials;
use super::generator::BatchGenerator;
use super::parameters::ParameterSet;

/// Encrypts each of `bits` under the key `[k, N]`; returns the seed of the masks and the bodies,
/// `[n, levels, k + 1, N]`.
pub fn encrypt_bits(parameters: &ParameterSet, key: &[u64], bits: &[u64]) -> (u128, Vec<u64>) {
    let literal = parameters.literal();
    let (size, levels) = (literal.polynomial_size, literal.bootstrap_levels);
    let row_count = literal.glwe_dimension + 1;
    let seed = new_seeder().seed();
    let mut masks = RandomGenerator::<BatchGenerator>::new(seed);
    let mask_bytes = levels * row_count * key.len() * size_of::<u64>();
    let Ok(masks) = masks.par_try_fork(bits.len(), mask_bytes) else {
        unreachable!("a seed's stream is longer than any key");
    };
    let products = BinaryPolynomials::new(key, size);
    let mut bodies = vec![0; bits.len() * levels * row_count * size];
    let of_bits = bodies.par_chunks_exact_mut(levels * row_count * size);
    of_bits
        .zip(bits)
        .zip(masks)
        .for_each(|((of_bit, &bit), mut masks)| {
            let mut noise = RandomGenerator::<BatchGenerator>::new(new_seeder().seed());
            let mut mask = vec![0u64; key.len()];
            for (index, body) in of_bit.chunks_exact_mut(size).enumerate() {
                let level = levels - index / row_count;
                noise.fill_slice_with_random_from_distribution(body, parameters.glwe_noise());
                add_message(
                    body,
                    bit << (u64::BITS as usize - literal.bootstrap_base_log * level),
                    key,
                    index % row_count,
                );
                masks.fill_slice_with_random_uniform(&mut mask);
                products.add_products(body, &mask);
            }
        });
    (seed.0, bodies)
}

/// Adds the message times the negated key polynomial of that row, or times 1 where there is none.
fn add_message(body: &mut [u64], message: u64, key: &[u64], row: usize) {
    match key.chunks_exact(body.len()).nth(row) {
        Some(polynomial) => {
            for (body, &bit) in body.iter_mut().zip(polynomial) {
                *body = body.wrapping_sub(message.wrapping_mul(bit));
            }
        }
        None => body[0] = body[0].wrapping_add(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhe::parameters::ParameterLiteral;

    #[test]
    fn tfhe_expands_and_decrypts_what_is_made_here() {
        let fast = ParameterSet::fast().expect("secure");
        let two_levels = ParameterLiteral {
            bootstrap_base_log: 15,
            bootstrap_levels: 2,
            ..*fast.literal()
        };
        check(&ParameterSet::accurate().expect("secure"));
        check(&ParameterSet::new(two_levels).expect("as secure"));
    }

    fn check(set: &ParameterSet) {
        let mut secret = SecretRandomGenerator::<DefaultRandomGenerator>::new(new_seeder().seed());
        let key: GlweSecretKeyOwned<u64> = allocate_and_generate_new_binary_glwe_secret_key(
            set.glwe_dimension(),
            set.polynomial_size(),
            &mut secret,
        );
        let bits = [1, 0, 1, 1, 0];
        let (seed, bodies) = encrypt_bits(set, key.as_ref(), &bits);
        let (base_log, levels) = set.bootstrap_decomposition();
        let ggsw_size = bodies.len() / bits.len();
        let seeded = SeededLweBootstrapKey::from_container(
            bodies,
            set.glwe_size(),
            set.polynomial_size(),
            base_log,
            levels,
            tfhe::core_crypto::commons::math::random::Seed(seed).into(),
            CiphertextModulus::new_native(),
        );
        let expanded: LweBootstrapKeyOwned<u64> = seeded.decompress_into_lwe_bootstrap_key();
        let size = set.literal().polynomial_size;
        let rows = set.glwe_size().0 * levels.0;
        assert_eq!(ggsw_size, rows * size);
        let mut squares = 0.0;
        for (ggsw, bit) in expanded.iter().zip(bits) {
            for (index, row) in ggsw.as_glwe_list().iter().enumerate() {
                let mut found = PlaintextList::new(0, PlaintextCount(size));
                decrypt_glwe_ciphertext(&key, &row, &mut found);
                let level = levels.0 - index / set.glwe_size().0;
                let mut expected = vec![0; size];
                let message = bit << (64 - base_log.0 * level);
                add_message(
                    &mut expected,
                    message,
                    key.as_ref(),
                    index % set.glwe_size().0,
                );
                for (found, expected) in found.as_ref().iter().zip(expected) {
                    let error = found.wrapping_sub(expected) as i64 as f64;
                    squares += (error * 2f64.powi(-64)).powi(2);
                }
            }
        }
        let count = (bits.len() * rows * size) as f64;
        let std = (squares / count).sqrt();
        let predicted = set.literal().glwe_noise_std;
        // Five standard deviations of an estimate from so many samples.
        let relative = (std / predicted - 1.0).abs();
        assert!(
            relative < 5.0 / (2.0 * count).sqrt(),
            "{std:e} instead of {predicted:e}"
        );
    }
}

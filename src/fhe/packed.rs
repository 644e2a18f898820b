//! Linear layers on packed GLWE ciphertexts: one polynomial product instead of many LWE rows.
//!
//! A GLWE ciphertext hides one phase per coefficient. Multiplying it by a clear integer polynomial
//! sums phases with integer weights; which sums appear at which coefficients is decided by the
//! layout of [`crate::circuit::packing`]. The products run through tfhe's floating-point FFT, whose error
//! [`super::noise::product_variance`] bounds.

use rayon::prelude::*;
use tfhe::core_crypto::fft_impl::fft64::c64;
use tfhe::core_crypto::fft_impl::fft64::math::polynomial::FourierPolynomial;
use tfhe::core_crypto::prelude::*;

use super::fourier::pinned_fft;
use super::parameters::ParameterSet;
use crate::core::linear_map::Row;
use crate::core::simd::{self, Task};

/// A clear polynomial: weights by exponent modulo 2N, where X^N = -1.
pub type SparsePolynomial = Vec<(u32, i64)>;

/// The weights of a layer, `[products][input ciphertexts]`, in the Fourier domain.
#[derive(Debug, Clone)]
pub struct PackedWeights {
    products: Vec<Vec<Vec<c64>>>,
}

impl PackedWeights {
    /// Transforms the weights of each product, one polynomial per input ciphertext.
    pub fn new(parameters: &ParameterSet, products: &[Vec<SparsePolynomial>]) -> Self {
        let transformed = products.par_iter().map(|product| {
            let mut transform = Transform::new(parameters);
            let polynomials = product.iter();
            polynomials
                .map(|polynomial| transform.forward_integer(&dense(polynomial, parameters)))
                .collect()
        });
        Self {
            products: transformed.collect(),
        }
    }

    /// Returns one ciphertext per product: Σ over the input ciphertexts of weights · ciphertext.
    ///
    /// # Panics
    ///
    /// Panics where the number of ciphertexts is not that of the weights.
    pub fn multiply(&self, parameters: &ParameterSet, input: &[Row<u64>]) -> Vec<Row<u64>> {
        let size = parameters.literal().polynomial_size;
        let transformed: Vec<Vec<Vec<c64>>> = input
            .par_iter()
            .map(|ciphertext| {
                let mut transform = Transform::new(parameters);
                let polynomials = ciphertext.chunks_exact(size);
                polynomials
                    .map(|polynomial| transform.forward_torus(polynomial))
                    .collect()
            })
            .collect();
        self.products
            .par_iter()
            .map(|weights| {
                assert_eq!(weights.len(), transformed.len(), "input ciphertexts");
                let mut transform = Transform::new(parameters);
                let polynomial_count = parameters.glwe_size().0;
                let mut output = vec![0; polynomial_count * size].into_boxed_slice();
                for (index, output) in output.chunks_exact_mut(size).enumerate() {
                    let mut sum = vec![c64::default(); size / 2];
                    for (weights, ciphertext) in weights.iter().zip(&transformed) {
                        simd::run(AddProduct {
                            sum: &mut sum,
                            weights,
                            values: &ciphertext[index],
                        });
                    }
                    transform.backward_torus(output, &sum);
                }
                output
            })
            .collect()
    }
}

/// Adds the products of weights and values, number by number.
struct AddProduct<'a> {
    sum: &'a mut [c64],
    weights: &'a [c64],
    values: &'a [c64],
}

impl Task for AddProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let terms = self.weights.iter().zip(self.values);
        for (sum, (weight, value)) in self.sum.iter_mut().zip(terms) {
            sum.re += weight.re * value.re - weight.im * value.im;
            sum.im += weight.re * value.im + weight.im * value.re;
        }
    }
}

/// Returns the coefficients of a polynomial as `u64` in two's complement.
fn dense(polynomial: &SparsePolynomial, parameters: &ParameterSet) -> Vec<u64> {
    let size = parameters.literal().polynomial_size;
    let mut coefficients = vec![0u64; size];
    for &(exponent, weight) in polynomial {
        let exponent = exponent as usize;
        let signed = if exponent < size { weight } else { -weight };
        let coefficient = &mut coefficients[exponent % size];
        *coefficient = coefficient.wrapping_add(signed as u64);
    }
    coefficients
}

/// tfhe's FFT with its scratch memory.
struct Transform {
    size: usize,
    fft: Fft,
    buffers: ComputationBuffers,
}

impl Transform {
    fn new(parameters: &ParameterSet) -> Self {
        let fft = pinned_fft(parameters);
        let mut buffers = ComputationBuffers::new();
        let scratch = fft
            .as_view()
            .forward_scratch()
            .or(fft.as_view().backward_scratch());
        buffers.resize(scratch.unaligned_bytes_required());
        Self {
            size: parameters.literal().polynomial_size,
            fft,
            buffers,
        }
    }

    fn forward_integer(&mut self, coefficients: &[u64]) -> Vec<c64> {
        let mut points = vec![c64::default(); self.size / 2];
        self.fft.as_view().forward_as_integer(
            FourierPolynomial { data: &mut points },
            Polynomial::from_container(coefficients),
            self.buffers.stack(),
        );
        points
    }

    fn forward_torus(&mut self, coefficients: &[u64]) -> Vec<c64> {
        let mut points = vec![c64::default(); self.size / 2];
        self.fft.as_view().forward_as_torus(
            FourierPolynomial { data: &mut points },
            Polynomial::from_container(coefficients),
            self.buffers.stack(),
        );
        points
    }

    fn backward_torus(&mut self, coefficients: &mut [u64], points: &[c64]) {
        self.fft.as_view().backward_as_torus(
            Polynomial::from_container(coefficients),
            FourierPolynomial { data: points },
            self.buffers.stack(),
        );
    }
}

/// Returns the LWE ciphertext of one coefficient of a GLWE ciphertext.
pub fn extract(parameters: &ParameterSet, ciphertext: &[u64], coefficient: usize) -> Row<u64> {
    let glwe = GlweCiphertext::from_container(
        ciphertext,
        parameters.polynomial_size(),
        CiphertextModulus::new_native(),
    );
    let mut lwe = LweCiphertext::new(
        0u64,
        LweSize(parameters.big_size()),
        CiphertextModulus::new_native(),
    );
    extract_lwe_sample_from_glwe_ciphertext(&glwe, &mut lwe, MonomialDegree(coefficient));
    lwe.into_container().into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::torus::TURN;

    /// Schoolbook product modulo X^N + 1 and 2^64.
    fn negacyclic(a: &[u64], b: &[u64]) -> Vec<u64> {
        let size = a.len();
        let mut product = vec![0u64; size];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                let term = x.wrapping_mul(*y);
                let target = &mut product[(i + j) % size];
                *target = if i + j < size {
                    target.wrapping_add(term)
                } else {
                    target.wrapping_sub(term)
                };
            }
        }
        product
    }

    #[test]
    fn products_equal_the_schoolbook_within_the_fft_error() {
        let parameters = ParameterSet::fast().expect("secure");
        let size = parameters.literal().polynomial_size;
        let number = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let input: Vec<Row<u64>> = (0..2)
            .map(|g| (0..3 * size).map(|i| number(g * 7919 + i)).collect())
            .collect();
        let weight = |i: usize| number(i) as i8 as i64;
        let polynomials: Vec<SparsePolynomial> = (0..2)
            .map(|g| {
                (0..784)
                    .map(|i| (((i * 5 + g) % (2 * size)) as u32, weight(i + g)))
                    .collect()
            })
            .collect();
        let weights = PackedWeights::new(&parameters, std::slice::from_ref(&polynomials));
        let output = &weights.multiply(&parameters, &input)[0];
        let squares = polynomials
            .iter()
            .flatten()
            .map(|(_, weight)| (weight * weight) as f64);
        let bound = 6.0 * super::super::noise::product_variance(&parameters, squares.sum()).sqrt();
        for (index, found) in output.chunks_exact(size).enumerate() {
            let products = input
                .iter()
                .zip(&polynomials)
                .map(|(ciphertext, polynomial)| {
                    let part = &ciphertext[index * size..][..size];
                    negacyclic(part, &dense(polynomial, &parameters))
                });
            let expected = products
                .reduce(|a, b| a.iter().zip(b).map(|(x, y)| x.wrapping_add(y)).collect())
                .expect("two");
            for (found, expected) in found.iter().zip(expected) {
                let error = found.wrapping_sub(expected) as i64 as f64 / TURN;
                assert!(
                    error.abs() < bound,
                    "2^{:.1} > 2^{:.1}",
                    error.abs().log2(),
                    bound.log2()
                );
            }
        }
    }
}

//! Exact products of torus polynomials with binary ones, by the Fourier transform.
//!
//! A coefficient of 64 bits is a high and a low half. A product of halves with a binary
//! polynomial is a sum of up to k·N ≤ 2^16 numbers of 31 bits, at most 2^47. The transform's rounding
//! errors, some 2^-50 of that, stay below the half at which the nearest integer would be another: at
//! the worst, all halves -2^31 and all bits set, 0.002 at k·N = 2^11 and 0.1 at 2^16.

use super::butterfly::{Points, multiply_add, zero};
use super::lanes::dispatch::on_path;
use super::lanes::{Lanes, Task};
use super::transform::{Transform, smallest_size};
use crate::core::simd::{self, Path};
use crate::core::torus::halves;

/// The most coefficients of all polynomials together.
const MOST_COEFFICIENTS: usize = 1 << 16;

/// Binary polynomials that others are multiplied by.
pub struct BinaryPolynomials(Box<dyn AddProducts>);

/// What a layout of the polynomials can do.
trait AddProducts: Send + Sync {
    fn add_products(&self, sum: &mut [u64], factors: &[u64]);
}

impl BinaryPolynomials {
    /// Takes `[k, N]` coefficients of 0 and 1.
    pub fn new(coefficients: &[u64], polynomial_size: usize) -> Self {
        Self::on(simd::path(), coefficients, polynomial_size)
    }

    fn on(path: Path, coefficients: &[u64], polynomial_size: usize) -> Self {
        let layout = on_path!(path, Spectra::lay_out(coefficients, polynomial_size));
        layout.unwrap_or_else(|| unreachable!("the CPU has {path}"))
    }

    /// Adds Σ factor · polynomial modulo X^N + 1 and 2^64 to `sum`, for `[k, N]` factors.
    pub fn add_products(&self, sum: &mut [u64], factors: &[u64]) {
        self.0.add_products(sum, factors);
    }
}

/// Polynomials in the Fourier domain, in registers of L lanes.
struct Spectra<I: Lanes<L>, const L: usize> {
    lanes: I,
    transform: Transform<I::Float, L>,
    /// `[k, N / 2L]`.
    polynomials: Vec<Points<I::Float>>,
}

impl<I: Lanes<L>, const L: usize> Spectra<I, L> {
    fn lay_out(coefficients: &[u64], polynomial_size: usize) -> Option<BinaryPolynomials> {
        assert!(polynomial_size >= smallest_size(L), "a square of points");
        assert!(coefficients.len() <= MOST_COEFFICIENTS, "sums of 2^47");
        let lanes = I::detect()?;
        let transform = Transform::new(lanes, polynomial_size);
        let polynomials = lanes.run(ToFourier {
            transform: &transform,
            coefficients,
        });
        Some(BinaryPolynomials(Box::new(Self {
            lanes,
            transform,
            polynomials,
        })))
    }
}

/// Takes small polynomials to the Fourier domain.
struct ToFourier<'a, F, const L: usize> {
    transform: &'a Transform<F, L>,
    coefficients: &'a [u64],
}

impl<I: Lanes<L>, const L: usize> Task<I, L> for ToFourier<'_, I::Float, L> {
    type Output = Vec<Points<I::Float>>;

    #[inline(always)]
    fn run(self, lanes: I) -> Self::Output {
        let size = self.transform.polynomial_size();
        let mut points = vec![zero(lanes); self.coefficients.len() / (2 * L)];
        let polynomials = self.coefficients.chunks_exact(size);
        for (points, polynomial) in points.chunks_exact_mut(size / (2 * L)).zip(polynomials) {
            fold(lanes, points, polynomial, Half::Low);
            self.transform.forward(lanes, points);
        }
        points
    }
}

impl<I: Lanes<L>, const L: usize> AddProducts for Spectra<I, L> {
    fn add_products(&self, sum: &mut [u64], factors: &[u64]) {
        self.lanes.run(Multiply {
            spectra: self,
            sum,
            factors,
        });
    }
}

struct Multiply<'a, I: Lanes<L>, const L: usize> {
    spectra: &'a Spectra<I, L>,
    sum: &'a mut [u64],
    factors: &'a [u64],
}

impl<I: Lanes<L>, const L: usize> Task<I, L> for Multiply<'_, I, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: I) {
        let Spectra {
            transform,
            polynomials,
            ..
        } = self.spectra;
        let size = self.sum.len();
        assert_eq!(self.factors.len(), polynomials.len() * 2 * L, "factors");
        assert_eq!(size, transform.polynomial_size(), "coefficients");
        let mut factor = vec![zero(lanes); size / (2 * L)];
        let mut products = factor.clone();
        for half in [Half::Low, Half::High] {
            products.fill(zero(lanes));
            let pairs = self.factors.chunks_exact(size);
            for (coefficients, polynomial) in pairs.zip(polynomials.chunks_exact(factor.len())) {
                fold(lanes, &mut factor, coefficients, half);
                transform.forward(lanes, &mut factor);
                for ((sum, &a), &b) in products.iter_mut().zip(&factor).zip(polynomial) {
                    multiply_add(lanes, sum, a, b);
                }
            }
            transform.backward(lanes, &mut products);
            add_rounded(lanes, self.sum, &products, half);
        }
    }
}

/// One of the [`halves`] of a coefficient.
#[derive(Clone, Copy)]
enum Half {
    Low,
    High,
}

impl Half {
    #[inline(always)]
    fn of(self, coefficient: u64) -> f64 {
        let (low, high) = halves(coefficient);
        f64::from(match self {
            Self::Low => low,
            Self::High => high,
        })
    }

    #[inline(always)]
    fn shift(self) -> u32 {
        match self {
            Self::Low => 0,
            Self::High => 32,
        }
    }
}

/// Writes halves of coefficients as complex numbers.
#[inline(always)]
fn fold<I: Lanes<L>, const L: usize>(
    lanes: I,
    points: &mut [Points<I::Float>],
    coefficients: &[u64],
    half: Half,
) {
    let (re, im) = coefficients.split_at(coefficients.len() / 2);
    let registers = re.as_chunks::<L>().0.iter().zip(im.as_chunks::<L>().0);
    for (point, (re, im)) in points.iter_mut().zip(registers) {
        let (mut reals, mut imaginaries) = ([0.0; L], [0.0; L]);
        for lane in 0..L {
            reals[lane] = half.of(re[lane]);
            imaginaries[lane] = half.of(im[lane]);
        }
        point.re = lanes.floats(reals);
        point.im = lanes.floats(imaginaries);
    }
}

/// Adds the nearest integers of products, N/2 times too large, to the half of the coefficients.
#[inline(always)]
fn add_rounded<I: Lanes<L>, const L: usize>(
    lanes: I,
    sum: &mut [u64],
    products: &[Points<I::Float>],
    half: Half,
) {
    let scale = lanes.float(2.0 / sum.len() as f64);
    let (re, im) = sum.split_at_mut(sum.len() / 2);
    let registers = re.as_chunks_mut::<L>().0.iter_mut();
    for ((re, im), product) in registers.zip(im.as_chunks_mut::<L>().0).zip(products) {
        for (sum, product) in [(re, product.re), (im, product.im)] {
            let rounded = lanes.to_floats(lanes.round(lanes.mul(product, scale)));
            for (sum, number) in sum.iter_mut().zip(rounded) {
                *sum = sum.wrapping_add((number as i64 as u64) << half.shift());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tfhe::core_crypto::algorithms::polynomial_algorithms::polynomial_wrapping_add_mul_assign;
    use tfhe::core_crypto::prelude::*;

    use super::*;

    #[test]
    fn products_are_exact_on_all_paths() {
        for (k, size) in [
            (1, 128),
            (4, 512),
            (2, 1024),
            (1, 2048),
            (1, 4096),
            (1, 16384),
        ] {
            let number = |index: usize| {
                let mixed = (index as u64 + 5).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                mixed ^ (mixed >> 29)
            };
            let mut factors: Vec<u64> = (0..k * size).map(number).collect();
            // Halves at both ends of their range.
            for (index, extreme) in [0, 1 << 31, (1 << 31) - 1, 1 << 63, u64::MAX, 0xffff_ffff]
                .into_iter()
                .enumerate()
            {
                factors[index] = extreme;
            }
            for dense in [false, true] {
                if dense {
                    // The largest sums that there are.
                    factors.fill((1 << 63) + (1 << 31));
                }
                let bit = |index: usize| u64::from(dense) | (number(index + 3) >> 40 & 1);
                let binary: Vec<u64> = (0..k * size).map(bit).collect();
                let start: Vec<u64> = (0..size).map(|index| number(index + 9)).collect();
                let mut expected = Polynomial::from_container(start.clone());
                for (factor, binary) in factors.chunks_exact(size).zip(binary.chunks_exact(size)) {
                    polynomial_wrapping_add_mul_assign(
                        &mut expected,
                        &Polynomial::from_container(factor),
                        &Polynomial::from_container(binary),
                    );
                }
                for path in Path::available() {
                    let mut found = start.clone();
                    BinaryPolynomials::on(path, &binary, size).add_products(&mut found, &factors);
                    assert!(found == expected.as_ref(), "{path}, k = {k}, N = {size}");
                }
            }
        }
    }
}

//! One step of a blind rotation on AVX-512: multiplies an accumulator by X^(a·s) for a secret bit s
//! whose GGSW encryption is known.
//!
//! acc += GGSW(s) ⊡ ((X^a - 1)·acc): the difference is decomposed into small signed digits, and the
//! digit polynomials are multiplied by the rows of the GGSW in the Fourier domain. tfhe does the
//! same in a dozen passes over the data; here there are four kinds, each with few operations
//! between a load and a store. The digits are those of tfhe's `SignedDecomposer`, bit for bit, so
//! a step differs from tfhe's by the rounding errors of the transforms alone.

use std::arch::x86_64::*;

use super::transform::{LANES, Points, Transform, zero};

/// The shape of a blind rotation.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// k + 1.
    pub glwe_size: usize,
    /// N.
    pub polynomial_size: usize,
    pub base_log: usize,
    pub levels: usize,
}

impl Shape {
    /// Vectors of a polynomial in the Fourier domain.
    pub fn points(&self) -> usize {
        self.polynomial_size / 2 / LANES
    }

    /// Digit polynomials of an accumulator, which are the rows of a GGSW.
    pub fn rows(&self) -> usize {
        self.levels * self.glwe_size
    }

    /// Vectors of a GGSW in the Fourier domain.
    pub fn ggsw_points(&self) -> usize {
        self.rows() * self.glwe_size * self.points()
    }

    /// Coefficients of a polynomial with its padding, see [`pad`].
    pub fn padded_size(&self) -> usize {
        self.polynomial_size + LANES
    }
}

/// Writes a GGSW of `[levels, k + 1, k + 1, N]` torus elements in the Fourier domain, as
/// `[N / 16, levels, k + 1, k + 1]` vectors, divided by N/2 for the transform back.
#[target_feature(enable = "avx512f,avx512dq")]
pub fn to_fourier(ggsw: &[u64], shape: &Shape, transform: &Transform, fourier: &mut [Points]) {
    let scale = _mm512_set1_pd(2f64.powi(-64) / (shape.polynomial_size / 2) as f64);
    let mut values = vec![zero(); shape.points()];
    for (index, polynomial) in ggsw.chunks_exact(shape.polynomial_size).enumerate() {
        let (re, im) = halves(polynomial);
        for (value, (re, im)) in values.iter_mut().zip(re.iter().zip(im)) {
            value.re = _mm512_mul_pd(_mm512_cvtepi64_pd(load(re)), scale);
            value.im = _mm512_mul_pd(_mm512_cvtepi64_pd(load(im)), scale);
        }
        transform.forward(&mut values);
        let count = shape.rows() * shape.glwe_size;
        for (fourier, value) in fourier.chunks_exact_mut(count).zip(&values) {
            fourier[index] = *value;
        }
    }
}

/// Replaces `accumulator`, `[k + 1]` padded polynomials, by X^(a·s) times itself, 0 ≤ a < 2N.
///
/// `digits` is working space of `[levels, k + 1, N / 16]` vectors.
#[target_feature(enable = "avx512f,avx512dq")]
pub fn rotate<const SIZE: usize>(
    accumulator: &mut [u64],
    a: usize,
    ggsw: &[Points],
    digits: &mut [Points],
    shape: &Shape,
    transform: &Transform,
) {
    let points = shape.points();
    for (index, polynomial) in accumulator.chunks_exact(shape.padded_size()).enumerate() {
        decompose(polynomial, a, &mut digits[index * points..], shape);
    }
    for digits in digits.chunks_exact_mut(points) {
        transform.forward_passes(digits);
    }
    multiply::<SIZE>(ggsw, digits, shape, transform);
    let products = digits.chunks_exact_mut(points);
    for (polynomial, product) in accumulator
        .chunks_exact_mut(shape.padded_size())
        .zip(products)
    {
        transform.backward_passes(product);
        add(product, &mut polynomial[..shape.polynomial_size]);
        pad(polynomial);
    }
}

/// Writes the padding of a polynomial: coefficients N.. continue it by the rule X^N = -1, so that
/// eight consecutive coefficients of a rotated polynomial can be read at once.
pub fn pad(polynomial: &mut [u64]) {
    let (coefficients, padding) = polynomial.split_at_mut(polynomial.len() - LANES);
    for (padding, coefficient) in padding.iter_mut().zip(coefficients) {
        *padding = coefficient.wrapping_neg();
    }
}

/// Writes the digits of (X^a - 1)·polynomial to every (k + 1)-th polynomial of `digits`.
///
/// Coefficient j of X^a·p is ±p[j - a mod N]. It is read in two runs, each contiguous in either
/// half of the polynomial, on both sides of the one point where a half begins to wrap.
#[target_feature(enable = "avx512f,avx512dq")]
fn decompose(polynomial: &[u64], a: usize, digits: &mut [Points], shape: &Shape) {
    let size = shape.polynomial_size;
    let rounding = Rounding::new(shape);
    let (shift, negated) = (a % size, a >= size);
    let (old_re, old_im) = halves(&polynomial[..size]);
    let level_points = shape.glwe_size * shape.points();
    let (lower, last) = digits.split_at_mut((shape.levels - 1) * level_points);
    let wrap = (shift % (size / 2)).div_ceil(LANES);
    for run in [0..wrap, wrap..shape.points()] {
        if run.is_empty() {
            continue;
        }
        let rotated = |first: usize| {
            let wraps = first < shift;
            let start = if wraps {
                first + size - shift
            } else {
                first - shift
            };
            let sign = _mm512_set1_epi64(if wraps != negated { -1 } else { 0 });
            (polynomial[start..].as_chunks::<LANES>().0, sign)
        };
        let first = run.start * LANES;
        let ((re, re_sign), (im, im_sign)) = (rotated(first), rotated(first + size / 2));
        let old = old_re[run.clone()].iter().zip(&old_im[run.clone()]);
        let last = last[run.clone()].iter_mut();
        for (index, (last, (rotated, old))) in run.zip(last.zip(re.iter().zip(im).zip(old))) {
            let mut re = rounding.round(difference(rotated.0, re_sign, old.0));
            let mut im = rounding.round(difference(rotated.1, im_sign, old.1));
            for level in 0..shape.levels - 1 {
                let digits = &mut lower[level * level_points + index];
                digits.re = _mm512_cvtepi64_pd(rounding.next_digit(&mut re));
                digits.im = _mm512_cvtepi64_pd(rounding.next_digit(&mut im));
            }
            last.re = _mm512_cvtepi64_pd(re);
            last.im = _mm512_cvtepi64_pd(im);
        }
    }
}

/// Returns ±rotated - old; the sign is 0 or -1 in all bits.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn difference(rotated: &[u64; LANES], sign: __m512i, old: &[u64; LANES]) -> __m512i {
    let signed = _mm512_sub_epi64(_mm512_xor_epi64(load(rotated), sign), sign);
    _mm512_sub_epi64(signed, load(old))
}

/// tfhe's balanced decomposition into digits of absolute value at most B/2.
struct Rounding {
    half_unit: __m512i,
    unit_log: __m512i,
    half_unit_log: __m512i,
    half_turn: __m512i,
    base_log: __m512i,
    carry_log: __m512i,
    digit_mask: __m512i,
}

impl Rounding {
    #[target_feature(enable = "avx512f,avx512dq")]
    fn new(shape: &Shape) -> Self {
        let kept = (shape.base_log * shape.levels) as i64;
        let base_log = shape.base_log as i64;
        Self {
            half_unit: _mm512_set1_epi64(1 << (63 - kept)),
            unit_log: _mm512_set1_epi64(64 - kept),
            half_unit_log: _mm512_set1_epi64(63 - kept),
            half_turn: _mm512_set1_epi64(1 << kept),
            base_log: _mm512_set1_epi64(base_log),
            carry_log: _mm512_set1_epi64(base_log - 1),
            digit_mask: _mm512_set1_epi64((1 << base_log) - 1),
        }
    }

    /// Returns the nearest number of units. Half a turn is rounded to either of its two signs,
    /// the one that it did not come from.
    #[target_feature(enable = "avx512f,avx512dq")]
    #[inline]
    fn round(&self, torus: __m512i) -> __m512i {
        let units = _mm512_srav_epi64(_mm512_add_epi64(torus, self.half_unit), self.unit_log);
        let halves = _mm512_srlv_epi64(torus, self.half_unit_log);
        let from_above = _mm512_cmpeq_epi64_mask(halves, self.half_turn);
        _mm512_mask_sub_epi64(units, from_above, _mm512_setzero_si512(), units)
    }

    /// Takes the lowest digit off the number. The highest is what is left in the end.
    #[target_feature(enable = "avx512f,avx512dq")]
    #[inline]
    fn next_digit(&self, number: &mut __m512i) -> __m512i {
        let digit = _mm512_and_epi64(*number, self.digit_mask);
        let rest = _mm512_srav_epi64(*number, self.base_log);
        // 1 where the digit is above B/2, or is B/2 and the rest is odd at its place.
        let above = _mm512_or_epi64(_mm512_sub_epi64(digit, _mm512_set1_epi64(1)), rest);
        let carry = _mm512_srlv_epi64(_mm512_and_epi64(above, digit), self.carry_log);
        *number = _mm512_add_epi64(rest, carry);
        _mm512_sub_epi64(digit, _mm512_sllv_epi64(carry, self.base_log))
    }
}

/// Replaces the first k + 1 of the digit polynomials by their products with the GGSW, summed.
///
/// Square by square, so that the transforms hide the time that the GGSW takes to arrive.
#[target_feature(enable = "avx512f,avx512dq")]
fn multiply<const SIZE: usize>(
    ggsw: &[Points],
    digits: &mut [Points],
    shape: &Shape,
    transform: &Transform,
) {
    let (rows, points) = (shape.rows(), shape.points());
    for (square, ggsw) in ggsw.chunks_exact(LANES * rows * SIZE).enumerate() {
        for digits in digits.chunks_exact_mut(points) {
            transform.forward_square(&mut digits.as_chunks_mut().0[square], square);
        }
        for (index, ggsw) in (square * LANES..).zip(ggsw.chunks_exact(rows * SIZE)) {
            let mut sums = [zero(); SIZE];
            for (level, ggsw) in ggsw.as_chunks().0.as_chunks::<SIZE>().0.iter().enumerate() {
                for (row, ggsw) in ggsw.iter().enumerate() {
                    let digit = digits[(level * SIZE + row) * points + index];
                    multiply_add(&mut sums, digit, ggsw);
                }
            }
            for (column, sum) in sums.into_iter().enumerate() {
                digits[column * points + index] = sum;
            }
        }
        for product in digits.chunks_exact_mut(points).take(SIZE) {
            transform.backward_square(&mut product.as_chunks_mut().0[square], square);
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn multiply_add<const SIZE: usize>(sums: &mut [Points; SIZE], digit: Points, row: &[Points; SIZE]) {
    for (sum, factor) in sums.iter_mut().zip(row) {
        sum.re = _mm512_fmadd_pd(digit.re, factor.re, sum.re);
        sum.im = _mm512_fmadd_pd(digit.re, factor.im, sum.im);
        sum.re = _mm512_fnmadd_pd(digit.im, factor.im, sum.re);
        sum.im = _mm512_fmadd_pd(digit.im, factor.re, sum.im);
    }
}

/// Adds the product, in turns, to the polynomial.
#[target_feature(enable = "avx512f,avx512dq")]
fn add(product: &[Points], polynomial: &mut [u64]) {
    let (re, im) = polynomial.split_at_mut(polynomial.len() / 2);
    let re = re.as_chunks_mut().0.iter_mut();
    let im = im.as_chunks_mut().0.iter_mut();
    for ((re, im), product) in re.zip(im).zip(product) {
        store(re, _mm512_add_epi64(load(re), to_torus(product.re)));
        store(im, _mm512_add_epi64(load(im), to_torus(product.im)));
    }
}

/// Returns the fractions of a turn, in units of 2^-64.
///
/// 3 plus a fraction in [-1/2, 1/2] is a float in [2, 4), whose last bit is worth 2^-51: shifted
/// left by 13, its bits are the fraction in two's complement, and exponent and 3 drop out. From
/// |x| = 2 on, no bit of x is lost.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn to_torus(x: __m512d) -> __m512i {
    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    let fraction = _mm512_sub_pd(x, _mm512_roundscale_pd::<NEAREST>(x));
    let bits = _mm512_castpd_si512(_mm512_add_pd(fraction, _mm512_set1_pd(3.0)));
    _mm512_slli_epi64::<13>(bits)
}

/// Returns the real and imaginary parts of a folded polynomial.
fn halves(polynomial: &[u64]) -> (&[[u64; LANES]], &[[u64; LANES]]) {
    let (re, im) = polynomial.split_at(polynomial.len() / 2);
    (re.as_chunks().0, im.as_chunks().0)
}

#[inline(always)]
fn load(lanes: &[u64; LANES]) -> __m512i {
    // SAFETY: both are 64 bytes without padding or invalid values.
    unsafe { std::mem::transmute(*lanes) }
}

#[inline(always)]
fn store(lanes: &mut [u64; LANES], value: __m512i) {
    // SAFETY: both are 64 bytes without padding or invalid values.
    *lanes = unsafe { std::mem::transmute::<__m512i, [u64; LANES]>(value) };
}

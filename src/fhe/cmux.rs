//! One step of a blind rotation: multiplies an accumulator by X^(a·s) for a secret bit s whose GGSW
//! encryption is known.
//!
//! acc += GGSW(s) ⊡ ((X^a - 1)·acc): the difference is decomposed into small signed digits, and the
//! digit polynomials are multiplied by the rows of the GGSW in the Fourier domain. tfhe does the
//! same in a dozen passes over the data; here there are few, each with many operations between a
//! load and a store: the transform's first pass takes the digits as they are made, and its undoing
//! adds its results to the accumulator. The digits are those of tfhe's `SignedDecomposer`, bit for
//! bit, so a step differs from tfhe's by the rounding errors of the transforms alone.

use super::butterfly::{Points, join, multiply_add, zero};
use super::difference::Digits;
use super::lanes::Lanes;
use super::shape::Shape;
use super::transform::{Transform, gather};

/// What a step needs beside the accumulator.
pub struct Step<'a, F, const L: usize> {
    pub shape: &'a Shape,
    pub transform: &'a Transform<F, L>,
    /// Working space of `[levels, k + 1, N / 2L]`.
    pub digits: &'a mut [Points<F>],
}

/// Writes a GGSW of `[levels, k + 1, k + 1, N]` torus elements in the Fourier domain, as
/// `[N / 2L, levels, k + 1, k + 1]`, divided by N/2 for the transform back.
#[inline(always)]
pub fn to_fourier<I: Lanes<L>, const L: usize>(
    lanes: I,
    ggsw: &[u64],
    shape: &Shape,
    transform: &Transform<I::Float, L>,
    fourier: &mut [Points<I::Float>],
) {
    let scale = 2f64.powi(-64) / (shape.polynomial_size / 2) as f64;
    let mut values = vec![zero(lanes); shape.points(L)];
    for (index, polynomial) in ggsw.chunks_exact(shape.polynomial_size).enumerate() {
        let (re, im) = halves::<L>(polynomial);
        for (value, (re, im)) in values.iter_mut().zip(re.iter().zip(im)) {
            value.re = turns(lanes, re, scale);
            value.im = turns(lanes, im, scale);
        }
        transform.forward(lanes, &mut values);
        let count = shape.rows() * shape.glwe_size;
        for (fourier, value) in fourier.chunks_exact_mut(count).zip(&values) {
            fourier[index] = *value;
        }
    }
}

/// Returns torus elements as multiples of `scale`, from -2^63 to 2^63.
#[inline(always)]
fn turns<I: Lanes<L>, const L: usize>(lanes: I, torus: &[u64; L], scale: f64) -> I::Float {
    let mut numbers = [0.0; L];
    for (number, &element) in numbers.iter_mut().zip(torus) {
        *number = element as i64 as f64 * scale;
    }
    lanes.floats(numbers)
}

/// Replaces `accumulator`, `[k + 1]` padded polynomials, by X^(a·s) times itself, 0 ≤ a < 2N.
#[inline(always)]
pub fn rotate<I: Lanes<L>, const L: usize>(
    lanes: I,
    accumulator: &mut [u64],
    a: usize,
    ggsw: &[Points<I::Float>],
    step: &mut Step<I::Float, L>,
) {
    match step.transform.first.radix {
        1 => decompose::<I, L, 1>(lanes, accumulator, a, step),
        2 => decompose::<I, L, 2>(lanes, accumulator, a, step),
        _ => decompose::<I, L, 4>(lanes, accumulator, a, step),
    }
    for digits in step.digits.chunks_exact_mut(step.shape.points(L)) {
        step.transform.forward_passes(lanes, digits);
    }
    match step.shape.glwe_size {
        2 => multiply::<I, L, 2>(lanes, ggsw, step),
        3 => multiply::<I, L, 3>(lanes, ggsw, step),
        4 => multiply::<I, L, 4>(lanes, ggsw, step),
        _ => multiply::<I, L, 5>(lanes, ggsw, step),
    }
    let products = step.digits.chunks_exact_mut(step.shape.points(L));
    for product in products.take(step.shape.glwe_size) {
        step.transform.backward_passes(lanes, product);
    }
    match step.transform.first.radix {
        1 => add::<I, L, 1>(lanes, accumulator, step),
        2 => add::<I, L, 2>(lanes, accumulator, step),
        _ => add::<I, L, 4>(lanes, accumulator, step),
    }
}

/// Writes the digits of the accumulator's difference to its rotation, behind the transform's first
/// pass.
#[inline(always)]
fn decompose<I: Lanes<L>, const L: usize, const RADIX: usize>(
    lanes: I,
    accumulator: &[u64],
    a: usize,
    step: &mut Step<I::Float, L>,
) {
    let Step {
        shape, transform, ..
    } = *step;
    let digits = Digits::<I, L, RADIX>::new(lanes, shape, &transform.first, a);
    let polynomials = accumulator.chunks_exact(shape.padded_size(L));
    for (index, polynomial) in polynomials.enumerate() {
        digits.write(
            polynomial,
            &mut step.digits[index * shape.points(L)..],
            shape,
        );
    }
}

/// Writes the padding of a polynomial: coefficients N.. continue it by the rule X^N = -1, so that a
/// register of consecutive coefficients of a rotated polynomial can be read at once.
pub fn pad(polynomial: &mut [u64], lanes: usize) {
    let (coefficients, padding) = polynomial.split_at_mut(polynomial.len() - lanes);
    for (padding, coefficient) in padding.iter_mut().zip(coefficients) {
        *padding = coefficient.wrapping_neg();
    }
}

/// Replaces the first k + 1 of the digit polynomials by their products with the GGSW, summed.
///
/// Square by square, so that the transforms hide the time that the GGSW takes to arrive.
#[inline(always)]
fn multiply<I: Lanes<L>, const L: usize, const SIZE: usize>(
    lanes: I,
    ggsw: &[Points<I::Float>],
    step: &mut Step<I::Float, L>,
) {
    let Step {
        shape, transform, ..
    } = *step;
    let digits = &mut *step.digits;
    let (rows, points) = (shape.rows(), shape.points(L));
    for (square, ggsw) in ggsw.chunks_exact(L * rows * SIZE).enumerate() {
        for digits in digits.chunks_exact_mut(points) {
            let digits = &mut digits.as_chunks_mut().0[square];
            transform.forward_square(lanes, digits, square);
        }
        for (index, ggsw) in (square * L..).zip(ggsw.chunks_exact(rows * SIZE)) {
            let mut sums = [zero(lanes); SIZE];
            for (level, ggsw) in ggsw
                .as_chunks::<SIZE>()
                .0
                .as_chunks::<SIZE>()
                .0
                .iter()
                .enumerate()
            {
                for (row, ggsw) in ggsw.iter().enumerate() {
                    let digit = digits[(level * SIZE + row) * points + index];
                    for (sum, &factor) in sums.iter_mut().zip(ggsw) {
                        multiply_add(lanes, sum, digit, factor);
                    }
                }
            }
            for (column, sum) in sums.into_iter().enumerate() {
                digits[column * points + index] = sum;
            }
        }
        for product in digits.chunks_exact_mut(points).take(SIZE) {
            let product = &mut product.as_chunks_mut().0[square];
            transform.backward_square(lanes, product, square);
        }
    }
}

/// Undoes the transform's first pass, and adds the products, in turns, to the accumulator.
#[inline(always)]
fn add<I: Lanes<L>, const L: usize, const RADIX: usize>(
    lanes: I,
    accumulator: &mut [u64],
    step: &Step<I::Float, L>,
) {
    let (shape, points) = (step.shape, step.shape.points(L));
    let roots = step.transform.first.first_roots::<I, L, RADIX>(lanes);
    let stride = points / RADIX;
    let products = step.digits.chunks_exact(points);
    let polynomials = accumulator.chunks_exact_mut(shape.padded_size(L));
    for (polynomial, product) in polynomials.zip(products) {
        let (re, im) = polynomial[..shape.polynomial_size].split_at_mut(shape.polynomial_size / 2);
        let (re, im) = (re.as_chunks_mut().0, im.as_chunks_mut().0);
        for place in 0..stride {
            let turns = join(lanes, gather::<_, RADIX>(product, place), roots);
            for (block, turns) in turns.into_iter().enumerate() {
                add_turns(lanes, &mut re[block * stride + place], turns.re);
                add_turns(lanes, &mut im[block * stride + place], turns.im);
            }
        }
        pad(polynomial, L);
    }
}

/// Adds fractions of a turn to torus elements.
///
/// 3 plus a fraction in [-1/2, 1/2] is a float in [2, 4), whose last bit is worth 2^-51: shifted
/// left by 13, its bits are the fraction in two's complement, and exponent and 3 drop out. From
/// |x| = 2 on, no bit of x is lost.
#[inline(always)]
fn add_turns<I: Lanes<L>, const L: usize>(lanes: I, torus: &mut [u64; L], turns: I::Float) {
    let fraction = lanes.sub(turns, lanes.round(turns));
    let bits = lanes.to_bits(lanes.add(fraction, lanes.float(3.0)));
    let units = lanes.shift_left(bits, lanes.word(13));
    let sum = lanes.add_words(lanes.words(torus), units);
    lanes.store(torus, sum);
}

/// Returns the real and imaginary parts of a folded polynomial.
fn halves<const L: usize>(polynomial: &[u64]) -> (&[[u64; L]], &[[u64; L]]) {
    let (re, im) = polynomial.split_at(polynomial.len() / 2);
    (re.as_chunks().0, im.as_chunks().0)
}

//! The digits of a polynomial's difference to its rotation, taken through a transform's first pass.

use std::ops::Range;

use super::butterfly::{Points, split};
use super::decomposition::Decomposition;
use super::lanes::Lanes;
use super::shape::Shape;
use super::transform::{Pass, gather, scatter};

/// What takes the polynomials of an accumulator to digits of their differences to X^a times them.
pub struct Digits<I: Lanes<L>, const L: usize, const RADIX: usize> {
    lanes: I,
    decomposition: Decomposition<I, L>,
    /// Of the first pass.
    roots: [Points<I::Float>; RADIX],
    runs: [Run<I::Word, RADIX>; 2],
}

impl<I: Lanes<L>, const L: usize, const RADIX: usize> Digits<I, L, RADIX> {
    #[inline(always)]
    pub fn new(lanes: I, shape: &Shape, first: &Pass, a: usize) -> Self {
        Self {
            lanes,
            decomposition: Decomposition::new(lanes, shape.base_log, shape.levels),
            roots: first.first_roots(lanes),
            runs: runs(lanes, shape, a),
        }
    }

    /// Writes the digits of (X^a - 1)·polynomial, behind the transform's first pass, to every
    /// (k + 1)-th polynomial of `digits`.
    #[inline(always)]
    pub fn write(&self, polynomial: &[u64], digits: &mut [Points<I::Float>], shape: &Shape) {
        if shape.levels > 1 {
            for run in &self.runs {
                self.levels(run, polynomial, digits, shape);
            }
            return;
        }
        let digits = &mut digits[..shape.points(L)];
        let mut lowest = self.lanes.float(0.0);
        for run in &self.runs {
            let of_run = self.one_level::<false>(run, polynomial, digits);
            lowest = self.lanes.min(lowest, of_run);
        }
        // Once in thousands of polynomials.
        if self.decomposition.has_half_turn(lowest) {
            for run in &self.runs {
                self.one_level::<true>(run, polynomial, digits);
            }
        }
    }

    /// Writes the only digits at a run of places, and returns the lowest of them.
    #[inline(always)]
    fn one_level<const HALF_TURNS: bool>(
        &self,
        run: &Run<I::Word, RADIX>,
        polynomial: &[u64],
        digits: &mut [Points<I::Float>],
    ) -> I::Float {
        let lanes = self.lanes;
        let difference = run.of::<L>(polynomial);
        let mut lowest = lanes.float(0.0);
        for (offset, place) in run.places.clone().enumerate() {
            let mut points = self.roots;
            for (block, point) in points.iter_mut().enumerate() {
                let re = difference.at(lanes, block, 0, offset);
                let im = difference.at(lanes, block, 1, offset);
                point.re = self.decomposition.only_digit::<HALF_TURNS>(re);
                point.im = self.decomposition.only_digit::<HALF_TURNS>(im);
                lowest = lanes.min(lowest, lanes.min(point.re, point.im));
            }
            scatter(digits, place, split(lanes, points, self.roots));
        }
        lowest
    }

    /// Writes the digits of all levels at a run of places.
    #[inline(always)]
    fn levels(
        &self,
        run: &Run<I::Word, RADIX>,
        polynomial: &[u64],
        digits: &mut [Points<I::Float>],
        shape: &Shape,
    ) {
        let (lanes, points) = (self.lanes, shape.points(L));
        let stride = points / RADIX;
        let level = |level: usize| level * shape.glwe_size * points;
        let difference = run.of::<L>(polynomial);
        for (offset, place) in run.places.clone().enumerate() {
            for block in 0..RADIX {
                let index = block * stride + place;
                let re = difference.at(lanes, block, 0, offset);
                let im = difference.at(lanes, block, 1, offset);
                let (mut re, mut im) = (self.decomposition.units(re), self.decomposition.units(im));
                for lower in 0..shape.levels - 1 {
                    let point = &mut digits[level(lower) + index];
                    point.re = self.decomposition.next_digit(&mut re);
                    point.im = self.decomposition.next_digit(&mut im);
                }
                let point = &mut digits[level(shape.levels - 1) + index];
                point.re = self.decomposition.last_digit(re);
                point.im = self.decomposition.last_digit(im);
            }
            for any in 0..shape.levels {
                let digits = &mut digits[level(any)..][..points];
                let points = split(lanes, gather(digits, place), self.roots);
                scatter(digits, place, points);
            }
        }
    }
}

/// Places of a polynomial's blocks, in registers, where every block of its rotation is contiguous.
struct Run<W, const RADIX: usize> {
    places: Range<usize>,
    /// For the real and imaginary part of each block: the first coefficient, that of the rotation,
    /// and 0 or, where the rotation is negated, -1 in all bits.
    sources: [[(usize, usize, W); 2]; RADIX],
}

/// Returns the two runs of (X^a - 1)·polynomial; one may be empty.
///
/// Coefficient j of X^a·p is ±p[j - a mod N]. Where a register begins to be one that wraps is one
/// place of the halves of the polynomial, the same in both, so one place of one block.
#[inline(always)]
fn runs<I: Lanes<L>, const L: usize, const RADIX: usize>(
    lanes: I,
    shape: &Shape,
    a: usize,
) -> [Run<I::Word, RADIX>; 2] {
    let stride = shape.points(L) / RADIX;
    let wrap = (a % (shape.polynomial_size / 2)).div_ceil(L) % stride;
    [
        Run::new(lanes, shape, a, 0..wrap),
        Run::new(lanes, shape, a, wrap..stride),
    ]
}

impl<W: Copy, const RADIX: usize> Run<W, RADIX> {
    #[inline(always)]
    fn new<I: Lanes<L, Word = W>, const L: usize>(
        lanes: I,
        shape: &Shape,
        a: usize,
        places: Range<usize>,
    ) -> Self {
        let size = shape.polynomial_size;
        let (shift, negated) = (a % size, a >= size);
        let stride = shape.points(L) / RADIX;
        let mut sources = [[(0, 0, lanes.word(0)); 2]; RADIX];
        for (block, halves) in sources.iter_mut().enumerate() {
            for (half, source) in halves.iter_mut().enumerate() {
                let first = (block * stride + places.start) * L + half * size / 2;
                let wraps = first < shift;
                let rotated = if wraps {
                    first + size - shift
                } else {
                    first - shift
                };
                let sign = lanes.word(if wraps != negated { u64::MAX } else { 0 });
                *source = (first, rotated, sign);
            }
        }
        Self { places, sources }
    }

    /// Returns the coefficients of a polynomial and of its rotation.
    #[inline(always)]
    fn of<'a, const L: usize>(&self, polynomial: &'a [u64]) -> Difference<'a, W, L, RADIX> {
        let nothing: &[[u64; L]] = &[];
        let mut sources = [[(nothing, nothing, self.sources[0][0].2); 2]; RADIX];
        let from = |first: usize| &polynomial[first..].as_chunks().0[..self.places.len()];
        for (halves, starts) in sources.iter_mut().zip(&self.sources) {
            for (source, &(first, rotated, sign)) in halves.iter_mut().zip(starts) {
                *source = (from(first), from(rotated), sign);
            }
        }
        Difference { sources }
    }
}

/// Coefficients, those of their rotation, and its sign.
type Source<'a, W, const L: usize> = (&'a [[u64; L]], &'a [[u64; L]], W);

/// (X^a - 1)·polynomial, at a run of places of its blocks.
struct Difference<'a, W, const L: usize, const RADIX: usize> {
    sources: [[Source<'a, W, L>; 2]; RADIX],
}

impl<W: Copy, const L: usize, const RADIX: usize> Difference<'_, W, L, RADIX> {
    /// Returns coefficients of a block's real (0) or imaginary part (1).
    #[inline(always)]
    fn at<I: Lanes<L, Word = W>>(&self, lanes: I, block: usize, half: usize, offset: usize) -> W {
        let (old, rotated, sign) = self.sources[block][half];
        let signed = lanes.sub_words(lanes.xor(lanes.words(&rotated[offset]), sign), sign);
        lanes.sub_words(signed, lanes.words(&old[offset]))
    }
}

//! Complex numbers in registers, and the butterflies that transforms are made of.

use std::f64::consts::FRAC_1_SQRT_2;

use super::lanes::Lanes;

/// As many complex numbers as a register has lanes, real and imaginary parts apart.
#[derive(Debug, Clone, Copy)]
pub struct Points<F> {
    pub re: F,
    pub im: F,
}

/// Real and imaginary part of a point on the unit circle.
pub type Root = (f64, f64);

/// Splits a residue into R, for numbers at one place of its R blocks.
#[inline(always)]
pub fn split<I: Lanes<L>, const L: usize, const RADIX: usize>(
    lanes: I,
    points: [Points<I::Float>; RADIX],
    roots: [Points<I::Float>; RADIX],
) -> [Points<I::Float>; RADIX] {
    dft(lanes, twist(lanes, points, roots))
}

/// Undoes [`split`], but multiplies by R.
#[inline(always)]
pub fn join<I: Lanes<L>, const L: usize, const RADIX: usize>(
    lanes: I,
    points: [Points<I::Float>; RADIX],
    roots: [Points<I::Float>; RADIX],
) -> [Points<I::Float>; RADIX] {
    untwist(lanes, dft(lanes, points), roots)
}

/// Multiplies each point by its root, the first of which is 1.
#[inline(always)]
pub fn twist<I: Lanes<L>, const L: usize, const RADIX: usize>(
    lanes: I,
    mut points: [Points<I::Float>; RADIX],
    roots: [Points<I::Float>; RADIX],
) -> [Points<I::Float>; RADIX] {
    for (point, root) in points[1..].iter_mut().zip(&roots[1..]) {
        let Points { re, im } = *point;
        point.re = lanes.mul_sub(re, root.re, lanes.mul(im, root.im));
        point.im = lanes.mul_add(re, root.im, lanes.mul(im, root.re));
    }
    points
}

/// Undoes a DFT and a twist: a DFT's inverse is the DFT itself, points 1.. in reverse order.
#[inline(always)]
pub fn untwist<I: Lanes<L>, const L: usize, const RADIX: usize>(
    lanes: I,
    mut points: [Points<I::Float>; RADIX],
    roots: [Points<I::Float>; RADIX],
) -> [Points<I::Float>; RADIX] {
    let transformed = points;
    for (power, (point, root)) in (1..).zip(points[1..].iter_mut().zip(&roots[1..])) {
        let Points { re, im } = transformed[RADIX - power];
        point.re = lanes.mul_add(re, root.re, lanes.mul(im, root.im));
        point.im = lanes.mul_sub(im, root.re, lanes.mul(re, root.im));
    }
    points
}

/// Returns Σ_q points[q]·e(q·r/R) for r = 0..R.
#[inline(always)]
pub fn dft<I: Lanes<L>, const L: usize, const RADIX: usize>(
    lanes: I,
    mut points: [Points<I::Float>; RADIX],
) -> [Points<I::Float>; RADIX] {
    match &mut points[..] {
        [_] => {}
        [a, b] => [*a, *b] = plus_minus(lanes, *a, *b),
        [a, b, c, d] => [*a, *b, *c, *d] = dft4(lanes, [*a, *b, *c, *d]),
        [a, b, c, d, e, f, g, h] => {
            let [even0, even1, even2, even3] = dft4(lanes, [*a, *c, *e, *g]);
            let [odd0, odd1, odd2, odd3] = dft4(lanes, [*b, *d, *f, *h]);
            // e(1/8) = (1 + i)/√2, e(2/8) = i and e(3/8) = -(1 - i)/√2.
            let [odd1, _] = plus_minus_i(lanes, odd1, odd1);
            let [_, odd3] = plus_minus_i(lanes, odd3, odd3);
            [*a, *e] = plus_minus(lanes, even0, odd0);
            [*b, *f] = plus_minus_root(lanes, even1, odd1);
            [*c, *g] = plus_minus_i(lanes, even2, odd2);
            [*h, *d] = plus_minus_root(lanes, even3, odd3);
        }
        _ => unreachable!("radix 1, 2, 4 or 8"),
    }
    points
}

#[inline(always)]
fn dft4<I: Lanes<L>, const L: usize>(
    lanes: I,
    [a, b, c, d]: [Points<I::Float>; 4],
) -> [Points<I::Float>; 4] {
    let [even0, even1] = plus_minus(lanes, a, c);
    let [odd0, odd1] = plus_minus(lanes, b, d);
    let [p0, p2] = plus_minus(lanes, even0, odd0);
    let [p1, p3] = plus_minus_i(lanes, even1, odd1);
    [p0, p1, p2, p3]
}

/// Returns a + b and a - b.
#[inline(always)]
fn plus_minus<I: Lanes<L>, const L: usize>(
    lanes: I,
    a: Points<I::Float>,
    b: Points<I::Float>,
) -> [Points<I::Float>; 2] {
    let plus = points(lanes.add(a.re, b.re), lanes.add(a.im, b.im));
    let minus = points(lanes.sub(a.re, b.re), lanes.sub(a.im, b.im));
    [plus, minus]
}

/// Returns a + i·b and a - i·b.
#[inline(always)]
fn plus_minus_i<I: Lanes<L>, const L: usize>(
    lanes: I,
    a: Points<I::Float>,
    b: Points<I::Float>,
) -> [Points<I::Float>; 2] {
    let plus = points(lanes.sub(a.re, b.im), lanes.add(a.im, b.re));
    let minus = points(lanes.add(a.re, b.im), lanes.sub(a.im, b.re));
    [plus, minus]
}

/// Returns a + b/√2 and a - b/√2.
#[inline(always)]
fn plus_minus_root<I: Lanes<L>, const L: usize>(
    lanes: I,
    a: Points<I::Float>,
    b: Points<I::Float>,
) -> [Points<I::Float>; 2] {
    let r = lanes.float(FRAC_1_SQRT_2);
    let plus = points(lanes.mul_add(r, b.re, a.re), lanes.mul_add(r, b.im, a.im));
    let minus = points(lanes.sub_mul(r, b.re, a.re), lanes.sub_mul(r, b.im, a.im));
    [plus, minus]
}

/// Exchanges the rows and columns of a square.
#[inline(always)]
pub fn transpose<I: Lanes<L>, const L: usize>(
    lanes: I,
    mut square: [Points<I::Float>; L],
) -> [Points<I::Float>; L] {
    let (mut re, mut im) = ([square[0].re; L], [square[0].im; L]);
    for (index, point) in square.iter().enumerate() {
        (re[index], im[index]) = (point.re, point.im);
    }
    let (re, im) = (lanes.transpose(re), lanes.transpose(im));
    for (index, point) in square.iter_mut().enumerate() {
        *point = points(re[index], im[index]);
    }
    square
}

/// Returns each root in all lanes.
#[inline(always)]
pub fn splat<I: Lanes<L>, const L: usize, const RADIX: usize>(
    lanes: I,
    roots: &[Root; RADIX],
) -> [Points<I::Float>; RADIX] {
    let mut all = [zero(lanes); RADIX];
    for (point, &(re, im)) in all.iter_mut().zip(roots) {
        *point = points(lanes.float(re), lanes.float(im));
    }
    all
}

#[inline(always)]
pub fn points<F>(re: F, im: F) -> Points<F> {
    Points { re, im }
}

/// Returns zeros in all lanes.
#[inline(always)]
pub fn zero<I: Lanes<L>, const L: usize>(lanes: I) -> Points<I::Float> {
    points(lanes.float(0.0), lanes.float(0.0))
}

/// Adds a · b to the sum.
#[inline(always)]
pub fn multiply_add<I: Lanes<L>, const L: usize>(
    lanes: I,
    sum: &mut Points<I::Float>,
    a: Points<I::Float>,
    b: Points<I::Float>,
) {
    sum.re = lanes.mul_add(a.re, b.re, sum.re);
    sum.im = lanes.mul_add(a.re, b.im, sum.im);
    sum.re = lanes.sub_mul(a.im, b.im, sum.re);
    sum.im = lanes.mul_add(a.im, b.re, sum.im);
}

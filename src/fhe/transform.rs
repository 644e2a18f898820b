//! Negacyclic Fourier transforms on AVX-512, for polynomials modulo X^N + 1.
//!
//! Write e(t) = exp(2πi·t). A real polynomial p is folded into M = N/2 complex numbers
//! z_j = p_j + i·p_{j+M}, a residue modulo X^M - e(1/4). A pass of radix R splits every residue
//! modulo X^m - e(t) into R residues modulo X^{m/R} - e((t + r)/R), r = 0..R: its R blocks of
//! coefficients are multiplied by the powers of e(t/R), then transformed by a plain DFT of R
//! points. So no pass twists the data before or after, as it would around a cyclic FFT.
//! In the end every residue is one number, and residues multiply number by number. Their order is
//! the passes' own; it is the same for everything that is multiplied.
//!
//! The last two passes work on squares of 8 · 8 numbers in registers: on the rows of a square,
//! then, transposed, on its columns. Tables have the sine and cosine of exact multiples of 2π/4N.

use std::arch::x86_64::*;
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Numbers that are computed together.
pub const LANES: usize = 8;
/// The fewest coefficients of a polynomial: one square of complex numbers.
pub const SMALLEST_SIZE: usize = 2 * LANES * LANES;

/// Eight complex numbers, real and imaginary parts apart.
#[derive(Debug, Clone, Copy)]
pub struct Points {
    pub re: __m512d,
    pub im: __m512d,
}

/// Eight by eight consecutive numbers, the smallest piece of a transform.
pub type Square = [Points; LANES];

/// The transform of one size, in both directions.
pub struct Transform {
    passes: Vec<Pass>,
    /// For each square, the roots of its rows' pass.
    rows: Vec<[Root; LANES]>,
    /// For each square, the roots of its columns' pass, a residue per lane.
    columns: Vec<Square>,
}

/// Splits each of `roots.len() / radix` residues.
struct Pass {
    radix: usize,
    /// `[residues, radix]`: the powers 0..R of e(t/R).
    roots: Vec<Root>,
}

/// Real and imaginary part of a point on the unit circle.
type Root = (f64, f64);

impl Transform {
    /// Makes the tables for polynomials of that size, a power of two from [`SMALLEST_SIZE`] up.
    #[target_feature(enable = "avx512f,avx512dq")]
    pub fn new(polynomial_size: usize) -> Self {
        assert!(polynomial_size.is_power_of_two() && polynomial_size >= SMALLEST_SIZE);
        let squares = polynomial_size / SMALLEST_SIZE;
        let mut turns = vec![0.25];
        let mut passes = Vec::new();
        while turns.len() < squares {
            let radix = match squares / turns.len() {
                last @ (2 | 8) => last,
                _ => 4,
            };
            let roots = turns.iter().flat_map(|&turn| powers(turn, radix)).collect();
            passes.push(Pass { radix, roots });
            turns = split_turns(&turns, radix);
        }
        let roots: Vec<Root> = split_turns(&turns, LANES)
            .iter()
            .flat_map(|&turn| powers(turn, LANES))
            .collect();
        let mut columns = vec![[zero(); LANES]; squares];
        for (square, roots) in columns.iter_mut().zip(roots.chunks_exact(LANES * LANES)) {
            for (power, points) in square.iter_mut().enumerate() {
                let root = |lane: usize| roots[LANES * lane + power];
                points.re = pack(std::array::from_fn(|lane| root(lane).0));
                points.im = pack(std::array::from_fn(|lane| root(lane).1));
            }
        }
        let rows: Vec<Root> = turns.iter().flat_map(|&turn| powers(turn, LANES)).collect();
        Self {
            passes,
            rows: rows.as_chunks().0.to_vec(),
            columns,
        }
    }

    /// Replaces coefficients by residues.
    #[target_feature(enable = "avx512f,avx512dq")]
    pub fn forward(&self, data: &mut [Points]) {
        self.forward_passes(data);
        for (index, square) in data.as_chunks_mut().0.iter_mut().enumerate() {
            self.forward_square(square, index);
        }
    }

    /// Does all of [`Self::forward`] but what happens within squares.
    #[target_feature(enable = "avx512f,avx512dq")]
    pub fn forward_passes(&self, data: &mut [Points]) {
        for pass in &self.passes {
            match pass.radix {
                2 => run::<2>(data, &pass.roots, |points, roots| dft(twist(points, roots))),
                4 => run::<4>(data, &pass.roots, |points, roots| dft(twist(points, roots))),
                _ => run::<8>(data, &pass.roots, |points, roots| dft(twist(points, roots))),
            }
        }
    }

    /// Ends [`Self::forward`] for the square of that index.
    #[target_feature(enable = "avx512f,avx512dq")]
    pub fn forward_square(&self, square: &mut Square, index: usize) {
        let points = dft(twist(*square, splat(&self.rows[index])));
        *square = dft(twist(transpose(points), self.columns[index]));
    }

    /// Begins the inverse of [`Self::forward`] for the square of that index.
    #[target_feature(enable = "avx512f,avx512dq")]
    pub fn backward_square(&self, square: &mut Square, index: usize) {
        let points = transpose(untwist(dft(*square), self.columns[index]));
        *square = untwist(dft(points), splat(&self.rows[index]));
    }

    /// Ends the inverse of [`Self::forward`], which multiplies everything by N/2.
    #[target_feature(enable = "avx512f,avx512dq")]
    pub fn backward_passes(&self, data: &mut [Points]) {
        for pass in self.passes.iter().rev() {
            match pass.radix {
                2 => run::<2>(data, &pass.roots, |points, roots| {
                    untwist(dft(points), roots)
                }),
                4 => run::<4>(data, &pass.roots, |points, roots| {
                    untwist(dft(points), roots)
                }),
                _ => run::<8>(data, &pass.roots, |points, roots| {
                    untwist(dft(points), roots)
                }),
            }
        }
    }
}

/// Returns the angles (t + r)/R, in turns, of the residues that those of angle t split into.
fn split_turns(turns: &[f64], radix: usize) -> Vec<f64> {
    let split = |turn: f64| (0..radix).map(move |r| (turn + r as f64) / radix as f64);
    turns.iter().flat_map(|&turn| split(turn)).collect()
}

/// Returns the powers 0..R of e(t/R).
fn powers(turn: f64, radix: usize) -> impl Iterator<Item = Root> {
    (0..radix).map(move |power| {
        let turn = turn * power as f64 / radix as f64;
        // A small angle loses little when it is rounded.
        let (im, re) = (TAU * (turn - turn.round())).sin_cos();
        (re, im)
    })
}

/// Runs a pass: `step` maps the R blocks of each residue, lanes apart.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn run<const RADIX: usize>(
    data: &mut [Points],
    roots: &[Root],
    step: impl Fn([Points; RADIX], [Points; RADIX]) -> [Points; RADIX],
) {
    let roots = roots.as_chunks().0;
    for (data, roots) in data.chunks_exact_mut(data.len() / roots.len()).zip(roots) {
        let stride = data.len() / RADIX;
        let roots = splat(roots);
        for first in 0..stride {
            let mut points = roots;
            for (i, point) in points.iter_mut().enumerate() {
                *point = data[first + i * stride];
            }
            for (i, point) in step(points, roots).into_iter().enumerate() {
                data[first + i * stride] = point;
            }
        }
    }
}

/// Multiplies each point by its root, the first of which is 1.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn twist<const RADIX: usize>(
    mut points: [Points; RADIX],
    roots: [Points; RADIX],
) -> [Points; RADIX] {
    for (point, root) in points[1..].iter_mut().zip(&roots[1..]) {
        let Points { re, im } = *point;
        point.re = _mm512_fmsub_pd(re, root.re, _mm512_mul_pd(im, root.im));
        point.im = _mm512_fmadd_pd(re, root.im, _mm512_mul_pd(im, root.re));
    }
    points
}

/// Undoes a DFT and a twist: a DFT's inverse is the DFT itself, points 1.. in reverse order.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn untwist<const RADIX: usize>(
    mut points: [Points; RADIX],
    roots: [Points; RADIX],
) -> [Points; RADIX] {
    let transformed = points;
    for (power, (point, root)) in (1..).zip(points[1..].iter_mut().zip(&roots[1..])) {
        let Points { re, im } = transformed[RADIX - power];
        point.re = _mm512_fmadd_pd(re, root.re, _mm512_mul_pd(im, root.im));
        point.im = _mm512_fmsub_pd(im, root.re, _mm512_mul_pd(re, root.im));
    }
    points
}

/// Returns Σ_q points[q]·e(q·r/R) for r = 0..R.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn dft<const RADIX: usize>(mut points: [Points; RADIX]) -> [Points; RADIX] {
    match &mut points[..] {
        [a, b] => [*a, *b] = plus_minus(*a, *b),
        [a, b, c, d] => [*a, *b, *c, *d] = dft4(*a, *b, *c, *d),
        [a, b, c, d, e, f, g, h] => {
            let [even0, even1, even2, even3] = dft4(*a, *c, *e, *g);
            let [odd0, odd1, odd2, odd3] = dft4(*b, *d, *f, *h);
            // e(1/8) = (1 + i)/√2, e(2/8) = i and e(3/8) = -(1 - i)/√2.
            let ([odd1, _], [_, odd3]) = (plus_minus_i(odd1, odd1), plus_minus_i(odd3, odd3));
            [*a, *e] = plus_minus(even0, odd0);
            [*b, *f] = plus_minus_root(even1, odd1);
            [*c, *g] = plus_minus_i(even2, odd2);
            [*h, *d] = plus_minus_root(even3, odd3);
        }
        _ => unreachable!("radix 2, 4 or 8"),
    }
    points
}

#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn dft4(a: Points, b: Points, c: Points, d: Points) -> [Points; 4] {
    let ([even0, even1], [odd0, odd1]) = (plus_minus(a, c), plus_minus(b, d));
    let ([p0, p2], [p1, p3]) = (plus_minus(even0, odd0), plus_minus_i(even1, odd1));
    [p0, p1, p2, p3]
}

/// Returns a + b and a - b.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn plus_minus(a: Points, b: Points) -> [Points; 2] {
    let plus = (_mm512_add_pd(a.re, b.re), _mm512_add_pd(a.im, b.im));
    let minus = (_mm512_sub_pd(a.re, b.re), _mm512_sub_pd(a.im, b.im));
    [points(plus), points(minus)]
}

/// Returns a + i·b and a - i·b.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn plus_minus_i(a: Points, b: Points) -> [Points; 2] {
    let plus = (_mm512_sub_pd(a.re, b.im), _mm512_add_pd(a.im, b.re));
    let minus = (_mm512_add_pd(a.re, b.im), _mm512_sub_pd(a.im, b.re));
    [points(plus), points(minus)]
}

/// Returns a + b/√2 and a - b/√2.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn plus_minus_root(a: Points, b: Points) -> [Points; 2] {
    let r = _mm512_set1_pd(FRAC_1_SQRT_2);
    let plus = (
        _mm512_fmadd_pd(r, b.re, a.re),
        _mm512_fmadd_pd(r, b.im, a.im),
    );
    let minus = (
        _mm512_fnmadd_pd(r, b.re, a.re),
        _mm512_fnmadd_pd(r, b.im, a.im),
    );
    [points(plus), points(minus)]
}

/// Exchanges the rows and columns of a square.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn transpose([a, b, c, d, e, f, g, h]: Square) -> Square {
    let re = transpose_lanes([a.re, b.re, c.re, d.re, e.re, f.re, g.re, h.re]);
    let im = transpose_lanes([a.im, b.im, c.im, d.im, e.im, f.im, g.im, h.im]);
    let mut square = [a; LANES];
    for (points, (&re, &im)) in square.iter_mut().zip(re.iter().zip(&im)) {
        *points = Points { re, im };
    }
    square
}

#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn transpose_lanes([a, b, c, d, e, f, g, h]: [__m512d; LANES]) -> [__m512d; LANES] {
    // Even and odd columns, each as a square of four by four pairs of rows.
    let [p0, p2, p4, p6] = transpose_pairs(
        _mm512_unpacklo_pd(a, b),
        _mm512_unpacklo_pd(c, d),
        _mm512_unpacklo_pd(e, f),
        _mm512_unpacklo_pd(g, h),
    );
    let [p1, p3, p5, p7] = transpose_pairs(
        _mm512_unpackhi_pd(a, b),
        _mm512_unpackhi_pd(c, d),
        _mm512_unpackhi_pd(e, f),
        _mm512_unpackhi_pd(g, h),
    );
    [p0, p1, p2, p3, p4, p5, p6, p7]
}

#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn transpose_pairs(a: __m512d, b: __m512d, c: __m512d, d: __m512d) -> [__m512d; 4] {
    // The selectors take pairs 0 and 2, or 1 and 3, of either operand.
    let (ab02, ab13) = (
        _mm512_shuffle_f64x2::<0x88>(a, b),
        _mm512_shuffle_f64x2::<0xdd>(a, b),
    );
    let (cd02, cd13) = (
        _mm512_shuffle_f64x2::<0x88>(c, d),
        _mm512_shuffle_f64x2::<0xdd>(c, d),
    );
    [
        _mm512_shuffle_f64x2::<0x88>(ab02, cd02),
        _mm512_shuffle_f64x2::<0x88>(ab13, cd13),
        _mm512_shuffle_f64x2::<0xdd>(ab02, cd02),
        _mm512_shuffle_f64x2::<0xdd>(ab13, cd13),
    ]
}

/// Returns each root in all lanes.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn splat<const RADIX: usize>(roots: &[Root; RADIX]) -> [Points; RADIX] {
    let mut points = [zero(); RADIX];
    for (points, &(re, im)) in points.iter_mut().zip(roots) {
        (points.re, points.im) = (_mm512_set1_pd(re), _mm512_set1_pd(im));
    }
    points
}

#[inline(always)]
fn points((re, im): (__m512d, __m512d)) -> Points {
    Points { re, im }
}

/// Returns eight zeros.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
pub fn zero() -> Points {
    let (re, im) = (_mm512_setzero_pd(), _mm512_setzero_pd());
    Points { re, im }
}

#[target_feature(enable = "avx512f,avx512dq")]
fn pack([a, b, c, d, e, f, g, h]: [f64; LANES]) -> __m512d {
    _mm512_setr_pd(a, b, c, d, e, f, g, h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_wrap_with_a_minus() {
        if !is_x86_feature_detected!("avx512f") || !is_x86_feature_detected!("avx512dq") {
            eprintln!("skipped: this CPU has no AVX-512");
            return;
        }
        for size in [128, 256, 512, 1024, 2048, 4096, 8192] {
            let number = |j: usize| (j * j % 1009) as f64 - 500.0;
            let p: Vec<f64> = (0..size).map(number).collect();
            let mut monomial = vec![0.0; size];
            monomial[size - 3] = 2.0;
            // SAFETY: the CPU has the instructions.
            let product = unsafe { product(&p, &monomial) };
            // 2·X^(N - 3)·X^j is -2·X^(j - 3) from j = 3 on.
            for (j, found) in product.into_iter().enumerate() {
                let expected = match p.get(j + 3) {
                    Some(number) => -2.0 * number,
                    None => 2.0 * p[j + 3 - size],
                };
                assert!((found - expected).abs() < 1e-9, "{size}, X^{j}: {found}");
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512dq")]
    fn product(p: &[f64], q: &[f64]) -> Vec<f64> {
        let transform = Transform::new(p.len());
        let (mut p, mut q) = (fold(p), fold(q));
        transform.forward(&mut p);
        transform.forward(&mut q);
        for (p, q) in p.iter_mut().zip(q) {
            [_, *p] = twist([q, *p], [q, q]);
        }
        for (index, square) in p.as_chunks_mut().0.iter_mut().enumerate() {
            transform.backward_square(square, index);
        }
        transform.backward_passes(&mut p);
        let scale = 1.0 / (LANES * p.len()) as f64;
        let (re, im) = (
            p.iter().map(|p| unpack(p.re)),
            p.iter().map(|p| unpack(p.im)),
        );
        re.chain(im)
            .flatten()
            .map(|number| number * scale)
            .collect()
    }

    #[target_feature(enable = "avx512f,avx512dq")]
    fn fold(p: &[f64]) -> Vec<Points> {
        let (re, im) = p.split_at(p.len() / 2);
        let vectors = re.as_chunks().0.iter().zip(im.as_chunks().0);
        vectors
            .map(|(&re, &im)| points((pack(re), pack(im))))
            .collect()
    }

    fn unpack(lanes: __m512d) -> [f64; LANES] {
        // SAFETY: both are 64 bytes without padding or invalid values.
        unsafe { std::mem::transmute(lanes) }
    }
}

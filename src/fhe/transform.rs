//! Negacyclic Fourier transforms, for polynomials modulo X^N + 1.
//!
//! Write e(t) = exp(2πi·t). A real polynomial p is folded into M = N/2 complex numbers
//! z_j = p_j + i·p_{j+M}, a residue modulo X^M - e(1/4). A pass of radix R splits every residue
//! modulo X^m - e(t) into R residues modulo X^{m/R} - e((t + r)/R), r = 0..R: its R blocks of
//! coefficients are multiplied by the powers of e(t/R), then transformed by a plain DFT of R
//! points. So no pass twists the data before or after, as it would around a cyclic FFT.
//! In the end every residue is one number, and residues multiply number by number. Their order is
//! the passes' own; it is the same for everything that is multiplied.
//!
//! The last two passes work on squares of L · L numbers in registers of L lanes: on the rows of a
//! square, then, transposed, on its columns. The first pass splits one residue alone, and is left
//! to the caller, who can do it as the coefficients are made, and undo it as they are used. Tables
//! have the sine and cosine of exact multiples of 2π/4N.

use std::f64::consts::TAU;

use super::butterfly::{Points, Root, dft, join, splat, split, transpose, twist, untwist};
use super::lanes::Lanes;

/// The transform of one size, in both directions, in registers of L lanes.
pub struct Transform<F, const L: usize> {
    /// Splits the polynomial itself.
    pub first: Pass,
    passes: Vec<Pass>,
    /// For each square, the roots of its rows' pass.
    rows: Vec<[Root; L]>,
    /// For each square, the roots of its columns' pass, a residue per lane.
    columns: Vec<[Points<F>; L]>,
}

/// Splits each of `roots.len() / radix` residues.
pub struct Pass {
    /// 1, 2 or 4.
    pub radix: usize,
    /// `[residues, radix]`: the powers 0..R of e(t/R).
    roots: Vec<Root>,
}

/// Returns the fewest coefficients of a polynomial: one square of complex numbers.
pub const fn smallest_size(lanes: usize) -> usize {
    2 * lanes * lanes
}

impl<F: Copy, const L: usize> Transform<F, L> {
    /// Makes the tables for polynomials of that size, a power of two from [`smallest_size`] up.
    pub fn new(lanes: impl Lanes<L, Float = F>, polynomial_size: usize) -> Self {
        assert!(polynomial_size.is_power_of_two() && polynomial_size >= smallest_size(L));
        let squares = polynomial_size / smallest_size(L);
        let mut turns = vec![0.25];
        let mut passes = Vec::new();
        for radix in radices(squares) {
            let roots = turns.iter().flat_map(|&turn| powers(turn, radix)).collect();
            passes.push(Pass { radix, roots });
            turns = split_turns(&turns, radix);
        }
        let roots: Vec<Root> = split_turns(&turns, L)
            .iter()
            .flat_map(|&turn| powers(turn, L))
            .collect();
        let square = |roots: &[Root]| {
            std::array::from_fn(|power| {
                let root = |lane: usize| roots[L * lane + power];
                Points {
                    re: lanes.floats(std::array::from_fn(|lane| root(lane).0)),
                    im: lanes.floats(std::array::from_fn(|lane| root(lane).1)),
                }
            })
        };
        let rows: Vec<Root> = turns.iter().flat_map(|&turn| powers(turn, L)).collect();
        Self {
            first: passes.remove(0),
            passes,
            rows: rows.as_chunks().0.to_vec(),
            columns: roots.chunks_exact(L * L).map(square).collect(),
        }
    }

    /// Replaces coefficients by residues.
    #[inline(always)]
    pub fn forward(&self, lanes: impl Lanes<L, Float = F>, data: &mut [Points<F>]) {
        match self.first.radix {
            1 => {}
            2 => self.first.forward::<_, L, 2>(lanes, data),
            _ => self.first.forward::<_, L, 4>(lanes, data),
        }
        self.forward_passes(lanes, data);
        for (index, square) in data.as_chunks_mut().0.iter_mut().enumerate() {
            self.forward_square(lanes, square, index);
        }
    }

    /// Undoes [`Self::forward`], but multiplies by N/2.
    #[inline(always)]
    pub fn backward(&self, lanes: impl Lanes<L, Float = F>, data: &mut [Points<F>]) {
        for (index, square) in data.as_chunks_mut().0.iter_mut().enumerate() {
            self.backward_square(lanes, square, index);
        }
        self.backward_passes(lanes, data);
        match self.first.radix {
            1 => {}
            2 => self.first.backward::<_, L, 2>(lanes, data),
            _ => self.first.backward::<_, L, 4>(lanes, data),
        }
    }

    /// Returns N.
    pub fn polynomial_size(&self) -> usize {
        self.columns.len() * smallest_size(L)
    }

    /// Does what lies between the first pass and the squares.
    #[inline(always)]
    pub fn forward_passes(&self, lanes: impl Lanes<L, Float = F>, data: &mut [Points<F>]) {
        for pass in &self.passes {
            match pass.radix {
                2 => pass.forward::<_, L, 2>(lanes, data),
                _ => pass.forward::<_, L, 4>(lanes, data),
            }
        }
    }

    /// Ends a transform for the square of that index.
    #[inline(always)]
    pub fn forward_square(
        &self,
        lanes: impl Lanes<L, Float = F>,
        square: &mut [Points<F>; L],
        index: usize,
    ) {
        let roots = splat(lanes, &self.rows[index]);
        let points = dft(lanes, twist(lanes, *square, roots));
        let points = transpose(lanes, points);
        *square = dft(lanes, twist(lanes, points, self.columns[index]));
    }

    /// Begins the way back for the square of that index. It multiplies everything by N/2.
    #[inline(always)]
    pub fn backward_square(
        &self,
        lanes: impl Lanes<L, Float = F>,
        square: &mut [Points<F>; L],
        index: usize,
    ) {
        let points = untwist(lanes, dft(lanes, *square), self.columns[index]);
        let points = transpose(lanes, points);
        let roots = splat(lanes, &self.rows[index]);
        *square = untwist(lanes, dft(lanes, points), roots);
    }

    /// Undoes [`Self::forward_passes`].
    #[inline(always)]
    pub fn backward_passes(&self, lanes: impl Lanes<L, Float = F>, data: &mut [Points<F>]) {
        for pass in self.passes.iter().rev() {
            match pass.radix {
                2 => pass.backward::<_, L, 2>(lanes, data),
                _ => pass.backward::<_, L, 4>(lanes, data),
            }
        }
    }
}

/// Returns the radices of the passes that split a polynomial into so many squares; at least one.
fn radices(mut squares: usize) -> Vec<usize> {
    let mut radices = Vec::new();
    loop {
        let radix = match squares {
            last @ (1 | 2) => last,
            _ => 4,
        };
        radices.push(radix);
        squares /= radix;
        if squares == 1 {
            return radices;
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

impl Pass {
    /// Returns the roots of the first residue, each in all lanes.
    #[inline(always)]
    pub fn first_roots<I: Lanes<L>, const L: usize, const RADIX: usize>(
        &self,
        lanes: I,
    ) -> [Points<I::Float>; RADIX] {
        splat(lanes, &self.roots.as_chunks().0[0])
    }

    /// Maps the R blocks of each residue to R residues.
    #[inline(always)]
    fn forward<I: Lanes<L>, const L: usize, const RADIX: usize>(
        &self,
        lanes: I,
        data: &mut [Points<I::Float>],
    ) {
        let roots = self.roots.as_chunks::<RADIX>().0;
        for (data, roots) in data.chunks_exact_mut(data.len() / roots.len()).zip(roots) {
            let roots = splat(lanes, roots);
            for first in 0..data.len() / RADIX {
                let points = split(lanes, gather(data, first), roots);
                scatter(data, first, points);
            }
        }
    }

    /// Undoes [`Self::forward`].
    #[inline(always)]
    fn backward<I: Lanes<L>, const L: usize, const RADIX: usize>(
        &self,
        lanes: I,
        data: &mut [Points<I::Float>],
    ) {
        let roots = self.roots.as_chunks::<RADIX>().0;
        for (data, roots) in data.chunks_exact_mut(data.len() / roots.len()).zip(roots) {
            let roots = splat(lanes, roots);
            for first in 0..data.len() / RADIX {
                let points = join(lanes, gather(data, first), roots);
                scatter(data, first, points);
            }
        }
    }
}

/// Returns the points at `first` of each of R blocks.
#[inline(always)]
pub fn gather<F: Copy, const RADIX: usize>(data: &[Points<F>], first: usize) -> [Points<F>; RADIX] {
    let stride = data.len() / RADIX;
    let mut points = [data[first]; RADIX];
    for (block, point) in points.iter_mut().enumerate() {
        *point = data[first + block * stride];
    }
    points
}

/// Writes the points at `first` of each of R blocks.
#[inline(always)]
pub fn scatter<F: Copy, const RADIX: usize>(
    data: &mut [Points<F>],
    first: usize,
    points: [Points<F>; RADIX],
) {
    let stride = data.len() / RADIX;
    for (block, point) in points.into_iter().enumerate() {
        data[first + block * stride] = point;
    }
}

#[cfg(test)]
mod tests {
    use super::super::butterfly::points;
    use super::super::lanes::Task;
    use super::super::lanes::fixture::on_all_lanes;
    use super::*;

    #[test]
    fn products_wrap_with_a_minus() {
        on_all_lanes!(lanes => {
            for size in [128, 256, 512, 1024, 2048, 4096, 8192] {
                let number = |j: usize| (j * j % 1009) as f64 - 500.0;
                let p: Vec<f64> = (0..size).map(number).collect();
                let mut monomial = vec![0.0; size];
                monomial[size - 3] = 2.0;
                let product = lanes.run(Product { p: &p, q: &monomial });
                // 2·X^(N - 3)·X^j is -2·X^(j - 3) from j = 3 on.
                for (j, found) in product.into_iter().enumerate() {
                    let expected = match p.get(j + 3) {
                        Some(number) => -2.0 * number,
                        None => 2.0 * p[j + 3 - size],
                    };
                    assert!((found - expected).abs() < 1e-9, "{size}, X^{j}: {found}");
                }
            }
        });
    }

    struct Product<'a> {
        p: &'a [f64],
        q: &'a [f64],
    }

    impl<I: Lanes<L>, const L: usize> Task<I, L> for Product<'_> {
        type Output = Vec<f64>;

        #[inline(always)]
        fn run(self, lanes: I) -> Vec<f64> {
            let transform = Transform::new(lanes, self.p.len());
            let (mut p, mut q) = (fold(lanes, self.p), fold(lanes, self.q));
            transform.forward(lanes, &mut p);
            transform.forward(lanes, &mut q);
            for (p, q) in p.iter_mut().zip(q) {
                [_, *p] = twist(lanes, [q, *p], [q, q]);
            }
            transform.backward(lanes, &mut p);
            let scale = 1.0 / (L * p.len()) as f64;
            let re = p.iter().map(|p| lanes.to_floats(p.re));
            let im = p.iter().map(|p| lanes.to_floats(p.im));
            re.chain(im)
                .flatten()
                .map(|number| number * scale)
                .collect()
        }
    }

    fn fold<I: Lanes<L>, const L: usize>(lanes: I, p: &[f64]) -> Vec<Points<I::Float>> {
        let (re, im) = p.split_at(p.len() / 2);
        let registers = re.as_chunks().0.iter().zip(im.as_chunks().0);
        registers
            .map(|(&re, &im)| points(lanes.floats(re), lanes.floats(im)))
            .collect()
    }
}

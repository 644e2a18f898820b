//! Noisy linear systems modulo a power of two, by lattice reduction.
//!
//! Where the answers of a system are rounded, elimination fails: its factors blow the errors up. But
//! small integers and small errors are a lattice point close to a known one. The lattice of all
//! (A·x modulo q, s·x) is reduced by LLL (Lenstra, Lenstra and Lovász, Mathematische Annalen 261,
//! 1982; in floating point after Schnorr and Euchner, Mathematical Programming 66, 1994) and the
//! close point found by Babai's nearest plane (Combinatorica 6, 1986). This is the primal attack on
//! learning with errors in its plainest form; stronger reduction reaches further.

/// Lovász's constant.
const DELTA: f64 = 0.99;
/// The largest coefficient that counts as reduced: a hair above a half, so that rounding ends.
const MOST_MU: f64 = 0.501;
/// Leading bits of a coefficient that doubles hold with room for the reduction.
const MOST_BITS: u32 = 50;
/// log2 of LLL's root Hermite factor, 1.0219 (Gama and Nguyen, Eurocrypt 2008).
const LOG2_HERMITE: f64 = 0.0313;
/// log2 of the room that nearest plane gets beyond the error's bound.
const LOG2_ROOM: f64 = 2.0;

/// A system modulo 2^64 with errors in its answers.
#[derive(Debug, Clone, Copy)]
pub struct Noisy {
    pub unknowns: usize,
    /// No unknown is larger, at either side of zero.
    pub most_unknown: f64,
    /// No error is larger.
    pub most_error: f64,
}

/// Sizes of the lattice that solves a system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Leading bits of each coefficient in use: q = 2^bits.
    bits: u32,
    /// s.
    scale: i64,
    /// Equations in the lattice.
    pub equations: usize,
    /// Unknowns and equations.
    pub dimension: usize,
}

impl Noisy {
    /// Returns the smallest lattice from which LLL should do; `None` where none of up to
    /// `most_dimension` does.
    pub fn shape(&self, most_dimension: usize) -> Option<Shape> {
        // Dropping low bits of the coefficients errs less than the answers do, or as little as doubles,
        // which the reduction works on, allow.
        let dropping = self.most_unknown * (self.unknowns as f64).sqrt();
        let dropped = (self.most_error / dropping).log2().floor();
        let dropped = dropped.clamp(f64::from(u64::BITS - MOST_BITS), 63.0) as u32;
        let bits = u64::BITS - dropped;
        let error = 2.0 * (self.most_error / f64::from(dropped).exp2()).max(dropping);
        let scale = (error / self.most_unknown).max(1.0);
        let unknowns = self.unknowns as f64;
        (1..=most_dimension.saturating_sub(self.unknowns))
            .find(|&equations| {
                let equations = equations as f64;
                let dimension = unknowns + equations;
                let volume = (f64::from(bits) * equations + scale.log2() * unknowns) / dimension;
                volume - LOG2_HERMITE * dimension >= error.log2() + LOG2_ROOM
            })
            .map(|equations| Shape {
                bits,
                scale: scale.round() as i64,
                equations,
                dimension: self.unknowns + equations,
            })
    }

    /// Solves a system for each right-hand side as [`super::two_adic::solve`] does: `None` where the
    /// close point does not meet all equations up to the error's bound.
    ///
    /// # Panics
    ///
    /// Panics where there are fewer equations than the shape asks for.
    pub fn solve(&self, equations: &[Vec<u64>], shape: Shape) -> Vec<Option<Vec<i64>>> {
        let reduced = Reduced::of(self.basis(&equations[..shape.equations], shape));
        let sides = self.unknowns..equations.first().map_or(self.unknowns, Vec::len);
        sides
            .map(|side| {
                let mut target: Vec<i64> = equations[..shape.equations]
                    .iter()
                    .map(|equation| leading(equation[side], shape.bits))
                    .collect();
                target.resize(shape.dimension, 0);
                reduced.subtract_closest(&mut target);
                let scaled = target[shape.equations..].iter();
                // What is left is the target less s·x.
                let solution: Vec<i64> = scaled.map(|value| -value / shape.scale).collect();
                let solves = equations.iter().all(|equation| {
                    let left = equation
                        .iter()
                        .zip(&solution)
                        .fold(equation[side], |rest, (a, x)| {
                            rest.wrapping_sub(a.wrapping_mul(*x as u64))
                        });
                    (left as i64 as f64).abs() <= self.most_error
                });
                solves.then_some(solution)
            })
            .collect()
    }

    /// Returns the rows (q·e_t, 0) and (A_j, s·e_j).
    fn basis(&self, equations: &[Vec<u64>], shape: Shape) -> Vec<Vec<i64>> {
        let modular = (0..shape.equations).map(|t| {
            let mut row = vec![0; shape.dimension];
            row[t] = 1i64 << shape.bits;
            row
        });
        let unknown = (0..self.unknowns).map(|j| {
            let mut row: Vec<i64> = equations
                .iter()
                .map(|equation| leading(equation[j], shape.bits))
                .collect();
            row.resize(shape.dimension, 0);
            row[shape.equations + j] = shape.scale;
            row
        });
        modular.chain(unknown).collect()
    }
}

/// Returns a number's leading bits, rounded, as an integer centred at zero.
fn leading(number: u64, bits: u32) -> i64 {
    let dropped = u64::BITS - bits;
    match dropped {
        0 => number as i64,
        dropped => number.wrapping_add(1 << (dropped - 1)) as i64 >> dropped,
    }
}

/// A basis that LLL has reduced, with its orthogonalisation.
struct Reduced {
    basis: Vec<Vec<i64>>,
    /// ⟨b_i, b*_j⟩ / ‖b*_j‖² for j < i.
    mu: Vec<Vec<f64>>,
    /// b*_i.
    orthogonal: Vec<Vec<f64>>,
    /// ‖b*_i‖².
    squares: Vec<f64>,
}

impl Reduced {
    fn of(basis: Vec<Vec<i64>>) -> Self {
        let count = basis.len();
        let mut reduced = Self {
            mu: (0..count).map(|row| vec![0.0; row]).collect(),
            orthogonal: vec![Vec::new(); count],
            squares: vec![0.0; count],
            basis,
        };
        let mut row = 0;
        while row < count {
            reduced.size_reduce(row);
            let position = reduced.insertion(row);
            if position == row {
                row += 1;
                continue;
            }
            let vector = reduced.basis.remove(row);
            reduced.basis.insert(position, vector);
            row = position;
        }
        reduced
    }

    /// Subtracts earlier vectors until nothing changes: with doubles one pass leaves what it lost.
    fn size_reduce(&mut self, row: usize) {
        loop {
            self.orthogonalise(row);
            let mut changed = false;
            let (earlier, rest) = self.basis.split_at_mut(row);
            let (mu_earlier, mu_rest) = self.mu.split_at_mut(row);
            let (vector, mu) = (&mut rest[0], &mut mu_rest[0]);
            for (index, other) in earlier.iter().enumerate().rev() {
                if mu[index].abs() <= MOST_MU {
                    continue;
                }
                changed = true;
                let multiple = mu[index].round();
                subtract(vector, multiple as i64, other);
                mu[index] -= multiple;
                for (mu, other) in mu.iter_mut().zip(&mu_earlier[index]) {
                    *mu -= multiple * other;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Projects a vector on the earlier ones, one after the other: errors then stay in proportion to
    /// the vector, where those of inner products alone would be in proportion to its square.
    fn orthogonalise(&mut self, row: usize) {
        let (earlier, rest) = self.orthogonal.split_at_mut(row);
        let vector = &mut rest[0];
        vector.clear();
        vector.extend(self.basis[row].iter().map(|&value| value as f64));
        let earlier = earlier.iter().zip(&self.squares);
        for (mu, (other, square)) in self.mu[row].iter_mut().zip(earlier) {
            *mu = dot(vector, other) / square;
            for (value, other) in vector.iter_mut().zip(other) {
                *value -= *mu * other;
            }
        }
        self.squares[row] = dot(vector, vector);
    }

    /// Returns the first position up from which Lovász's condition fails all the way to a row.
    fn insertion(&self, row: usize) -> usize {
        let mut square = self.squares[row];
        let mut position = row;
        while position > 0 {
            let above = position - 1;
            square += self.mu[row][above].powi(2) * self.squares[above];
            if square >= DELTA * self.squares[above] {
                break;
            }
            position = above;
        }
        position
    }

    /// Subtracts the lattice point that nearest plane finds.
    fn subtract_closest(&self, target: &mut [i64]) {
        let planes = self.basis.iter().zip(&self.orthogonal).zip(&self.squares);
        for ((vector, direction), square) in planes.rev() {
            let terms = target.iter().zip(direction);
            let along: f64 = terms.map(|(t, d)| *t as f64 * d).sum();
            subtract(target, (along / square).round() as i64, vector);
        }
    }
}

fn subtract(from: &mut [i64], multiple: i64, vector: &[i64]) {
    for (value, vector) in from.iter_mut().zip(vector) {
        *value = value.wrapping_sub(multiple.wrapping_mul(*vector));
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(l, r)| l * r).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Draws a system with answers rounded to their leading bytes.
    fn rounded(seed: u64, unknowns: usize, bytes: u32) -> (Noisy, Vec<Vec<u64>>, Vec<i64>) {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let solution: Vec<i64> = (0..unknowns)
            .map(|_| generator.random_range(-127..=127))
            .collect();
        let half = 1u64 << (63 - 8 * bytes);
        let equations = (0..200).map(|_| {
            let mut equation: Vec<u64> = (0..unknowns).map(|_| generator.random()).collect();
            let answer = equation.iter().zip(&solution).fold(0u64, |sum, (a, x)| {
                sum.wrapping_add(a.wrapping_mul(*x as u64))
            });
            equation.push(answer.wrapping_add(half) & !(2 * half - 1));
            equation
        });
        let noisy = Noisy {
            unknowns,
            most_unknown: 128.0,
            most_error: half as f64,
        };
        (noisy, equations.collect(), solution)
    }

    #[test]
    fn rounding_does_not_hide_small_integers() {
        for (seed, unknowns, bytes) in [
            (1, 1, 3),
            (2, 9, 3),
            (3, 9, 4),
            (4, 24, 3),
            (5, 20, 2),
            (6, 48, 4),
            (7, 72, 4),
        ] {
            let (noisy, equations, solution) = rounded(seed, unknowns, bytes);
            let shape = noisy.shape(128).expect("small");
            let found = noisy.solve(&equations, shape);
            assert_eq!(
                found,
                [Some(solution)],
                "{unknowns} unknowns, {bytes} bytes, {shape:?}"
            );
        }
    }

    #[test]
    fn small_errors_are_no_harder_than_large_ones() {
        let (noisy, equations, solution) = rounded(1, 9, 7);
        let shape = noisy.shape(128).expect("small");
        assert_eq!(noisy.solve(&equations, shape), [Some(solution)]);
    }

    #[test]
    fn what_is_no_system_is_not_solved() {
        let (noisy, mut equations, _) = rounded(1, 9, 3);
        for equation in &mut equations {
            equation[9] = equation[9].wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        let shape = noisy.shape(80).expect("small");
        assert_eq!(noisy.solve(&equations, shape), [None]);
    }

    #[test]
    fn systems_beyond_the_dimension_are_not_tried() {
        assert_eq!(rounded(1, 90, 3).0.shape(80), None);
    }
}

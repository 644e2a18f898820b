//! Linear systems over the integers modulo 2^64, which are no field: even numbers have no inverse.
//!
//! Gauss's elimination works all the same where each pivot is an entry with the fewest factors of
//! two among those left: it then divides every entry below it. A pivot 2^v·odd determines its
//! unknown modulo 2^(64 - v), and unknowns that are known to be small follow.

/// Bits of an unknown that a pivot must leave determined; integer weights have far fewer.
const LEAST_BITS: u32 = 40;

/// What a system says of its unknowns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Solution {
    /// Too few independent equations.
    Underdetermined,
    /// Per right-hand side: the small integers that solve it; `None` where no integers do.
    Determined(Vec<Option<Vec<i64>>>),
}

/// Solves `coefficients · x = answer` for each right-hand side; every equation is a row of `unknowns`
/// coefficients followed by one answer for each right-hand side. Equations beyond the unknowns check
/// the solution.
pub fn solve(mut equations: Vec<Vec<u64>>, unknowns: usize) -> Solution {
    let mut column_of: Vec<usize> = (0..unknowns).collect();
    for step in 0..unknowns {
        let Some((row, column)) = pivot(&equations, step, unknowns) else {
            return Solution::Underdetermined;
        };
        equations.swap(step, row);
        column_of.swap(step, column);
        for equation in &mut equations {
            equation.swap(step, column);
        }
        let (above, below) = equations.split_at_mut(step + 1);
        eliminate(&mut above[step], below, step);
    }
    let (square, checks) = equations.split_at(unknowns);
    let sides = unknowns..equations.first().map_or(unknowns, Vec::len);
    let solutions = sides.map(|side| {
        let checked = checks.iter().all(|equation| equation[side] == 0);
        let ordered = checked.then(|| substitute(square, side)).flatten()?;
        let mut solution = vec![0; unknowns];
        for (&column, value) in column_of.iter().zip(ordered) {
            solution[column] = value;
        }
        Some(solution)
    });
    Solution::Determined(solutions.collect())
}

/// Returns the entry with the fewest factors of two from `step` on; `None` where all have so many
/// that they would determine too little.
fn pivot(equations: &[Vec<u64>], step: usize, unknowns: usize) -> Option<(usize, usize)> {
    let mut best = (u64::BITS - LEAST_BITS, None);
    for (row, equation) in equations.iter().enumerate().skip(step) {
        for (column, entry) in equation.iter().enumerate().take(unknowns).skip(step) {
            if entry.trailing_zeros() < best.0 {
                best = (entry.trailing_zeros(), Some((row, column)));
                if best.0 == 0 {
                    return best.1;
                }
            }
        }
    }
    best.1
}

/// Makes the pivot a power of two and clears its column below.
fn eliminate(pivot: &mut [u64], below: &mut [Vec<u64>], step: usize) {
    let factors = pivot[step].trailing_zeros();
    let inverse = odd_inverse(pivot[step] >> factors);
    for entry in &mut pivot[step..] {
        *entry = entry.wrapping_mul(inverse);
    }
    for equation in below {
        let factor = equation[step] >> factors;
        for (entry, pivot) in equation[step..].iter_mut().zip(&pivot[step..]) {
            *entry = entry.wrapping_sub(factor.wrapping_mul(*pivot));
        }
    }
}

/// Returns the inverse of an odd number modulo 2^64: Newton's iteration doubles the bits that are
/// right, from five on.
fn odd_inverse(number: u64) -> u64 {
    let mut inverse = number.wrapping_mul(3) ^ 2;
    for _ in 0..4 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(number.wrapping_mul(inverse)));
    }
    inverse
}

/// Returns the small integers that solve a triangular system.
fn substitute(square: &[Vec<u64>], side: usize) -> Option<Vec<i64>> {
    let mut solution = vec![0i64; square.len()];
    for (step, equation) in square.iter().enumerate().rev() {
        let known = equation[step + 1..square.len()]
            .iter()
            .zip(&solution[step + 1..])
            .fold(0u64, |sum, (a, x)| {
                sum.wrapping_add(a.wrapping_mul(*x as u64))
            });
        let rest = equation[side].wrapping_sub(known);
        let factors = equation[step].trailing_zeros();
        if rest.trailing_zeros() < factors {
            return None;
        }
        // Arithmetic shift of a number whose top bits are unknown: the smallest candidate.
        solution[step] = rest as i64 >> factors;
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn system(
        seed: u64,
        unknowns: usize,
        extra: usize,
        even: u32,
    ) -> (Vec<Vec<u64>>, Vec<Vec<i64>>) {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let solutions: Vec<Vec<i64>> = (0..2)
            .map(|_| {
                (0..unknowns)
                    .map(|_| generator.random_range(-127..=127))
                    .collect()
            })
            .collect();
        let equations = (0..unknowns + extra).map(|_| {
            let coefficients: Vec<u64> = (0..unknowns)
                .map(|_| generator.random::<u64>() << even)
                .collect();
            let answer = |solution: &Vec<i64>| {
                coefficients.iter().zip(solution).fold(0u64, |sum, (a, x)| {
                    sum.wrapping_add(a.wrapping_mul(*x as u64))
                })
            };
            let answers: Vec<u64> = solutions.iter().map(answer).collect();
            [coefficients, answers].concat()
        });
        (equations.collect(), solutions)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn small_integers_are_found_exactly(seed: u64, unknowns in 1usize..30, even in 0u32..3) {
            let (equations, solutions) = system(seed, unknowns, 24, even);
            let expected = solutions.into_iter().map(Some).collect();
            prop_assert_eq!(solve(equations, unknowns), Solution::Determined(expected));
        }

        #[test]
        fn a_wrong_answer_is_no_solution(seed: u64, unknowns in 1usize..20) {
            let (mut equations, _) = system(seed, unknowns, 24, 0);
            let last = equations.len() - 1;
            equations[last][unknowns] ^= 1;
            match solve(equations, unknowns) {
                Solution::Determined(solutions) => {
                    prop_assert_eq!(&solutions[0], &None);
                    prop_assert!(solutions[1].is_some());
                }
                Solution::Underdetermined => prop_assert!(false, "determined"),
            }
        }
    }

    #[test]
    fn too_few_equations_are_no_guess() {
        let (mut equations, _) = system(1, 5, 0, 0);
        equations.pop();
        assert_eq!(solve(equations, 5), Solution::Underdetermined);
        assert_eq!(solve(vec![vec![0, 0, 0]; 4], 2), Solution::Underdetermined);
    }

    #[test]
    fn inverses_are_inverses() {
        for number in [1u64, 3, 5, 0xffff_ffff_ffff_ffff, 0x1234_5678_9abc_def1] {
            assert_eq!(number.wrapping_mul(odd_inverse(number)), 1);
        }
    }
}

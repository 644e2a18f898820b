//! What an honest client uploads over the test images, and how far that determines an affine segment.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::attack::affine::Affine;
use crate::circuit::program::Program;
use crate::core::linear_map::{PADDING, Row};
use crate::core::placement::Placement;
use crate::model::Model;
use crate::oracle::simulation::{PORTION, observe_uploads};

/// Test images that are looked at.
const MOST_IMAGES: usize = 1000;
/// Multiplications that finding a rank may take: some seconds.
const MOST_WORK: usize = 200_000_000;
/// The prime 2^61 - 1, modulo which ranks are found: no larger than over the rationals.
const PRIME: i128 = (1 << 61) - 1;

/// Integers by element; each column is an image.
type Integers = Vec<Row<u64>>;

/// How far ordinary inputs determine an affine map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rank {
    /// Images at which the rank is full; none where it never is.
    pub images: Option<usize>,
    /// Rank of all images ÷ unknowns, at the matrix that lacks most.
    pub fraction: f64,
}

/// Returns how far the uploads of the test images, of a thousand at most, determine the affine maps of
/// the segments that are `asked` about, and their biases; `None` elsewhere, and where finding out
/// takes too much.
pub fn ranks(
    model: &Model,
    placement: &Placement,
    programs: &[Arc<Program>],
    asked: impl Fn(usize) -> bool,
) -> Vec<Option<Rank>> {
    let affine: Vec<Option<Affine<'_>>> = programs
        .iter()
        .enumerate()
        .map(|(index, program)| {
            if asked(index) {
                Affine::of(program)
            } else {
                None
            }
        })
        .collect();
    let mut rankings: Vec<Option<Ranking<'_>>> = affine
        .iter()
        .zip(programs)
        .map(|(affine, program)| Some(Ranking::of(program, affine.as_ref()?)))
        .collect();
    let images: Vec<usize> = (0..model.test.len().min(MOST_IMAGES)).collect();
    for portion in images.chunks(PORTION) {
        let is_open =
            |ranking: &Option<Ranking<'_>>| ranking.as_ref().is_some_and(Ranking::is_open);
        let Some(last) = rankings.iter().rposition(is_open) else {
            break;
        };
        observe_uploads(
            model,
            placement,
            programs,
            portion,
            &mut |segment, uploads| {
                if let Some(ranking) = &mut rankings[segment.index()] {
                    ranking.take(uploads);
                }
                if segment.index() < last {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        );
    }
    rankings
        .iter()
        .map(|ranking| ranking.as_ref()?.rank())
        .collect()
}

/// An affine map whose rank over images is being found.
struct Ranking<'a> {
    affine: &'a Affine<'a>,
    /// Grid integers of each uploaded element's integer 1.
    steps: Vec<i64>,
    matrices: Vec<Matrix<'a>>,
    /// Multiplications so far.
    work: usize,
}

impl<'a> Ranking<'a> {
    fn of(program: &Program, affine: &'a Affine<'a>) -> Self {
        Self {
            affine,
            steps: program.element_steps(),
            matrices: patches(affine).into_iter().map(Matrix::of).collect(),
            work: 0,
        }
    }

    /// Takes further images.
    fn take(&mut self, uploads: &[Integers]) {
        let elements: Vec<&Row<u64>> = uploads.iter().flatten().collect();
        for image in 0..elements.first().map_or(0, |row| row.len()) {
            if !self.is_open() {
                return;
            }
            let grid: Vec<i64> = elements
                .iter()
                .zip(&self.steps)
                .map(|(row, step)| row[image] as i64 * step)
                .collect();
            let read = match &self.affine.leading {
                None => grid,
                Some(leading) => leading.read(&grid),
            };
            for matrix in &mut self.matrices {
                matrix.take(&read, &mut self.work);
            }
        }
    }

    /// Returns whether further images can tell more.
    fn is_open(&self) -> bool {
        self.work <= MOST_WORK && self.matrices.iter().any(|matrix| !matrix.is_full())
    }

    fn rank(&self) -> Option<Rank> {
        let matrices = || self.matrices.iter();
        let images = matrices().map(|matrix| matrix.images).max().unwrap_or(0);
        let fractions = matrices().map(|matrix| matrix.rank as f64 / matrix.unknowns() as f64);
        (self.work <= MOST_WORK).then(|| Rank {
            images: matrices().all(Matrix::is_full).then_some(images),
            fraction: fractions.fold(1.0, f64::min),
        })
    }
}

/// A matrix of the map, and the rank of the rows [x, 1] that its positions read.
struct Matrix<'a> {
    positions: Vec<&'a [u32]>,
    /// Columns that read an element anywhere.
    taps: Vec<usize>,
    /// Reduced rows by their leading column, each with a one there.
    basis: Vec<Option<Vec<i128>>>,
    rank: usize,
    /// Images taken before the rank was full.
    images: usize,
}

impl<'a> Matrix<'a> {
    fn of(positions: Vec<&'a [u32]>) -> Self {
        let read = |tap: usize| positions.iter().any(|inputs| inputs[tap] != PADDING);
        let taps: Vec<usize> = (0..positions[0].len()).filter(|&tap| read(tap)).collect();
        Self {
            basis: vec![None; taps.len() + 1],
            positions,
            taps,
            rank: 0,
            images: 0,
        }
    }

    fn unknowns(&self) -> usize {
        self.basis.len()
    }

    fn is_full(&self) -> bool {
        self.rank == self.unknowns()
    }

    /// Takes one image, and adds the multiplications that takes; none where the rank is full.
    fn take(&mut self, image: &[i64], work: &mut usize) {
        if self.is_full() {
            return;
        }
        self.images += 1;
        for inputs in &self.positions {
            let values = self.taps.iter().map(|&tap| match inputs[tap] {
                PADDING => 0,
                input => i128::from(image[input as usize]).rem_euclid(PRIME),
            });
            let row: Vec<i128> = values.chain([1]).collect();
            *work += self.rank * self.unknowns();
            if *work > MOST_WORK {
                return;
            }
            self.rank += usize::from(insert(&mut self.basis, row));
        }
    }
}

/// Returns, for each matrix, the inputs of all its positions; matrices that read the same count once.
fn patches<'a>(affine: &'a Affine<'_>) -> BTreeSet<Vec<&'a [u32]>> {
    let first = crate::attack::plan::first_of_shared(&affine.map.blocks);
    let mut patches = vec![Vec::new(); affine.map.blocks.len()];
    for (block, first) in affine.map.blocks.iter().zip(first) {
        patches[first].push(block.inputs.as_slice());
    }
    patches.retain(|positions| !positions.is_empty());
    patches.into_iter().collect()
}

/// Reduces a row by a basis and adds what is left of it; returns whether anything is.
fn insert(basis: &mut [Option<Vec<i128>>], mut row: Vec<i128>) -> bool {
    for column in 0..row.len() {
        if row[column] == 0 {
            continue;
        }
        match &basis[column] {
            Some(reduced) => {
                let factor = row[column];
                for (value, reduced) in row[column..].iter_mut().zip(&reduced[column..]) {
                    *value = (*value - factor * reduced).rem_euclid(PRIME);
                }
            }
            None => {
                let inverse = power(row[column], PRIME - 2);
                row.iter_mut()
                    .for_each(|value| *value = *value * inverse % PRIME);
                basis[column] = Some(row);
                return true;
            }
        }
    }
    false
}

fn power(base: i128, mut exponent: i128) -> i128 {
    let (mut result, mut square) = (1, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * square % PRIME;
        }
        square = square * square % PRIME;
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_that_is_always_zero_leaves_the_rank_short() {
        let (all, one): (&[u32], &[u32]) = (&[0, 1, 2], &[2]);
        let images = [vec![1, 0, 3], vec![2, 0, 5], vec![4, 0, 4], vec![-7, 0, 1]];
        let rank = |positions: &[u32], work: &mut usize| {
            let mut matrix = Matrix::of(vec![positions]);
            images.iter().for_each(|image| matrix.take(image, work));
            (matrix.is_full(), matrix.images, matrix.rank)
        };
        assert_eq!(rank(all, &mut 0), (false, 4, 3));
        assert_eq!(rank(one, &mut 0), (true, 2, 2));
        assert!(!rank(one, &mut MOST_WORK.clone()).0, "given up");
    }
}

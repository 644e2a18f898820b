//! What an honest client uploads over the test images, and how far that determines an affine segment.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::attack::affine::Affine;
use crate::linear_map::{PADDING, Row};
use crate::model::Model;
use crate::model::values::Values;
use crate::placement::{Party, Placement};
use crate::program::Program;

/// Test images that are looked at.
const MOST_IMAGES: usize = 1000;
/// Multiplications that finding a rank may take: some seconds.
const MOST_WORK: usize = 1_000_000_000;
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
    pub share: f64,
}

/// Returns the uploads of each server segment over the test images, without noise.
pub fn uploads(
    model: &Model,
    placement: &Placement,
    programs: &[Arc<Program>],
) -> Vec<Vec<Integers>> {
    let images = model.test.len().min(MOST_IMAGES);
    let pixel = |image: usize, element| model.input.real(element, model.test.image(image)[element]);
    let input = (0..model.element_count(0))
        .map(|element| (0..images).map(|image| pixel(image, element)).collect());
    let mut values = Values::default();
    values.insert(0, input.collect());
    let mut programs = programs.iter();
    let mut uploads = Vec::new();
    for segment in placement.segments() {
        if segment.party == Party::Client {
            for node in model.nodes_of(&segment) {
                let operands = values.of(&model.nodes[node].inputs);
                let value = model.nodes[node].operation.run_float(&operands);
                values.insert(node + 1, value);
            }
        } else if let Some(program) = programs.next() {
            uploads.push(run_segment(program, &mut values));
        }
    }
    uploads
}

/// Runs a server segment in the clear and returns what was uploaded.
fn run_segment(program: &Program, values: &mut Values) -> Vec<Integers> {
    let uploads = program.interface.uploads.iter().map(|upload| {
        let rows = values.get(upload.value).iter().enumerate();
        rows.map(|(element, row)| -> Row<u64> {
            let integer = |&real| upload.quantisation.quantise(element, f64::from(real)) as u64;
            row.iter().map(integer).collect()
        })
        .collect()
    });
    let uploads: Vec<Integers> = uploads.collect();
    let run = program.run_clear(&uploads, None);
    for (download, rows) in program.interface.downloads.iter().zip(run.outputs) {
        let reals = rows.iter().zip(&download.scales).map(|(row, scale)| {
            let real = |&integer: &u64| (integer as i64 as f64 * scale) as f32;
            row.iter().map(real).collect()
        });
        values.insert(download.value, reals.collect());
    }
    uploads
}

/// Returns how far uploads determine a map and its biases; `None` where finding out takes too much.
pub fn rank(program: &Program, affine: &Affine<'_>, uploads: &[Integers]) -> Option<Rank> {
    let elements: Vec<&Row<u64>> = uploads.iter().flatten().collect();
    let steps = program.interface.uploads.iter().zip(&program.upload_steps);
    let steps = steps.flat_map(|(upload, &step)| vec![step; upload.layout.places.len()]);
    let steps: Vec<i64> = steps.collect();
    let image_count = elements.first().map_or(0, |row| row.len());
    let image = |image: usize| -> Vec<i64> {
        let grid = elements.iter().zip(&steps);
        let grid: Vec<i64> = grid.map(|(row, step)| row[image] as i64 * step).collect();
        match affine.leading {
            None => grid,
            Some(leading) => leading.read(&grid),
        }
    };
    let images: Vec<Vec<i64>> = (0..image_count).map(image).collect();
    let mut worst = Rank {
        images: Some(0),
        share: 1.0,
    };
    let mut work = 0;
    for positions in patches(affine) {
        let rank = rank_of(&positions, &images, &mut work)?;
        worst.images = worst.images.zip(rank.images).map(|(a, b)| a.max(b));
        worst.share = worst.share.min(rank.share);
    }
    Some(worst)
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

/// Returns the rank of the rows [x, 1] that positions read in images.
fn rank_of(positions: &[&[u32]], images: &[Vec<i64>], work: &mut usize) -> Option<Rank> {
    let read = |tap: usize| positions.iter().any(|inputs| inputs[tap] != PADDING);
    let taps: Vec<usize> = (0..positions[0].len()).filter(|&tap| read(tap)).collect();
    let unknowns = taps.len() + 1;
    // Reduced rows by their leading column, each with a one there.
    let mut basis: Vec<Option<Vec<i128>>> = vec![None; unknowns];
    let mut rank = 0;
    for (index, image) in images.iter().enumerate() {
        for inputs in positions {
            let values = taps.iter().map(|&tap| match inputs[tap] {
                PADDING => 0,
                input => i128::from(image[input as usize]).rem_euclid(PRIME),
            });
            let row: Vec<i128> = values.chain([1]).collect();
            *work += rank * unknowns;
            if *work > MOST_WORK {
                return None;
            }
            rank += usize::from(insert(&mut basis, row));
        }
        if rank == unknowns {
            return Some(Rank {
                images: Some(index + 1),
                share: 1.0,
            });
        }
    }
    Some(Rank {
        images: None,
        share: rank as f64 / unknowns as f64,
    })
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
        let rank = rank_of(&[all], &images, &mut 0).expect("small");
        assert_eq!((rank.images, rank.share), (None, 0.75));
        let rank = rank_of(&[one], &images, &mut 0).expect("small");
        assert_eq!((rank.images, rank.share), (Some(2), 1.0));
        assert_eq!(rank_of(&[all], &images, &mut MOST_WORK.clone()), None);
    }
}

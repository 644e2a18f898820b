//! The weights of a map that an attack has estimated so far.

use super::affine::Affine;
use super::plan::{Shown, first_of_shared, fraction_found};

/// Estimates of weights, by least squares over all that showed them.
pub struct Found<'a> {
    affine: &'a Affine<'a>,
    /// As in the map, for the first block of those that share weights; empty for the others.
    estimates: Vec<Vec<Estimate>>,
    /// The first block of those that share each block's weights.
    first: Vec<usize>,
}

/// Sums over the differences y that showed a weight with gain g.
#[derive(Debug, Clone, Copy, Default)]
struct Estimate {
    /// Σ g·y.
    products: f64,
    /// Σ g².
    squares: f64,
}

impl Estimate {
    fn weight(self) -> Option<i64> {
        (self.squares > 0.0).then(|| (self.products / self.squares).round() as i64)
    }
}

impl<'a> Found<'a> {
    /// Returns what is known before anything was asked.
    pub fn new(affine: &'a Affine<'a>) -> Self {
        let blocks = &affine.map.blocks;
        let first = first_of_shared(blocks);
        let estimates = (0..blocks.len()).map(|index| {
            if first[index] == index {
                vec![Estimate::default(); blocks[index].weights.len()]
            } else {
                Vec::new()
            }
        });
        Self {
            affine,
            estimates: estimates.collect(),
            first,
        }
    }

    /// Returns the weights of a block, row by row.
    pub fn weights_of(&self, block: usize) -> impl Iterator<Item = Option<i64>> {
        self.estimates[self.first[block]]
            .iter()
            .map(|estimate| estimate.weight())
    }

    /// Adds a difference of answers that showed a weight in one row of its block.
    pub fn add(&mut self, shown: Shown, row: usize, difference: f64, gain: f64) {
        let depth = self.affine.map.blocks[shown.block].inputs.len();
        let estimate = &mut self.estimates[self.first[shown.block]][row * depth + shown.tap];
        estimate.products += gain * difference;
        estimate.squares += gain * gain;
    }

    /// Returns the least Σ g² of a weight that was shown.
    pub fn least_squares(&self) -> f64 {
        let squares = self.estimates.iter().flatten().map(|of| of.squares);
        squares
            .filter(|squares| *squares > 0.0)
            .fold(f64::INFINITY, f64::min)
    }

    /// Returns the fraction of all weights that were found rightly.
    pub fn fraction(&self) -> f64 {
        let blocks = &self.affine.map.blocks;
        fraction_found(blocks, &self.first, |block, row, tap| {
            let depth = blocks[block].inputs.len();
            self.estimates[block][row * depth + tap].weight()
        })
    }
}

//! The weights of one output row behind a look-up, by maximum likelihood: those whose predicted
//! answers miss the ones that were heard least.

use crate::circuit::program::{LookUpStep, Table};

/// The largest weight that is looked for, at either side of zero.
pub const MOST_WEIGHT: i64 = 512;
/// Biases that are tried, evenly over the turn.
const BIASES: u64 = 1024;
/// Steps in which a bias is refined, at either side of the best so far.
const REFINED: i64 = 24;
/// The most that one answer counts against a hypothesis: four output steps, squared.
const MOST_MISS: i64 = 16;
/// By how much a bias may fit the answers to nothing worse than the best.
const EMPTY_SLACK: i64 = 4;
/// Weights that a bias is judged by at first.
const JUDGING: usize = 6;
/// By how much the second likeliest weight must miss more for the likeliest to stand.
const SETTLED: i64 = 8;

/// An answer to one element of that phase.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    pub phase: u64,
    pub answer: i64,
}

/// A weight that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    pub weight: i64,
    /// Whether no other weight is nearly as likely.
    pub is_settled: bool,
}

/// All that was heard of the weights of one row.
pub struct Channel<'a> {
    look_up: &'a LookUpStep,
    table: &'a Table,
    /// Phase of the grid's integer 1.
    unit: u64,
    /// By weight.
    pub heard: Vec<Vec<Heard>>,
    /// Answers to nothing but the bias.
    pub empty: Vec<i64>,
    /// Phases of the elements of ordinary inputs, by position.
    pub ordinary: Vec<Vec<u64>>,
}

impl<'a> Channel<'a> {
    /// Returns a row of which nothing was heard.
    pub fn new(look_up: &'a LookUpStep, element: usize, weights: usize, unit: u64) -> Self {
        Self {
            look_up,
            table: look_up.table(element),
            unit,
            heard: vec![Vec::new(); weights],
            empty: Vec::new(),
            ordinary: Vec::new(),
        }
    }

    /// Returns the likeliest weights.
    pub fn solve(&self) -> Vec<Read> {
        let mut bias = self.likeliest_bias();
        let mut found = self.read_all(bias);
        for _ in 0..2 {
            let weights: Vec<i64> = found.iter().map(|read| read.weight).collect();
            bias = self.refined(bias, &weights);
            found = self.read_all(bias);
        }
        self.unmirrored(bias, found)
    }

    /// Tables are symmetric on the turn, or nearly: (w, b) and (-w, b') give the same answers. Ordinary
    /// inputs tell which it is, because theirs lie in the calibrated range.
    fn unmirrored(&self, bias: u64, found: Vec<Read>) -> Vec<Read> {
        let weights: Vec<i64> = found.iter().map(|read| read.weight).collect();
        let mirrored: Vec<i64> = weights.iter().map(|weight| -weight).collect();
        let coarse = (0..BIASES)
            .map(|index| index << (u64::BITS - BIASES.ilog2()))
            .min_by_key(|&bias| self.miss_of(bias, &mirrored));
        let other = self.refined(coarse.unwrap_or_default(), &mirrored);
        let misses = [self.miss_of(bias, &weights), self.miss_of(other, &mirrored)];
        let is_alike = misses[1] <= 2 * misses[0] + MOST_MISS;
        if !is_alike || self.in_range(bias, &weights) >= self.in_range(other, &mirrored) {
            return found;
        }
        found
            .into_iter()
            .map(|read| Read {
                weight: -read.weight,
                ..read
            })
            .collect()
    }

    /// Returns at how many positions ordinary inputs lie in the calibrated range.
    fn in_range(&self, bias: u64, weights: &[i64]) -> usize {
        let (low, high) = self.table.range;
        let width = ((high - low) as u64).saturating_mul(self.unit);
        let lies_inside = |phases: &&Vec<u64>| {
            let phase = phases
                .iter()
                .zip(weights)
                .fold(bias, |sum, (phase, &weight)| {
                    sum.wrapping_add(phase.wrapping_mul(weight as u64))
                });
            phase.wrapping_sub((low as u64).wrapping_mul(self.unit)) <= width
        };
        self.ordinary.iter().filter(lies_inside).count()
    }

    /// Returns the bias by which the first weights explain their answers best.
    fn likeliest_bias(&self) -> u64 {
        let empty: Vec<(i64, u64)> = (0..BIASES)
            .map(|index| index << (u64::BITS - BIASES.ilog2()))
            .map(|bias| (self.empty_miss(bias), bias))
            .collect();
        let least = empty.iter().map(|(miss, _)| *miss).min().unwrap_or(0);
        let fitting = empty
            .into_iter()
            .filter(|(miss, _)| *miss <= least + EMPTY_SLACK);
        let mut best = (i64::MAX, 0);
        for (empty, bias) in fitting {
            let judging = self
                .heard
                .iter()
                .filter(|heard| !heard.is_empty())
                .take(JUDGING);
            let mut miss = empty;
            for heard in judging {
                if miss >= best.0 {
                    break;
                }
                miss += self.read(bias, heard).1;
            }
            best = best.min((miss, bias));
        }
        best.1
    }

    /// Returns the bias near another by which weights explain all answers best.
    fn refined(&self, bias: u64, weights: &[i64]) -> u64 {
        let step = (1 << (u64::BITS - BIASES.ilog2())) / (REFINED / 2);
        (-REFINED..=REFINED)
            .map(|steps| bias.wrapping_add((steps * step) as u64))
            .min_by_key(|&bias| self.miss_of(bias, weights))
            .unwrap_or(bias)
    }

    fn miss_of(&self, bias: u64, weights: &[i64]) -> i64 {
        let heard: i64 = self
            .heard
            .iter()
            .zip(weights)
            .map(|(heard, &weight)| self.miss(bias, weight, heard, i64::MAX))
            .sum();
        heard + self.empty_miss(bias)
    }

    fn empty_miss(&self, bias: u64) -> i64 {
        let value = self.value(bias);
        let misses = self
            .empty
            .iter()
            .map(|answer| (answer - value).pow(2).min(MOST_MISS));
        // Positions say the same many times over.
        misses.sum::<i64>() / (self.empty.len().max(1) as i64)
    }

    fn read_all(&self, bias: u64) -> Vec<Read> {
        self.heard
            .iter()
            .map(|heard| self.read(bias, heard).0)
            .collect()
    }

    /// Returns the likeliest weight, and by how much it misses.
    fn read(&self, bias: u64, heard: &[Heard]) -> (Read, i64) {
        let (mut best, mut second) = ((i64::MAX, 0), i64::MAX);
        for weight in -MOST_WEIGHT..=MOST_WEIGHT {
            let miss = self.miss(bias, weight, heard, second);
            if miss < best.0 {
                second = best.0;
                best = (miss, weight);
            } else {
                second = second.min(miss);
            }
        }
        let read = Read {
            weight: best.1,
            is_settled: second - best.0 >= SETTLED,
        };
        (read, best.0)
    }

    /// Returns by how much a weight misses its answers; no more than it takes to reach `enough`.
    fn miss(&self, bias: u64, weight: i64, heard: &[Heard], enough: i64) -> i64 {
        let mut miss = 0;
        for Heard { phase, answer } in heard {
            let value = self.value(bias.wrapping_add(phase.wrapping_mul(weight as u64)));
            miss += (answer - value).pow(2).min(MOST_MISS);
            if miss >= enough {
                break;
            }
        }
        miss
    }

    /// Returns what the table gives for a phase.
    fn value(&self, phase: u64) -> i64 {
        self.look_up
            .read(self.table, phase.wrapping_add(self.table.offset))
    }
}

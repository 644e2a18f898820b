//! Chosen inputs: a client that deviates from the network's activations, but not from the protocol,
//! and uploads integers of its own choice.
//!
//! The first query holds the smallest integer everywhere; each further one raises some elements to
//! the largest, such that no two of them meet in one output. The difference of the answers at an
//! output is then one weight times a known number. A convolution shows many weights at a time, at
//! positions far apart. Look-ups that stand first do not protect: they are known functions of chosen
//! integers, one element each. A last query with arbitrary integers tells whether the answers are
//! those of the map that was found; where a segment hides no affine map, four queries show that.

use std::collections::BTreeSet;
use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::affine::Affine;
use super::{Outcome, QUERIES};
use crate::error::Result;
use crate::inference::Session;
use crate::linear_map::{Block, PADDING};
use crate::program::Program;

/// Look-ups that an attack may take: some seconds.
const MOST_LOOK_UPS: usize = 4500;
/// Look-ups that showing the lack of an affine map may take: a second or two.
const MOST_REFUTING_LOOK_UPS: usize = 1500;
/// Steps that planning queries may take: some seconds.
const MOST_PLANNING: usize = 100_000_000;
/// Queries that an attack may take.
const MOST_QUERIES: usize = 1100;
/// Standard deviations by which a noisy answer may miss what the found map predicts.
const NOISE_QUANTILE: f64 = 6.0;

/// Elements that are raised together, and the weights that they show.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    raised: Vec<u32>,
    shown: Vec<Shown>,
}

/// A weight that a query shows, in each row of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    block: usize,
    tap: usize,
}

/// Mounts the attack on a segment.
///
/// # Errors
///
/// As [`Session::exchange`].
pub fn attack(session: &Session, segment: usize, seed: u64) -> Result<Outcome> {
    let program = &session.programs()[segment];
    let attacker = Attacker {
        session,
        segment,
        program,
        seed,
    };
    match Affine::of(program) {
        Some(affine) => attacker.solve(&affine),
        None => attacker.refute(),
    }
}

struct Attacker<'a> {
    session: &'a Session,
    segment: usize,
    program: &'a Program,
    seed: u64,
}

impl Attacker<'_> {
    /// Shows that the segment is no affine map: f(x) + f(y) = f(x + y) + f(0) fails.
    fn refute(&self) -> Result<Outcome> {
        if 4 * self.program.bootstrap_count() > MOST_REFUTING_LOOK_UPS {
            return Ok(Outcome::untried(format!(
                "four queries take more than {MOST_REFUTING_LOOK_UPS} look-ups"
            )));
        }
        let start = Instant::now();
        let (left, right) = (self.arbitrary(0), self.arbitrary(1));
        let (low, _) = self.ends();
        let both: Vec<i64> = left
            .iter()
            .zip(&right)
            .zip(&low)
            .map(|((l, r), low)| {
                // Halves add up within the range.
                low + (l - low) / 2 + (r - low) / 2
            })
            .collect();
        let half = |of: &[i64]| -> Vec<i64> {
            of.iter()
                .zip(&low)
                .map(|(value, low)| low + (value - low) / 2)
                .collect()
        };
        let answers = [low.clone(), half(&left), half(&right), both].map(|query| self.ask(&query));
        let [base, left, right, both] = answers;
        let (base, left, right, both) = (base?, left?, right?, both?);
        let noise = self.noise();
        let additive = (0..base.len()).all(|output| {
            let miss = left[output] + right[output] - both[output] - base[output];
            (miss as f64).abs() <= 2.0 * NOISE_QUANTILE * noise[output] + 2.0
        });
        let outcome = Outcome {
            seconds: start.elapsed().as_secs_f64(),
            method: "additivity".into(),
            all_queries: Some(4),
            ..Outcome::default()
        };
        Ok(match additive {
            false => Outcome {
                shares: [Some(0.0); 3],
                ..outcome
            },
            true => Outcome {
                reason: Some("the answers are additive, but no map was solved for".into()),
                ..outcome
            },
        })
    }

    fn solve(&self, affine: &Affine) -> Result<Outcome> {
        let start = Instant::now();
        if plan_cost(&affine.map.blocks) > MOST_PLANNING {
            return Ok(Outcome::untried("the map is too large to plan for".into()));
        }
        let plan = plan(&affine.map.blocks, affine.map.input_count);
        // The first query raises nothing, the last one checks.
        let all = plan.len() + 1;
        let mut outcome = Outcome {
            method: "impulses".into(),
            all_queries: Some(all),
            ..Outcome::default()
        };
        let affordable = match self.program.bootstrap_count() {
            0 => MOST_QUERIES,
            look_ups => MOST_LOOK_UPS / look_ups,
        };
        let (low, high) = self.ends();
        if affordable < 2 {
            return Ok(Outcome::untried(format!(
                "a query takes more than {} look-ups",
                MOST_LOOK_UPS / 2
            )));
        }
        let base = self.ask(&low)?;
        let gains = self.gains(affine, &low, &high);
        let mut found = Found::new(affine);
        let mut used = 1;
        let mut checkpoint = 0;
        let marks: Vec<usize> = QUERIES.into_iter().chain([all]).collect();
        for query in plan.iter().take(affordable.saturating_sub(2)) {
            while checkpoint < 3 && marks[checkpoint] <= used {
                outcome.shares[checkpoint] = Some(found.share());
                checkpoint += 1;
            }
            let mut integers = low.clone();
            for &element in &query.raised {
                integers[element as usize] = high[element as usize];
            }
            let answer = self.ask(&integers)?;
            used += 1;
            for shown in &query.shown {
                found.read(*shown, &base, &answer, &gains, &self.steps());
            }
        }
        if used == all {
            outcome.shares[checkpoint..].fill(Some(found.share()));
            outcome.method += if self.predicts(&found, affine, &low, &base)? {
                ", checked"
            } else {
                ", check failed"
            };
        } else {
            for (mark, share) in marks.iter().zip(&mut outcome.shares) {
                if *mark == used {
                    *share = Some(found.share());
                }
            }
            outcome.reason = Some(format!(
                "{all} queries take too many look-ups: {used} were made"
            ));
        }
        outcome.seconds = start.elapsed().as_secs_f64();
        Ok(outcome)
    }

    /// Returns whether the found map predicts the answer to an arbitrary query.
    fn predicts(&self, found: &Found, affine: &Affine, low: &[i64], base: &[i64]) -> Result<bool> {
        let query = self.arbitrary(2);
        let answer = self.ask(&query)?;
        let gains = self.gains(affine, low, &query);
        let (noise, steps) = (self.noise(), self.steps());
        let blocks = affine.map.blocks.iter().enumerate();
        let mut predictions = blocks.flat_map(|(index, block)| {
            let rows = found.weights_of(index).chunks_exact(block.inputs.len());
            rows.zip(&block.outputs).map(|(row, &output)| {
                let terms = row.iter().zip(&block.inputs);
                let terms = terms.filter(|(_, input)| **input != PADDING);
                let sum: i128 = terms
                    .map(|(weight, &input)| {
                        i128::from(weight.unwrap_or(0)) * i128::from(gains[input as usize])
                    })
                    .sum();
                let output = output as usize;
                (output, base[output] as f64 + sum as f64 / steps[output])
            })
        });
        Ok(predictions.all(|(output, expected)| {
            let room = 2.0 * NOISE_QUANTILE * noise[output] + 1.5;
            (expected - answer[output] as f64).abs() <= room
        }))
    }

    /// Returns the answers to integers for all uploads, one value after the other.
    fn ask(&self, integers: &[i64]) -> Result<Vec<i64>> {
        let mut rest = integers;
        let uploads = self.program.interface.uploads.iter().map(|upload| {
            let (own, after) = rest.split_at(upload.layout.places.len());
            rest = after;
            own.to_vec()
        });
        let uploads: Vec<Vec<i64>> = uploads.collect();
        Ok(self
            .session
            .exchange(self.segment, &uploads)?
            .integers
            .concat())
    }

    /// Returns the smallest and the largest integer that the protocol allows each element.
    fn ends(&self) -> (Vec<i64>, Vec<i64>) {
        let uploads = self.program.interface.uploads.iter();
        let ends = uploads.flat_map(|upload| {
            let ends = (upload.quantisation.low, upload.quantisation.high);
            std::iter::repeat_n(ends, upload.layout.places.len())
        });
        ends.unzip()
    }

    /// Returns arbitrary integers that the protocol allows.
    fn arbitrary(&self, stream: u64) -> Vec<i64> {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(stream);
        let (low, high) = self.ends();
        let ends = low.into_iter().zip(high);
        ends.map(|(low, high)| generator.random_range(low..=high))
            .collect()
    }

    /// Returns by how many integers of the grid the weights' inputs grow between two queries.
    fn gains(&self, affine: &Affine, from: &[i64], to: &[i64]) -> Vec<i64> {
        let uploads = self.program.interface.uploads.iter();
        let steps = uploads
            .zip(&self.program.upload_steps)
            .flat_map(|(upload, &step)| std::iter::repeat_n(step, upload.layout.places.len()));
        let steps: Vec<i64> = steps.collect();
        let read = |integers: &[i64]| -> Vec<i64> {
            let grid: Vec<i64> = integers
                .iter()
                .zip(&steps)
                .map(|(v, step)| v * step)
                .collect();
            affine
                .leading
                .map_or_else(|| grid.clone(), |leading| leading.read(&grid))
        };
        read(to)
            .iter()
            .zip(read(from))
            .map(|(to, from)| to - from)
            .collect()
    }

    /// Returns the grid integers of the decoded integer 1 of each output.
    fn steps(&self) -> Vec<f64> {
        let downloads = self.program.interface.downloads.iter();
        let steps = downloads.flat_map(|download| {
            let step = download.step as f64 / self.program.unit as f64;
            std::iter::repeat_n(step, download.scales.len())
        });
        steps.collect()
    }

    fn noise(&self) -> Vec<f64> {
        let downloads = self.program.interface.downloads.iter();
        let noise = downloads.flat_map(|download| match download.exact {
            true => vec![0.0; download.noise_std.len()],
            false => download.noise_std.clone(),
        });
        noise.collect()
    }
}

/// The weights read so far.
struct Found<'a> {
    affine: &'a Affine<'a>,
    /// As in the map, for the first block of those that share weights; empty for the others.
    weights: Vec<Vec<Option<i64>>>,
    /// The first block of those that share each block's weights.
    first: Vec<usize>,
}

impl<'a> Found<'a> {
    fn new(affine: &'a Affine<'a>) -> Self {
        let blocks = &affine.map.blocks;
        let first = first_of_shared(blocks);
        Self {
            affine,
            weights: (0..blocks.len())
                .map(|index| match first[index] == index {
                    true => vec![None; blocks[index].weights.len()],
                    false => Vec::new(),
                })
                .collect(),
            first,
        }
    }

    fn weights_of(&self, block: usize) -> &[Option<i64>] {
        &self.weights[self.first[block]]
    }

    /// Reads a weight in all rows of a block.
    fn read(&mut self, shown: Shown, base: &[i64], answer: &[i64], gains: &[i64], steps: &[f64]) {
        let blocks = &self.affine.map.blocks;
        let block = &blocks[shown.block];
        let depth = block.inputs.len();
        let gain = gains[block.inputs[shown.tap] as usize];
        if gain == 0 {
            return;
        }
        for (row, &output) in block.outputs.iter().enumerate() {
            let output = output as usize;
            let difference = (answer[output] - base[output]) as f64 * steps[output];
            let weight = (difference / gain as f64).round() as i64;
            self.weights[self.first[shown.block]][row * depth + shown.tap] = Some(weight);
        }
    }

    /// Returns the share of all weights that were read rightly.
    fn share(&self) -> f64 {
        let (mut right, mut all) = (0, 0);
        let blocks = self.affine.map.blocks.iter().enumerate();
        let used = used_taps(&self.affine.map.blocks, &self.first);
        for (index, block) in blocks.filter(|(index, _)| self.first[*index] == *index) {
            let found = self.weights[index]
                .iter()
                .zip(block.weights.iter())
                .enumerate();
            for (place, (found, &truth)) in found {
                if used.contains(&(index, place % block.inputs.len())) {
                    all += 1;
                    right += usize::from(*found == Some(truth as i64));
                }
            }
        }
        right as f64 / f64::max(all as f64, 1.0)
    }
}

/// Returns, for each block, the first that shares its weights.
fn first_of_shared(blocks: &[Block<u64>]) -> Vec<usize> {
    let mut first = std::collections::HashMap::new();
    let blocks = blocks.iter().enumerate();
    blocks
        .map(|(index, block)| *first.entry(block.weights.as_ptr()).or_insert(index))
        .collect()
}

/// Returns the taps that read an element anywhere, by the first block that shares them.
fn used_taps(blocks: &[Block<u64>], first: &[usize]) -> BTreeSet<(usize, usize)> {
    let blocks = blocks.iter().zip(first);
    let taps = blocks.flat_map(|(block, &first)| {
        let taps = block.inputs.iter().enumerate();
        taps.filter(|(_, input)| **input != PADDING)
            .map(move |(tap, _)| (first, tap))
    });
    taps.collect()
}

/// Returns about how many steps planning takes: readers of elements, for each query.
fn plan_cost(blocks: &[Block<u64>]) -> usize {
    let first = first_of_shared(blocks);
    let matrices = first
        .iter()
        .enumerate()
        .filter(|(index, first)| index == *first)
        .count();
    let positions = blocks.len().div_ceil(matrices.max(1)).max(1);
    let readers: usize = blocks.iter().map(|block| block.inputs.len()).sum();
    let widest = blocks
        .iter()
        .map(|block| block.inputs.len())
        .max()
        .unwrap_or(0);
    readers * (widest / positions + 1)
}

/// Returns queries that together show every weight.
fn plan(blocks: &[Block<u64>], input_count: usize) -> Vec<Query> {
    let first = first_of_shared(blocks);
    let mut missing = used_taps(blocks, &first);
    let mut readers: Vec<Vec<Shown>> = vec![Vec::new(); input_count];
    for (index, block) in blocks.iter().enumerate() {
        for (tap, &input) in block.inputs.iter().enumerate() {
            if input != PADDING {
                readers[input as usize].push(Shown { block: index, tap });
            }
        }
    }
    let mut plan = Vec::new();
    while !missing.is_empty() {
        let mut query = Query::default();
        let mut touched = vec![false; blocks.len()];
        let shows = |readers: &[Shown], missing: &BTreeSet<(usize, usize)>| {
            let shown = readers.iter().map(|shown| (first[shown.block], shown.tap));
            shown
                .filter(|tap| missing.contains(tap))
                .collect::<BTreeSet<_>>()
                .len()
        };
        // Elements that show the most come first.
        let mut candidates: Vec<(usize, usize)> = (0..input_count)
            .map(|element| (shows(&readers[element], &missing), element))
            .filter(|(count, _)| *count > 0)
            .collect();
        candidates.sort_by_key(|&(count, element)| (std::cmp::Reverse(count), element));
        for (_, element) in candidates {
            let own = &readers[element];
            let free = own.iter().all(|shown| !touched[shown.block]);
            if !free || shows(own, &missing) == 0 {
                continue;
            }
            query.raised.push(element as u32);
            for shown in own {
                touched[shown.block] = true;
                missing.remove(&(first[shown.block], shown.tap));
                query.shown.push(*shown);
            }
        }
        plan.push(query);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Conv2d, Window};
    use crate::linear_map::LinearMap;

    fn integers(map: &LinearMap<f32>) -> Vec<Block<u64>> {
        let shared: std::sync::Arc<[u64]> =
            map.blocks[0].weights.iter().map(|&w| w as u64).collect();
        let blocks = map.blocks.iter().map(|block| Block {
            weights: shared.clone(),
            inputs: block.inputs.clone(),
            outputs: block.outputs.clone(),
        });
        blocks.collect()
    }

    #[test]
    fn a_dense_layer_takes_a_query_for_each_input() {
        let map = LinearMap::dense(&[1u64; 60], 12);
        assert_eq!(plan(&map.blocks, 12).len(), 12);
    }

    #[test]
    fn a_convolution_shows_a_whole_kernel_at_a_time() {
        let conv = Conv2d {
            weights: vec![1.0; 2 * 2 * 9],
            out_channels: 2,
            in_channels: 2,
            groups: 1,
            kernel: [3, 3],
            window: Window {
                stride: [1, 1],
                padding: [0; 4],
            },
        };
        let blocks = integers(&conv.map([8, 8], [6, 6]));
        let plan = plan(&blocks, 128);
        // Both channels fit one image, three pixels apart.
        assert_eq!(plan.len(), 1, "{plan:?}");
        let shown: BTreeSet<usize> = plan[0].shown.iter().map(|shown| shown.tap).collect();
        assert_eq!(shown.len(), 18);
    }
}

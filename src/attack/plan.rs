//! Which elements a client raises together: no two of them meet in one output, so that each answer
//! shows one weight.

use std::collections::{BTreeSet, HashMap};

use crate::core::linear_map::{Block, PADDING};

/// Steps that planning queries may take: some seconds.
pub const MOST_PLANNING: usize = 100_000_000;

/// Elements that are raised together, and the weights that they show.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub raised: Vec<u32>,
    pub shown: Vec<Shown>,
}

/// A weight that a query shows, in each row of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    pub block: usize,
    pub tap: usize,
}

/// Returns, for each block, the first that shares its weights.
pub fn first_of_shared(blocks: &[Block<u64>]) -> Vec<usize> {
    let mut first = HashMap::new();
    blocks
        .iter()
        .enumerate()
        .map(|(index, block)| *first.entry(block.weights.as_ptr()).or_insert(index))
        .collect()
}

/// Returns the taps that read an element anywhere, by the first block that shares them.
pub fn used_taps(blocks: &[Block<u64>], first: &[usize]) -> BTreeSet<(usize, usize)> {
    let taps = blocks.iter().zip(first).flat_map(|(block, &first)| {
        let taps = block.inputs.iter().enumerate();
        taps.filter(|(_, input)| **input != PADDING)
            .map(move |(tap, _)| (first, tap))
    });
    taps.collect()
}

/// Returns the fraction of all weights that are `found` rightly, by block, row and tap.
pub fn fraction_found(
    blocks: &[Block<u64>],
    first: &[usize],
    found: impl Fn(usize, usize, usize) -> Option<i64>,
) -> f64 {
    let (mut right, mut all) = (0, 0);
    for (index, tap) in used_taps(blocks, first) {
        let block = &blocks[index];
        let depth = block.inputs.len();
        for row in 0..block.outputs.len() {
            let truth = block.weights[row * depth + tap] as i64;
            all += 1;
            right += usize::from(found(index, row, tap) == Some(truth));
        }
    }
    right as f64 / f64::max(all as f64, 1.0)
}

/// Returns about how many steps planning takes: readers of elements, for each query.
pub fn plan_cost(blocks: &[Block<u64>]) -> usize {
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
pub fn plan(blocks: &[Block<u64>], input_count: usize) -> Vec<Query> {
    let first = first_of_shared(blocks);
    let mut missing = used_taps(blocks, &first);
    let readers = readers(blocks, input_count);
    let mut plan = Vec::new();
    while !missing.is_empty() {
        let mut query = Query::default();
        let mut touched = vec![false; blocks.len()];
        let shows = |readers: &[Shown], missing: &BTreeSet<(usize, usize)>| {
            readers
                .iter()
                .map(|shown| (first[shown.block], shown.tap))
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

/// Adds to each query what else can be raised with it, which shows weights once more.
pub fn fill(plan: &mut [Query], blocks: &[Block<u64>], input_count: usize) {
    let readers = readers(blocks, input_count);
    for query in plan {
        let mut touched = vec![false; blocks.len()];
        query
            .shown
            .iter()
            .for_each(|shown| touched[shown.block] = true);
        for (element, own) in readers.iter().enumerate() {
            if own.is_empty() || own.iter().any(|shown| touched[shown.block]) {
                continue;
            }
            query.raised.push(element as u32);
            query.shown.extend(own);
            own.iter().for_each(|shown| touched[shown.block] = true);
        }
    }
}

/// Returns the weights that each element meets.
fn readers(blocks: &[Block<u64>], input_count: usize) -> Vec<Vec<Shown>> {
    let mut readers = vec![Vec::new(); input_count];
    for (index, block) in blocks.iter().enumerate() {
        for (tap, &input) in block.inputs.iter().enumerate() {
            if input != PADDING {
                readers[input as usize].push(Shown { block: index, tap });
            }
        }
    }
    readers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::linear_map::LinearMap;
    use crate::model::layer::{Conv2d, Window};

    fn integers(map: &LinearMap<f32>) -> Vec<Block<u64>> {
        let shared: std::sync::Arc<[u64]> =
            map.blocks[0].weights.iter().map(|&w| w as u64).collect();
        map.blocks
            .iter()
            .map(|block| Block {
                weights: shared.clone(),
                inputs: block.inputs.clone(),
                outputs: block.outputs.clone(),
            })
            .collect()
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

//! The values that cross the boundary of a range of nodes: read from outside, made for outside.

use std::ops::Range;

/// Returns the values that a range of nodes reads and others make, in order; `inputs` tells what a
/// node reads.
pub fn read_by<'a>(
    nodes: &Range<usize>,
    inputs: impl Fn(usize) -> &'a Vec<usize> + 'a,
) -> Vec<usize> {
    let mut values: Vec<usize> = nodes
        .clone()
        .flat_map(inputs)
        .copied()
        .filter(|&value| value <= nodes.start)
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Returns the values that a range of `count` nodes makes and others read, in order; the network's
/// output is read.
pub fn made_by<'a>(
    nodes: &Range<usize>,
    count: usize,
    inputs: impl Fn(usize) -> &'a Vec<usize>,
) -> Vec<usize> {
    let is_read = |value: &usize| {
        *value == count || (nodes.end..count).any(|node| inputs(node).contains(value))
    };
    (nodes.start + 1..=nodes.end).filter(is_read).collect()
}

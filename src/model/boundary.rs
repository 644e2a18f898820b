//! What crosses the boundary of a range of nodes: values read from outside, nodes that make values for
//! outside.

use std::ops::Range;

use super::index::{NodeId, ValueId};

/// Returns the values that a range of nodes reads and others make, in order; `inputs` tells what a
/// node reads.
pub fn read_by<'a>(
    nodes: &Range<usize>,
    inputs: impl Fn(NodeId) -> &'a Vec<ValueId> + 'a,
) -> Vec<ValueId> {
    let is_made_before = |value: &ValueId| {
        let producer = value.producer();
        producer.is_none_or(|node| node.index() < nodes.start)
    };
    let mut values: Vec<ValueId> = NodeId::all(nodes.clone())
        .flat_map(inputs)
        .copied()
        .filter(is_made_before)
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Returns the nodes of a range, of `count` in all, whose values others read, in order; the network's
/// output is read.
pub fn made_by<'a>(
    nodes: &Range<usize>,
    count: usize,
    inputs: impl Fn(NodeId) -> &'a Vec<ValueId>,
) -> Vec<NodeId> {
    let is_read = |node: &NodeId| {
        let is_last = node.index() + 1 == count;
        is_last || NodeId::all(nodes.end..count).any(|other| inputs(other).contains(&node.value()))
    };
    NodeId::all(nodes.clone()).filter(is_read).collect()
}

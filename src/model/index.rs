//! Indices into a network: of its nodes, and of the values that these read and make.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The index of a node in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(usize);

impl NodeId {
    /// Returns the id of the node with that index.
    pub fn new(index: usize) -> Self {
        Self(index)
    }

    /// Returns the ids of a range of nodes, in order.
    pub fn all(nodes: Range<usize>) -> impl DoubleEndedIterator<Item = Self> + Clone {
        nodes.map(Self)
    }

    /// Returns its index among the nodes.
    pub fn index(self) -> usize {
        self.0
    }

    /// Returns the value that the node makes.
    pub fn value(self) -> ValueId {
        ValueId(self.0 + 1)
    }
}

/// A value of the model: 0 is the network's input, i + 1 the output of node i.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(usize);

impl ValueId {
    /// The network's input.
    pub const INPUT: Self = Self(0);

    /// Returns the id of the value with that index.
    pub fn new(index: usize) -> Self {
        Self(index)
    }

    /// Returns its index among the values.
    pub fn index(self) -> usize {
        self.0
    }

    /// Returns the node that makes the value; none of the network's input.
    pub fn producer(self) -> Option<NodeId> {
        self.0.checked_sub(1).map(NodeId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_makes_the_value_whose_producer_it_is() {
        assert_eq!(ValueId::INPUT.producer(), None);
        for node in NodeId::all(0..3) {
            assert_ne!(node.value(), ValueId::INPUT);
            assert_eq!(node.value().producer(), Some(node));
        }
    }

    #[test]
    fn a_node_is_written_as_its_index() {
        let written = serde_json::to_string(&NodeId::new(7)).expect("json");
        assert_eq!(written, "7");
    }
}

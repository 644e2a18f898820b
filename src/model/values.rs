//! The float values of a network while it runs, each kept as long as something reads it.

use std::collections::BTreeMap;

use super::graph::Model;
use super::index::{NodeId, ValueId};
use crate::core::linear_map::Row;

/// The values at hand.
#[derive(Debug, Clone, Default)]
pub struct Values(BTreeMap<ValueId, Vec<Row<f32>>>);

impl Values {
    /// Keeps a value.
    pub fn insert(&mut self, value: ValueId, rows: Vec<Row<f32>>) {
        self.0.insert(value, rows);
    }

    /// Returns a value.
    ///
    /// # Panics
    ///
    /// Panics where it was never made, or is gone.
    pub fn get(&self, value: ValueId) -> &[Row<f32>] {
        let Some(rows) = self.0.get(&value) else {
            panic!("value {} is not at hand", value.index());
        };
        rows
    }

    /// Returns several values.
    ///
    /// # Panics
    ///
    /// As [`Self::get`].
    pub fn of(&self, values: &[ValueId]) -> Vec<&[Row<f32>]> {
        values.iter().map(|&value| self.get(value)).collect()
    }

    /// Drops what no node from the one with the index `next` on reads.
    pub fn forget(&mut self, wiring: &Wiring, next: usize) {
        self.0.retain(|&value, _| wiring.is_read_from(value, next));
    }

    /// Returns the network's output.
    ///
    /// # Panics
    ///
    /// Panics where the network has not run to its end.
    pub fn into_output(mut self, wiring: &Wiring) -> Vec<Row<f32>> {
        let Some(rows) = self.0.remove(&wiring.output) else {
            panic!("the network has not run to its end");
        };
        rows
    }
}

/// Which node reads each value last: all that a party needs to know of the other's layers.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// Of each value that a node reads.
    last_readers: BTreeMap<ValueId, NodeId>,
    /// The network's output.
    output: ValueId,
}

impl Wiring {
    /// Returns the wiring of a model.
    pub fn of(model: &Model) -> Self {
        let reads = model.nodes_by_id();
        let reads = reads.flat_map(|(id, node)| node.inputs.iter().map(move |&value| (value, id)));
        Self {
            // Of equal values the last counts.
            last_readers: reads.collect(),
            output: model.output(),
        }
    }

    /// Returns whether a node from `next` on reads a value; the output is always read.
    fn is_read_from(&self, value: ValueId, next: usize) -> bool {
        let last = self.last_readers.get(&value);
        value == self.output || last.is_some_and(|last| last.index() >= next)
    }
}

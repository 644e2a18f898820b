//! The float values of a network while it runs, each kept as long as something reads it.

use std::collections::BTreeMap;

use super::graph::Model;
use crate::core::linear_map::Row;

/// Values by their index in the model.
#[derive(Debug, Clone, Default)]
pub struct Values(BTreeMap<usize, Vec<Row<f32>>>);

impl Values {
    /// Keeps a value.
    pub fn insert(&mut self, value: usize, rows: Vec<Row<f32>>) {
        self.0.insert(value, rows);
    }

    /// Returns a value.
    ///
    /// # Panics
    ///
    /// Panics where it was never made, or is gone.
    pub fn get(&self, value: usize) -> &[Row<f32>] {
        let Some(rows) = self.0.get(&value) else {
            panic!("value {value} is not at hand");
        };
        rows
    }

    /// Returns several values.
    ///
    /// # Panics
    ///
    /// As [`Self::get`].
    pub fn of(&self, values: &[usize]) -> Vec<&[Row<f32>]> {
        values.iter().map(|&value| self.get(value)).collect()
    }

    /// Drops what no node from `next` on reads.
    pub fn forget(&mut self, wiring: &Wiring, next: usize) {
        self.0.retain(|&value, _| wiring.is_read_from(value, next));
    }

    /// Returns the network's output.
    ///
    /// # Panics
    ///
    /// Panics where the network has not run to its end.
    pub fn into_output(mut self, wiring: &Wiring) -> Vec<Row<f32>> {
        let Some(rows) = self.0.remove(&wiring.output()) else {
            panic!("the network has not run to its end");
        };
        rows
    }
}

/// Which node reads each value last: all that a party needs to know of the other's layers.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// Per value; none for the network's output.
    last_readers: Vec<Option<usize>>,
}

impl Wiring {
    /// Returns the wiring of a model.
    pub fn of(model: &Model) -> Self {
        let mut last_readers = vec![None; model.nodes.len() + 1];
        for (node, inputs) in model.nodes.iter().map(|node| &node.inputs).enumerate() {
            for &value in inputs {
                last_readers[value] = Some(node);
            }
        }
        Self { last_readers }
    }

    /// Returns the value that is the network's output.
    pub fn output(&self) -> usize {
        self.last_readers.len() - 1
    }

    /// Returns whether a node from `next` on reads a value; the output is always read.
    fn is_read_from(&self, value: usize, next: usize) -> bool {
        value == self.output() || self.last_readers[value].is_some_and(|last| last >= next)
    }
}

//! The float values of a network while it runs, each kept as long as something reads it.

use std::collections::BTreeMap;

use super::Model;
use crate::linear_map::Row;

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
    pub fn forget(&mut self, model: &Model, next: usize) {
        let later = &model.nodes[next..];
        let output = model.nodes.len();
        self.0.retain(|&value, _| {
            value == output || later.iter().any(|node| node.inputs.contains(&value))
        });
    }

    /// Returns the network's output.
    ///
    /// # Panics
    ///
    /// Panics where the network has not run to its end.
    pub fn into_output(mut self, model: &Model) -> Vec<Row<f32>> {
        let Some(rows) = self.0.remove(&model.nodes.len()) else {
            panic!("the network has not run to its end");
        };
        rows
    }
}

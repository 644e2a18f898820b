//! A segment that is a linear map, a look-up of each of its outputs, and a second linear map: what
//! [`super::peel`] is to find. Along a line of inputs each hidden unit walks through its table, and each
//! answer is a sum of such staircases.

use crate::circuit::program::{Action, LinearStep, LookUpStep, Program};
use crate::core::linear_map::{LinearMap, PADDING};

/// The two maps and the look-up between them, as the server computes them.
#[derive(Clone, Copy)]
pub struct Staircases<'a> {
    pub first: &'a LinearMap<u64>,
    pub look_up: &'a LookUpStep,
    pub second: &'a LinearMap<u64>,
}

impl<'a> Staircases<'a> {
    /// Returns the parts of a program that is nothing else.
    pub fn of(program: &'a Program) -> Option<Self> {
        let [first, look_up, second] = program.steps.as_slice() else {
            return None;
        };
        let is_chain = [first, look_up, second]
            .iter()
            .enumerate()
            .all(|(slot, step)| step.inputs == [slot]);
        match (&first.action, &look_up.action, &second.action) {
            (Action::Linear(first), Action::LookUp(look_up), Action::Linear(second))
                if is_chain && program.download_slots == [3] =>
            {
                Some(Self {
                    first: matrix(first)?,
                    look_up,
                    second: matrix(second)?,
                })
            }
            _ => None,
        }
    }

    /// Returns how many values are looked up.
    pub fn hidden_count(&self) -> usize {
        self.first.output_count
    }

    /// Returns the weights of a hidden unit's row, by input.
    pub fn rows(&self) -> Vec<Vec<i64>> {
        let mut rows = vec![vec![0; self.first.input_count]; self.first.output_count];
        each(self.first, |output, input, weight| {
            rows[output][input] = weight
        });
        rows
    }

    /// Returns the weights that answers give a hidden unit, by output.
    pub fn columns(&self) -> Vec<Vec<i64>> {
        let mut columns = vec![vec![0; self.second.output_count]; self.second.input_count];
        each(self.second, |output, input, weight| {
            columns[input][output] = weight
        });
        columns
    }
}

fn matrix(step: &LinearStep) -> Option<&LinearMap<u64>> {
    step.weights.only_matrix()
}

/// Shows each weight of a map with its output and its input.
fn each(map: &LinearMap<u64>, mut see: impl FnMut(usize, usize, i64)) {
    for block in &map.blocks {
        let rows = block.weights.chunks_exact(block.inputs.len());
        for (&output, row) in block.outputs.iter().zip(rows) {
            let inputs = block.inputs.iter().zip(row);
            for (&input, &weight) in inputs.filter(|(input, _)| **input != PADDING) {
                see(output as usize, input as usize, weight as i64);
            }
        }
    }
}

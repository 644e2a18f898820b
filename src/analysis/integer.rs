//! The integer network: a segment on integers of the grid with look-ups of unlimited resolution,
//! as quantisation alone makes it, before parameters and tables.

use rayon::prelude::*;

use super::{Analysis, PlannedAction, PlannedLinear, PlannedLookUp, Term};
use crate::linear_map::{LinearMap, Row};

/// Sees and may change the output of a linear step in front of a look-up: the index of its node,
/// the look-up, and the integers.
pub type BeforeLookUp<'a> = dyn FnMut(usize, &PlannedLookUp, &mut [Row<u64>]) + 'a;

impl Analysis {
    /// Runs the segment on its uploads' integers, each column one input, and returns the integers
    /// of its downloads.
    ///
    /// # Panics
    ///
    /// Panics where the number of uploads is wrong.
    pub fn run(
        &self,
        uploads: &[Vec<Row<u64>>],
        before_look_up: &mut BeforeLookUp<'_>,
    ) -> Vec<Vec<Row<u64>>> {
        assert_eq!(uploads.len(), self.uploads.len(), "uploads");
        let on_grid = self.uploads.iter().zip(uploads);
        let mut slots: Vec<Vec<Row<u64>>> = on_grid
            .map(|(upload, rows)| multiplied(rows, upload.step))
            .collect();
        for (index, step) in self.steps.iter().enumerate() {
            let output = match &step.action {
                PlannedAction::Linear(linear) => {
                    let inputs: Vec<&[Row<u64>]> = step
                        .inputs
                        .iter()
                        .map(|&input| slots[input].as_slice())
                        .collect();
                    linear.run_clear(&inputs)
                }
                PlannedAction::LookUp(look_up) => {
                    let mut rows = std::mem::take(&mut slots[step.inputs[0]]);
                    let filled_by = step.inputs[0] - self.uploads.len();
                    before_look_up(self.steps[filled_by].node, look_up, &mut rows);
                    look_up.run(&mut rows);
                    rows
                }
            };
            for &slot in &step.inputs {
                if !self.is_read_after(slot, index) {
                    slots[slot] = Vec::new();
                }
            }
            slots.push(output);
        }
        let downloads = self.downloads.iter();
        downloads
            .map(|download| divided(&slots[download.slot], download.step))
            .collect()
    }

    /// Returns whether a step behind `step`, or a download, reads a slot.
    pub fn is_read_after(&self, slot: usize, step: usize) -> bool {
        let later = &self.steps[step + 1..];
        self.downloads.iter().any(|download| download.slot == slot)
            || later.iter().any(|step| step.inputs.contains(&slot))
    }
}

fn multiplied(rows: &[Row<u64>], factor: i64) -> Vec<Row<u64>> {
    let row = |row: &Row<u64>| row.iter().map(|v| v.wrapping_mul(factor as u64)).collect();
    rows.par_iter().map(row).collect()
}

fn divided(rows: &[Row<u64>], divisor: i64) -> Vec<Row<u64>> {
    let nearest = |&value: &u64| (value as i64 as f64 / divisor as f64).round() as i64 as u64;
    let row = |row: &Row<u64>| row.iter().map(nearest).collect();
    rows.par_iter().map(row).collect()
}

impl PlannedLookUp {
    /// Returns how many integers of the grid lie outside the range that their channel is made for.
    pub fn overflow_count(&self, rows: &[Row<u64>]) -> u64 {
        let elements = rows.par_iter().enumerate();
        let counts = elements.map(|(element, row)| {
            let channel = &self.channels[element / self.elements_per_table];
            let (low, high) = channel.integers();
            let outside = |value: &&u64| !(low..=high).contains(&(**value as i64));
            row.iter().filter(outside).count() as u64
        });
        counts.sum()
    }

    /// Replaces integers of the grid by their activations, on the grid.
    fn run(&self, rows: &mut [Row<u64>]) {
        rows.par_iter_mut().enumerate().for_each(|(element, row)| {
            let scale = self.channels[element / self.elements_per_table].scale;
            for value in row.iter_mut() {
                let real = *value as i64 as f64 * scale;
                *value = (self.activation.quantised(real) * self.output_step) as u64;
            }
        });
    }
}

impl PlannedLinear {
    /// Runs the step on integers of the grid, each column one input.
    pub fn run_clear(&self, inputs: &[&[Row<u64>]]) -> Vec<Row<u64>> {
        let mut output = self.apply(inputs);
        for (row, &bias) in output.iter_mut().zip(&self.bias) {
            for value in row.iter_mut() {
                *value = value.wrapping_add(bias as u64);
            }
        }
        output
    }

    /// Returns its matrix where it is nothing else.
    pub fn only_matrix(&self) -> Option<&LinearMap<u64>> {
        match self.terms.as_slice() {
            [Term::Matrix(map)] => Some(map),
            _ => None,
        }
    }

    /// Returns whether it multiplies each element of one input by a factor, and adds a bias.
    pub fn is_scale(&self) -> bool {
        matches!(self.terms.as_slice(), [Term::Scale(_)])
    }

    /// Returns the weighted sum of the inputs, without the bias.
    pub fn apply(&self, inputs: &[&[Row<u64>]]) -> Vec<Row<u64>> {
        let mut sum: Option<Vec<Row<u64>>> = None;
        for (term, input) in self.terms.iter().zip(inputs) {
            let product = match term {
                Term::Matrix(map) => map.apply(input),
                Term::Scale(factors) => scaled(input, factors),
            };
            match &mut sum {
                None => sum = Some(product),
                Some(sum) => add_rows(sum, &product),
            }
        }
        sum.unwrap_or_default()
    }
}

fn scaled(input: &[Row<u64>], factors: &[i64]) -> Vec<Row<u64>> {
    let rows = input.par_iter().zip(factors);
    rows.map(|(row, &factor)| {
        let values = row.iter();
        values
            .map(|value| value.wrapping_mul(factor as u64))
            .collect()
    })
    .collect()
}

fn add_rows(sum: &mut [Row<u64>], rows: &[Row<u64>]) {
    sum.par_iter_mut().zip(rows).for_each(|(sum, row)| {
        for (sum, &value) in sum.iter_mut().zip(row) {
            *sum = sum.wrapping_add(value);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Geometry;

    #[test]
    fn terms_of_a_linear_step_add_up() {
        let step = PlannedLinear {
            terms: vec![Term::Scale(vec![3, -1]), Term::Scale(vec![1, 2])],
            bias: vec![10, 20],
            geometry: Geometry::Other,
        };
        let rows = |values: [i64; 2]| values.map(|v| -> Row<u64> { vec![v as u64].into() });
        let output = step.run_clear(&[&rows([1, 2]), &rows([5, 7])]);
        let output: Vec<i64> = output.iter().map(|row| row[0] as i64).collect();
        assert_eq!(output, [3 + 5 + 10, -2 + 14 + 20]);
    }
}

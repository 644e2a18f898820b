//! The integer network: a segment on integers of the grid with look-ups of unlimited resolution,
//! as quantisation alone makes it, before parameters and tables.

use std::borrow::Cow;

use rayon::prelude::*;

use super::planned::{Analysis, PlannedAction, PlannedLinear, Term};
use super::planned_look_up::PlannedLookUp;
use crate::circuit::schedule::LiveValues;
use crate::core::linear_map::{LinearMap, Row};
use crate::model::NodeId;

/// Sees and may change the output of a linear step in front of a look-up: its node,
/// the look-up, and the integers.
pub type BeforeLookUp<'a> = dyn FnMut(NodeId, &PlannedLookUp, &mut [Row<u64>]) + 'a;

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
        let mut values =
            LiveValues::of_uploads(on_grid.map(|(upload, rows)| multiplied(rows, upload.step)));
        for step in &self.steps {
            let output = match &step.action {
                PlannedAction::Linear(linear) => linear.run_clear(&values.read_by(step)),
                PlannedAction::LookUp(look_up) => {
                    let mut rows = values.take(step.inputs[0]);
                    let filled_by = step.inputs[0] - self.uploads.len();
                    before_look_up(self.steps[filled_by].node, look_up, &mut rows);
                    look_up.run(&mut rows);
                    rows
                }
            };
            values.end_step(step, output);
        }
        let downloads = self.downloads.iter();
        downloads
            .map(|download| divided(values.get(download.slot), download.step))
            .collect()
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

    /// Replaces integers of the grid by their activations, on the grid:
    /// `output = output_step · quantised(scale · integer)`.
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
    pub fn run_clear(&self, inputs: &[impl AsRef<[Row<u64>]>]) -> Vec<Row<u64>> {
        let inputs = inputs.iter().map(|input| Cow::Borrowed(input.as_ref()));
        let mut output = self.apply(inputs.collect());
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

    /// Returns which of its inputs its output can take the place of, of those that it may change.
    pub fn in_place(&self, may_change: impl Fn(usize) -> bool) -> Option<usize> {
        let mut terms = self.terms.iter().enumerate();
        let found =
            terms.find(|(input, term)| matches!(term, Term::Scale(_)) && may_change(*input));
        found.map(|(input, _)| input)
    }

    /// Returns the weighted sum of the inputs, without the bias. An input of its own lives no longer
    /// than it is needed, and the sum takes the place of one of them where it can.
    pub fn apply(&self, mut inputs: Vec<Cow<'_, [Row<u64>]>>) -> Vec<Row<u64>> {
        let own = self.in_place(|input| matches!(inputs[input], Cow::Owned(_)));
        let mut sum =
            match own.map(|input| (std::mem::take(&mut inputs[input]), &self.terms[input])) {
                Some((rows, Term::Scale(factors))) => {
                    let mut rows = rows.into_owned();
                    scale(&mut rows, factors);
                    rows
                }
                _ => vec![Row::default(); self.bias.len()],
            };
        let others = self.terms.iter().zip(inputs).enumerate();
        for (_, (term, input)) in others.filter(|(input, _)| Some(*input) != own) {
            match term {
                Term::Matrix(map) => map.add_to(&mut sum, &input),
                Term::Scale(factors) => add_scaled(&mut sum, &input, factors),
            }
        }
        sum
    }
}

fn scale(rows: &mut [Row<u64>], factors: &[i64]) {
    rows.par_iter_mut().zip(factors).for_each(|(row, &factor)| {
        for value in row.iter_mut() {
            *value = value.wrapping_mul(factor as u64);
        }
    });
}

/// Adds the input's rows times factors to a sum, in which an empty row stands for zeros.
fn add_scaled(sum: &mut [Row<u64>], input: &[Row<u64>], factors: &[i64]) {
    let rows = sum.par_iter_mut().zip(input).zip(factors);
    rows.for_each(|((sum, row), &factor)| {
        let products = row.iter().map(|value| value.wrapping_mul(factor as u64));
        if sum.is_empty() {
            *sum = products.collect();
            return;
        }
        for (sum, product) in sum.iter_mut().zip(products) {
            *sum = sum.wrapping_add(product);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyse;
    use crate::circuit::analysis::analyst::fixture::{
        self, answers, identity, input, looked_up, network, relu, rows,
    };
    use crate::core::placement::Segment;
    use crate::model::layer::Geometry;
    use crate::model::layer::Operation;

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

    #[test]
    fn a_sum_takes_the_place_of_an_input_of_its_own() {
        let step = PlannedLinear {
            terms: vec![
                Term::Matrix(LinearMap::dense(&[1, 2, 3, 4], 2)),
                Term::Scale(vec![10, 100]),
            ],
            bias: vec![0, 0],
            geometry: Geometry::Other,
        };
        let rows = |values: [u64; 2]| -> Vec<Row<u64>> { values.map(|v| vec![v].into()).into() };
        let (first, second) = (rows([1, 1]), rows([5, 7]));
        let borrowed = step.apply(vec![Cow::Borrowed(&first), Cow::Borrowed(&second)]);
        let place = second[0].as_ptr();
        let owned = step.apply(vec![Cow::Owned(first), Cow::Owned(second)]);
        assert_eq!(owned, rows([3 + 50, 7 + 700]));
        assert_eq!(borrowed, owned);
        assert_eq!(owned[0].as_ptr(), place);
        assert_eq!(step.in_place(|_| true), Some(1));
        assert_eq!(step.in_place(|input| input == 0), None);
    }

    #[test]
    fn integers_outside_of_what_a_channel_is_made_for_are_counted() {
        // From -10 to 10, and one for its rounding.
        let look_up = looked_up(2, 2);
        let rows = rows(&[vec![-12, 11], vec![-11, 12], vec![0, 13]]);
        assert_eq!(look_up.overflow_count(&rows), 3);
    }

    #[test]
    fn a_look_up_gives_multiples_of_its_step() {
        let mut rows = rows(&[vec![-3, 4], vec![7, 99]]);
        looked_up(2, 6).run(&mut rows);
        let expected = fixture::rows(&[vec![0, 24], vec![42, 60]]);
        assert_eq!(rows, expected, "relu up to 10, times 6");
    }

    #[test]
    fn downloads_are_rounded_to_the_nearest_integer() {
        let column = |values: &[i64]| rows(&[values.to_vec()]);
        let found = divided(&column(&[5, 6, 7, -5, -6, -7]), 4);
        assert_eq!(found, column(&[1, 2, 2, -1, -2, -2]));
        assert_eq!(multiplied(&column(&[5, -6]), 4), column(&[20, -24]));
    }

    #[test]
    fn who_looks_before_a_look_up_sees_its_layer_and_may_change_its_integers() {
        let nodes = vec![
            (vec![0], identity(2)),
            (vec![1], Operation::Activation(relu(1.0, 3))),
        ];
        let model = network(input(2, 3), nodes);
        let analysis = analyse(&model, &Segment::whole(2)).expect("fits");
        let uploads = [rows(&[vec![1, 2]])];
        let mut seen = Vec::new();
        let outputs = analysis.run(&uploads, &mut |node, look_up, rows| {
            seen.push((node, look_up.name.clone()));
            rows[0].fill(0);
        });
        // The weights in front belong to the linear layer.
        assert_eq!(seen, [(NodeId::new(0), "layer1".to_owned())]);
        assert_eq!(outputs, [rows(&[vec![0, 2]])]);
        assert_eq!(answers(&analysis, &[vec![1, 2]]), [[1, 2]]);
    }
}

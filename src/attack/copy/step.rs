//! One step of a network that is copied: its value for a batch, and its gradients.

use std::sync::Arc;

use super::affine::{Affine, Batch, Tensors};
use super::element::Element;
use crate::core::linear_map::Row;
use crate::model::layer::{Function, Pinned};
use crate::model::quantise::{QuantParams, Quantisation};

/// A layer on values that were made before.
#[derive(Debug, Clone)]
pub struct Step {
    /// Values that it reads: inputs first, then those of the steps.
    pub operands: Vec<usize>,
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Weights that are known.
    Known(Arc<(Affine, Tensors)>),
    /// Which of the learnt weights.
    Learnt(Affine, usize),
    Element(Element),
    /// What a client does to a value before it uploads it.
    Upload(Arc<Quantisation>),
    Add,
    MaxPool(Arc<Vec<Vec<u32>>>),
    /// Runs, but has no gradient.
    Pinned(Arc<Pinned>),
}

impl Step {
    /// Returns the number of multiplications with weights, for one column.
    pub fn multiplication_count(&self) -> usize {
        match &self.action {
            Action::Known(known) => known.0.multiplication_count(),
            Action::Learnt(affine, _) => affine.multiplication_count(),
            _ => 0,
        }
    }

    /// Returns the step's value, `[elements, columns]`.
    pub fn run(&self, learnt: &[Tensors], values: &[Batch]) -> Batch {
        let input = &values[self.operands[0]];
        match &self.action {
            Action::Known(known) => known.0.run(&known.1, input),
            Action::Learnt(affine, index) => affine.run(&learnt[*index], input),
            Action::Element(element) => input.mapv(|x| element.value(x)),
            Action::Upload(quantisation) => uploaded(quantisation, input),
            Action::Add => input + &values[self.operands[1]],
            Action::MaxPool(windows) => pooled(windows, input),
            Action::Pinned(pinned) => {
                let operands = self.operands.iter().map(|&operand| &values[operand]);
                pinned_values(pinned, &operands.collect::<Vec<_>>())
            }
        }
    }

    /// Adds the gradients of weights to `sums` and those of operands to `gradients`.
    pub fn differentiate(
        &self,
        learnt: &[Tensors],
        values: &[Batch],
        gradient: &Batch,
        sums: &mut [Tensors],
        wanted: &dyn Fn(usize) -> bool,
        gradients: &mut [Option<Batch>],
    ) {
        let first = self.operands[0];
        let input = &values[first];
        let of_input = match &self.action {
            Action::Known(known) => {
                let (affine, tensors) = &**known;
                affine.differentiate(tensors, input, gradient, None, wanted(first))
            }
            Action::Learnt(affine, index) => {
                let sums = Some(&mut sums[*index]);
                affine.differentiate(&learnt[*index], input, gradient, sums, wanted(first))
            }
            Action::Element(element) => {
                let mut passed = gradient.clone();
                passed.zip_mut_with(input, |gradient, &x| {
                    *gradient = element.gradient(x, *gradient)
                });
                Some(passed)
            }
            Action::Upload(quantisation) => Some(upload_gradient(quantisation, input, gradient)),
            Action::Add => {
                let second = self.operands[1];
                if wanted(second) {
                    add(&mut gradients[second], gradient.clone());
                }
                Some(gradient.clone())
            }
            Action::MaxPool(windows) => Some(pool_gradient(windows, input, gradient)),
            Action::Pinned(_) => None,
        };
        if let Some(of_input) = of_input.filter(|_| wanted(first)) {
            add(&mut gradients[first], of_input);
        }
    }
}

/// Adds a gradient to what is known of it.
pub fn add(sum: &mut Option<Batch>, more: Batch) {
    match sum {
        Some(sum) => *sum += &more,
        None => *sum = Some(more),
    }
}

/// Returns what the integers stand for that a client uploads.
fn uploaded(quantisation: &Quantisation, input: &Batch) -> Batch {
    let mut output = input.clone();
    for (element, mut row) in output.rows_mut().into_iter().enumerate() {
        let (scale, offset) = (quantisation.scales[element], quantisation.offsets[element]);
        row.mapv_inplace(|real| {
            let integer = quantisation.quantise(element, f64::from(real));
            (integer as f64 * scale + offset) as f32
        });
    }
    output
}

/// Returns the gradient of what is uploaded: as [`Element::gradient`].
fn upload_gradient(quantisation: &Quantisation, input: &Batch, gradient: &Batch) -> Batch {
    let mut output = gradient.clone();
    let rows = output.rows_mut().into_iter().zip(input.rows());
    for (element, (row, reals)) in rows.enumerate() {
        let rounding = QuantParams {
            scale: quantisation.scales[element],
            low: quantisation.low,
            high: quantisation.high,
        };
        let offset = quantisation.offsets[element] as f32;
        let identity = Element::new(Function::Identity, Some(rounding));
        for (gradient, &real) in row.into_iter().zip(reals) {
            *gradient = identity.gradient(real - offset, *gradient);
        }
    }
    output
}

fn pooled(windows: &[Vec<u32>], input: &Batch) -> Batch {
    Batch::from_shape_fn((windows.len(), input.ncols()), |(window, column)| {
        input[(largest(&windows[window], input, column), column)]
    })
}

/// Returns what an operator of the client makes of its operands.
fn pinned_values(pinned: &Pinned, operands: &[&Batch]) -> Batch {
    let rows = |batch: &Batch| -> Vec<Row<f32>> {
        let rows = batch.rows().into_iter();
        rows.map(|row| row.iter().copied().collect()).collect()
    };
    let operands: Vec<Vec<Row<f32>>> = operands.iter().map(|batch| rows(batch)).collect();
    let operands: Vec<&[Row<f32>]> = operands.iter().map(Vec::as_slice).collect();
    let made = pinned.run_float(&operands);
    let columns = made.first().map_or(0, |row| row.len());
    Batch::from_shape_fn((made.len(), columns), |(row, column)| made[row][column])
}

/// Hands each gradient to the element that won.
fn pool_gradient(windows: &[Vec<u32>], input: &Batch, gradient: &Batch) -> Batch {
    let mut output = Batch::zeros(input.raw_dim());
    for (window, row) in windows.iter().zip(gradient.rows()) {
        for (column, gradient) in row.iter().enumerate() {
            output[(largest(window, input, column), column)] += gradient;
        }
    }
    output
}

/// Returns the element of a window that is largest; the first of equals.
fn largest(window: &[u32], input: &Batch, column: usize) -> usize {
    let elements = window.iter().map(|&element| element as usize);
    elements
        .reduce(|best, next| {
            if input[(next, column)] > input[(best, column)] {
                next
            } else {
                best
            }
        })
        .unwrap_or_default()
}

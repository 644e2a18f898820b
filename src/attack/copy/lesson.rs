//! What a copy is taught: inputs, and what is to come out.

use super::affine::Batch;

/// Inputs, and what is to come out.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// `[elements, samples]` of each input.
    pub inputs: Vec<Batch>,
    pub goal: Goal,
}

/// What is to come out.
#[derive(Debug, Clone)]
pub enum Goal {
    /// `[elements, samples]` of each output.
    Values(Vec<Batch>),
    /// The class of each sample, told by the largest element of the only output.
    Classes(Vec<u32>),
}

impl Lesson {
    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        self.inputs.first().map_or(0, Batch::ncols)
    }

    /// Returns whether there is nothing to learn from.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the first so many samples.
    pub fn first(&self, count: usize) -> Self {
        let indices: Vec<usize> = (0..count.min(self.len())).collect();
        self.samples(&indices)
    }

    /// Returns some of the samples.
    pub fn samples(&self, indices: &[usize]) -> Self {
        let of_all = |batches: &[Batch]| batches.iter().map(|all| columns(all, indices)).collect();
        Self {
            inputs: of_all(&self.inputs),
            goal: match &self.goal {
                Goal::Values(values) => Goal::Values(of_all(values)),
                Goal::Classes(classes) => {
                    Goal::Classes(indices.iter().map(|&index| classes[index]).collect())
                }
            },
        }
    }

    /// Returns what the error of each output is measured by: the spread of its values.
    pub fn spreads(&self) -> Vec<f32> {
        match &self.goal {
            Goal::Values(values) => values.iter().map(spread).collect(),
            Goal::Classes(_) => vec![1.0],
        }
    }
}

/// Returns some of the columns.
pub fn columns(all: &Batch, indices: &[usize]) -> Batch {
    let mut some = Batch::zeros((all.nrows(), indices.len()));
    for (from, mut to) in all.rows().into_iter().zip(some.rows_mut()) {
        to.iter_mut()
            .zip(indices)
            .for_each(|(to, &index)| *to = from[index]);
    }
    some
}

/// Returns the standard deviation of values about the mean of their element.
fn spread(values: &Batch) -> f32 {
    let of_row = |row: ndarray::ArrayView1<'_, f32>| {
        let mean = row.mean().unwrap_or(0.0);
        row.iter().map(|value| (value - mean).powi(2)).sum::<f32>()
    };
    let squares: f32 = values.rows().into_iter().map(of_row).sum();
    let spread = (squares / values.len().max(1) as f32).sqrt();
    if spread > 0.0 { spread } else { 1.0 }
}

/// Returns the gradient of the loss by each output: of the mean square of errors in spreads, or of the mean
/// cross-entropy of the classes.
pub fn gradients(goal: &Goal, spreads: &[f32], outputs: &[&Batch]) -> Vec<Batch> {
    match goal {
        Goal::Values(values) => {
            let pairs = outputs.iter().zip(values).zip(spreads);
            let of = |((&output, value), spread): ((&&Batch, &Batch), &f32)| {
                (output - value) * (2.0 / (spread * spread * value.len() as f32))
            };
            pairs.map(of).collect()
        }
        Goal::Classes(classes) => vec![cross_entropy_gradient(classes, outputs[0])],
    }
}

/// Returns (softmax - 1 of the class) ÷ samples; of a single output, (σ - class) ÷ samples.
fn cross_entropy_gradient(classes: &[u32], logits: &Batch) -> Batch {
    let mut gradient = logits.clone();
    let count = classes.len() as f32;
    for (mut column, &class) in gradient.columns_mut().into_iter().zip(classes) {
        if column.len() == 1 {
            column.mapv_inplace(|logit| (1.0 / (1.0 + (-logit).exp()) - class as f32) / count);
            continue;
        }
        let largest = column.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        column.mapv_inplace(|logit| (logit - largest).exp());
        let sum = column.sum();
        column.mapv_inplace(|exponential| exponential / (sum * count));
        column[class as usize] -= 1.0 / count;
    }
    gradient
}

//! A linear operation as few matrix products over a batch, with its gradients.
//!
//! A batch is `[elements, columns]`. Positions that share weights, as those of a convolution do, are one
//! product: with weights W `[rows, inputs]` and what the positions read side by side, X `[inputs,
//! positions · columns]`, the outputs are W·X, the gradient of W is G·Xᵀ and that of X is Wᵀ·G.

use std::collections::BTreeMap;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use crate::core::linear_map::{LinearMap, PADDING};
use crate::model::layer::Linear;

/// Elements by columns, each column an input of its own.
pub type Batch = Array2<f32>;

/// The shape of a linear operation: who reads what, and which weights are one.
#[derive(Debug, Clone)]
pub struct Affine {
    groups: Vec<Group>,
    weight_count: usize,
    input_count: usize,
    output_count: usize,
    /// Neighbouring outputs that share a bias.
    bias_size: usize,
}

/// Positions that share weights.
#[derive(Debug, Clone)]
struct Group {
    /// Where its weights `[rows, inputs]` begin among all.
    start: usize,
    rows: usize,
    /// Of each position, the elements that it reads.
    inputs: Vec<Vec<u32>>,
    /// Of each position, the elements that it makes.
    outputs: Vec<Vec<u32>>,
}

/// Weights and biases of an operation, or what changes them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tensors {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Tensors {
    /// Returns as many zeros.
    pub fn zeros(&self) -> Self {
        Self {
            weights: vec![0.0; self.weights.len()],
            bias: vec![0.0; self.bias.len()],
        }
    }
}

impl Affine {
    /// Returns the shape of an operation whose channels of so many outputs share a bias, and its weights.
    pub fn of(linear: &Linear, bias_size: usize) -> (Self, Tensors) {
        let (groups, weights) = groups_of(&linear.map);
        let affine = Self {
            groups,
            weight_count: weights.len(),
            input_count: linear.map.input_count,
            output_count: linear.map.output_count,
            bias_size,
        };
        let bias = linear.bias.iter().step_by(bias_size).copied().collect();
        (affine, Tensors { weights, bias })
    }

    /// Returns the number of channels, each with a bias.
    pub fn bias_count(&self) -> usize {
        self.output_count / self.bias_size
    }

    /// Returns the outputs that share a bias.
    pub fn bias_size(&self) -> usize {
        self.bias_size
    }

    /// Returns the number of weights.
    pub fn weight_count(&self) -> usize {
        self.weight_count
    }

    /// Returns the multiplications of an input.
    pub fn multiplication_count(&self) -> usize {
        let of = |group: &Group| group.rows * group.columns() * group.inputs.len();
        self.groups.iter().map(of).sum()
    }

    /// Returns the range of weights, by their place among all, that make the outputs of each channel.
    pub fn rows_of_channels(&self) -> Vec<Vec<(usize, usize)>> {
        let mut rows = vec![Vec::new(); self.bias_count()];
        for group in &self.groups {
            for (row, &output) in group.outputs[0].iter().enumerate() {
                let start = group.start + row * group.columns();
                rows[output as usize / self.bias_size].push((start, start + group.columns()));
            }
        }
        rows
    }

    /// Returns the outputs.
    pub fn run(&self, tensors: &Tensors, input: &Batch) -> Batch {
        let columns = input.ncols();
        let mut output = Batch::zeros((self.output_count, columns));
        for group in &self.groups {
            let read = group.read(input);
            let mut made = Batch::zeros((group.rows, read.ncols()));
            general_mat_mul(1.0, &group.weights(tensors), &read, 0.0, &mut made);
            group.spread(&made, &mut output, |to, from| *to = from);
        }
        for (row, mut values) in output.rows_mut().into_iter().enumerate() {
            values += tensors.bias[row / self.bias_size];
        }
        output
    }

    /// Adds the gradients of weights and biases, and returns that of the input where it is `wanted`.
    pub fn differentiate(
        &self,
        tensors: &Tensors,
        input: &Batch,
        gradient: &Batch,
        sums: Option<&mut Tensors>,
        wanted: bool,
    ) -> Option<Batch> {
        if let Some(sums) = sums {
            for (row, values) in gradient.rows().into_iter().enumerate() {
                sums.bias[row / self.bias_size] += values.sum();
            }
            for group in &self.groups {
                let (read, made) = (group.read(input), group.made(gradient));
                general_mat_mul(1.0, &made, &read.t(), 1.0, &mut group.weights_mut(sums));
            }
        }
        wanted.then(|| {
            let mut of_input = Batch::zeros((self.input_count, input.ncols()));
            for group in &self.groups {
                let made = group.made(gradient);
                let mut read = Batch::zeros((group.columns(), made.ncols()));
                general_mat_mul(1.0, &group.weights(tensors).t(), &made, 0.0, &mut read);
                group.give_back(&read, &mut of_input);
            }
            of_input
        })
    }

    /// Calls `see` with what each group reads and makes, weights' place and shape: rows of regressions.
    pub fn regressions(
        &self,
        input: &Batch,
        output: &Batch,
        mut see: impl FnMut(usize, usize, Batch, Batch),
    ) {
        for (index, group) in self.groups.iter().enumerate() {
            see(index, group.start, group.read(input), group.made(output));
        }
    }

    /// Returns the channel of each row of a group.
    pub fn channels_of(&self, group: usize) -> Vec<usize> {
        let outputs = self.groups[group].outputs[0].iter();
        outputs.map(|&o| o as usize / self.bias_size).collect()
    }

    /// Returns the number of groups.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }
}

impl Group {
    fn columns(&self) -> usize {
        self.inputs[0].len()
    }

    fn weights<'a>(&self, tensors: &'a Tensors) -> ArrayView2<'a, f32> {
        let shape = (self.rows, self.columns());
        let weights = &tensors.weights[self.start..][..shape.0 * shape.1];
        ArrayView2::from_shape(shape, weights).expect("the shape of the slice")
    }

    fn weights_mut<'a>(&self, tensors: &'a mut Tensors) -> ArrayViewMut2<'a, f32> {
        let shape = (self.rows, self.columns());
        let weights = &mut tensors.weights[self.start..][..shape.0 * shape.1];
        ArrayViewMut2::from_shape(shape, weights).expect("the shape of the slice")
    }

    /// Returns what the positions read, side by side; padding reads zero.
    fn read(&self, input: &Batch) -> Batch {
        gathered(&self.inputs, input)
    }

    /// Returns what the positions make, side by side.
    fn made(&self, output: &Batch) -> Batch {
        gathered(&self.outputs, output)
    }

    /// Hands what the positions made to the outputs.
    fn spread(&self, made: &Batch, output: &mut Batch, put: impl Fn(&mut f32, f32)) {
        scattered(&self.outputs, made, output, put);
    }

    /// Adds the gradients of what the positions read to that of the input.
    fn give_back(&self, read: &Batch, input: &mut Batch) {
        scattered(&self.inputs, read, input, |to, from| *to += from);
    }
}

fn gathered(positions: &[Vec<u32>], from: &Batch) -> Batch {
    let (rows, columns) = (positions[0].len(), from.ncols());
    let width = positions.len() * columns;
    let mut gathered = vec![0.0; rows * width];
    let from = from.as_slice().expect("row-major");
    for (index, position) in positions.iter().enumerate() {
        for (row, &element) in position.iter().enumerate() {
            if element != PADDING {
                gathered[row * width + index * columns..][..columns]
                    .copy_from_slice(&from[element as usize * columns..][..columns]);
            }
        }
    }
    Batch::from_shape_vec((rows, width), gathered).expect("so many elements")
}

fn scattered(positions: &[Vec<u32>], from: &Batch, to: &mut Batch, put: impl Fn(&mut f32, f32)) {
    let (columns, width) = (to.ncols(), from.ncols());
    let from = from.as_slice().expect("row-major");
    let to = to.as_slice_mut().expect("row-major");
    for (index, position) in positions.iter().enumerate() {
        for (row, &element) in position.iter().enumerate() {
            if element != PADDING {
                let to = &mut to[element as usize * columns..][..columns];
                let from = &from[row * width + index * columns..][..columns];
                to.iter_mut()
                    .zip(from)
                    .for_each(|(to, &from)| put(to, from));
            }
        }
    }
}

/// Returns the positions of a map by the weights that they share, and those weights; blocks that read the
/// same elements are one position.
fn groups_of(map: &LinearMap<f32>) -> (Vec<Group>, Vec<f32>) {
    let mut shared: BTreeMap<*const f32, usize> = BTreeMap::new();
    let mut groups: Vec<(Group, Vec<f32>)> = Vec::new();
    for block in &map.blocks {
        let index = *shared.entry(block.weights.as_ptr()).or_insert(groups.len());
        if index < groups.len() {
            groups[index].0.inputs.push(block.inputs.clone());
            groups[index].0.outputs.push(block.outputs.clone());
            continue;
        }
        let group = Group {
            start: 0,
            rows: block.outputs.len(),
            inputs: vec![block.inputs.clone()],
            outputs: vec![block.outputs.clone()],
        };
        groups.push((group, block.weights.to_vec()));
    }
    let mut merged: Vec<(Group, Vec<f32>)> = Vec::new();
    for (group, weights) in groups {
        match merged.last_mut() {
            Some((last, of_last)) if last.inputs == group.inputs && last.inputs.len() == 1 => {
                last.rows += group.rows;
                last.outputs[0].extend(&group.outputs[0]);
                of_last.extend(weights);
            }
            _ => merged.push((group, weights)),
        }
    }
    let mut all = Vec::new();
    let groups = merged.into_iter().map(|(mut group, weights)| {
        group.start = all.len();
        all.extend(weights);
        group
    });
    (groups.collect(), all)
}

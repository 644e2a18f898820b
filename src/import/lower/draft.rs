//! The network while it is made: layers in the order in which they come up.

use std::collections::HashMap;

use ndarray::{Array1, Array2, Array4};

use super::expression::{as_line, chain};
use super::layout::AxisLayout;
use super::maps::scaled;
use super::value::Wire;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::{Operation, WeightQuantisation};
use crate::import::onnx::tensor::{MOST_ACTIVATIONS, element_count};
use crate::model::layer::Function;

/// The network while it is made.
#[derive(Debug)]
pub struct NetworkDraft {
    /// As far as it is known: a flat input may turn out to be an image.
    pub input_shape: Vec<usize>,
    /// Set once a layer has read the input.
    is_input_read: bool,
    pub steps: Vec<Step>,
    pub notes: Vec<String>,
    /// Operators that have no encrypted form, and why.
    pub pinned: Vec<(String, String)>,
    /// The activation, by root and function, so that no two are the same.
    activations: HashMap<(usize, String), usize>,
    /// The flattened value, by root.
    flattened: HashMap<usize, usize>,
    /// How many more numbers may be made.
    budget: usize,
}

/// A layer while the network is made.
#[derive(Debug, Clone)]
pub struct Step {
    /// What the file calls it, made short.
    pub name: Option<String>,
    /// Values: 0 for the network's input, i + 1 for step i.
    pub inputs: Vec<usize>,
    pub shape: Vec<usize>,
    /// Only the client can run it.
    pub is_pinned: bool,
    pub stage: Stage,
}

/// What a step computes.
#[derive(Debug, Clone)]
pub enum Stage {
    Operation(Operation),
    Diagonal(Diagonal),
    /// The elements at these places, a zero for [`PADDING`](crate::core::linear_map::PADDING).
    Pick(Vec<u32>),
}

/// `scale · x + offset`, for each channel of an image or each element of a flat value.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagonal {
    pub scale: Vec<f32>,
    pub offset: Vec<f32>,
}

impl NetworkDraft {
    /// Returns a network of no layers; `budget` is how many numbers may be made.
    pub fn new(input_shape: &[usize], budget: usize) -> Self {
        // Images have three axes; any other input is taken as a list.
        let input_shape = match input_shape {
            [_, _, _] => input_shape.to_vec(),
            other => vec![other.iter().product()],
        };
        Self {
            input_shape,
            is_input_read: false,
            steps: Vec::new(),
            notes: Vec::new(),
            pinned: Vec::new(),
            activations: HashMap::new(),
            flattened: HashMap::new(),
            budget,
        }
    }

    /// Takes `count` numbers from the budget, before they are made.
    ///
    /// # Errors
    ///
    /// A sentence where that is more than is left.
    pub fn spend(&mut self, count: usize) -> Outcome<()> {
        match self.budget.checked_sub(count) {
            Some(left) => self.budget = left,
            None => return unsupported("makes far more numbers than the file holds"),
        }
        Ok(())
    }

    /// Returns the shape of a value.
    pub fn shape(&self, value: usize) -> &[usize] {
        match value.checked_sub(1) {
            None => &self.input_shape,
            Some(step) => &self.steps[step].shape,
        }
    }

    /// Returns the steps that read each value.
    pub fn readers(&self) -> Vec<Vec<usize>> {
        let mut readers = vec![Vec::new(); self.steps.len() + 1];
        for (index, step) in self.steps.iter().enumerate() {
            for &input in &step.inputs {
                readers[input].push(index);
            }
        }
        readers
    }

    /// Returns the operation that makes a value, if it is one.
    pub fn operation_mut(&mut self, value: usize) -> Option<&mut Operation> {
        match &mut self.steps.get_mut(value.checked_sub(1)?)?.stage {
            Stage::Operation(operation) => Some(operation),
            Stage::Diagonal(_) | Stage::Pick(_) => None,
        }
    }

    /// Adds a layer and returns its value.
    ///
    /// # Errors
    ///
    /// A sentence where it makes nothing or too much, or has weights that are not finite.
    pub fn push(
        &mut self,
        stage: Stage,
        inputs: Vec<usize>,
        shape: Vec<usize>,
        name: Option<String>,
    ) -> Outcome<usize> {
        match element_count(&shape) {
            Ok(0) => return invalid(format!("shape {shape:?} has no elements")),
            Ok(count) if count <= MOST_ACTIVATIONS => {}
            _ => {
                return invalid(format!(
                    "shape {shape:?} has more than {MOST_ACTIVATIONS} elements"
                ));
            }
        }
        self.is_input_read |= inputs.contains(&0);
        self.steps.push(Step {
            name,
            inputs,
            shape,
            is_pinned: false,
            stage,
        });
        Ok(self.steps.len())
    }

    /// Adds an operation of one value and returns its value.
    ///
    /// # Errors
    ///
    /// As [`Self::push`].
    pub fn operation(
        &mut self,
        operation: Operation,
        input: usize,
        shape: Vec<usize>,
        name: Option<String>,
    ) -> Outcome<usize> {
        self.push(Stage::Operation(operation), vec![input], shape, name)
    }

    /// Returns the value that holds the numbers of a wire, its function made a layer.
    ///
    /// # Errors
    ///
    /// A sentence where the wire holds integers.
    pub fn materialise(&mut self, wire: &Wire) -> Outcome<usize> {
        if wire.integers.is_some() {
            return unsupported("reads integers: DequantizeLinear or Cast has to come before");
        }
        if wire.is_identity() {
            return Ok(wire.root);
        }
        let key = (wire.root, format!("{:?}", wire.function));
        self.spend(key.1.len())?;
        if let Some(&value) = self.activations.get(&key) {
            return Ok(value);
        }
        let shape = self.shape(wire.root).to_vec();
        self.spend(shape[0])?;
        let stage = match as_line(&wire.function) {
            Some((scale, offset)) => Stage::Diagonal(Diagonal {
                scale: vec![scale as f32; shape[0]],
                offset: vec![offset as f32; shape[0]],
            }),
            None => Stage::Operation(Operation::Activation(wire.function.clone())),
        };
        let value = self.push(stage, vec![wire.root], shape, wire.name.clone())?;
        self.activations.insert(key, value);
        Ok(value)
    }

    /// Returns the wire made a value, ready to be read by any number of layers.
    ///
    /// # Errors
    ///
    /// As [`Self::materialise`].
    pub fn settle(&mut self, wire: &Wire) -> Outcome<Wire> {
        Ok(Wire {
            root: self.materialise(wire)?,
            function: Function::Identity,
            exclusive: false,
            name: None,
            ..wire.clone()
        })
    }

    /// Returns a wire as a function of what the activation at its root reads, if there is one.
    pub fn before_activation(&self, wire: &Wire) -> Option<Wire> {
        let step = self.steps.get(wire.root.checked_sub(1)?)?;
        let Stage::Operation(Operation::Activation(function)) = &step.stage else {
            return None;
        };
        Some(Wire {
            root: step.inputs[0],
            exclusive: false,
            ..wire.with_function(chain(function, wire.function.clone()).ok()?)
        })
    }

    /// Returns the value of a wire that is an image, and its channels, height and width; rows of
    /// channels are an image of one column.
    ///
    /// # Errors
    ///
    /// A sentence where it is none.
    pub fn image(&mut self, wire: &Wire) -> Outcome<(usize, [usize; 3])> {
        let shape = match wire.layout.shape()[..] {
            [channels, height, width] => [channels, height, width],
            [channels, length] => [channels, length, 1],
            ref other => {
                return unsupported(format!(
                    "an input of {} axes; images of channels, height and width are read, and rows of \
                     channels",
                    other.len() + 1
                ));
            }
        };
        let is_free = wire.root == 0 && !self.is_input_read && wire.layout.is_plain();
        let is_image = wire.layout.shape().len() == 3 || self.input_shape.len() == 1;
        if is_free && is_image {
            self.input_shape = shape.to_vec();
        }
        Ok((self.stored(wire, &shape)?, shape))
    }

    /// Returns the value of a wire, stored in the order of its axes and in this shape.
    ///
    /// # Errors
    ///
    /// As [`Self::materialise`].
    pub fn stored(&mut self, wire: &Wire, shape: &[usize]) -> Outcome<usize> {
        let value = self.materialise(wire)?;
        if let Some(order) = wire.layout.order() {
            self.spend(order.len())?;
            return self.push(Stage::Pick(order), vec![value], shape.to_vec(), None);
        }
        if self.shape(value) == shape {
            return Ok(value);
        }
        self.operation(Operation::Reshape, value, shape.to_vec(), None)
    }

    /// Returns the value of a wire as a list, and for each element in the order of the wire's
    /// axes its place in the list, where that differs.
    ///
    /// # Errors
    ///
    /// As [`Self::materialise`].
    pub fn flat(&mut self, wire: &Wire) -> Outcome<(usize, Option<Vec<u32>>)> {
        let value = self.materialise(wire)?;
        Ok((self.flatten(value)?, wire.layout.order()))
    }

    /// Returns a value as a list.
    ///
    /// # Errors
    ///
    /// As [`Self::push`].
    pub fn flatten(&mut self, value: usize) -> Outcome<usize> {
        if self.shape(value).len() == 1 {
            return Ok(value);
        }
        if let Some(&flat) = self.flattened.get(&value) {
            return Ok(flat);
        }
        let count = self.shape(value).iter().product();
        let flat = self.operation(Operation::Flatten, value, vec![count], None)?;
        self.flattened.insert(value, flat);
        Ok(flat)
    }

    /// Returns what a layer makes, as a wire.
    pub fn output(&self, root: usize, shape: &[usize]) -> Wire {
        Wire {
            root,
            function: Function::Identity,
            layout: AxisLayout::plain(shape),
            integers: None,
            exclusive: true,
            name: None,
        }
    }
}

/// Multiplies the outputs of a linear layer and adds to them.
///
/// The integers of quantised weights stay as they are, or change their sign.
pub fn scale_outputs(operation: &mut Operation, change: &Diagonal) -> bool {
    let (bias, quantisation) = match operation {
        Operation::Dense {
            weights,
            bias,
            quantisation,
        } => {
            scale_rows(weights, &change.scale);
            (bias, quantisation)
        }
        Operation::Conv2d {
            weights,
            bias,
            quantisation,
            ..
        } => {
            scale_kernels(weights, &change.scale);
            (bias, quantisation)
        }
        Operation::Linear {
            map,
            bias,
            fixed: false,
        } => {
            let run = map.output_count / change.scale.len();
            *map = scaled(map, |output| change.scale[output / run], |_| 1.0);
            for (output, bias) in bias.iter_mut().enumerate() {
                *bias = *bias * change.scale[output / run] + change.offset[output / run];
            }
            return true;
        }
        _ => return false,
    };
    scale_bias(bias, change);
    if let Some(WeightQuantisation { scale, .. }) = quantisation {
        for (step, factor) in scale.iter_mut().zip(&change.scale) {
            // Weights of zero are multiples of any step.
            *step *= if *factor == 0.0 { 1.0 } else { factor.abs() };
        }
    }
    true
}

fn scale_rows(weights: &mut Array2<f32>, scale: &[f32]) {
    for (mut row, &factor) in weights.outer_iter_mut().zip(scale) {
        row.mapv_inplace(|weight| weight * factor);
    }
}

fn scale_kernels(weights: &mut Array4<f32>, scale: &[f32]) {
    for (mut kernel, &factor) in weights.outer_iter_mut().zip(scale) {
        kernel.mapv_inplace(|weight| weight * factor);
    }
}

fn scale_bias(bias: &mut Array1<f32>, change: &Diagonal) {
    for ((bias, scale), offset) in bias.iter_mut().zip(&change.scale).zip(&change.offset) {
        *bias = *bias * scale + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_change_of_outputs_keeps_quantised_weights_on_their_steps() {
        let mut operation = Operation::Dense {
            weights: array![[1.0, 2.0], [3.0, 4.0]],
            bias: array![1.0, 1.0],
            quantisation: Some(WeightQuantisation {
                bits: 4,
                scale: vec![0.5, 0.25],
            }),
        };
        let change = Diagonal {
            scale: vec![-2.0, 0.0],
            offset: vec![1.0, 5.0],
        };
        assert!(scale_outputs(&mut operation, &change));
        let Operation::Dense {
            weights,
            bias,
            quantisation,
        } = operation
        else {
            panic!("dense");
        };
        assert_eq!(weights, array![[-2.0, -4.0], [0.0, 0.0]]);
        assert_eq!(bias, array![-1.0, 5.0]);
        assert_eq!(quantisation.unwrap().scale, [1.0, 0.25]);
        assert!(!scale_outputs(&mut Operation::Flatten, &change));
    }

    #[test]
    fn a_function_becomes_a_layer_once() {
        let mut draft = NetworkDraft::new(&[2], 1000);
        let input = draft.output(0, &[2]);
        assert_eq!(draft.materialise(&input).unwrap(), 0);
        let sigmoid = input.with_function(Function::Sigmoid);
        let twice = [(); 2].map(|()| draft.materialise(&sigmoid).unwrap());
        assert_eq!((twice, draft.steps.len()), ([1, 1], 1));
        // A line is linear: no look-up is needed.
        let line = input.with_function(super::super::expression::line(2.0, 3.0));
        assert_eq!(draft.materialise(&line).unwrap(), 2);
        let Stage::Diagonal(found) = &draft.steps[1].stage else {
            panic!("a diagonal");
        };
        let expected = Diagonal {
            scale: vec![2.0, 2.0],
            offset: vec![3.0, 3.0],
        };
        assert_eq!(*found, expected);
    }

    #[test]
    fn inputs_without_three_axes_are_lists() {
        for (shape, expected) in [
            (&[4][..], &[4][..]),
            (&[1, 28], &[28]),
            (&[3, 2, 2], &[3, 2, 2]),
            (&[2, 3, 4, 5], &[120]),
        ] {
            assert_eq!(NetworkDraft::new(shape, 0).input_shape, expected);
        }
    }

    #[test]
    fn numbers_beyond_the_budget_are_refused() {
        let mut draft = NetworkDraft::new(&[2], 3);
        assert!(draft.spend(2).is_ok() && draft.spend(2).is_err());
        assert!(draft.spend(1).is_ok() && draft.spend(1).is_err());
    }

    #[test]
    fn a_value_is_flattened_once() {
        let mut draft = NetworkDraft::new(&[2, 3, 4], 0);
        let twice = [(); 2].map(|()| draft.flatten(0).unwrap());
        assert_eq!((twice, draft.shape(1)), ([1, 1], &[24][..]));
        assert_eq!(draft.flatten(1).unwrap(), 1);
    }
}

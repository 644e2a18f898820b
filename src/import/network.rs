//! A float network as it comes out of a file of another program, before quantisation: the
//! operations that this program knows, with their weights, in the order in which they run.

use ndarray::{Array1, Array2, Array4};

use crate::core::linear_map::LinearMap;
use crate::model::layer::{Function, Pinned};

/// A network without range calibration.
#[derive(Debug, Clone)]
pub struct Network {
    /// Of one input, without the batch: `[channels, height, width]` or `[elements]`.
    pub input_shape: Vec<usize>,
    /// Where the file has several inputs: these, whose elements are one list, one after the other.
    pub input_parts: Vec<InputPart>,
    /// Every value is made before it is read; the last makes the output.
    pub layers: Vec<Layer>,
    /// What the client applies to the output, where the file says so.
    pub tail: Tail,
    /// The number of each class, one per output in their order, where the file says so. Of a single
    /// output whose sign decides: of its negative and of its positive side.
    pub classes: Option<Vec<i64>>,
    /// What a person should know of how the file was read, one sentence each.
    pub notes: Vec<String>,
}

/// One of several inputs of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputPart {
    pub name: String,
    /// Without the batch.
    pub shape: Vec<usize>,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Differs from all others.
    pub name: String,
    /// Values that it reads: 0 is the network's input, i + 1 the output of layer i.
    pub inputs: Vec<usize>,
    /// Of its output.
    pub shape: Vec<usize>,
    /// The residual block that it belongs to, if any; the layers of a block follow each other.
    pub block: Option<String>,
    /// Only the client can run it.
    pub is_pinned: bool,
    pub operation: Operation,
}

/// What a layer computes.
#[derive(Debug, Clone)]
pub enum Operation {
    Dense {
        /// `[outputs, inputs]`.
        weights: Array2<f32>,
        /// `[outputs]`.
        bias: Array1<f32>,
        /// Where the file has integer weights.
        quantisation: Option<WeightQuantisation>,
    },
    Conv2d {
        /// `[out_channels, in_channels / groups, height, width]`.
        weights: Array4<f32>,
        /// `[out_channels]`.
        bias: Array1<f32>,
        /// Rows, columns.
        stride: [usize; 2],
        /// Top, left, bottom, right.
        padding: [usize; 4],
        groups: usize,
        quantisation: Option<WeightQuantisation>,
    },
    AveragePool {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 4],
        count_padding: bool,
        /// Rows and columns at the bottom and the right of the padding that never count: those
        /// that `ceil_mode` has added.
        excess: [usize; 2],
    },
    MaxPool {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 4],
    },
    /// The file's own quantisers are part of the function.
    Activation(Function),
    /// Of two inputs of one shape.
    Add,
    /// To one axis, in the same order.
    Flatten,
    /// To several axes, in the same order.
    Reshape,
    /// Any other linear map.
    Linear {
        map: LinearMap<f32>,
        /// One per output element.
        bias: Vec<f32>,
        /// Its numbers were not trained: it moves elements, or adds them up.
        fixed: bool,
    },
    /// The largest element of each window of any other form.
    Largest { windows: Vec<Vec<u32>> },
    /// An operator that has no encrypted form; it reads the layer's inputs in order.
    Pinned(Pinned),
}

/// How weights were quantised: each is an integer times the scale of its output channel.
#[derive(Debug, Clone)]
pub struct WeightQuantisation {
    pub bits: u32,
    /// One per output channel, positive.
    pub scale: Vec<f32>,
}

/// What follows the logits; none of it changes the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    None,
    Softmax,
    LogSoftmax,
    ArgMax,
    /// Of a single output, which is positive where the second of two classes is the likelier one.
    Sigmoid,
}

/// Fewer outputs than this are classes, though there be as many inputs.
const FEWEST_RESTORED: usize = 16;

impl Network {
    /// Returns whether there are as many outputs as inputs, with no sign of what they are.
    fn restores_input(&self) -> bool {
        let input_count: usize = self.input_shape.iter().product();
        self.tail == Tail::None && self.output_count() == input_count
    }

    /// Returns the number of outputs.
    pub fn output_count(&self) -> usize {
        let last = self.layers.last();
        last.map_or(0, |layer| layer.shape.iter().product())
    }

    /// Leaves a sigmoid at the end of a single output to the client: the sign of what it reads tells
    /// the class.
    pub fn leave_sigmoid_to_client(&mut self) {
        let follows = |index: usize| self.layers[index].inputs == [index];
        let mut end = self.layers.len();
        while end > 1 && follows(end - 1) {
            end -= 1;
            match &self.layers[end].operation {
                Operation::Flatten | Operation::Reshape => {}
                Operation::Activation(Function::Sigmoid) if self.output_count() == 1 => {
                    self.layers.truncate(end);
                    self.tail = Tail::Sigmoid;
                    return;
                }
                _ => return,
            }
        }
    }

    /// Returns the number of each class: as the file says, else counted from 0. There are none where
    /// the outputs are no classes: a single output is one of a classifier only where a sigmoid
    /// follows, or the file lists two classes, and as many outputs as inputs are an autoencoder's
    /// unless something behind them says otherwise.
    pub fn class_numbers(&self) -> Vec<i64> {
        match (&self.classes, self.output_count()) {
            (Some(classes), _) => classes.clone(),
            (None, 1) if self.tail == Tail::Sigmoid => vec![0, 1],
            (None, 1) => Vec::new(),
            (None, count) if count >= FEWEST_RESTORED && self.restores_input() => Vec::new(),
            (None, count) => (0..).take(count).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a network of dense layers of zeros and what stands between them.
    fn network(inputs: usize, outputs: usize, behind: &[Operation]) -> Network {
        let dense = Operation::Dense {
            weights: Array2::zeros((outputs, inputs)),
            bias: Array1::zeros(outputs),
            quantisation: None,
        };
        let operations = std::iter::once(&dense).chain(behind).enumerate();
        Network {
            input_shape: vec![inputs],
            input_parts: Vec::new(),
            layers: operations
                .map(|(index, operation)| Layer {
                    name: index.to_string(),
                    inputs: vec![index],
                    shape: vec![outputs],
                    block: None,
                    is_pinned: false,
                    operation: operation.clone(),
                })
                .collect(),
            tail: Tail::None,
            classes: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn outputs_are_classes_where_something_says_so() {
        let sigmoid = Operation::Activation(Function::Sigmoid);
        let behind = [sigmoid.clone(), Operation::Flatten];
        let table: [(usize, usize, &[Operation], usize, usize); 7] = [
            (4, 3, &[], 1, 3),
            (4, 4, &[], 1, 4),
            (64, 64, &[], 1, 0),
            (4, 1, &[], 1, 0),
            (4, 1, &behind[..1], 1, 2),
            (4, 1, &behind, 1, 2),
            // Several sigmoids are left where they are.
            (4, 3, &behind[..1], 2, 3),
        ];
        for (inputs, outputs, behind, layers, classes) in table {
            let mut network = network(inputs, outputs, behind);
            network.leave_sigmoid_to_client();
            let found = (network.layers.len(), network.class_numbers().len());
            assert_eq!(found, (layers, classes), "{inputs} to {outputs}");
        }
        let mut listed = network(4, 1, &[]);
        listed.classes = Some(vec![-1, 1]);
        assert_eq!(listed.class_numbers(), [-1, 1]);
    }
}

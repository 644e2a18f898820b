//! Takes raw layers one by one, and checks each against the shapes that reach it.

use std::collections::BTreeMap;

use super::activation::build_activation;
use super::blocks::{RawMap, build_largest, build_map};
use super::built::{Built, Checked};
use super::channels::{read_range, spread};
use super::linear::{build_conv2d, build_dense};
use super::pinned::build_pinned;
use super::pools::{build_average_pool, build_max_pool};
use super::windows::no_room;
use crate::core::shape::element_count;
use crate::model::format::{RawLayer, RawLinear, RawOperand, RawOperation};
use crate::model::graph::{Node, channel_size};
use crate::model::index::{NodeId, ValueId};
use crate::model::input::Input;
use crate::model::layer::{Add, AveragePool, Operation, Window};
use crate::model::room::Room;
use crate::model::tensors::Tensors;

/// The nodes so far, and the values that later layers may read.
pub struct Builder<'a> {
    tensors: &'a Tensors,
    /// What the layers to come may take.
    room: Room,
    nodes: Vec<Node>,
    /// By layer name, the network's input as `input`; a flatten is another name and shape.
    values: BTreeMap<String, BuiltValue>,
    last: BuiltValue,
    /// Per value, by index: smallest and largest of each element.
    ranges: Vec<Vec<(f32, f32)>>,
}

/// A value as the next layer sees it.
#[derive(Clone)]
struct BuiltValue {
    id: ValueId,
    shape: Vec<usize>,
}

impl<'a> Builder<'a> {
    /// Returns a builder that has the network's input.
    ///
    /// # Errors
    ///
    /// A sentence where the input is too large.
    pub fn new(input: &Input, tensors: &'a Tensors) -> Checked<Self> {
        let count = input.scale.len();
        let room = Room::of(tensors.file_bytes())
            .after_elements(count)
            .ok_or_else(|| no_room(&input.shape))?;
        let image = BuiltValue {
            id: ValueId::INPUT,
            shape: input.shape.clone(),
        };
        Ok(Self {
            tensors,
            room,
            nodes: Vec::new(),
            values: BTreeMap::from([("input".to_owned(), image.clone())]),
            last: image,
            ranges: vec![input.range()],
        })
    }

    /// Adds a layer.
    ///
    /// # Errors
    ///
    /// A sentence on what does not fit.
    pub fn push(&mut self, raw: RawLayer) -> Checked<()> {
        if self.values.contains_key(&raw.name) {
            return Err(
                "another layer has the same name, or it is \"input\": names must differ".into(),
            );
        }
        let (mut inputs, input) = self.inputs(&raw)?;
        if let Some(shape) = other_shape(&raw.operation, &input.shape)? {
            self.enter(raw.name, BuiltValue { shape, ..input });
            return Ok(());
        }
        if let RawOperation::Add { other, .. } = &raw.operation {
            let other = self.value(other)?;
            if other.shape != input.shape {
                return Err(format!(
                    "add needs two equal shapes, not {:?} and {:?}",
                    input.shape, other.shape
                ));
            }
            inputs.push(other.id);
        }
        let built = self.build(raw.operation, &input)?;
        let first = || self.ranges[inputs[0].index()].clone();
        let range = built.operation.range_after(first);
        let channel_size = match &built.operation {
            Operation::Linear(_) | Operation::MaxPool(_) | Operation::Pinned(_) => {
                channel_size(&built.shape)
            }
            // Weights that positions share on either side are quantised alike on both.
            Operation::Add(_) => inputs
                .iter()
                .map(|&value| self.channel_size(value, &input.shape))
                .fold(1, least_common_multiple),
            Operation::Activation(_) => self.channel_size(input.id, &input.shape),
        };
        self.nodes.push(Node {
            name: raw.name.clone(),
            inputs,
            shape: built.shape.clone(),
            channel_size,
            block: raw.block,
            op: built.op,
            parameter_count: built.parameter_count,
            is_pinned: raw.pinned || matches!(built.operation, Operation::Pinned(_)),
            operation: built.operation,
        });
        self.ranges.push(range);
        let value = BuiltValue {
            id: self.last_made(),
            shape: built.shape,
        };
        self.enter(raw.name, value);
        Ok(())
    }

    /// Returns the values that a layer reads, and the first of them as it sees it.
    fn inputs(&self, raw: &RawLayer) -> Checked<(Vec<ValueId>, BuiltValue)> {
        let RawOperation::Pinned { operands, .. } = &raw.operation else {
            let input = match &raw.input {
                None => self.last.clone(),
                Some(name) => self.value(name)?,
            };
            return Ok((vec![input.id], input));
        };
        if raw.input.is_some() {
            return Err("names an input: what a pinned layer reads is in its operands".into());
        }
        let mut values = Vec::new();
        for operand in operands {
            let RawOperand::Value { value, shape, .. } = operand else {
                continue;
            };
            let value = self.value(value)?;
            if element_count(shape) != element_count(&value.shape) {
                return Err(format!("{:?} does not become {shape:?}", value.shape));
            }
            values.push(value);
        }
        let Some(first) = values.first() else {
            return Err("reads no value: a pinned layer has an operand from one".into());
        };
        Ok((values.iter().map(|value| value.id).collect(), first.clone()))
    }

    /// Returns the nodes.
    ///
    /// # Errors
    ///
    /// Where there are none, or one is never read.
    pub fn finish(self) -> Checked<Vec<Node>> {
        if self.nodes.is_empty() {
            return Err("there are no layers to place".into());
        }
        if self.last.id != self.last_made() {
            return Err("the last layer must make the network's output".into());
        }
        let is_read = |value| self.nodes.iter().any(|node| node.inputs.contains(&value));
        let mut hidden = NodeId::all(0..self.nodes.len() - 1);
        match hidden.find(|node| !is_read(node.value())) {
            Some(node) => Err(format!(
                "no layer reads the output of {:?}: remove it, or name it as an input",
                self.nodes[node.index()].name
            )),
            None => Ok(self.nodes),
        }
    }

    /// Returns the value that the last node makes; the network's input without any.
    fn last_made(&self) -> ValueId {
        ValueId::new(self.nodes.len())
    }

    fn enter(&mut self, name: String, value: BuiltValue) {
        self.last = value.clone();
        self.values.insert(name, value);
    }

    fn value(&self, name: &str) -> Checked<BuiltValue> {
        let value = self.values.get(name).cloned();
        value.ok_or_else(|| format!("input {name:?} is no layer before this one"))
    }

    fn channel_size(&self, value: ValueId, shape: &[usize]) -> usize {
        match value.producer() {
            Some(node) => self.nodes[node.index()].channel_size,
            None => channel_size(shape),
        }
    }

    fn build(&mut self, raw: RawOperation, input: &BuiltValue) -> Checked<Built> {
        let (shape, tensors) = (&input.shape, self.tensors);
        if let Some(linear) = raw.linear() {
            return self.build_linear(&linear, &raw, shape);
        }
        match raw {
            RawOperation::Flatten {}
            | RawOperation::Reshape { .. }
            | RawOperation::Dense { .. }
            | RawOperation::Conv2d { .. }
            | RawOperation::Linear { .. } => {
                unreachable!("a new shape makes no node, and linear layers are built above")
            }
            RawOperation::AveragePool {
                kernel,
                stride,
                padding,
                count_padding,
                excess,
                range,
            } => {
                let pool = AveragePool {
                    kernel,
                    window: Window { stride, padding },
                    count_padding,
                    excess,
                };
                let (range, ranges) = (range.as_deref(), &self.ranges[input.id.index()]);
                build_average_pool(&pool, range, shape, ranges, tensors, &mut self.room)
            }
            RawOperation::MaxPool { .. } | RawOperation::Largest { .. } => {
                self.build_largest(raw, input)
            }
            RawOperation::Pinned {
                operator,
                operands,
                shape,
                range,
            } => {
                self.take(&shape)?;
                build_pinned(operator, operands, shape, range.as_deref(), tensors)
            }
            RawOperation::Activation { function, output } => {
                self.take(shape)?;
                build_activation(function, output, shape)
            }
            RawOperation::Add { range, .. } => {
                self.take(shape)?;
                build_add(&range, shape, tensors)
            }
        }
    }

    fn build_largest(&mut self, raw: RawOperation, input: &BuiltValue) -> Checked<Built> {
        let quantised = self.is_quantised(input.id);
        match raw {
            RawOperation::MaxPool {
                kernel,
                stride,
                padding,
            } => {
                let window = Window { stride, padding };
                build_max_pool(kernel, window, &input.shape, quantised, &mut self.room)
            }
            RawOperation::Largest { shape, windows } => {
                let count = input.shape.iter().product();
                let (tensors, room) = (self.tensors, &mut self.room);
                build_largest(&windows, shape, count, quantised, tensors, room)
            }
            _ => unreachable!("others take no largest value"),
        }
    }

    fn build_linear(
        &mut self,
        linear: &RawLinear<'_>,
        raw: &RawOperation,
        input_shape: &[usize],
    ) -> Checked<Built> {
        let (tensors, room) = (self.tensors, &mut self.room);
        match raw {
            RawOperation::Conv2d {
                stride,
                padding,
                groups,
                ..
            } => {
                let window = Window {
                    stride: *stride,
                    padding: *padding,
                };
                build_conv2d(linear, window, *groups, input_shape, tensors, room)
            }
            RawOperation::Linear {
                shape,
                blocks,
                fixed,
                ..
            } => {
                let map = RawMap {
                    blocks,
                    shape: shape.clone(),
                    fixed: *fixed,
                };
                let count = input_shape.iter().product();
                build_map(linear, map, count, tensors, room)
            }
            _ => build_dense(linear, input_shape, tensors),
        }
    }

    /// Returns whether a value is integers of few bits on one scale, as comparisons under encryption
    /// need them.
    fn is_quantised(&self, value: ValueId) -> bool {
        value.producer().is_some_and(|node| {
            matches!(
                self.nodes[node.index()].operation,
                Operation::Activation(_) | Operation::MaxPool(_)
            )
        })
    }

    /// Takes the room of an output.
    fn take(&mut self, shape: &[usize]) -> Checked<()> {
        let left = self.room.after_elements(shape.iter().product());
        self.room = left.ok_or_else(|| no_room(shape))?;
        Ok(())
    }
}

/// Returns the shape that an operation gives its input, if it does nothing else.
fn other_shape(operation: &RawOperation, own: &[usize]) -> Checked<Option<Vec<usize>>> {
    match operation {
        RawOperation::Flatten {} => Ok(Some(vec![own.iter().product()])),
        RawOperation::Reshape { shape }
            if shape.is_empty() || element_count(shape) != element_count(own) =>
        {
            Err(format!("{own:?} does not become {shape:?}"))
        }
        RawOperation::Reshape { shape } => Ok(Some(shape.clone())),
        _ => Ok(None),
    }
}

fn build_add(range: &str, shape: &[usize], tensors: &Tensors) -> Checked<Built> {
    let (channels, count) = (shape[0], shape.iter().product::<usize>());
    let range = read_range(range, channels, tensors)?;
    Ok(Built {
        op: "add",
        shape: shape.to_vec(),
        parameter_count: 0,
        operation: Operation::Add(Add {
            range: spread(&range, count),
        }),
    })
}

fn least_common_multiple(left: usize, right: usize) -> usize {
    let (mut divisor, mut rest) = (left, right);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    left / divisor * right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_common_multiples() {
        let found = [(1, 9), (9, 1), (36, 64), (1, 1)].map(|(a, b)| least_common_multiple(a, b));
        assert_eq!(found, [9, 9, 576, 1]);
    }
}

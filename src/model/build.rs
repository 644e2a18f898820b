//! Raw layers, checked one by one against the shapes that reach them, made into nodes.

use std::collections::BTreeMap;

use super::format::{PerChannel, RawInput, RawLayer, RawOperation, RawQuantisation};
use super::graph::channel_size;
use super::room::Room;
use super::tensors::Tensors;
use super::{Input, Node};
use crate::model::layer::{
    Activation, Add, AveragePool, Function, Geometry, Linear, MaxPool, Operation, Window, widest,
};
use crate::model::quantise::QuantParams;
use linear::{build_conv2d, build_dense};
use windows::{Windows, image_shape, no_room};

/// The most elements of an input or a layer's output.
pub const MOST_ELEMENTS: usize = 1 << 22;
/// The most bits of a quantised activation.
const MOST_BITS: u32 = 8;

mod linear;
mod windows;

type Checked<T> = Result<T, String>;

/// The nodes so far, and the values that later layers may read.
pub struct Builder<'a> {
    tensors: &'a Tensors,
    /// What the layers to come may take.
    room: Room,
    nodes: Vec<Node>,
    /// By layer name, the network's input as `input`; a flatten is another name and shape.
    values: BTreeMap<String, Value>,
    last: Value,
    /// Per value, by index: smallest and largest of each element.
    ranges: Vec<Vec<(f32, f32)>>,
}

/// A value as the next layer sees it.
#[derive(Clone)]
struct Value {
    index: usize,
    shape: Vec<usize>,
}

/// What a raw operation becomes.
struct Built {
    op: &'static str,
    shape: Vec<usize>,
    parameter_count: usize,
    operation: Operation,
}

impl<'a> Builder<'a> {
    /// Returns a builder that has the network's input.
    ///
    /// # Errors
    ///
    /// A sentence where the input is too large.
    pub fn new(input: &Input, tensors: &'a Tensors) -> Checked<Self> {
        let count = input.scale.len();
        let room = Room::of(tensors.file_bytes()).after_elements(count);
        let room = room.ok_or_else(|| no_room(&input.shape))?;
        let image = Value {
            index: 0,
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
        let input = match &raw.input {
            None => self.last.clone(),
            Some(name) => self.value(name)?,
        };
        if matches!(raw.operation, RawOperation::Flatten {}) {
            let shape = vec![input.shape.iter().product()];
            self.enter(raw.name, Value { shape, ..input });
            return Ok(());
        }
        let mut inputs = vec![input.index];
        if let RawOperation::Add { other, .. } = &raw.operation {
            let other = self.value(other)?;
            if other.shape != input.shape {
                return Err(format!(
                    "add needs two equal shapes, not {:?} and {:?}",
                    input.shape, other.shape
                ));
            }
            inputs.push(other.index);
        }
        let built = self.build(raw.operation, &input)?;
        let first = || self.ranges[inputs[0]].clone();
        let range = built.operation.range_after(first);
        let channel_size = match (&built.operation, built.op) {
            (Operation::Linear(_) | Operation::MaxPool(_), _) => channel_size(&built.shape),
            // Weights that positions share on either side are quantised alike on both.
            (Operation::Add(_), _) => {
                let sizes = inputs
                    .iter()
                    .map(|&value| self.channel_size(value, &input.shape));
                sizes.fold(1, least_common_multiple)
            }
            _ => self.channel_size(input.index, &input.shape),
        };
        self.nodes.push(Node {
            name: raw.name.clone(),
            inputs,
            shape: built.shape.clone(),
            channel_size,
            block: raw.block,
            op: built.op,
            parameter_count: built.parameter_count,
            operation: built.operation,
        });
        self.ranges.push(range);
        let value = Value {
            index: self.nodes.len(),
            shape: built.shape,
        };
        self.enter(raw.name, value);
        Ok(())
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
        if self.last.index != self.nodes.len() {
            return Err("the last layer must make the network's output".into());
        }
        let unread = (1..self.nodes.len())
            .find(|value| !self.nodes.iter().any(|node| node.inputs.contains(value)));
        match unread {
            Some(value) => Err(format!(
                "no layer reads the output of {:?}: remove it, or name it as an input",
                self.nodes[value - 1].name
            )),
            None => Ok(self.nodes),
        }
    }

    fn enter(&mut self, name: String, value: Value) {
        self.last = value.clone();
        self.values.insert(name, value);
    }

    fn value(&self, name: &str) -> Checked<Value> {
        let value = self.values.get(name).cloned();
        value.ok_or_else(|| format!("input {name:?} is no layer before this one"))
    }

    fn channel_size(&self, value: usize, shape: &[usize]) -> usize {
        match value.checked_sub(1) {
            Some(node) => self.nodes[node].channel_size,
            None => channel_size(shape),
        }
    }

    fn build(&mut self, raw: RawOperation, input: &Value) -> Checked<Built> {
        let tensors = self.tensors;
        if let Some(linear) = raw.linear() {
            return match raw {
                RawOperation::Conv2d {
                    stride,
                    padding,
                    groups,
                    ..
                } => {
                    let window = Window { stride, padding };
                    let shape = &input.shape;
                    build_conv2d(&linear, window, groups, shape, tensors, &mut self.room)
                }
                _ => build_dense(&linear, &input.shape, tensors),
            };
        }
        match raw {
            RawOperation::Flatten {} | RawOperation::Dense { .. } | RawOperation::Conv2d { .. } => {
                unreachable!("a flatten makes no node, and linear layers are built above")
            }
            RawOperation::AveragePool {
                kernel,
                stride,
                padding,
                count_padding,
                excess,
                range,
            } => {
                let window = Window { stride, padding };
                let pool = AveragePool {
                    kernel,
                    window,
                    count_padding,
                    excess,
                };
                self.build_average_pool(&pool, range.as_deref(), input, tensors)
            }
            RawOperation::MaxPool {
                kernel,
                stride,
                padding,
            } => self.build_max_pool(kernel, Window { stride, padding }, input),
            RawOperation::Activation { function, output } => {
                self.take(&input.shape)?;
                build_activation(function, output, &input.shape)
            }
            RawOperation::Add { range, .. } => {
                self.take(&input.shape)?;
                let (channels, count) = (input.shape[0], input.shape.iter().product::<usize>());
                let range = read_range(&range, channels, tensors)?;
                Ok(Built {
                    op: "add",
                    shape: input.shape.clone(),
                    parameter_count: 0,
                    operation: Operation::Add(Add {
                        range: spread(&range, count),
                    }),
                })
            }
        }
    }

    /// Takes the room of an output.
    fn take(&mut self, shape: &[usize]) -> Checked<()> {
        let left = self.room.after_elements(shape.iter().product());
        self.room = left.ok_or_else(|| no_room(shape))?;
        Ok(())
    }

    fn build_average_pool(
        &mut self,
        pool: &AveragePool,
        range: Option<&str>,
        input: &Value,
        tensors: &Tensors,
    ) -> Checked<Built> {
        let (channels, size) = image_shape("average_pool", &input.shape)?;
        let kernel = pool.kernel;
        let windows = Windows::by_channel(pool.window, channels, size, kernel);
        let output = windows.output(&mut self.room)?;
        if (0..2).any(|axis| pool.excess[axis] > pool.window.padding[axis + 2]) {
            return Err(format!(
                "excess {:?} is more than the padding at the bottom and the right, {:?}",
                pool.excess, pool.window.padding
            ));
        }
        let map = pool.map(channels, size, output);
        let range = match range {
            Some(name) => spread(&read_range(name, channels, tensors)?, map.output_count),
            None => {
                let ranges = self.ranges[input.index].iter().copied();
                let (low, high) = widest(ranges).unwrap_or((0.0, 0.0));
                // Where padding counts, a mean can come nearer to zero than any element.
                vec![(low.min(0.0), high.max(0.0)); map.output_count]
            }
        };
        let linear = Linear {
            bias: vec![0.0; map.output_count],
            correction: vec![0.0; map.output_count],
            range,
            weight_bits: MOST_BITS,
            // All means of a channel are on one scale, over however many elements each is.
            weight_scale: Some(vec![pool.scale(size, output); map.output_count]),
            geometry: Geometry::Other,
            map,
        };
        Ok(Built {
            op: "average_pool",
            shape: vec![channels, output[0], output[1]],
            parameter_count: 0,
            operation: Operation::Linear(linear),
        })
    }

    fn build_max_pool(
        &mut self,
        kernel: [usize; 2],
        window: Window,
        input: &Value,
    ) -> Checked<Built> {
        let (channels, size) = image_shape("max_pool", &input.shape)?;
        let output = Windows::by_channel(window, channels, size, kernel).output(&mut self.room)?;
        // Comparisons under encryption need integers of few bits on one scale.
        let quantised = input.index.checked_sub(1).is_some_and(|node| {
            matches!(
                self.nodes[node].operation,
                Operation::Activation(_) | Operation::MaxPool(_)
            )
        });
        if !quantised {
            return Err(
                "max_pool must follow an activation, which makes its input small integers: put an \
                 activation before it, if need be the identity"
                    .into(),
            );
        }
        let pool = MaxPool::new(channels, size, kernel, window, output).ok_or_else(|| {
            format!(
                "padding {:?} leaves a window without elements",
                window.padding
            )
        })?;
        Ok(Built {
            op: "max_pool",
            shape: vec![channels, output[0], output[1]],
            parameter_count: 0,
            operation: Operation::MaxPool(pool),
        })
    }
}

fn build_activation(
    function: Function,
    output: RawQuantisation,
    shape: &[usize],
) -> Checked<Built> {
    function.check()?;
    let RawQuantisation { scale, low, high } = output;
    let levels = 1i64 << MOST_BITS;
    let in_reach = |end: i64| (-levels..=levels).contains(&end);
    let fits = in_reach(low) && in_reach(high) && low < high && high - low < levels;
    if !(fits && is_positive_f32(scale)) {
        return Err(format!(
            "output must have integers low < high at most {levels} apart and a positive float32 \
             scale, not {low}..={high} and {scale}"
        ));
    }
    Ok(Built {
        op: function.name(),
        shape: shape.to_vec(),
        parameter_count: 0,
        operation: Operation::Activation(Activation {
            function,
            output: QuantParams { scale, low, high },
        }),
    })
}

/// Returns the number of each class of a network with so many outputs.
pub fn check_classes(raw: Option<Vec<i64>>, output_count: usize) -> Checked<Vec<i64>> {
    let Some(classes) = raw else {
        let count = if output_count > 1 { output_count } else { 0 };
        return Ok((0..).take(count).collect());
    };
    let of_sign = output_count == 1 && classes.len() == 2;
    if !(classes.is_empty() || classes.len() == output_count || of_sign) {
        return Err(format!(
            "classes has {} numbers for {output_count} outputs: give one for each, two for a \
             single output, or none where they are no classes",
            classes.len()
        ));
    }
    let mut sorted = classes.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("classes has {} twice", pair[0])),
        None => Ok(classes),
    }
}

/// Checks the raw input.
pub fn check_input(raw: RawInput) -> Checked<Input> {
    let count = raw.shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    let Some(count) = count.filter(|count| (1..=MOST_ELEMENTS).contains(count)) else {
        return Err(format!(
            "input.shape {:?} must hold 1 to {MOST_ELEMENTS} elements",
            raw.shape
        ));
    };
    if raw.shape.is_empty() {
        return Err("input.shape [] must hold 1 element or more".into());
    }
    let channels = raw.shape[0];
    let scale = spread_channels("scale", raw.scale, channels, count)?;
    let offset = spread_channels("offset", raw.offset, channels, count)?;
    if !(scale.iter().copied().all(is_positive_f32) && (1..=255).contains(&raw.max)) {
        return Err("input.scale must be positive float32s and input.max from 1 to 255".into());
    }
    if !offset.iter().all(|&offset| (offset as f32).is_finite()) {
        return Err("input.offset must be float32s".into());
    }
    Ok(Input {
        shape: raw.shape,
        max: raw.max,
        scale,
        offset,
    })
}

fn spread_channels(
    field: &str,
    raw: PerChannel,
    channels: usize,
    count: usize,
) -> Checked<Vec<f64>> {
    match raw {
        PerChannel::All(value) => Ok(vec![value; count]),
        PerChannel::Each(values) if values.len() == channels => Ok(spread(&values, count)),
        PerChannel::Each(values) => Err(format!(
            "input.{field} has {} numbers for {channels} channels: give one, or one for each",
            values.len()
        )),
    }
}

/// Returns whether float32, in which the client computes, holds the number.
fn is_positive_f32(value: f64) -> bool {
    value > 0.0 && (value as f32).is_normal()
}

/// Repeats one number per channel for each of its elements.
fn spread<T: Copy>(per_channel: &[T], count: usize) -> Vec<T> {
    let size = count / per_channel.len();
    per_channel
        .iter()
        .flat_map(|&value| std::iter::repeat_n(value, size))
        .collect()
}

fn read_range(name: &str, channels: usize, tensors: &Tensors) -> Checked<Vec<(f32, f32)>> {
    let (values, _) = tensors.get(name, [Some(channels), Some(2)])?;
    let ranges = values.as_chunks::<2>().0;
    if let Some([low, high]) = ranges.iter().find(|[low, high]| low > high) {
        return Err(format!(
            "tensor {name:?} holds a range from {low} to {high}"
        ));
    }
    Ok(ranges.iter().map(|&range| range.into()).collect())
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
    fn classes_are_numbered_and_a_single_output_has_two_or_none() {
        type Case<'a> = (Option<&'a [i64]>, usize, Checked<Vec<i64>>);
        let table: [Case<'_>; 8] = [
            (None, 3, Ok(vec![0, 1, 2])),
            (None, 1, Ok(vec![])),
            (Some(&[]), 3, Ok(vec![])),
            (Some(&[-1, 1]), 1, Ok(vec![-1, 1])),
            (Some(&[7, 3]), 2, Ok(vec![7, 3])),
            (Some(&[0, 1, 2]), 2, Err("3 numbers for 2 outputs".into())),
            (Some(&[4]), 2, Err("1 numbers for 2 outputs".into())),
            (Some(&[4, 5, 4]), 3, Err("4 twice".into())),
        ];
        for (raw, outputs, expected) in table {
            match (check_classes(raw.map(<[i64]>::to_vec), outputs), expected) {
                (Err(message), Err(part)) => assert!(message.contains(&part), "{message}"),
                (found, expected) => assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn least_common_multiples() {
        let found = [(1, 9), (9, 1), (36, 64), (1, 1)].map(|(a, b)| least_common_multiple(a, b));
        assert_eq!(found, [9, 9, 576, 1]);
    }
}

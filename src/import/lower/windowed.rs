//! Convolutions and pools that are none of images: over any number of axes, dilated, transposed.

use std::collections::HashMap;
use std::sync::Arc;

use super::affine::bias_of;
use super::arithmetic::finite_floats;
use super::blocks::{Map, TAPS_PER_NUMBER, index_of, layer, places, storage_shape, stored_places};
use super::lowering::Lowering;
use super::value::{Constant, Value, Wire};
use super::window::{Span, list, spans};
use crate::core::linear_map::{Block, LinearMap, PADDING};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Operation;
use crate::import::onnx::Node;
use crate::import::onnx::tensor::element_count;

/// The most axes that windows have.
const MOST_AXES: usize = 3;

/// Returns the channels of a wire, and the sizes of the axes that windows move along.
fn sizes(wire: &Wire) -> Outcome<(usize, Vec<usize>)> {
    match wire.layout.shape().split_first() {
        Some((&channels, rest)) if (1..=MOST_AXES).contains(&rest.len()) => {
            Ok((channels, rest.to_vec()))
        }
        _ => unsupported(format!(
            "windows of a value of shape {:?}; channels and one to {MOST_AXES} more axes have them",
            wire.layout.shape()
        )),
    }
}

/// Checks that all windows have a place in memory, before any is laid out.
fn check_size(
    lowering: &mut Lowering<'_>,
    channels: usize,
    windows: &[usize],
    kernel: &[usize],
) -> Outcome<()> {
    let windows = element_count(&[&[channels], windows].concat())?;
    let taps = windows.saturating_mul(element_count(kernel)?);
    lowering.draft.spend(taps / TAPS_PER_NUMBER)
}

/// Returns the weights of a convolution, its groups and the bias of each output channel, for so many
/// channels; `outputs_of` tells the output channels from the first two sizes and the groups.
fn kernels(
    lowering: &mut Lowering<'_>,
    node: &Node,
    axes: usize,
    outputs_of: impl Fn([usize; 2], usize) -> Option<usize>,
) -> Outcome<(std::rc::Rc<Constant>, usize, Vec<f32>)> {
    let constant = lowering.constant(node, 1)?;
    let shape = &constant.tensor.shape;
    if shape.len() != axes + 2 || shape.contains(&0) {
        return invalid(format!("weights of shape {shape:?} for {axes} axes"));
    }
    if list(node, "kernel_shape", axes)?.is_some_and(|kernel| kernel != shape[2..]) {
        return invalid("kernel_shape is not that of its weights");
    }
    let groups = usize::try_from(node.integer("group", 1)?).unwrap_or(0);
    let Some(outputs) = outputs_of([shape[0], shape[1]], groups) else {
        return invalid(format!("weights of shape {shape:?} in {groups} groups"));
    };
    let bias = match lowering.optional_constant(node, 2)? {
        Some(bias) => bias_of(&bias.tensor, outputs)?,
        None => vec![0.0; outputs],
    };
    lowering.draft.spend(constant.tensor.count())?;
    Ok((constant, groups, bias))
}

/// Lowers a `Conv` that is none of images: dilated, or over three axes.
///
/// # Errors
///
/// A sentence where its weights do not fit, or no window does.
pub fn conv(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    let (channels, sizes) = sizes(&wire)?;
    let outputs_of = |[outputs, inputs]: [usize; 2], groups: usize| {
        let fits = inputs.checked_mul(groups) == Some(channels);
        (fits && outputs.is_multiple_of(groups)).then_some(outputs)
    };
    let (constant, groups, bias) = kernels(lowering, node, sizes.len(), outputs_of)?;
    let kernel = &constant.tensor.shape[2..];
    let spans = spans(node, kernel, &sizes)?;
    let weights = finite_floats(&constant.tensor)?;
    let stored = stored_places(&wire);
    let made: Vec<usize> = spans.iter().map(|span| span.output).collect();
    check_size(lowering, channels, &made, kernel)?;
    let positions: usize = made.iter().product();
    let (inputs, outputs) = (channels / groups, bias.len() / groups);
    let taps: Vec<Vec<usize>> = places(kernel).collect();
    let mut blocks = Vec::with_capacity(groups * positions);
    for (group, own) in weights.chunks_exact(weights.len() / groups).enumerate() {
        let own: Arc<[f32]> = own.into();
        for (position, place) in places(&made).enumerate() {
            let at: Vec<Option<Vec<usize>>> =
                taps.iter().map(|tap| inside(&spans, &place, tap)).collect();
            let of_channel = |channel: usize| {
                let element = |at: &Option<Vec<usize>>| match at {
                    Some(at) => stored[index_of(channel, &sizes, at)],
                    None => PADDING,
                };
                at.iter().map(element).collect::<Vec<u32>>()
            };
            let output = |channel: usize| (channel * positions + position) as u32;
            blocks.push(Block {
                weights: Arc::clone(&own),
                inputs: (group * inputs..(group + 1) * inputs)
                    .flat_map(of_channel)
                    .collect(),
                outputs: (group * outputs..(group + 1) * outputs)
                    .map(output)
                    .collect(),
            });
        }
    }
    finish(lowering, node, &wire, &constant, blocks, &bias, &made)
}

/// Returns the place that a tap of a window reads, `None` of padding.
fn inside(spans: &[Span], place: &[usize], tap: &[usize]) -> Option<Vec<usize>> {
    let along = spans.iter().zip(place).zip(tap);
    along
        .map(|((span, &place), &tap)| span.element(place, tap))
        .collect()
}

/// Adds the layer of a convolution, whose bias is one number per channel.
fn finish(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    constant: &Constant,
    blocks: Vec<Block<f32>>,
    bias: &[f32],
    sizes: &[usize],
) -> Outcome<Value> {
    let positions: usize = sizes.iter().product();
    let spread = bias
        .iter()
        .flat_map(|&bias| std::iter::repeat_n(bias, positions));
    let made = Map {
        map: LinearMap {
            input_count: wire.layout.count(),
            output_count: bias.len() * positions,
            blocks,
        },
        bias: spread.collect(),
        fixed: false,
    };
    let value = lowering.draft.materialise(wire)?;
    let shape = [&[bias.len()], sizes].concat();
    layer(
        lowering,
        node,
        value,
        made,
        &shape,
        constant.origin.as_deref(),
    )
    .map(Value::Wire)
}

/// Lowers `ConvTranspose`: each output adds up the taps by which a window of a convolution would have
/// read it.
///
/// # Errors
///
/// A sentence where its weights or sizes do not fit.
pub fn conv_transpose(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    let (channels, sizes) = sizes(&wire)?;
    let outputs_of = |[inputs, outputs]: [usize; 2], groups: usize| {
        let fits = inputs == channels && groups > 0 && inputs.is_multiple_of(groups);
        outputs.checked_mul(groups).filter(|_| fits)
    };
    let (constant, groups, bias) = kernels(lowering, node, sizes.len(), outputs_of)?;
    let kernel = &constant.tensor.shape[2..];
    let spans = transposed_spans(node, kernel, &sizes)?;
    let weights = finite_floats(&constant.tensor)?;
    let stored = stored_places(&wire);
    let made: Vec<usize> = spans.iter().map(|span| span.output).collect();
    check_size(lowering, channels, &made, kernel)?;
    let positions: usize = made.iter().product();
    let (inputs, outputs) = (channels / groups, bias.len() / groups);
    let taps: Vec<Vec<usize>> = places(kernel).collect();
    let mut shared: HashMap<(usize, Vec<usize>), Arc<[f32]>> = HashMap::new();
    let mut blocks = Vec::with_capacity(groups * positions);
    for group in 0..groups {
        let channels = || group * inputs..(group + 1) * inputs;
        for (position, place) in places(&made).enumerate() {
            let (hit, at) = sources(&spans, &place, &taps);
            let weights = shared.entry((group, hit)).or_insert_with_key(|(_, hit)| {
                let of = |output: usize, channel: usize| (channel * outputs + output) * taps.len();
                let row = move |output| {
                    let firsts = channels().map(move |channel| of(output, channel));
                    firsts.flat_map(move |first| hit.iter().map(move |tap| first + tap))
                };
                let rows = (0..outputs).flat_map(row).map(|place| weights[place]);
                // An output between all windows is a zero.
                rows.chain(std::iter::repeat_n(
                    0.0,
                    if hit.is_empty() { outputs } else { 0 },
                ))
                .collect()
            });
            let of_channel = |channel: usize| at.iter().map(move |at| (channel, at));
            let read = channels().flat_map(of_channel);
            let mut read: Vec<u32> = read
                .map(|(channel, at)| stored[index_of(channel, &sizes, at)])
                .collect();
            if read.is_empty() {
                read.push(PADDING);
            }
            let output =
                |channel: usize| ((group * outputs + channel) * positions + position) as u32;
            blocks.push(Block {
                weights: Arc::clone(weights),
                inputs: read,
                outputs: (0..outputs).map(output).collect(),
            });
        }
    }
    finish(lowering, node, &wire, &constant, blocks, &bias, &made)
}

/// Returns which taps of a transposed convolution add to the output at a place, and the elements that
/// they read.
fn sources(spans: &[Span], place: &[usize], taps: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let found = taps.iter().enumerate().filter_map(|(index, tap)| {
        let along = spans.iter().zip(place).zip(tap);
        let at = along.map(|((span, &place), &tap)| span.source(place, tap));
        Some((index, at.collect::<Option<Vec<usize>>>()?))
    });
    found.unzip()
}

/// Returns how the windows of a transposed convolution lie: `output` is what it makes of `size`.
fn transposed_spans(node: &Node, kernel: &[usize], sizes: &[usize]) -> Outcome<Vec<Span>> {
    let axes = kernel.len();
    let of = |name: &str, default: usize, count: usize| -> Outcome<Vec<usize>> {
        Ok(list(node, name, count)?.unwrap_or_else(|| vec![default; count]))
    };
    let (strides, dilations) = (of("strides", 1, axes)?, of("dilations", 1, axes)?);
    let (added, pads) = (of("output_padding", 0, axes)?, of("pads", 0, 2 * axes)?);
    let asked = list(node, "output_shape", axes)?;
    let auto_pad = node.text("auto_pad", "NOTSET")?;
    let along = |axis: usize| -> Outcome<Span> {
        let (stride, dilation) = (strides[axis], dilations[axis]);
        if stride == 0 || dilation == 0 || added[axis] >= stride.max(dilation) {
            return invalid("a stride or dilation of zero, or an output_padding beyond them");
        }
        let reach = (kernel[axis] - 1) * dilation + 1;
        let full = stride * (sizes[axis] - 1) + added[axis] + reach;
        let (mut before, mut after) = (pads[axis], pads[axis + axes]);
        let same = match auto_pad {
            "SAME_UPPER" | "SAME_LOWER" => Some(sizes[axis] * stride),
            "NOTSET" | "" | "VALID" => None,
            _ => return invalid("an auto_pad that ONNX does not know"),
        };
        if let Some(output) = asked.as_ref().map(|asked| asked[axis]).or(same) {
            let Some(total) = full.checked_sub(output) else {
                return unsupported(format!("an output of {output}, more than the {full} made"));
            };
            let half = total / 2;
            (before, after) = match auto_pad {
                "SAME_UPPER" => (half, total - half),
                _ => (total - half, half),
            };
        }
        match full.checked_sub(before + after) {
            Some(output) if output > 0 => Ok(Span {
                size: sizes[axis],
                kernel: kernel[axis],
                stride,
                dilation,
                before,
                after,
                excess: 0,
                output,
            }),
            _ => invalid(format!("pads of {before} and {after} around {full}")),
        }
    };
    (0..axes).map(along).collect()
}

/// Lowers an `AveragePool` or `MaxPool` that is none of images; without a kernel of its own it is of
/// everything.
///
/// # Errors
///
/// A sentence where no window fits, or one holds nothing but padding.
pub fn pool(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    let (channels, sizes) = sizes(&wire)?;
    let is_global = node.operator.starts_with("Global");
    let kernel = match list(node, "kernel_shape", sizes.len())? {
        Some(kernel) => kernel,
        None if is_global => sizes.clone(),
        None => return invalid("has no kernel_shape"),
    };
    let spans = spans(node, &kernel, &sizes)?;
    let made: Vec<usize> = spans.iter().map(|span| span.output).collect();
    check_size(lowering, channels, &made, &kernel)?;
    let stored = stored_places(&wire);
    let counts_padding = node.integer("count_include_pad", 0)? != 0;
    let taps: Vec<Vec<usize>> = places(&kernel).collect();
    let positions: usize = made.iter().product();
    let mut windows = Vec::with_capacity(channels * positions);
    let mut counts = Vec::with_capacity(channels * positions);
    for channel in 0..channels {
        for place in places(&made) {
            let at = taps.iter().filter_map(|tap| inside(&spans, &place, tap));
            let window: Vec<u32> = at
                .map(|at| stored[index_of(channel, &sizes, &at)])
                .collect();
            if window.is_empty() {
                return invalid("a window of nothing but padding");
            }
            let counted = |tap: &&Vec<usize>| {
                let along = spans.iter().zip(&place).zip(*tap);
                let mut along = along.map(|((span, &place), &tap)| span.counts(place, tap));
                along.all(|counts| counts)
            };
            counts.push(match counts_padding {
                true => taps.iter().filter(counted).count(),
                false => window.len(),
            });
            windows.push(window);
        }
    }
    let shape = [&[channels], &made[..]].concat();
    if node.operator.ends_with("MaxPool") {
        return largest(lowering, node, &wire, windows, &shape);
    }
    let weights = counts.into_iter().map(|count| 1.0 / count as f32);
    weighted(
        lowering,
        node,
        &wire,
        windows.into_iter().zip(weights),
        &shape,
    )
}

/// Adds a layer of the largest element of each window.
///
/// # Errors
///
/// As [`layer`].
pub fn largest(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    windows: Vec<Vec<u32>>,
    shape: &[usize],
) -> Outcome<Value> {
    let value = lowering.draft.materialise(wire)?;
    let name = lowering.name(node, None);
    let stored = storage_shape(shape);
    let operation = Operation::Largest { windows };
    let root = lowering.draft.operation(operation, value, stored, name)?;
    Ok(Value::Wire(lowering.draft.output(root, shape)))
}

/// Adds a layer of sums of windows, each times a number.
///
/// # Errors
///
/// As [`layer`].
pub fn weighted(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    windows: impl Iterator<Item = (Vec<u32>, f32)>,
    shape: &[usize],
) -> Outcome<Value> {
    let mut shared: HashMap<(usize, u32), Arc<[f32]>> = HashMap::new();
    let block = |(output, (inputs, weight)): (usize, (Vec<u32>, f32))| {
        let weights = shared.entry((inputs.len(), weight.to_bits()));
        let weights = weights.or_insert_with(|| vec![weight; inputs.len()].into());
        Block {
            weights: Arc::clone(weights),
            inputs,
            outputs: vec![output as u32],
        }
    };
    let blocks: Vec<Block<f32>> = windows.enumerate().map(block).collect();
    let map = LinearMap {
        input_count: wire.layout.count(),
        output_count: blocks.len(),
        blocks,
    };
    let value = lowering.draft.materialise(wire)?;
    layer(lowering, node, value, Map::fixed(map), shape, None).map(Value::Wire)
}

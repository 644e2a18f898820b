//! Convolutions and matrix products with constant weights.

use std::sync::Arc;

use ndarray::{Array1, Array2, Array4, Axis};

use super::affine::bias_of;
use super::arithmetic::finite_floats;
use super::blocks::{Map, layer, stored_places};
use super::draft::{Diagonal, scale_outputs};
use super::lowering::Lowering;
use super::pad::framed;
use super::value::{Constant, Value, Wire};
use super::window::{Windows, is_dilated, list};
use super::windowed;
use crate::core::linear_map::{Block, LinearMap};
use crate::import::fault::{Fault, Outcome, invalid, unsupported};
use crate::import::network::{Operation, WeightQuantisation};
use crate::import::onnx::Node;

/// Lowers `Conv`: of images, or of rows, which are images of one column.
///
/// # Errors
///
/// A sentence where its weights do not fit, or no window does.
pub fn conv(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let constant = lowering.constant(node, 1)?;
    let axes = constant.tensor.shape.len().saturating_sub(2);
    if axes > 2 || is_dilated(node)? {
        return windowed::conv(lowering, node);
    }
    let frame = framed(lowering, node)?;
    if frame.axes != axes {
        return invalid(format!(
            "weights of {} axes for a value of {}",
            axes + 2,
            frame.axes + 2
        ));
    }
    let ([out_channels, in_channels, height, width], groups) =
        kernels(node, &constant, frame.channels)?;
    let kernel = [height, width];
    let mut windows = Windows::of(node, &kernel[..axes], &frame.size[..axes])?;
    let mut bias = match lowering.optional_constant(node, 2)? {
        Some(bias) => bias_of(&bias.tensor, out_channels)?,
        None => vec![0.0; out_channels],
    };
    let numbers = finite_floats(&constant.tensor)?.into_owned();
    lowering.draft.spend(numbers.len())?;
    if frame.fill != 0.0 {
        if !frame.fill.is_finite() || windows.padding != [0; 4] {
            return unsupported("padding of its own around a border that is not zero");
        }
        // The border's part of every sum, which the shifted image lacks.
        let kernels = numbers.chunks_exact(numbers.len() / out_channels);
        for (bias, kernel) in bias.iter_mut().zip(kernels) {
            *bias += frame.fill * kernel.iter().sum::<f32>();
        }
    }
    windows.widen(frame.border, kernel)?;
    let shape = [out_channels, in_channels, height, width];
    let operation = Operation::Conv2d {
        weights: Array4::from_shape_vec(shape, numbers).map_err(misfit)?,
        bias: bias.into(),
        stride: windows.stride,
        padding: windows.padding,
        groups,
        quantisation: quantisation(lowering, node, &constant, 0, out_channels),
    };
    let name = lowering.name(node, constant.origin.as_deref());
    let shape = vec![out_channels, windows.output[0], windows.output[1]];
    let root = lowering
        .draft
        .operation(operation, frame.value, shape.clone(), name)?;
    let axes = &shape[..axes + 1];
    Ok(Value::Wire(lowering.draft.output(root, axes)))
}

/// Returns the shape of a convolution's weights, `[out_channels, in_channels, height, width]`, and
/// its groups, which fit an image of so many channels; the weights for rows have a width of one.
fn kernels(node: &Node, constant: &Constant, channels: usize) -> Outcome<([usize; 4], usize)> {
    let own = &constant.tensor.shape;
    let shape = match **own {
        [out_channels, in_channels, height, width] => [out_channels, in_channels, height, width],
        [out_channels, in_channels, length] => [out_channels, in_channels, length, 1],
        _ => return invalid(format!("weights of {} axes", own.len())),
    };
    let [out_channels, in_channels, ..] = shape;
    let kernel = &own[2..];
    if list(node, "kernel_shape", kernel.len())?.is_some_and(|shape| shape != kernel) {
        return invalid(format!(
            "kernel_shape is not that of its weights, {kernel:?}"
        ));
    }
    let groups = match usize::try_from(node.integer("group", 1)?) {
        Ok(groups) if groups > 0 && out_channels > 0 => groups,
        _ => return invalid("a group or channel count of zero or less"),
    };
    if in_channels.checked_mul(groups) != Some(channels) || out_channels % groups != 0 {
        return invalid(format!(
            "weights of shape {shape:?} in {groups} groups for {channels} channels"
        ));
    }
    Ok((shape, groups))
}

fn misfit(error: ndarray::ShapeError) -> Fault {
    Fault::Invalid(error.to_string())
}

/// Returns how the weights are quantised, where each output has one scale; `axis` is that of the
/// outputs.
fn quantisation(
    lowering: &mut Lowering<'_>,
    node: &Node,
    constant: &Constant,
    axis: usize,
    outputs: usize,
) -> Option<WeightQuantisation> {
    let grid = constant.grid.as_ref()?;
    let scale = match grid.axis {
        None => vec![grid.scale[0]; outputs],
        Some(along) if along == axis => grid.scale.clone(),
        Some(_) => {
            let name = lowering
                .name(node, constant.origin.as_deref())
                .unwrap_or_default();
            let note = "its weights are quantised by input, so they are taken as real numbers";
            lowering.draft.notes.push(format!("Layer {name}: {note}."));
            return None;
        }
    };
    // The bits are counted once the weights have their last sign.
    Some(WeightQuantisation { bits: 0, scale })
}

/// Returns the matrix of a constant, outputs first.
fn matrix(constant: &Constant, outputs_first: bool) -> Outcome<Array2<f32>> {
    let Ok(shape) = <[usize; 2]>::try_from(&constant.tensor.shape[..]) else {
        return unsupported(format!("weights of shape {:?}", constant.tensor.shape));
    };
    let numbers = finite_floats(&constant.tensor)?.into_owned();
    let matrix = Array2::from_shape_vec(shape, numbers).map_err(misfit)?;
    if outputs_first {
        return Ok(matrix);
    }
    Ok(matrix.reversed_axes().as_standard_layout().into_owned())
}

/// Lowers `Gemm`: `alpha · A · B + beta · C` with constant `B` and `C`.
///
/// # Errors
///
/// A sentence where the constants do not fit.
pub fn gemm(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = if node.integer("transA", 0)? == 0 {
        lowering.wire(node, 0)?
    } else {
        match lowering.value(node.input(0)?)? {
            Value::Turned(wire) => wire.clone(),
            _ => return unsupported("transA of a value whose first axis is the batch"),
        }
    };
    let constant = lowering.constant(node, 1)?;
    let outputs_first = node.integer("transB", 0)? != 0;
    lowering.draft.spend(constant.tensor.count())?;
    let weights = matrix(&constant, outputs_first)?;
    let outputs = weights.nrows();
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    let axis = usize::from(!outputs_first);
    let mut operation = Operation::Dense {
        quantisation: quantisation(lowering, node, &constant, axis, outputs),
        weights,
        bias: Array1::zeros(outputs),
    };
    let bias = match lowering.optional_constant(node, 2)? {
        Some(bias) => bias_of(&bias.tensor, outputs)?,
        None => vec![0.0; outputs],
    };
    let change = Diagonal {
        scale: vec![alpha; outputs],
        offset: bias.iter().map(|bias| bias * beta).collect(),
    };
    scale_outputs(&mut operation, &change);
    if let (Operation::Dense { weights, bias, .. }, true) = (&operation, has_rows(&wire)) {
        let (weights, bias) = (weights.clone(), bias.to_vec());
        let origin = constant.origin.as_deref();
        return for_each_row(lowering, node, &wire, (&weights, &bias), origin);
    }
    let name = lowering.name(node, constant.origin.as_deref());
    dense(lowering, &wire, operation, name).map(Value::Wire)
}

/// Returns whether a value has several lists along its last axis.
fn has_rows(wire: &Wire) -> bool {
    let shape = wire.layout.shape();
    shape.iter().rev().skip(1).any(|&size| size != 1)
}

/// Lowers `MatMul` of a value and a constant.
///
/// # Errors
///
/// A sentence where the constant does not fit.
pub fn mat_mul(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    let constant = lowering.constant(node, 1)?;
    lowering.draft.spend(constant.tensor.count())?;
    let weights = matrix(&constant, false)?;
    let outputs = weights.nrows();
    if has_rows(&wire) {
        let bias = vec![0.0; outputs];
        let origin = constant.origin.as_deref();
        return for_each_row(lowering, node, &wire, (&weights, &bias), origin);
    }
    let operation = Operation::Dense {
        quantisation: quantisation(lowering, node, &constant, 1, outputs),
        weights,
        bias: Array1::zeros(outputs),
    };
    let name = lowering.name(node, constant.origin.as_deref());
    dense(lowering, &wire, operation, name).map(Value::Wire)
}

/// Adds a layer that multiplies each row of a value, the elements along its last axis, by a matrix, and adds
/// a bias. The outputs are stored channel by channel, so that all rows of a channel lie together.
fn for_each_row(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    (weights, bias): (&Array2<f32>, &[f32]),
    origin: Option<&str>,
) -> Outcome<Value> {
    let (outputs, inputs) = weights.dim();
    let shape = wire.layout.shape();
    let Some((&last, leading)) = shape.split_last() else {
        return unsupported("a value of no axes");
    };
    if last != inputs || outputs == 0 {
        return invalid(format!(
            "weights of {outputs} times {inputs} for {last} inputs"
        ));
    }
    let rows: usize = leading.iter().product();
    let shared: Arc<[f32]> = weights.iter().copied().collect();
    let stored = stored_places(wire);
    let block = |row: usize| Block {
        weights: Arc::clone(&shared),
        inputs: stored[row * inputs..(row + 1) * inputs].to_vec(),
        outputs: (0..outputs)
            .map(|output| (output * rows + row) as u32)
            .collect(),
    };
    let made = Map {
        map: LinearMap {
            input_count: wire.layout.count(),
            output_count: outputs * rows,
            blocks: (0..rows).map(block).collect(),
        },
        bias: bias
            .iter()
            .flat_map(|&bias| std::iter::repeat_n(bias, rows))
            .collect(),
        fixed: false,
    };
    let value = lowering.draft.materialise(wire)?;
    let made = layer(lowering, node, value, made, &[outputs, rows], origin)?;
    let layout = made.layout.transpose(&[1, 0])?;
    Ok(Value::Wire(Wire {
        layout: layout.reshape(&[leading, &[outputs]].concat())?,
        ..made
    }))
}

/// Lowers scikit-learn's `LinearRegressor`.
///
/// # Errors
///
/// A sentence where its numbers do not fit.
pub fn linear_regressor(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let targets = match usize::try_from(node.integer("targets", 1)?) {
        Ok(targets) if targets > 0 => targets,
        _ => return invalid("targets of zero or less"),
    };
    if node.text("post_transform", "NONE")? != "NONE" {
        return unsupported("a post_transform of a regression");
    }
    let wire = lowering.number_wire(node, 0)?;
    let operation = from_attributes(node, targets, wire.layout.count())?;
    let name = lowering.name(node, None);
    dense(lowering, &wire, operation, name).map(Value::Wire)
}

/// Returns the layer whose numbers are the attributes `coefficients` and `intercepts`.
///
/// # Errors
///
/// A sentence where they do not fit.
pub fn from_attributes(node: &Node, rows: usize, inputs: usize) -> Outcome<Operation> {
    let weights = node.floats("coefficients")?.unwrap_or_default();
    if rows.checked_mul(inputs) != Some(weights.len()) {
        return invalid(format!(
            "{} coefficients for {rows} rows of {inputs}",
            weights.len()
        ));
    }
    let bias = match node.floats("intercepts")? {
        None | Some([]) => vec![0.0; rows],
        Some(bias) if bias.len() == rows => bias.to_vec(),
        Some(bias) => return invalid(format!("{} intercepts for {rows} rows", bias.len())),
    };
    Ok(Operation::Dense {
        weights: Array2::from_shape_vec([rows, inputs], weights.to_vec()).map_err(misfit)?,
        bias: bias.into(),
        quantisation: None,
    })
}

/// Adds a dense layer after a wire, its columns put in the order in which the wire is stored.
///
/// # Errors
///
/// A sentence where the wire is of another size.
pub fn dense(
    lowering: &mut Lowering<'_>,
    wire: &Wire,
    mut operation: Operation,
    name: Option<String>,
) -> Outcome<Wire> {
    let Operation::Dense { weights, .. } = &mut operation else {
        return invalid("is no dense layer");
    };
    let (outputs, inputs) = weights.dim();
    let shape = wire.layout.shape();
    let Some((&last, leading)) = shape.split_last() else {
        return unsupported("a value of no axes");
    };
    if leading.iter().any(|&size| size != 1) {
        return unsupported(format!(
            "a matrix product for each row of a value of shape {shape:?}"
        ));
    }
    if last != inputs || outputs == 0 {
        return invalid(format!(
            "weights of {outputs} times {inputs} for {last} inputs"
        ));
    }
    let (value, order) = lowering.draft.flat(wire)?;
    if let Some(order) = order {
        lowering.draft.spend(weights.len())?;
        let mut places = vec![0; inputs];
        for (column, &place) in order.iter().enumerate() {
            places[place as usize] = column;
        }
        let sorted = weights.select(Axis(1), &places);
        *weights = sorted.as_standard_layout().into_owned();
    }
    let root = lowering
        .draft
        .operation(operation, value, vec![outputs], name)?;
    Ok(lowering.draft.output(root, &[leading, &[outputs]].concat()))
}

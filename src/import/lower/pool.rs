//! Pooling.

use super::arithmetic::integers;
use super::layout::AxisLayout;
use super::lowering::Lowering;
use super::pad::framed;
use super::value::{Value, Wire};
use super::window::{Windows, are_all_but, list};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Operation;
use crate::import::onnx::Node;

/// Lowers `MaxPool` and `AveragePool`.
///
/// # Errors
///
/// A sentence where no window fits.
pub fn pool(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let frame = framed(lowering, node)?;
    let Some(kernel) = list(node, "kernel_shape", 2)? else {
        return invalid("has no kernel_shape");
    };
    let kernel = [kernel[0], kernel[1]];
    let mut windows = Windows::of(node, kernel, frame.size)?;
    let pads_itself =
        (0..4).any(|side| windows.padding[side] > windows.excess[side % 2] * usize::from(side > 1));
    windows.widen(frame.border, kernel)?;
    let is_all_padding = |axis: usize| {
        let after = windows.padding[axis + 2] - windows.excess[axis];
        windows.padding[axis] >= kernel[axis] || after >= kernel[axis]
    };
    if is_all_padding(0) || is_all_padding(1) {
        return invalid(format!(
            "padding of {:?} around a kernel of {kernel:?}",
            windows.padding
        ));
    }
    let has_border = frame.border != [0; 4];
    let operation = if node.operator == "MaxPool" {
        // Padding is never the largest, so the border must not be either.
        if has_border && f64::from(frame.fill) > frame.least.max(f32::MIN.into()) {
            return unsupported(format!(
                "a border of {} around what may be smaller: let the pool pad itself",
                frame.fill
            ));
        }
        Operation::MaxPool {
            kernel,
            stride: windows.stride,
            padding: windows.padding,
        }
    } else {
        let counts = node.integer("count_include_pad", 0)? != 0;
        if has_border && (frame.fill != 0.0 || pads_itself && !counts) {
            return unsupported("a border that is not zero, or beside padding that does not count");
        }
        Operation::AveragePool {
            kernel,
            stride: windows.stride,
            padding: windows.padding,
            count_padding: counts || has_border,
            excess: windows.excess,
        }
    };
    let name = lowering.name(node, None);
    let shape = vec![frame.channels, windows.output[0], windows.output[1]];
    let root = lowering
        .draft
        .operation(operation, frame.value, shape.clone(), name)?;
    Ok(Value::Wire(lowering.draft.output(root, &shape)))
}

/// Lowers `GlobalAveragePool` and `GlobalMaxPool`.
///
/// # Errors
///
/// A sentence where the value is no image.
pub fn global(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let is_max = node.operator == "GlobalMaxPool";
    let wire = lowering.wire(node, 0)?;
    whole_image(lowering, node, wire, is_max)
}

/// Lowers `ReduceMean` over rows and columns.
///
/// # Errors
///
/// A sentence where it is over other axes.
pub fn reduce_mean(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let axes = match lowering.optional_constant(node, 1)? {
        Some(axes) => integers(&axes.tensor)?.to_vec(),
        None => node.integers("axes")?.unwrap_or_default().to_vec(),
    };
    let keeps_axes = node.integer("keepdims", 1)? != 0;
    let wire = lowering.wire(node, 0)?;
    let first = wire.layout.channels_first();
    let is_last = !wire.layout.is_plain() && first.as_ref().is_some_and(AxisLayout::is_plain);
    let channel = if is_last { 3 } else { 1 };
    if !are_all_but(channel, &axes) {
        return unsupported(format!(
            "a mean over axes {axes:?}; over all rows and columns of an image it is read"
        ));
    }
    let wire = match first {
        Some(layout) if is_last => Wire { layout, ..wire },
        _ => wire,
    };
    let Value::Wire(mean) = whole_image(lowering, node, wire, false)? else {
        return invalid("makes no value");
    };
    let channels = mean.layout.count();
    let layout = AxisLayout::plain(&match (keeps_axes, is_last) {
        (false, _) => vec![channels],
        (true, false) => vec![channels, 1, 1],
        (true, true) => vec![1, 1, channels],
    });
    Ok(Value::Wire(Wire { layout, ..mean }))
}

fn whole_image(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: Wire,
    is_max: bool,
) -> Outcome<Value> {
    let (value, [channels, rows, columns]) = lowering.draft.image(&wire)?;
    let (kernel, stride, padding) = ([rows, columns], [1, 1], [0; 4]);
    let operation = if is_max {
        Operation::MaxPool {
            kernel,
            stride,
            padding,
        }
    } else {
        Operation::AveragePool {
            kernel,
            stride,
            padding,
            count_padding: false,
            excess: [0; 2],
        }
    };
    let name = lowering.name(node, None);
    let root = lowering
        .draft
        .operation(operation, value, vec![channels, 1, 1], name)?;
    Ok(Value::Wire(lowering.draft.output(root, &[channels, 1, 1])))
}

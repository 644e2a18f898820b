//! Pooling.

use super::lowering::Lowering;
use super::pad::framed;
use super::value::{Value, Wire};
use super::window::{Windows, is_dilated, list};
use super::windowed;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Operation;
use crate::import::onnx::Node;

/// Lowers `MaxPool` and `AveragePool`.
///
/// # Errors
///
/// A sentence where no window fits.
pub fn pool(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let axes = node.integers("kernel_shape")?.map_or(0, <[i64]>::len);
    if axes > 2 || is_dilated(node)? {
        return windowed::pool(lowering, node);
    }
    let frame = framed(lowering, node)?;
    let (own, kernel) = kernel(node, frame.axes)?;
    let mut windows = Windows::of(node, &own, &frame.size[..axes])?;
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
    let axes = &shape[..axes + 1];
    Ok(Value::Wire(lowering.draft.output(root, axes)))
}

/// Returns a kernel as the file has it, for so many axes, and as that of an image.
fn kernel(node: &Node, axes: usize) -> Outcome<(Vec<usize>, [usize; 2])> {
    match list(node, "kernel_shape", axes)? {
        Some(own) if !own.is_empty() => {
            let kernel = [own[0], own.get(1).copied().unwrap_or(1)];
            Ok((own, kernel))
        }
        _ => invalid("has no kernel_shape"),
    }
}

/// Lowers `GlobalAveragePool` and `GlobalMaxPool`.
///
/// # Errors
///
/// A sentence where the value has no channels.
pub fn global(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let is_max = node.operator == "GlobalMaxPool";
    let wire = lowering.wire(node, 0)?;
    if wire.layout.shape().len() != 3 {
        return windowed::pool(lowering, node);
    }
    whole_image(lowering, node, wire, is_max)
}

/// Returns the largest or the mean element of each channel of an image.
///
/// # Errors
///
/// A sentence where the value is no image.
pub fn whole_image(
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

//! Pooling.

use super::Lowering;
use super::arithmetic::integers;
use super::layout::Layout;
use super::value::Value;
use super::window::{Windows, are_spatial, list};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Operation;
use crate::import::onnx::Node;

/// Lowers `MaxPool` and `AveragePool`.
///
/// # Errors
///
/// A sentence where no window fits.
pub fn pool(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    let (value, [channels, rows, columns]) = lowering.draft.image(&wire)?;
    let Some(kernel) = list(node, "kernel_shape", 2)? else {
        return invalid("has no kernel_shape");
    };
    let kernel = [kernel[0], kernel[1]];
    let windows = Windows::of(node, kernel, [rows, columns])?;
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
    let operation = if node.operator == "MaxPool" {
        Operation::MaxPool {
            kernel,
            stride: windows.stride,
            padding: windows.padding,
        }
    } else {
        Operation::AveragePool {
            kernel,
            stride: windows.stride,
            padding: windows.padding,
            count_padding: node.integer("count_include_pad", 0)? != 0,
            excess: windows.excess,
        }
    };
    let name = lowering.name(node, None);
    let shape = vec![channels, windows.output[0], windows.output[1]];
    let root = lowering
        .draft
        .operation(operation, value, shape.clone(), name)?;
    Ok(Value::Wire(lowering.draft.output(root, &shape)))
}

/// Lowers `GlobalAveragePool` and `GlobalMaxPool`.
///
/// # Errors
///
/// A sentence where the value is no image.
pub fn global(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let is_max = node.operator == "GlobalMaxPool";
    whole_image(lowering, node, is_max, true)
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
    if !are_spatial(&axes) {
        return unsupported(format!("a mean over axes {axes:?}; 2 and 3 are read"));
    }
    let keeps_axes = node.integer("keepdims", 1)? != 0;
    whole_image(lowering, node, false, keeps_axes)
}

fn whole_image(
    lowering: &mut Lowering<'_>,
    node: &Node,
    is_max: bool,
    keeps_axes: bool,
) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
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
    let mut output = lowering.draft.output(root, &[channels, 1, 1]);
    if !keeps_axes {
        output.layout = Layout::plain(&[channels]);
    }
    Ok(Value::Wire(output))
}

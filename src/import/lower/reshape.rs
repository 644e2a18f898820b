//! Operators that only rename axes.

use super::arithmetic::integers;
use super::constants::arrange::{Sizes, axis_of};
use super::copies::spread_to;
use super::layout::AxisLayout;
use super::lowering::Lowering;
use super::value::{Value, Wire};
use crate::import::fault::{Fault, Outcome, invalid, unsupported};
use crate::import::onnx::Node;

/// Lowers `Flatten`, `Reshape`, `Squeeze`, `Unsqueeze` and `Transpose` of a value.
///
/// # Errors
///
/// A sentence where the batch does not stay the first axis, unless a list is turned for a product.
pub fn reshape(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    if let Some(turned) = turned(lowering, node)? {
        return Ok(turned);
    }
    let wire = lowering.wire(node, 0)?;
    let shape = wire.layout.shape();
    let full = [vec![1], shape.clone()].concat();
    let made = match node.operator.as_str() {
        "Transpose" => {
            let layout = transposed(&wire, node.integers("perm")?)?;
            return Ok(Value::Wire(Wire { layout, ..wire }));
        }
        "Flatten" => {
            let sizes = Sizes(&full).flattened(node.integer("axis", 1)?)?;
            if node.integer("axis", 1)? == 0 {
                return unsupported("flattens the batch");
            }
            without_batch(&sizes)?.to_vec()
        }
        "Reshape" => {
            let target = lowering.constant(node, 1)?;
            let zero_is_zero = node.integer("allowzero", 0)? != 0;
            reshaped(&shape, integers(&target.tensor)?, zero_is_zero)?
        }
        operator => {
            let axes = match lowering.optional_constant(node, 1)? {
                Some(axes) => Some(integers(&axes.tensor)?.to_vec()),
                None => node.integers("axes")?.map(<[i64]>::to_vec),
            };
            renamed(operator, &full, axes.as_deref())?
        }
    };
    in_shape(lowering, node, wire, &made).map(Value::Wire)
}

/// Returns the same elements as another shape; they are put in the order of their axes where the shape
/// cuts across axes that lie apart.
fn in_shape(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: Wire,
    shape: &[usize],
) -> Outcome<Wire> {
    let wire = match wire.layout.reshape(shape) {
        Err(Fault::Unsupported(_)) if wire.integers.is_none() => {
            let own = wire.layout.shape();
            spread_to(lowering, node, &wire, &own)?
        }
        _ => wire,
    };
    let layout = wire.layout.reshape(shape)?;
    Ok(Wire { layout, ..wire })
}

/// Lowers `DepthToSpace` and `SpaceToDepth`: blocks of rows and columns become channels, or the other way
/// round.
///
/// # Errors
///
/// A sentence where the value is no image, or the blocks do not fit it.
pub fn depth(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    let Ok([channels, rows, columns]) = <[usize; 3]>::try_from(wire.layout.shape()) else {
        return unsupported("a value that is no image");
    };
    let size = usize::try_from(node.integer("blocksize", 0)?).unwrap_or(0);
    let is_to_space = node.operator == "DepthToSpace";
    let misfit = || {
        invalid(format!(
            "blocks of {size} in {:?}",
            [channels, rows, columns]
        ))
    };
    let Some(area) = size.checked_mul(size).filter(|&area| area > 0) else {
        return misfit();
    };
    let (split, order, made) = if is_to_space {
        if !channels.is_multiple_of(area) {
            return misfit();
        }
        let rest = channels / area;
        let (split, order) = match node.text("mode", "DCR")? {
            "DCR" => (vec![size, size, rest, rows, columns], [2, 3, 0, 4, 1]),
            "CRD" => (vec![rest, size, size, rows, columns], [0, 3, 1, 4, 2]),
            _ => return unsupported("a mode other than DCR and CRD"),
        };
        (split, order, [rest, rows * size, columns * size])
    } else {
        if !rows.is_multiple_of(size) || !columns.is_multiple_of(size) {
            return misfit();
        }
        let split = vec![channels, rows / size, size, columns / size, size];
        let made = [channels * area, rows / size, columns / size];
        (split, [2, 4, 0, 1, 3], made)
    };
    let wire = in_shape(lowering, node, wire, &split)?;
    let layout = wire.layout.transpose(&order)?.reshape(&made)?;
    Ok(Value::Wire(Wire { layout, ..wire }))
}

/// Returns the shape without its first axis, which must be the batch.
fn without_batch(sizes: &[usize]) -> Outcome<&[usize]> {
    match sizes {
        [1, rest @ ..] => Ok(rest),
        _ => unsupported("moves elements between the batch and the other axes"),
    }
}

/// Returns a list whose batch becomes the last axis, or becomes the first one again.
fn turned(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Option<Value>> {
    let value = lowering.value(node.input(0)?)?.clone();
    let order = node.integers("perm")?;
    let swaps = node.operator == "Transpose" && matches!(order, None | Some([1, 0]));
    Ok(match value {
        Value::Turned(wire) if swaps => Some(Value::Wire(wire)),
        Value::Wire(wire) if wire.layout.shape().len() == 1 && swaps => Some(Value::Turned(wire)),
        Value::Wire(wire) if node.operator == "Reshape" => {
            let target = lowering.constant(node, 1)?;
            let count = wire.layout.count();
            let is_column = count > 1 && *integers(&target.tensor)? == [count as i64, 1];
            let layout = wire.layout.reshape(&[count]);
            match layout {
                Ok(layout) if is_column => Some(Value::Turned(Wire { layout, ..wire })),
                _ => None,
            }
        }
        _ => None,
    })
}

fn transposed(wire: &Wire, order: Option<&[i64]>) -> Outcome<AxisLayout> {
    let rank = wire.layout.shape().len() + 1;
    wire.layout.transpose(&image_axes(rank, order)?)
}

/// Returns the axes of one image in the order of a `Transpose` of `rank` axes, the batch among them.
///
/// # Errors
///
/// A sentence where the batch does not stay the first.
pub fn image_axes(rank: usize, order: Option<&[i64]>) -> Outcome<Vec<usize>> {
    let order = match order {
        Some(order) => order
            .iter()
            .map(|&axis| axis_of(axis, rank))
            .collect::<Outcome<Vec<_>>>()?,
        None => (0..rank).rev().collect(),
    };
    match order.split_first() {
        Some((0, rest)) if rest.len() + 1 == rank && !rest.contains(&0) => {
            Ok(rest.iter().map(|&axis| axis - 1).collect())
        }
        _ => unsupported("moves the batch to another axis"),
    }
}

/// Returns the shape of one image after a `Reshape`; the first number is the batch, whatever it
/// says.
///
/// # Errors
///
/// A sentence where the numbers of elements differ.
pub fn reshaped(shape: &[usize], target: &[i64], zero_is_zero: bool) -> Outcome<Vec<usize>> {
    let Some((&batch, rest)) = target.split_first() else {
        return invalid("a reshape to no axes");
    };
    if batch < -1 || batch == -1 && rest.contains(&-1) {
        return invalid(format!("a reshape to {target:?}"));
    }
    // Zeros copy by position, so the batch keeps its place as an axis of one.
    let full = [&[1], shape].concat();
    let one_image = [&[1], rest].concat();
    match Sizes(&full).reshaped(&one_image, zero_is_zero) {
        Ok(sizes) => Ok(sizes[1..].to_vec()),
        Err(_) => unsupported(format!(
            "a reshape of {shape:?} for each image to {target:?}, the batch first"
        )),
    }
}

/// Returns the shape of one image after `Squeeze` or `Unsqueeze`.
fn renamed(operator: &str, full: &[usize], axes: Option<&[i64]>) -> Outcome<Vec<usize>> {
    let Some(axes) = axes else {
        // Without axes every axis of one goes, but the batch stays.
        return Ok(full[1..]
            .iter()
            .copied()
            .filter(|&size| size != 1)
            .collect());
    };
    let added = if operator == "Unsqueeze" {
        axes.len()
    } else {
        0
    };
    let places = axes.iter().map(|&axis| axis_of(axis, full.len() + added));
    if places.collect::<Outcome<Vec<_>>>()?.contains(&0) {
        return unsupported("moves the batch to another axis");
    }
    let sizes = if operator == "Unsqueeze" {
        Sizes(full).unsqueezed(axes)?
    } else {
        Sizes(full).squeezed(Some(axes))?
    };
    without_batch(&sizes).map(<[usize]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_a_reshape_is_the_batch() {
        let shape = [16, 5, 5];
        for target in [&[-1, 400][..], &[0, -1], &[1, 400], &[10, 400], &[10, -1]] {
            assert_eq!(
                reshaped(&shape, target, false).unwrap(),
                [400],
                "{target:?}"
            );
        }
        assert_eq!(reshaped(&shape, &[0, 0, 25], false).unwrap(), [16, 25]);
        for target in [&[4000][..], &[-1], &[], &[400, 1], &[-5, 400]] {
            assert!(reshaped(&shape, target, false).is_err(), "{target:?}");
        }
    }

    #[test]
    fn squeezing_keeps_the_batch() {
        assert_eq!(
            renamed("Squeeze", &[1, 8, 1, 1], Some(&[2, 3])).unwrap(),
            [8]
        );
        assert_eq!(renamed("Squeeze", &[1, 8, 1, 1], None).unwrap(), [8]);
        assert_eq!(renamed("Unsqueeze", &[1, 8], Some(&[2])).unwrap(), [8, 1]);
        assert!(renamed("Squeeze", &[1, 8], Some(&[0])).is_err());
        assert!(renamed("Unsqueeze", &[1, 8], Some(&[0])).is_err());
    }
}

//! `Concat` and `Split`: values side by side, as a sum of copies with zeros where the others lie, and
//! parts of a value.

use super::arithmetic::{finite_floats, integers};
use super::blocks::{Map, layer, storage_shape, stored_places};
use super::classifier::two_classes;
use super::constants::arrange::axis_of;
use super::copies::by_axes;
use super::draft::Stage;
use super::lowering::Lowering;
use super::maps::selection;
use super::value::{Value, Wire};
use crate::core::linear_map::PADDING;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Operation;
use crate::import::onnx::Node;

/// The places of a joined value that one value or the constants fill.
struct Part {
    value: usize,
    count: usize,
    picks: Vec<u32>,
}

/// Lowers `Concat` of values and constants.
///
/// # Errors
///
/// A sentence where their other axes differ, or images of a batch are joined.
pub fn concat(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    if let Ok(scores) = two_classes(lowering, node) {
        return Ok(scores);
    }
    let values = node.inputs.iter().flatten();
    let values = values.map(|&input| lowering.value(input).cloned());
    let values = values.collect::<Outcome<Vec<Value>>>()?;
    let shapes = values.iter().map(shape_of).collect::<Outcome<Vec<_>>>()?;
    let first = &shapes[0];
    let axis = axis_of(node.integer("axis", 1)?, first.len())?;
    if axis == 0 {
        return unsupported("joins images of a batch");
    }
    let mut made = first.clone();
    made[axis] = 0;
    for shape in &shapes {
        let others = |shape: &[usize]| [&shape[..axis], &shape[axis + 1..]].concat();
        if shape.len() != first.len() || others(shape) != others(first) {
            return invalid(format!("joins shapes {first:?} and {shape:?}"));
        }
        made[axis] += shape[axis];
    }
    let total: usize = made.iter().product();
    lowering.draft.spend(total * values.len() / 8)?;
    let mut parts: Vec<Part> = Vec::new();
    let mut bias = vec![0.0; total];
    let mut start = 0;
    for (value, shape) in values.iter().zip(&shapes) {
        let inner: usize = shape[axis + 1..].iter().product();
        let run = shape[axis] * inner;
        // Where an element of this input lies in the joined value.
        let place =
            |element: usize| element / run * made[axis] * inner + start * inner + element % run;
        match value {
            Value::Wire(wire) => {
                let value = lowering.draft.materialise(wire)?;
                let stored = stored_places(wire);
                let part = part_of(&mut parts, value, stored.len(), total);
                for (element, stored) in stored.into_iter().enumerate() {
                    part.picks[place(element)] = stored;
                }
            }
            Value::Constant(constant) => {
                let numbers = finite_floats(&constant.tensor)?;
                for (element, &number) in numbers.iter().enumerate() {
                    bias[place(element)] = number;
                }
            }
            _ => return unsupported("joins what comes after the logits, or turned values"),
        }
        start += shape[axis];
    }
    added_up(lowering, node, parts, bias, &made[1..]).map(Value::Wire)
}

/// Returns the sizes of the axes of a value, the batch as one.
fn shape_of(value: &Value) -> Outcome<Vec<usize>> {
    match value {
        Value::Wire(wire) if wire.integers.is_some() => {
            unsupported("joins the integers of a QuantizeLinear")
        }
        Value::Wire(wire) => Ok([vec![1], wire.layout.shape()].concat()),
        Value::Constant(constant) => Ok(constant.tensor.shape.clone()),
        _ => unsupported("joins what comes after the logits, or turned values"),
    }
}

/// Returns the places that a value fills, which may be joined more than once.
fn part_of(parts: &mut Vec<Part>, value: usize, count: usize, total: usize) -> &mut Part {
    let known = parts.iter().position(|part| part.value == value);
    let index = known.unwrap_or_else(|| {
        parts.push(Part {
            value,
            count,
            picks: vec![PADDING; total],
        });
        parts.len() - 1
    });
    &mut parts[index]
}

/// Adds the layers that copy each part to its places, and their sum.
fn added_up(
    lowering: &mut Lowering<'_>,
    node: &Node,
    parts: Vec<Part>,
    bias: Vec<f32>,
    shape: &[usize],
) -> Outcome<Wire> {
    let stored = storage_shape(shape);
    let has_constants = bias.iter().any(|&number| number != 0.0);
    let mut sum = None;
    for (index, part) in parts.into_iter().enumerate() {
        let copy = if index == 0 && has_constants {
            let map = Map {
                map: selection(&part.picks, part.count),
                bias: bias.clone(),
                fixed: true,
            };
            layer(lowering, node, part.value, map, shape, None)?.root
        } else {
            let stage = Stage::Pick(part.picks);
            let draft = &mut lowering.draft;
            draft.push(stage, vec![part.value], stored.clone(), None)?
        };
        sum = Some(match sum {
            None => copy,
            Some(sum) => {
                let name = lowering.name(node, None);
                let stage = Stage::Operation(Operation::Add);
                lowering
                    .draft
                    .push(stage, vec![sum, copy], stored.clone(), name)?
            }
        });
    }
    match sum {
        Some(sum) => Ok(lowering.draft.output(sum, shape)),
        None => invalid("joins nothing"),
    }
}

/// Lowers `Split`.
///
/// # Errors
///
/// A sentence where the parts are not the whole.
pub fn split(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Vec<Value>> {
    let wire = lowering.wire(node, 0)?;
    let shape = wire.layout.shape();
    let axis = axis_of(node.integer("axis", 0)?, shape.len() + 1)?;
    let Some(axis) = axis.checked_sub(1) else {
        return unsupported("splits the batch");
    };
    let sizes = match (
        lowering.optional_constant(node, 1)?,
        node.integers("split")?,
    ) {
        (Some(sizes), _) => integers(&sizes.tensor)?.to_vec(),
        (None, Some(sizes)) => sizes.to_vec(),
        (None, None) => equal_parts(shape[axis], node.outputs.len()),
    };
    if sizes.contains(&0) {
        return unsupported("a part without elements");
    }
    // Each is one of the axis at most, so that their sum is none that wraps.
    let whole = shape[axis];
    let size = |size: &i64| usize::try_from(*size).ok().filter(|size| *size <= whole);
    let known: Option<Vec<usize>> = sizes.iter().map(size).collect();
    let is_whole = |known: &Vec<usize>| known.iter().sum::<usize>() == whole;
    let fits = |known: &Vec<usize>| is_whole(known) && known.len() == node.outputs.len();
    let Some(sizes) = known.filter(fits) else {
        return invalid(format!("parts of {sizes:?} of {whole}"));
    };
    let mut start = 0;
    let mut parts = Vec::with_capacity(sizes.len());
    for size in sizes {
        let along = |other: usize| -> Vec<Option<usize>> {
            match other == axis {
                true => (start..start + size).map(Some).collect(),
                false => (0..shape[other]).map(Some).collect(),
            }
        };
        let axes: Vec<_> = (0..shape.len()).map(along).collect();
        parts.push(Value::Wire(by_axes(lowering, node, &wire, &axes)?));
        start += size;
    }
    Ok(parts)
}

/// Returns the sizes of so many parts, the last one the smaller where they cannot be equal.
fn equal_parts(size: usize, count: usize) -> Vec<i64> {
    let each = size.div_ceil(count.max(1));
    (0..count)
        .map(|index| each.min(size.saturating_sub(index * each)) as i64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_what_is_left() {
        assert_eq!(equal_parts(6, 3), [2, 2, 2]);
        assert_eq!(equal_parts(7, 3), [3, 3, 1]);
    }

    #[test]
    fn a_value_that_is_joined_twice_is_one_part() {
        let mut parts = Vec::new();
        part_of(&mut parts, 4, 2, 6).picks[0] = 1;
        part_of(&mut parts, 7, 2, 6).picks[1] = 1;
        part_of(&mut parts, 4, 2, 6).picks[2] = 0;
        let picks: Vec<_> = parts.iter().map(|part| part.picks[..3].to_vec()).collect();
        assert_eq!(picks, [[1, PADDING, 0], [PADDING, 1, PADDING]]);
    }
}

//! Moves the numbers of constants: transposing, joining, picking; and the arithmetic of shapes.

use std::rc::Rc;

use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::lower::arithmetic::integers;
use crate::import::lower::value::{Constant, Grid};
use crate::import::onnx::tensor::{Data, element_count};
use crate::import::onnx::{Node, Tensor};

/// The sizes of all axes, from which others are made.
#[derive(Debug, Clone, Copy)]
pub struct Sizes<'a>(pub &'a [usize]);

impl Sizes<'_> {
    /// Returns the shape that `Reshape` makes: -1 stands for what is left, 0 for the same size.
    ///
    /// # Errors
    ///
    /// A sentence where the numbers of elements differ.
    pub fn reshaped(self, target: &[i64], zero_is_zero: bool) -> Outcome<Vec<usize>> {
        let misfit = || invalid(format!("shape {:?} does not become {target:?}", self.0));
        let mut sizes = Vec::with_capacity(target.len());
        let mut open = None;
        for (axis, &size) in target.iter().enumerate() {
            match size {
                -1 if open.is_none() => {
                    open = Some(axis);
                    sizes.push(1);
                }
                0 if !zero_is_zero => match self.0.get(axis) {
                    Some(&size) => sizes.push(size),
                    None => return misfit(),
                },
                _ => match usize::try_from(size) {
                    Ok(size) => sizes.push(size),
                    Err(_) => return misfit(),
                },
            }
        }
        let (count, known) = (element_count(self.0)?, element_count(&sizes)?);
        if let Some(axis) = open {
            sizes[axis] = count.checked_div(known).unwrap_or(0);
        }
        if element_count(&sizes)? == count {
            Ok(sizes)
        } else {
            misfit()
        }
    }

    /// Returns the two axes that `Flatten` makes.
    ///
    /// # Errors
    ///
    /// A sentence where there is no such axis.
    pub fn flattened(self, axis: i64) -> Outcome<Vec<usize>> {
        let rank = self.0.len() as i64;
        let axis = if axis < 0 {
            axis.saturating_add(rank)
        } else {
            axis
        };
        if !(0..=rank).contains(&axis) {
            return invalid(format!("axis {axis} of {rank}"));
        }
        let (outer, inner) = self.0.split_at(axis as usize);
        Ok(vec![outer.iter().product(), inner.iter().product()])
    }

    /// Returns the shape without these axes of one element, or without any.
    ///
    /// # Errors
    ///
    /// A sentence where one has more.
    pub fn squeezed(self, axes: Option<&[i64]>) -> Outcome<Vec<usize>> {
        let Some(axes) = axes else {
            return Ok(self.0.iter().copied().filter(|&size| size != 1).collect());
        };
        let dropped = axes
            .iter()
            .map(|&axis| axis_of(axis, self.0.len()))
            .collect::<Outcome<Vec<_>>>()?;
        if let Some(&axis) = dropped.iter().find(|&&axis| self.0[axis] != 1) {
            return invalid(format!(
                "axis {axis} has {} elements, not one",
                self.0[axis]
            ));
        }
        let kept = (0..self.0.len()).filter(|axis| !dropped.contains(axis));
        Ok(kept.map(|axis| self.0[axis]).collect())
    }

    /// Returns the shape with more axes of one element.
    ///
    /// # Errors
    ///
    /// A sentence where an axis is named twice or too many are.
    pub fn unsqueezed(self, axes: &[i64]) -> Outcome<Vec<usize>> {
        let rank = self.0.len() + axes.len();
        if rank > 8 {
            return unsupported(format!("{rank} axes"));
        }
        let added = axes
            .iter()
            .map(|&axis| axis_of(axis, rank))
            .collect::<Outcome<Vec<_>>>()?;
        let mut old = self.0.iter().copied();
        let size = |axis: usize| {
            if added.contains(&axis) {
                Some(1)
            } else {
                old.next()
            }
        };
        match (0..rank).map(size).collect() {
            Some(shape) if old.next().is_none() => Ok(shape),
            _ => invalid(format!("axes {axes:?} are not all different")),
        }
    }
}

/// Returns an axis that may count from the end.
///
/// # Errors
///
/// A sentence where there is no such axis.
pub fn axis_of(axis: i64, rank: usize) -> Outcome<usize> {
    let from_start = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    match usize::try_from(from_start) {
        Ok(index) if index < rank => Ok(index),
        _ => invalid(format!("axis {axis} of {rank}")),
    }
}

/// Returns the elements at these places.
fn pick(
    tensor: &Tensor,
    shape: Vec<usize>,
    places: impl Iterator<Item = usize>,
) -> Outcome<Tensor> {
    let data = match &tensor.data {
        Data::Float(values) => Data::Float(places.map(|place| values[place]).collect()),
        Data::Integer { kind, values } => Data::Integer {
            kind: *kind,
            values: places.map(|place| values[place]).collect(),
        },
        Data::Text => return unsupported("computes with text"),
    };
    Ok(Tensor { shape, data })
}

/// Returns the constant with its axes in another order, the reverse where none is given.
///
/// # Errors
///
/// A sentence where the order does not name every axis once.
pub fn transpose(constant: &Constant, order: Option<&[i64]>) -> Outcome<Constant> {
    let shape = &constant.tensor.shape;
    let rank = shape.len();
    let order = match order {
        None => (0..rank).rev().collect(),
        Some(order) => order
            .iter()
            .map(|&axis| axis_of(axis, rank))
            .collect::<Outcome<Vec<_>>>()?,
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return invalid(format!("{order:?} is no order of {rank} axes"));
    }
    let stride = |axis: usize| -> usize { shape[axis + 1..].iter().product() };
    let mut places = vec![0usize];
    for &axis in &order {
        let step = stride(axis);
        let inner = |start: usize| (0..shape[axis]).map(move |index| start + index * step);
        places = places.into_iter().flat_map(inner).collect();
    }
    let moved = order.iter().map(|&axis| shape[axis]).collect();
    let grid = constant.grid.as_ref().map(|grid| Grid {
        scale: grid.scale.clone(),
        axis: grid
            .axis
            .and_then(|old| order.iter().position(|&axis| axis == old)),
    });
    Ok(Constant {
        grid,
        ..Constant::new(pick(&constant.tensor, moved, places.into_iter())?)
    })
}

/// Returns the sizes before, at and after an axis, the outer and inner ones multiplied.
fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    [
        shape[..axis].iter().product(),
        shape[axis],
        shape[axis + 1..].iter().product(),
    ]
}

/// Returns constants joined along an axis.
///
/// # Errors
///
/// A sentence where their other axes differ.
pub fn concat(parts: &[&Tensor], axis: i64) -> Outcome<Tensor> {
    let Some(first) = parts.first() else {
        return invalid("joins nothing");
    };
    let axis = axis_of(axis, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for part in parts {
        let others = |shape: &[usize]| [shape[..axis].to_vec(), shape[axis + 1..].to_vec()];
        if part.shape.len() != shape.len() || others(&part.shape) != others(&shape) {
            return invalid(format!(
                "joins shapes {:?} and {:?}",
                first.shape, part.shape
            ));
        }
        shape[axis] += part.shape[axis];
    }
    element_count(&shape)?;
    let [outer, _, _] = around(&shape, axis);
    let mut floats = Vec::new();
    let mut whole = Vec::new();
    for index in 0..outer {
        for part in parts {
            let [_, size, inner] = around(&part.shape, axis);
            let run = index * size * inner..(index + 1) * size * inner;
            match &part.data {
                Data::Float(values) => floats.extend_from_slice(&values[run]),
                Data::Integer { values, .. } => whole.extend_from_slice(&values[run]),
                Data::Text => return unsupported("computes with text"),
            }
        }
    }
    let data = match first.data {
        Data::Integer { kind, .. } if floats.is_empty() => Data::Integer {
            kind,
            values: whole,
        },
        Data::Float(_) if whole.is_empty() => Data::Float(floats),
        _ => return unsupported("joins numbers of different types"),
    };
    Ok(Tensor { shape, data })
}

/// Returns the slices along an axis at the indices.
///
/// # Errors
///
/// A sentence where an index is out of range.
pub fn gather(data: &Tensor, indices: &Tensor, axis: i64) -> Outcome<Tensor> {
    let axis = axis_of(axis, data.shape.len())?;
    let [outer, size, inner] = around(&data.shape, axis);
    let chosen = integers(indices)?
        .iter()
        .map(|&index| axis_of(index, size))
        .collect::<Outcome<Vec<_>>>()?;
    let shape = [
        &data.shape[..axis],
        &indices.shape[..],
        &data.shape[axis + 1..],
    ]
    .concat();
    element_count(&shape)?;
    let places = (0..outer).flat_map(|outer| {
        let slice = move |index: usize| (outer * size + index) * inner;
        chosen
            .iter()
            .flat_map(move |&index| (0..inner).map(move |i| slice(index) + i))
    });
    pick(data, shape, places)
}

/// Returns sizes of axes.
///
/// # Errors
///
/// A sentence where one is negative.
pub fn sizes(numbers: &[i64]) -> Outcome<Vec<usize>> {
    let size = |&number: &i64| match usize::try_from(number) {
        Ok(size) => Ok(size),
        Err(_) => invalid(format!("a size of {number}")),
    };
    numbers.iter().map(size).collect()
}

/// Returns the shape that `Tile` makes.
///
/// # Errors
///
/// A sentence where the repeats are not one for each axis.
pub fn tiled_shape(shape: &[usize], repeats: &[i64]) -> Outcome<Vec<usize>> {
    if repeats.len() != shape.len() {
        return invalid(format!("{} repeats for {shape:?}", repeats.len()));
    }
    let sizes = shape.iter().zip(sizes(repeats)?);
    Ok(sizes
        .map(|(&size, repeat)| size.saturating_mul(repeat))
        .collect())
}

/// Returns a constant repeated along its axes until it has this shape, of more axes in front perhaps.
///
/// # Errors
///
/// A sentence where it holds text.
pub fn repeated(tensor: &Tensor, shape: Vec<usize>) -> Outcome<Tensor> {
    let added = shape.len() - tensor.shape.len();
    let place = |mut element: usize| {
        let (mut place, mut stride) = (0, 1);
        for (axis, &size) in shape.iter().enumerate().rev() {
            let own = axis.checked_sub(added).map_or(1, |axis| tensor.shape[axis]);
            place += element % size % own * stride;
            stride *= own;
            element /= size;
        }
        place
    };
    let count = element_count(&shape)?;
    pick(tensor, shape.clone(), (0..count).map(place))
}

/// Returns a part of a constant along some axes.
///
/// # Errors
///
/// A sentence where the node does not say which.
pub fn slice(node: &Node, inputs: &[Option<Rc<Constant>>]) -> Outcome<Tensor> {
    let list = |index: usize, name: &str| -> Outcome<Option<Vec<i64>>> {
        match (node.integers(name)?, inputs.get(index)) {
            (Some(values), _) => Ok(Some(values.to_vec())),
            (None, Some(Some(constant))) => Ok(Some(integers(&constant.tensor)?.to_vec())),
            _ => Ok(None),
        }
    };
    let (Some(Some(data)), Some(starts), Some(ends)) =
        (inputs.first(), list(1, "starts")?, list(2, "ends")?)
    else {
        return invalid("has no starts or ends");
    };
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    if axes.len() != starts.len()
        || axes.len() != ends.len()
        || axes.len() != steps.len()
        || axes.len() > data.tensor.shape.len()
    {
        return invalid("starts, ends, axes and steps of different lengths or too many");
    }
    let mut part = data.tensor.clone();
    for (((&axis, &start), &end), &step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
        let axis = axis_of(axis, part.shape.len())?;
        let chosen = indices(start, end, step, part.shape[axis] as i64)?;
        let chosen = Tensor::integers(vec![chosen.len()], chosen);
        part = gather(&part, &chosen, axis as i64)?;
    }
    Ok(part)
}

/// Returns the indices from `start` up or down to `end`, which is left out, along an axis of
/// `size`.
fn indices(start: i64, end: i64, step: i64, size: i64) -> Outcome<Vec<i64>> {
    let place = |index: i64, least: i64, most: i64| {
        let from_start = if index < 0 {
            index.saturating_add(size)
        } else {
            index
        };
        from_start.clamp(least, most)
    };
    let (start, end) = match step {
        0 => return invalid("a step of zero"),
        1.. => (place(start, 0, size), place(end, 0, size)),
        _ => (place(start, -1, size - 1), place(end, -1, size - 1)),
    };
    let is_before = |index: i64| if step > 0 { index < end } else { index > end };
    let next = |&index: &i64| index.checked_add(step).filter(|&index| is_before(index));
    Ok(std::iter::successors(Some(start).filter(|&index| is_before(index)), next).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        Tensor::floats(
            shape.to_vec(),
            (0..count).map(|value| value as f32).collect(),
        )
    }

    #[test]
    fn shapes_follow_onnx() {
        let sizes = Sizes(&[2, 3, 4]);
        assert_eq!(sizes.reshaped(&[0, -1], false).unwrap(), [2, 12]);
        assert!(sizes.reshaped(&[-1, -1], false).is_err());
        assert!(sizes.reshaped(&[5, -1], false).is_err());
        assert!(sizes.reshaped(&[-2, 12], false).is_err());
        assert!(sizes.reshaped(&[0, -1], true).is_err());
        assert_eq!(sizes.flattened(-1).unwrap(), [6, 4]);
        assert!(sizes.flattened(4).is_err());
        assert_eq!(Sizes(&[1, 3, 1]).squeezed(Some(&[-1])).unwrap(), [1, 3]);
        assert!(sizes.squeezed(Some(&[0])).is_err());
        assert_eq!(sizes.unsqueezed(&[0, -1]).unwrap(), [1, 2, 3, 4, 1]);
        assert!(sizes.unsqueezed(&[1, 1]).is_err());
    }

    #[test]
    fn slices_count_up_and_down() {
        for (start, end, step, expected) in [
            (0, i64::MAX, 1, &[0, 1, 2, 3][..]),
            (-1, i64::MIN, -1, &[3, 2, 1, 0]),
            (3, 0, -2, &[3, 1]),
            (1, -1, 1, &[1, 2]),
            (9, 2, -1, &[3]),
            (0, 4, 3, &[0, 3]),
            (2, 2, 1, &[]),
        ] {
            assert_eq!(
                indices(start, end, step, 4).unwrap(),
                expected,
                "{start} {end} {step}"
            );
        }
        assert!(indices(0, 4, 0, 4).is_err());
        assert!(
            indices(0, 4, 1, 0).unwrap().is_empty() && indices(-1, -9, -1, 0).unwrap().is_empty()
        );
    }

    #[test]
    fn elements_move_as_in_numpy() {
        let turned = transpose(&Constant::new(counting(&[2, 3])), None)
            .unwrap()
            .tensor;
        assert_eq!(
            turned,
            Tensor::floats(vec![3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0])
        );
        let picked = gather(
            &counting(&[2, 3]),
            &Tensor::integers(vec![2], vec![2, -3]),
            1,
        );
        assert_eq!(
            picked.unwrap(),
            Tensor::floats(vec![2, 2], vec![2.0, 0.0, 5.0, 3.0])
        );
        let (left, right) = (counting(&[2, 1]), counting(&[2, 2]));
        let joined = concat(&[&left, &right], 1).unwrap();
        assert_eq!(
            joined,
            Tensor::floats(vec![2, 3], vec![0.0, 0.0, 1.0, 1.0, 2.0, 3.0])
        );
        assert!(concat(&[&left, &right], 0).is_err());
        assert!(gather(&left, &Tensor::integers(vec![], vec![7]), 0).is_err());
    }
}

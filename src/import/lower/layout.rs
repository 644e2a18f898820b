//! How the axes that a file speaks of lie in the elements that a layer makes.
//!
//! Reshaping and transposing move nothing here: they change this view, and the next dense layer
//! takes its columns in the order that the view gives.

use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::tensor::element_count;

/// Axes without the batch, each a list of loops over the stored elements, outermost first.
///
/// Together the loops visit every stored element once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AxisLayout {
    axes: Vec<Vec<Loop>>,
}

/// A loop of more than one step over stored elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Loop {
    size: usize,
    stride: usize,
}

impl AxisLayout {
    /// Returns the layout of a value that is stored as it is shaped.
    pub fn plain(shape: &[usize]) -> Self {
        let mut stride = 1;
        let mut axes: Vec<Vec<Loop>> = Vec::new();
        for &size in shape.iter().rev() {
            let axis = Loop { size, stride };
            axes.push(if size == 1 { vec![] } else { vec![axis] });
            stride *= size;
        }
        axes.reverse();
        Self { axes }
    }

    /// Returns the sizes of the axes.
    pub fn shape(&self) -> Vec<usize> {
        let size = |axis: &Vec<Loop>| axis.iter().map(|step| step.size).product();
        self.axes.iter().map(size).collect()
    }

    /// Returns the number of elements.
    pub fn count(&self) -> usize {
        self.shape().iter().product()
    }

    /// Returns the loops of all axes, those that continue each other as one.
    fn loops(&self) -> Vec<Loop> {
        let mut merged: Vec<Loop> = Vec::new();
        for &inner in self.axes.iter().flatten() {
            match merged.last_mut() {
                Some(outer) if outer.stride == inner.size * inner.stride => {
                    outer.size *= inner.size;
                    outer.stride = inner.stride;
                }
                _ => merged.push(inner),
            }
        }
        merged
    }

    /// Returns whether the elements are stored in the order of the axes.
    pub fn is_plain(&self) -> bool {
        let loops = self.loops();
        loops.is_empty() || (loops.len() == 1 && loops[0].stride == 1)
    }

    /// Returns the same elements in the same order as another shape.
    ///
    /// # Errors
    ///
    /// A sentence where the shape has another number of elements, or cuts across axes that lie
    /// apart.
    pub fn reshape(&self, shape: &[usize]) -> Outcome<Self> {
        if element_count(shape)? != self.count() {
            return invalid(format!(
                "shape {:?} does not become {shape:?}",
                self.shape()
            ));
        }
        let mut loops = self.loops().into_iter();
        let mut rest: Option<Loop> = None;
        let mut axes = Vec::with_capacity(shape.len());
        for &size in shape {
            let mut axis = Vec::new();
            let mut wanted = size;
            while wanted > 1 {
                let Some(next) = rest.take().or_else(|| loops.next()) else {
                    return invalid(format!(
                        "shape {:?} does not become {shape:?}",
                        self.shape()
                    ));
                };
                if wanted % next.size == 0 {
                    wanted /= next.size;
                    axis.push(next);
                } else if next.size % wanted == 0 {
                    let inner = next.size / wanted;
                    let stride = next.stride;
                    axis.push(Loop {
                        size: wanted,
                        stride: stride * inner,
                    });
                    rest = Some(Loop {
                        size: inner,
                        stride,
                    });
                    wanted = 1;
                } else {
                    return unsupported("a reshape across transposed axes");
                }
            }
            axes.push(axis);
        }
        Ok(Self { axes })
    }

    /// Returns the axes in another order.
    ///
    /// # Errors
    ///
    /// A sentence where `order` does not name every axis once.
    pub fn transpose(&self, order: &[usize]) -> Outcome<Self> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if sorted != (0..self.axes.len()).collect::<Vec<_>>() {
            return invalid(format!("{order:?} is no order of {} axes", self.axes.len()));
        }
        let axes = order.iter().map(|&axis| self.axes[axis].clone()).collect();
        Ok(Self { axes })
    }

    /// Returns the view of an image whose channels are the last axis with the channels first; `None`
    /// of what is no image.
    pub fn channels_first(&self) -> Option<Self> {
        self.transpose(&[2, 0, 1]).ok()
    }

    /// Returns the index along an axis of a stored element.
    pub fn index(&self, axis: usize, element: usize) -> usize {
        let step =
            |index: usize, step: &Loop| index * step.size + element / step.stride % step.size;
        self.axes[axis].iter().fold(0, step)
    }

    /// Returns whether the index along an axis is the same for stored elements that lie within
    /// one run of `run` elements.
    pub fn is_constant_within(&self, axis: usize, run: usize) -> bool {
        self.axes[axis]
            .iter()
            .all(|step| step.stride.is_multiple_of(run))
    }

    /// Returns the stored place of each element in the order of the axes; `None` where that is
    /// the same.
    pub fn order(&self) -> Option<Vec<u32>> {
        if self.is_plain() {
            return None;
        }
        let mut places = vec![0u32];
        for step in self.loops() {
            places = places
                .iter()
                .flat_map(|&start| (0..step.size).map(move |i| start + (i * step.stride) as u32))
                .collect();
        }
        Some(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshapes_of_stored_order_stay_plain() {
        let layout = AxisLayout::plain(&[6, 4, 1]);
        let other = layout.reshape(&[8, 3]).unwrap();
        assert_eq!(other.shape(), [8, 3]);
        assert!(other.is_plain() && other.order().is_none());
        assert!(layout.reshape(&[5, 5]).is_err());
        assert!(layout.reshape(&[1 << 40, 1 << 40]).is_err());
    }

    #[test]
    fn transposing_and_flattening_gives_the_order_of_elements() {
        // [2 channels, 2 rows, 3 columns] to rows, columns, channels.
        let layout = AxisLayout::plain(&[2, 2, 3]).transpose(&[1, 2, 0]).unwrap();
        assert_eq!(layout.shape(), [2, 3, 2]);
        let flat = layout.reshape(&[12]).unwrap();
        let order = flat.order().unwrap();
        assert_eq!(order, [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
        for (index, &place) in order.iter().enumerate() {
            assert_eq!(flat.index(0, place as usize), index);
        }
        let back = flat
            .reshape(&[2, 3, 2])
            .unwrap()
            .transpose(&[2, 0, 1])
            .unwrap();
        assert!(back.is_plain());
        assert!(layout.reshape(&[4, 3]).is_err());
        assert!(layout.transpose(&[0, 0, 1]).is_err());
    }

    #[test]
    fn channels_are_constant_within_an_image() {
        let layout = AxisLayout::plain(&[2, 2, 3]);
        assert!(layout.is_constant_within(0, 6) && !layout.is_constant_within(1, 6));
        assert_eq!((layout.index(0, 7), layout.index(2, 7)), (1, 1));
    }

    #[test]
    fn channels_that_are_last_come_first() {
        // Two rows of three columns of two channels: the first channel has the even elements.
        let first = AxisLayout::plain(&[2, 3, 2]).channels_first().unwrap();
        assert_eq!(first.shape(), [2, 2, 3]);
        let order = first.order().unwrap();
        assert_eq!(order, [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]);
        assert!(AxisLayout::plain(&[2, 3]).channels_first().is_none());
    }

    #[test]
    fn axes_of_one_element_move_nothing() {
        let moved = AxisLayout::plain(&[4, 1, 3]).transpose(&[1, 0, 2]).unwrap();
        assert_eq!((moved.shape(), moved.is_plain()), (vec![1, 4, 3], true));
        let single = AxisLayout::plain(&[1, 1]);
        assert_eq!((single.count(), single.order()), (1, None));
        assert_eq!(single.reshape(&[]).unwrap().shape(), [0usize; 0]);
    }
}

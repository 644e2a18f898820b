//! Where the windows of convolutions and pools lie.

use super::constants::arrange::axis_of;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::Node;

/// The windows of a convolution or pool over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub stride: [usize; 2],
    /// Top, left, bottom, right, with what `ceil_mode` adds.
    pub padding: [usize; 4],
    /// What `ceil_mode` adds at the bottom and the right.
    pub excess: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
}

/// The largest stride, kernel or padding.
const MOST: usize = 1 << 16;

impl Windows {
    /// Returns the windows of a node whose kernel is known, over an image of this size, or over its rows
    /// alone.
    ///
    /// # Errors
    ///
    /// A sentence where no window fits, or its settings are odd.
    pub fn of(node: &Node, kernel: &[usize], size: &[usize]) -> Outcome<Self> {
        let mut windows = Self {
            stride: [1; 2],
            padding: [0; 4],
            excess: [0; 2],
            output: [1; 2],
        };
        for (axis, span) in spans(node, kernel, size)?.into_iter().enumerate() {
            windows.stride[axis] = span.stride;
            windows.padding[axis] = span.before;
            windows.padding[axis + 2] = span.after;
            windows.excess[axis] = span.excess;
            windows.output[axis] = span.output;
        }
        Ok(windows)
    }

    /// Takes a border, around which the windows were laid, as padding: top, left, bottom, right.
    ///
    /// # Errors
    ///
    /// A sentence where it is far wider than the kernel.
    pub fn widen(&mut self, border: [usize; 4], kernel: [usize; 2]) -> Outcome<()> {
        for (side, &width) in border.iter().enumerate() {
            if width > 2 * kernel[side % 2] {
                return unsupported(format!(
                    "a border of {border:?} around a kernel of {kernel:?}"
                ));
            }
            self.padding[side] += width;
        }
        Ok(())
    }
}

/// The windows along one axis of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Of the value.
    pub size: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Elements from one tap to the next.
    pub dilation: usize,
    /// Padding before and after, with what `ceil_mode` adds.
    pub before: usize,
    pub after: usize,
    /// What `ceil_mode` adds.
    pub excess: usize,
    /// Windows.
    pub output: usize,
}

impl Span {
    /// Returns the element that a tap of a window reads, `None` of padding.
    pub fn element(&self, window: usize, tap: usize) -> Option<usize> {
        let place = (window * self.stride + tap * self.dilation).checked_sub(self.before)?;
        (place < self.size).then_some(place)
    }

    /// Returns whether a tap counts where padding does: what `ceil_mode` adds never does.
    pub fn counts(&self, window: usize, tap: usize) -> bool {
        let end = self.before + self.size + self.after - self.excess;
        window * self.stride + tap * self.dilation < end
    }

    /// Returns the element that a tap of a transposed convolution adds to an output, if there is one.
    pub fn source(&self, output: usize, tap: usize) -> Option<usize> {
        let place = (output + self.before).checked_sub(tap * self.dilation)?;
        let is_hit = place.is_multiple_of(self.stride) && place / self.stride < self.size;
        is_hit.then_some(place / self.stride)
    }
}

/// Returns whether a node leaves out elements between the taps of a window.
///
/// # Errors
///
/// A sentence where the setting is no list of integers.
pub fn is_dilated(node: &Node) -> Outcome<bool> {
    let dilations = node.integers("dilations")?;
    Ok(dilations.is_some_and(|dilations| dilations.iter().any(|&dilation| dilation != 1)))
}

/// Returns the windows of a node along each of its axes.
///
/// # Errors
///
/// A sentence where no window fits, or its settings are odd.
pub fn spans(node: &Node, kernel: &[usize], size: &[usize]) -> Outcome<Vec<Span>> {
    let axes = size.len();
    if kernel.len() != axes {
        return invalid(format!("a kernel of {kernel:?} for {axes} axes"));
    }
    let steps = |name: &str| -> Outcome<Vec<usize>> {
        match list(node, name, axes)? {
            None => Ok(vec![1; axes]),
            Some(steps) if steps.contains(&0) => invalid(format!("{name} of {steps:?}")),
            Some(steps) => Ok(steps),
        }
    };
    let (strides, dilations) = (steps("strides")?, steps("dilations")?);
    if kernel.contains(&0) {
        return invalid(format!("a kernel of {kernel:?}"));
    }
    let rounds_up = node.integer("ceil_mode", 0)? != 0;
    let pads = list(node, "pads", 2 * axes)?;
    let auto_pad = node.text("auto_pad", "NOTSET")?;
    let along = |axis: usize| -> Outcome<Span> {
        let reach = (kernel[axis] - 1) * dilations[axis] + 1;
        let axis_sizes = [size[axis], reach, strides[axis]];
        let [before, after] = match auto_pad {
            "NOTSET" | "" => pads
                .as_ref()
                .map_or([0, 0], |pads| [pads[axis], pads[axis + axes]]),
            "VALID" => [0, 0],
            "SAME_UPPER" => same_padding(axis_sizes),
            "SAME_LOWER" => {
                let [small, large] = same_padding(axis_sizes);
                [large, small]
            }
            _ => return invalid("an auto_pad that ONNX does not know"),
        };
        let Axis { output, excess } = Axis::of(axis_sizes, [before, after], rounds_up)?;
        Ok(Span {
            size: size[axis],
            kernel: kernel[axis],
            stride: strides[axis],
            dilation: dilations[axis],
            before,
            after: after + excess,
            excess,
            output,
        })
    };
    (0..axes).map(along).collect()
}

/// How many windows lie along one axis.
struct Axis {
    output: usize,
    excess: usize,
}

impl Axis {
    fn of([size, kernel, stride]: [usize; 3], pads: [usize; 2], rounds_up: bool) -> Outcome<Self> {
        let padded = size + pads[0] + pads[1];
        if pads.iter().any(|&pad| pad > 2 * kernel) {
            return unsupported(format!("padding of {pads:?} around a kernel of {kernel}"));
        }
        let steps = match padded.checked_sub(kernel) {
            Some(room) if rounds_up => room.div_ceil(stride),
            Some(room) => room / stride,
            // Less than a stride is missing, which is rounded up to one window.
            None if rounds_up && kernel - padded < stride => 0,
            None => return invalid(format!("a kernel of {kernel} on {padded} rows or columns")),
        };
        let mut output = steps + 1;
        // The last window must start inside the image or the padding before it.
        if rounds_up && (output - 1) * stride >= size + pads[0] {
            output -= 1;
        }
        let excess = ((output - 1) * stride + kernel).saturating_sub(padded);
        Ok(Self { output, excess })
    }
}

/// Returns the padding that makes `size / stride` windows, rounded up; the larger half after.
fn same_padding([size, kernel, stride]: [usize; 3]) -> [usize; 2] {
    let output = size.div_ceil(stride);
    let total = ((output - 1) * stride + kernel).saturating_sub(size);
    [total / 2, total - total / 2]
}

/// Returns a list of sizes of a known length, where the file has it.
///
/// # Errors
///
/// A sentence where it is of another length or a number is odd.
pub fn list(node: &Node, name: &str, length: usize) -> Outcome<Option<Vec<usize>>> {
    let Some(values) = node.integers(name)? else {
        return Ok(None);
    };
    if values.len() != length {
        return unsupported(format!("{name} of {} numbers, not {length}", values.len()));
    }
    let size = |&value: &i64| match usize::try_from(value) {
        Ok(size) if size <= MOST => Ok(size),
        _ => invalid(format!("{name} of {values:?}")),
    };
    values.iter().map(size).collect::<Outcome<_>>().map(Some)
}

/// Returns whether these are the axes of an image's rows and columns: all but the batch and the
/// channels, at `channel`.
pub fn are_all_but(channel: usize, axes: &[i64]) -> bool {
    let places = axes.iter().map(|&axis| axis_of(axis, 4));
    let Ok(mut places) = places.collect::<Outcome<Vec<_>>>() else {
        return false;
    };
    places.sort_unstable();
    places
        .into_iter()
        .eq((1..4).filter(|&axis| axis != channel))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::onnx::fixture::{integer, integers, node, text};

    #[test]
    fn same_padding_puts_the_odd_row_after() {
        assert_eq!(same_padding([5, 2, 1]), [0, 1]);
        assert_eq!(same_padding([5, 3, 2]), [1, 1]);
        assert_eq!(same_padding([4, 1, 2]), [0, 0]);
    }

    #[test]
    fn rounding_up_adds_a_window_only_where_it_starts_inside() {
        let axis = Axis::of([5, 2, 2], [0, 0], true).unwrap();
        assert_eq!((axis.output, axis.excess), (3, 1));
        // The third window would start in the padding behind the image.
        let axis = Axis::of([4, 2, 2], [0, 1], true).unwrap();
        assert_eq!((axis.output, axis.excess), (2, 0));
        // A kernel that is larger than the image by less than a stride.
        let axis = Axis::of([2, 3, 2], [0, 0], true).unwrap();
        assert_eq!((axis.output, axis.excess), (1, 1));
        assert!(Axis::of([2, 4, 2], [0, 0], true).is_err());
        assert!(Axis::of([2, 3, 1], [0, 0], false).is_err());
        assert!(Axis::of([2, 3, 1], [0, 9], false).is_err());
    }

    #[test]
    fn windows_follow_from_the_settings_of_a_node() {
        let settings = [
            integers("strides", &[2, 2]),
            integers("pads", &[1, 1, 1, 1]),
        ];
        // Seven rows hold three windows of three, two apart; six columns hold two.
        let windows = Windows::of(&node("Conv", &settings), &[3, 3], &[5, 4]).unwrap();
        assert_eq!(windows.output, [3, 2]);
        assert_eq!((windows.padding, windows.excess), ([1; 4], [0, 0]));
        // One row and one column more than the four there are.
        for (auto_pad, padding) in [("SAME_UPPER", [0, 0, 1, 1]), ("SAME_LOWER", [1, 1, 0, 0])] {
            let node = node("Conv", &[text("auto_pad", auto_pad)]);
            let windows = Windows::of(&node, &[2, 2], &[4, 4]).unwrap();
            assert_eq!((windows.output, windows.padding), ([4, 4], padding));
        }
        let settings = [integers("strides", &[2, 2]), integer("ceil_mode", 1)];
        let windows = Windows::of(&node("MaxPool", &settings), &[2, 2], &[5, 5]).unwrap();
        assert_eq!((windows.output, windows.excess), ([3, 3], [1, 1]));
        assert_eq!(windows.padding, [0, 0, 1, 1]);
    }

    #[test]
    fn odd_settings_are_refused() {
        for setting in [
            integers("dilations", &[4, 1]),
            integers("dilations", &[0, 1]),
            integers("strides", &[0, 1]),
            integers("strides", &[1, 1, 1]),
            integers("pads", &[1, 1]),
            integers("pads", &[0, 0, 0, -1]),
            integers("pads", &[0, 0, 0, 1 << 17]),
            text("auto_pad", "SAME"),
        ] {
            let refused = Windows::of(
                &node("Conv", std::slice::from_ref(&setting)),
                &[2, 2],
                &[4, 4],
            );
            assert!(refused.is_err(), "{setting:?}");
        }
        assert!(Windows::of(&node("Conv", &[]), &[0, 2], &[4, 4]).is_err());
    }

    #[test]
    fn a_border_is_padding_unless_it_is_far_wider_than_the_kernel() {
        let mut windows = Windows::of(&node("Conv", &[]), &[1, 2], &[4, 4]).unwrap();
        windows.widen([2, 4, 0, 1], [1, 2]).unwrap();
        assert_eq!(windows.padding, [2, 4, 0, 1]);
        assert!(windows.widen([3, 0, 0, 0], [1, 2]).is_err());
    }

    #[test]
    fn axes_of_an_image_may_be_counted_from_either_end() {
        for (channel, axes, expected) in [
            (1, &[2, 3][..], true),
            (1, &[-1, -2], true),
            (3, &[2, 1], true),
            (3, &[2, 3], false),
            (1, &[2], false),
            (1, &[2, 3, 1], false),
            (1, &[2, 9], false),
        ] {
            assert_eq!(are_all_but(channel, axes), expected, "{channel} {axes:?}");
        }
    }
}

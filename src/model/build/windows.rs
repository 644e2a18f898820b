//! Layers whose outputs read windows of an image: what they give, and whether there is room for it.

use super::built::{Checked, MOST_ELEMENTS};
use crate::model::layer::Window;
use crate::model::room::Room;

/// A kernel that moves over an image, group of channels by group of channels.
pub(super) struct Windows {
    pub window: Window,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Divides both numbers of channels.
    pub groups: usize,
    /// Height, width of the image.
    pub size: [usize; 2],
    /// Height, width.
    pub kernel: [usize; 2],
}

impl Windows {
    /// Returns those of a pool.
    pub fn by_channel(
        window: Window,
        channels: usize,
        size: [usize; 2],
        kernel: [usize; 2],
    ) -> Self {
        Self {
            window,
            in_channels: channels,
            out_channels: channels,
            groups: channels,
            size,
            kernel,
        }
    }

    /// Returns the output height and width, and takes the room for them.
    ///
    /// # Errors
    ///
    /// A sentence where the kernel does not fit, or the output or the list of inputs of all windows
    /// has no place in memory.
    pub fn output(&self, room: &mut Room) -> Checked<[usize; 2]> {
        let Self {
            window,
            kernel,
            size,
            ..
        } = self;
        if kernel.contains(&0) {
            return Err("kernel must be at least 1 x 1".into());
        }
        let output = window.output_size(*size, *kernel).ok_or_else(|| {
            format!(
                "kernel {kernel:?} with stride {:?} and padding {:?} does not fit an image of \
                 {size:?}",
                window.stride, window.padding
            )
        })?;
        let left = self.room_after(output, *room).ok_or_else(|| {
            let channels = self.out_channels;
            format!("an output of {channels} x {output:?} is too large: lower padding or kernel")
        })?;
        *room = left;
        Ok(output)
    }

    /// Returns the room that an output leaves, or `None` where there is none for it.
    fn room_after(&self, output: [usize; 2], room: Room) -> Option<Room> {
        let product = |start: usize, factors: [usize; 2]| {
            start.checked_mul(factors[0])?.checked_mul(factors[1])
        };
        let elements = product(self.out_channels, output)?;
        let windows = product(self.groups, output)?;
        let taps = product(self.in_channels / self.groups, self.kernel)?;
        let room = room
            .after_elements(elements)?
            .after_windows(windows, taps)?;
        (elements <= MOST_ELEMENTS).then_some(room)
    }
}

/// Returns the sentence on a value that has no place in memory.
pub(super) fn no_room(shape: &[usize]) -> String {
    format!("shape {shape:?} is too large for the network's weights, with what comes before it")
}

/// Returns the channels, and height and width, of a value that must be an image.
///
/// # Errors
///
/// A sentence where it is none.
pub(super) fn image_shape(op: &str, shape: &[usize]) -> Checked<(usize, [usize; 2])> {
    match *shape {
        [channels, height, width] => Ok((channels, [height, width])),
        _ => Err(format!(
            "{op} needs [channels, height, width], but {shape:?} arrives"
        )),
    }
}

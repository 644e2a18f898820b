//! How much memory the layers of a model may take: counted from their shapes before any is taken.
//!
//! A layer's size follows from a few numbers of `model.json`, such as a padding. What a network needs
//! besides its weights hardly exceeds them, unless the network is small.

/// Bytes that any network may take besides its weights.
const FREE_BYTES: usize = 96 << 20;
/// Beyond them, bytes for each byte of the weights' file.
const MULTIPLE: usize = 4;

/// What an element of an output takes: bias, correction, range and index.
const ELEMENT_BYTES: usize = 20;
/// What an input of a window takes: its index.
const TAP_BYTES: usize = 4;
/// What a block of a linear map, or a window, takes besides.
const BLOCK_BYTES: usize = 128;

/// Bytes that layers may still take.
#[derive(Debug, Clone, Copy)]
pub struct Room(usize);

impl Room {
    /// Returns the room of a network with that many bytes of weights.
    pub fn of(weight_bytes: usize) -> Self {
        Self(FREE_BYTES.saturating_add(weight_bytes.saturating_mul(MULTIPLE)))
    }

    /// Returns the room that is left by outputs of so many elements, or `None` where there is none.
    pub fn after_elements(self, elements: usize) -> Option<Self> {
        self.0
            .checked_sub(elements.checked_mul(ELEMENT_BYTES)?)
            .map(Self)
    }

    /// Returns the room that is left by so many windows with so many inputs each, or `None` where
    /// there is none.
    pub fn after_windows(self, windows: usize, taps: usize) -> Option<Self> {
        let each = taps.checked_mul(TAP_BYTES)?.checked_add(BLOCK_BYTES)?;
        self.0.checked_sub(windows.checked_mul(each)?).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_left_until_it_is_taken() {
        let room = Room::of(0);
        assert!(room.after_elements(FREE_BYTES / ELEMENT_BYTES).is_some());
        assert!(
            room.after_elements(FREE_BYTES / ELEMENT_BYTES + 1)
                .is_none()
        );
        assert!(room.after_elements(usize::MAX / 2).is_none());
        let windows = FREE_BYTES / (BLOCK_BYTES + 9 * TAP_BYTES);
        let left = room.after_windows(windows, 9).expect("room");
        assert!(left.after_windows(1, 9).is_none());
        assert!(room.after_windows(2, usize::MAX / 4).is_none());
        let heavy = Room::of(1 << 20);
        assert!(heavy.after_windows(windows + 1000, 9).is_some());
    }
}

//! What a raw operation becomes once it is checked, and the bounds that all keep to.

use crate::model::layer::Operation;

/// The most elements of an input or a layer's output.
pub const MOST_ELEMENTS: usize = 1 << 22;
/// The most bits of a quantised activation.
pub(super) const MOST_BITS: u32 = 8;

/// Something checked, or a sentence on what is wrong with it.
pub(super) type Checked<T> = Result<T, String>;

/// What a raw operation becomes.
pub(super) struct Built {
    pub op: &'static str,
    pub shape: Vec<usize>,
    pub parameter_count: usize,
    pub operation: Operation,
}

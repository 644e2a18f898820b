//! What float32, in which the client computes, holds.

/// Returns whether float32 holds the number.
pub(super) fn is_positive_f32(value: f64) -> bool {
    value > 0.0 && (value as f32).is_normal()
}

//! Rectified linear unit.

/// Returns `max(0, x)`.
pub fn value(x: f64) -> f64 {
    x.max(0.0)
}

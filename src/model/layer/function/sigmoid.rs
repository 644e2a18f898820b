//! The logistic function.

/// Returns `1 / (1 + e^-x)`.
pub fn value(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

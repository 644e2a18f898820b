//! The hyperbolic tangent.

/// Returns `tanh(x)`.
pub fn value(x: f64) -> f64 {
    x.tanh()
}

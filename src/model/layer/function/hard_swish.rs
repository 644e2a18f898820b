//! Hard swish (Howard et al., *Searching for MobileNetV3*, ICCV 2019, section 5.2).

/// Returns `x · max(0, min(1, x / 6 + 1/2))`.
pub fn value(x: f64) -> f64 {
    x * (x / 6.0 + 0.5).clamp(0.0, 1.0)
}

//! The softplus, a rectified linear unit without a bend.

/// Returns `log(1 + e^x)`, of large numbers too.
pub fn value(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_from_zero_it_is_a_line() {
        assert_eq!(value(1e6), 1e6);
        assert_eq!(value(-1e6), 0.0);
        assert!((value(1.0) - (1.0 + std::f64::consts::E).ln()).abs() < 1e-15);
    }
}

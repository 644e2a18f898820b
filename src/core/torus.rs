//! The torus: 64-bit integers as fractions of a turn.

/// A turn, in units of the least bit.
pub const TURN: f64 = 18_446_744_073_709_551_616.0;

/// Returns the torus element of a fraction of a turn, modulo one turn.
pub fn torus(fraction: f64) -> u64 {
    ((fraction - fraction.round()) * TURN) as i64 as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_wrap_to_the_torus() {
        assert_eq!(torus(0.25), 1 << 62);
        assert_eq!(torus(-0.25), 3 << 62);
        assert_eq!(torus(1.25), 1 << 62);
        assert_eq!(torus(0.0), 0);
    }
}

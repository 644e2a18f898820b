//! The torus: 64-bit integers as fractions of a turn.

/// A turn, in units of the least bit.
pub const TURN: f64 = 18_446_744_073_709_551_616.0;

/// Returns the torus element of a fraction of a turn, modulo one turn.
pub fn torus(fraction: f64) -> u64 {
    ((fraction - fraction.round()) * TURN) as i64 as u64
}

/// Returns the low and the high half of high · 2^32 + low, both signed.
#[inline(always)]
pub fn halves(value: u64) -> (i32, i32) {
    (value as i32, (value.wrapping_add(1 << 31) >> 32) as i32)
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

    #[test]
    fn halves_make_the_whole() {
        for value in [
            0,
            1,
            1 << 31,
            (1 << 31) - 1,
            1 << 63,
            (1 << 63) + (1 << 31),
            u64::MAX,
        ] {
            let (low, high) = halves(value);
            let whole = ((high as u64) << 32).wrapping_add(low as u64);
            assert_eq!(whole, value);
        }
    }
}

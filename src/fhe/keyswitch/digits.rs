//! The signed digits of a mask: tfhe's balanced decomposition, a level at a time.

use crate::core::simd::{self, Task};

/// Digits of absolute value at most B/2.
#[derive(Debug, Clone, Copy)]
pub struct Decomposition {
    /// log2 B, at most 7.
    pub base_log: usize,
    pub levels: usize,
}

impl Decomposition {
    /// Returns the digits of a mask, `[levels, k·N]`, the lowest level first.
    pub fn digits(self, mask: &[u64]) -> Vec<i8> {
        simd::run(Digits { of: self, mask })
    }
}

struct Digits<'a> {
    of: Decomposition,
    mask: &'a [u64],
}

impl Task for Digits<'_> {
    type Output = Vec<i8>;

    #[inline(always)]
    fn run(self) -> Vec<i8> {
        let Decomposition { base_log, levels } = self.of;
        let kept = base_log * levels;
        let (half_unit, unit_log) = (1 << (63 - kept), 64 - kept);
        let mut numbers = vec![0i64; self.mask.len()];
        for (number, &element) in numbers.iter_mut().zip(self.mask) {
            let units = (element.wrapping_add(half_unit) as i64) >> unit_log;
            // Half a turn is rounded to either of its two signs, the one that it did not come from.
            let from_above = element >> (unit_log - 1) == 1 << kept;
            *number = if from_above { -units } else { units };
        }
        let mut digits = vec![0; levels * numbers.len()];
        let (last, lower) = (levels - 1, digits.chunks_exact_mut(self.mask.len().max(1)));
        for (level, digits) in lower.enumerate() {
            for (digit, number) in digits.iter_mut().zip(&mut numbers) {
                *digit = if level == last {
                    *number as i8
                } else {
                    next_digit(number, base_log)
                };
            }
        }
        digits
    }
}

/// Takes the lowest digit off the number.
#[inline(always)]
fn next_digit(number: &mut i64, base_log: usize) -> i8 {
    let digit = *number & ((1 << base_log) - 1);
    let rest = *number >> base_log;
    // 1 where the digit is above B/2, or is B/2 and the rest is odd at its place.
    let carry = (((digit - 1) | rest) & digit) >> (base_log - 1);
    *number = rest + carry;
    (digit - (carry << base_log)) as i8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tfhe::core_crypto::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_are_those_of_tfhe(
            shape in prop::sample::select(vec![(2usize, 8usize), (3, 5), (4, 4), (1, 15), (7, 3), (5, 1)]),
            mut mask in prop::collection::vec(any::<u64>(), 1..40),
        ) {
            let (base_log, levels) = shape;
            // Ties: half a turn, and half a unit on both of its sides.
            let half_unit = 1u64 << (63 - base_log * levels);
            for offset in [0, 1, half_unit - 1, half_unit, half_unit + 1] {
                mask.extend([(1 << 63) + offset, (1 << 63) - offset, offset]);
            }
            let found = Decomposition { base_log, levels }.digits(&mask);
            let decomposer = SignedDecomposer::new(
                DecompositionBaseLog(base_log),
                DecompositionLevelCount(levels),
            );
            for (index, &element) in mask.iter().enumerate() {
                for (level, term) in decomposer.decompose(element).enumerate() {
                    prop_assert_eq!(
                        found[level * mask.len() + index], term.value() as i8,
                        "{} of {}", level, element
                    );
                }
            }
        }
    }
}

//! tfhe's balanced decomposition of torus elements into signed digits of absolute value at most B/2,
//! in registers, digits as doubles.
//!
//! Instructions without an arithmetic shift of words, or a conversion of words to doubles, do both
//! by a bias: a word below 2^52 under the exponent of 2^52 is the double 2^52 + word, from which
//! 2^52 and the bias are subtracted exactly.

use super::lanes::Lanes;

/// The most bits that all digits together may have.
pub const MOST_BITS: usize = 50;

/// The bits of the double 2^52.
const EXPONENT: u64 = 1075 << 52;

/// The constants of a decomposition, in all lanes.
pub struct Decomposition<I: Lanes<L>, const L: usize> {
    lanes: I,
    /// Half a unit, for rounding, and half a turn, so that no number is negative.
    offset: I::Word,
    unit_log: I::Word,
    half_unit_log: I::Word,
    half_turn: I::Word,
    turn: I::Word,
    exponent: I::Word,
    sign: I::Word,
    base_log: I::Word,
    carry_log: I::Word,
    digit_mask: I::Word,
    one: I::Word,
    base: I::Word,
    /// 2^52 and the bias of the last digit.
    bias: I::Float,
    smallest: f64,
}

impl<I: Lanes<L>, const L: usize> Decomposition<I, L> {
    /// Decomposes into so many levels of digits with so many bits.
    #[inline(always)]
    pub fn new(lanes: I, base_log: usize, levels: usize) -> Self {
        let kept = (base_log * levels) as u64;
        let base_log = base_log as u64;
        let bias = if levels == 1 { base_log - 1 } else { base_log };
        Self {
            lanes,
            offset: lanes.word((1 << (63 - kept)) + (1 << 63)),
            unit_log: lanes.word(64 - kept),
            half_unit_log: lanes.word(63 - kept),
            half_turn: lanes.word(1 << (kept - 1)),
            turn: lanes.word(1 << kept),
            exponent: lanes.word(EXPONENT),
            sign: lanes.word(1 << 63),
            base_log: lanes.word(base_log),
            carry_log: lanes.word(base_log - 1),
            digit_mask: lanes.word((1 << base_log) - 1),
            one: lanes.word(1),
            base: lanes.word(1 << base_log),
            bias: lanes.float(((1u64 << 52) + (1 << bias)) as f64),
            smallest: -((1u64 << (base_log - 1)) as f64),
        }
    }

    /// Returns the one digit of each element where there is one level. Half a turn is rounded to
    /// either of its two signs, the one that it did not come from; with `HALF_TURNS` unset, always
    /// to the negative one.
    #[inline(always)]
    pub fn only_digit<const HALF_TURNS: bool>(&self, torus: I::Word) -> I::Float {
        let lanes = self.lanes;
        let biased = lanes.shift_right(lanes.add_words(torus, self.offset), self.unit_log);
        let digit = self.last_digit(biased);
        if !HALF_TURNS {
            return digit;
        }
        let sign = lanes.and(self.is_half_turn(torus), self.sign);
        lanes.of_bits(lanes.xor(lanes.to_bits(digit), sign))
    }

    /// Returns whether one of the digits stands for half a turn, so that its sign is open.
    #[inline(always)]
    pub fn has_half_turn(&self, lowest: I::Float) -> bool {
        self.lanes.to_floats(lowest).contains(&self.smallest)
    }

    /// Returns the number of units of each element where there are several levels, of which
    /// [`Self::next_digit`] takes the lower digits, and [`Self::last_digit`] the highest.
    #[inline(always)]
    pub fn units(&self, torus: I::Word) -> I::Word {
        let lanes = self.lanes;
        let biased = lanes.shift_right(lanes.add_words(torus, self.offset), self.unit_log);
        let positive = lanes.and(self.is_half_turn(torus), self.turn);
        lanes.add_words(lanes.add_words(biased, self.half_turn), positive)
    }

    /// Takes the lowest digit off the number.
    #[inline(always)]
    pub fn next_digit(&self, number: &mut I::Word) -> I::Float {
        let lanes = self.lanes;
        let digit = lanes.and(*number, self.digit_mask);
        let rest = lanes.shift_right(*number, self.base_log);
        // 1 where the digit is above B/2, or is B/2 and the rest is odd at its place.
        let above = lanes.or(lanes.sub_words(digit, self.one), rest);
        let carry = lanes.shift_right(lanes.and(above, digit), self.carry_log);
        *number = lanes.add_words(rest, carry);
        let carried = lanes.shift_left(carry, self.base_log);
        self.last_digit(lanes.sub_words(lanes.add_words(digit, self.base), carried))
    }

    /// Returns what is left of the number.
    #[inline(always)]
    pub fn last_digit(&self, biased: I::Word) -> I::Float {
        let lanes = self.lanes;
        lanes.sub(lanes.of_bits(lanes.or(biased, self.exponent)), self.bias)
    }

    /// Returns all bits where the element is half a turn or less than half a unit above it.
    #[inline(always)]
    fn is_half_turn(&self, torus: I::Word) -> I::Word {
        let lanes = self.lanes;
        lanes.equal(lanes.shift_right(torus, self.half_unit_log), self.turn)
    }
}

#[cfg(test)]
mod tests {
    use tfhe::core_crypto::prelude::*;

    use super::super::lanes::Task;
    use super::super::lanes::fixture::on_all_lanes;
    use super::*;

    #[test]
    fn digits_are_those_of_tfhe() {
        for shape in [
            (23, 1),
            (1, 1),
            (50, 1),
            (15, 2),
            (7, 3),
            (2, 8),
            (25, 2),
            (1, 50),
        ] {
            on_all_lanes!(lanes => lanes.run(Check(shape)));
        }
    }

    /// Compares digits of that base and so many levels.
    struct Check((usize, usize));

    impl<I: Lanes<L>, const L: usize> Task<I, L> for Check {
        type Output = ();

        #[inline(always)]
        fn run(self, lanes: I) {
            let Self((base_log, levels)) = self;
            let half_unit = 1u64 << (63 - base_log * levels);
            let number = |index: u64| (index + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut elements: Vec<u64> = (0..512).map(number).collect();
            // Ties of the rounding, around each multiple of half a digit and around half a turn.
            for digit in 0..32 {
                let place = (digit << (63 - base_log)) as u64;
                for offset in [0, 1, half_unit - 1, half_unit, half_unit + 1] {
                    elements.extend([place.wrapping_add(offset), place.wrapping_sub(offset)]);
                    elements.extend([(1 << 63) + offset, (1u64 << 63) - offset]);
                }
            }
            let decomposition = Decomposition::new(lanes, base_log, levels);
            let theirs = SignedDecomposer::<u64>::new(
                DecompositionBaseLog(base_log),
                DecompositionLevelCount(levels),
            );
            for elements in elements.as_chunks::<L>().0 {
                let mut found = Vec::new();
                if levels == 1 {
                    let digit = decomposition.only_digit::<true>(lanes.words(elements));
                    found.push(lanes.to_floats(digit));
                } else {
                    let mut units = decomposition.units(lanes.words(elements));
                    for _ in 1..levels {
                        found.push(lanes.to_floats(decomposition.next_digit(&mut units)));
                    }
                    found.push(lanes.to_floats(decomposition.last_digit(units)));
                }
                for (lane, &element) in elements.iter().enumerate() {
                    let terms = theirs.decompose(element);
                    let expected: Vec<f64> = terms.map(|term| term.value() as i64 as f64).collect();
                    let found: Vec<f64> = found.iter().map(|digits| digits[lane]).collect();
                    assert_eq!(
                        found, expected,
                        "{element:#x} in {levels} digits of {base_log}"
                    );
                }
            }
        }
    }
}

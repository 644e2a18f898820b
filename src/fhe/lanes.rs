//! Registers of N doubles or N 64-bit words, and what is done with them: one trait, implemented for
//! every set of instructions that a look-up runs on.
//!
//! A value of an implementation is the proof that this CPU has its instructions: it is made by
//! [`Lanes::detect`] alone. Code that is generic over the trait is `#[inline(always)]` down from a
//! [`Task`], and has no closures around what it does with registers, so that all of it is compiled
//! for those instructions where [`Lanes::run`] enters them.
//!
//! The crate `pulp`, on which tfhe's transform runs, has such a trait too, but in it (0.22) neither shifts of
//! 64-bit lanes nor transpositions, of which digits and squares are made.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod dispatch;
#[cfg(test)]
pub mod fixture;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod scalar;

/// Writes one method for each line: an expression of intrinsics.
macro_rules! intrinsics {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty { $value:expr })*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) -> $result {
            // SAFETY: a value of this type exists only where the CPU has the instructions, and
            // registers and arrays are of one size, without padding or invalid values.
            unsafe { $value }
        }
    )*};
}
use intrinsics;

/// What is compiled for the instructions of each implementation.
pub trait Task<L: Lanes<N>, const N: usize> {
    /// What it returns.
    type Output;

    /// Does it. Implementations are `#[inline(always)]`.
    fn run(self, lanes: L) -> Self::Output;
}

/// Instructions on registers of N lanes.
pub trait Lanes<const N: usize>: Copy + Send + Sync + 'static {
    /// N doubles.
    type Float: Copy + Send + Sync;
    /// N words of 64 bits.
    type Word: Copy + Send + Sync;

    /// Returns the instructions where this CPU has them.
    fn detect() -> Option<Self>;

    /// Runs what is compiled for the instructions.
    fn run<T: Task<Self, N>>(self, task: T) -> T::Output;

    /// Returns a register of those numbers.
    fn floats(self, lanes: [f64; N]) -> Self::Float;

    /// Returns the numbers of a register.
    fn to_floats(self, register: Self::Float) -> [f64; N];

    /// Returns a number in all lanes.
    fn float(self, number: f64) -> Self::Float;

    /// Returns a register of those words.
    fn words(self, lanes: &[u64; N]) -> Self::Word;

    /// Writes the words of a register.
    fn store(self, lanes: &mut [u64; N], register: Self::Word);

    /// Returns a word in all lanes.
    fn word(self, number: u64) -> Self::Word;

    /// a + b.
    fn add(self, a: Self::Float, b: Self::Float) -> Self::Float;

    /// a - b.
    fn sub(self, a: Self::Float, b: Self::Float) -> Self::Float;

    /// a · b.
    fn mul(self, a: Self::Float, b: Self::Float) -> Self::Float;

    /// a · b + c.
    fn mul_add(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float;

    /// a · b - c.
    fn mul_sub(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float;

    /// c - a · b.
    fn sub_mul(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float;

    /// The smaller of both.
    fn min(self, a: Self::Float, b: Self::Float) -> Self::Float;

    /// The nearest integers, of numbers below 2^51.
    fn round(self, a: Self::Float) -> Self::Float;

    /// The bits of the doubles.
    fn to_bits(self, a: Self::Float) -> Self::Word;

    /// The doubles of the bits.
    fn of_bits(self, a: Self::Word) -> Self::Float;

    /// a + b modulo 2^64.
    fn add_words(self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// a - b modulo 2^64.
    fn sub_words(self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// Bits of both.
    fn and(self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// Bits of either.
    fn or(self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// Bits of one alone.
    fn xor(self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// Shifts each word right by its count below 64, zeros in from above.
    fn shift_right(self, a: Self::Word, counts: Self::Word) -> Self::Word;

    /// Shifts each word left by its count below 64.
    fn shift_left(self, a: Self::Word, counts: Self::Word) -> Self::Word;

    /// All bits where the words are equal, else none.
    fn equal(self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// Exchanges the rows and columns of a square.
    fn transpose(self, rows: [Self::Float; N]) -> [Self::Float; N];
}

#[cfg(test)]
mod tests {
    use super::fixture::on_all_lanes;
    use super::*;

    #[test]
    fn operations_are_those_of_single_numbers() {
        on_all_lanes!(lanes => lanes.run(Operations));
    }

    struct Operations;

    impl<L: Lanes<N>, const N: usize> Task<L, N> for Operations {
        type Output = ();

        #[inline(always)]
        fn run(self, lanes: L) {
            let numbers = |factor: f64| std::array::from_fn(|lane| factor * (lane as f64 - 1.75));
            let [a, b, c]: [[f64; N]; 3] = [numbers(1.5), numbers(-3.25), numbers(1e3)];
            let [ra, rb, rc] = [a, b, c].map(|numbers| lanes.floats(numbers));
            let floats = |register, expected: fn(f64, f64, f64) -> f64| {
                let expected = std::array::from_fn(|lane| expected(a[lane], b[lane], c[lane]));
                assert_eq!(lanes.to_floats(register), expected);
            };
            floats(ra, |a, _, _| a);
            floats(lanes.float(2.5), |_, _, _| 2.5);
            floats(lanes.add(ra, rb), |a, b, _| a + b);
            floats(lanes.sub(ra, rb), |a, b, _| a - b);
            floats(lanes.mul(ra, rb), |a, b, _| a * b);
            floats(lanes.mul_add(ra, rb, rc), |a, b, c| a * b + c);
            floats(lanes.mul_sub(ra, rb, rc), |a, b, c| a * b - c);
            floats(lanes.sub_mul(ra, rb, rc), |a, b, c| c - a * b);
            floats(lanes.min(ra, rb), |a, b, _| a.min(b));
            floats(lanes.round(rb), |_, b, _| b.round_ties_even());
            floats(lanes.of_bits(lanes.to_bits(ra)), |a, _, _| a);

            let number = |lane: usize| (lane as u64 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let x: [u64; N] = std::array::from_fn(number);
            let y: [u64; N] = std::array::from_fn(|lane| number(lane * lane + 1));
            let counts: [u64; N] = std::array::from_fn(|lane| 9 * lane as u64);
            let (rx, ry, rcounts) = (lanes.words(&x), lanes.words(&y), lanes.words(&counts));
            let words = |register, expected: fn(u64, u64, u64) -> u64| {
                let mut found = [0; N];
                lanes.store(&mut found, register);
                let expected = std::array::from_fn(|lane| expected(x[lane], y[lane], counts[lane]));
                assert_eq!(found, expected);
            };
            words(lanes.word(77), |_, _, _| 77);
            words(lanes.add_words(rx, ry), |x, y, _| x.wrapping_add(y));
            words(lanes.sub_words(rx, ry), |x, y, _| x.wrapping_sub(y));
            words(lanes.and(rx, ry), |x, y, _| x & y);
            words(lanes.or(rx, ry), |x, y, _| x | y);
            words(lanes.xor(rx, ry), |x, y, _| x ^ y);
            words(lanes.shift_right(rx, rcounts), |x, _, count| x >> count);
            words(lanes.shift_left(rx, rcounts), |x, _, count| x << count);
            words(
                lanes.equal(rx, ry),
                |x, y, _| if x == y { u64::MAX } else { 0 },
            );
            words(lanes.to_bits(lanes.float(1.0)), |_, _, _| 1f64.to_bits());

            let square: [[f64; N]; N] =
                std::array::from_fn(|row| std::array::from_fn(|column| (row * N + column) as f64));
            let transposed = lanes.transpose(square.map(|row| lanes.floats(row)));
            for (column, register) in transposed.into_iter().enumerate() {
                let expected = std::array::from_fn(|row| square[row][column]);
                assert_eq!(lanes.to_floats(register), expected);
            }
        }
    }
}

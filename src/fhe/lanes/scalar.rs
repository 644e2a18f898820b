//! Four lanes as plain arrays, for any CPU: the compiler makes of them what the target has.

use super::{Lanes, Task};

/// Needs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Scalar(());

/// Adding and taking off 1.5 · 2^52 leaves no bits for a fraction: rounds numbers below 2^51.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// Writes one lane-wise method for each line.
macro_rules! lane_wise {
    ($($name:ident($($argument:ident),*): $number:ty => $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: [$number; 4]),*) -> [$number; 4] {
            let mut result = [<$number>::default(); 4];
            for lane in 0..4 {
                $(let $argument = $argument[lane];)*
                result[lane] = $value;
            }
            result
        }
    )*};
}

impl Lanes<4> for Scalar {
    type Float = [f64; 4];
    type Word = [u64; 4];

    fn detect() -> Option<Self> {
        Some(Self(()))
    }

    fn run<T: Task<Self, 4>>(self, task: T) -> T::Output {
        task.run(self)
    }

    // A fused multiplication is a call where the target has none.
    lane_wise! {
        floats(a): f64 => a;
        to_floats(a): f64 => a;
        add(a, b): f64 => a + b;
        sub(a, b): f64 => a - b;
        mul(a, b): f64 => a * b;
        mul_add(a, b, c): f64 => a * b + c;
        mul_sub(a, b, c): f64 => a * b - c;
        sub_mul(a, b, c): f64 => c - a * b;
        min(a, b): f64 => if a < b { a } else { b };
        round(a): f64 => (a + ROUNDING) - ROUNDING;
        add_words(a, b): u64 => a.wrapping_add(b);
        sub_words(a, b): u64 => a.wrapping_sub(b);
        and(a, b): u64 => a & b;
        or(a, b): u64 => a | b;
        xor(a, b): u64 => a ^ b;
        shift_right(a, count): u64 => a >> (count & 63);
        shift_left(a, count): u64 => a << (count & 63);
        equal(a, b): u64 => if a == b { u64::MAX } else { 0 };
    }

    #[inline(always)]
    fn float(self, number: f64) -> [f64; 4] {
        [number; 4]
    }

    #[inline(always)]
    fn words(self, lanes: &[u64; 4]) -> [u64; 4] {
        *lanes
    }

    #[inline(always)]
    fn store(self, lanes: &mut [u64; 4], register: [u64; 4]) {
        *lanes = register;
    }

    #[inline(always)]
    fn word(self, number: u64) -> [u64; 4] {
        [number; 4]
    }

    #[inline(always)]
    fn to_bits(self, a: [f64; 4]) -> [u64; 4] {
        a.map(f64::to_bits)
    }

    #[inline(always)]
    fn of_bits(self, a: [u64; 4]) -> [f64; 4] {
        a.map(f64::from_bits)
    }

    #[inline(always)]
    fn transpose(self, [a, b, c, d]: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
        [
            [a[0], b[0], c[0], d[0]],
            [a[1], b[1], c[1], d[1]],
            [a[2], b[2], c[2], d[2]],
            [a[3], b[3], c[3], d[3]],
        ]
    }
}

//! Four lanes on NEON: pairs of registers of two.

use std::arch::aarch64::*;
use std::mem::transmute;

use super::{Lanes, Task, intrinsics};

/// The proof that this CPU has NEON, which every CPU of the architecture has.
#[derive(Debug, Clone, Copy)]
pub struct Neon(());

impl Lanes<4> for Neon {
    type Float = [float64x2_t; 2];
    type Word = [uint64x2_t; 2];

    fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    #[inline]
    fn run<T: Task<Self, 4>>(self, task: T) -> T::Output {
        task.run(self)
    }

    intrinsics! {
        floats(lanes: [f64; 4]) -> Self::Float { transmute::<[f64; 4], Self::Float>(lanes) }
        to_floats(register: Self::Float) -> [f64; 4] {
            transmute::<Self::Float, [f64; 4]>(register)
        }
        float(number: f64) -> Self::Float { [vdupq_n_f64(number); 2] }
        words(lanes: &[u64; 4]) -> Self::Word { transmute::<[u64; 4], Self::Word>(*lanes) }
        store(lanes: &mut [u64; 4], register: Self::Word) -> () {
            *lanes = transmute::<Self::Word, [u64; 4]>(register)
        }
        word(number: u64) -> Self::Word { [vdupq_n_u64(number); 2] }
        add(a: Self::Float, b: Self::Float) -> Self::Float {
            [vaddq_f64(a[0], b[0]), vaddq_f64(a[1], b[1])]
        }
        sub(a: Self::Float, b: Self::Float) -> Self::Float {
            [vsubq_f64(a[0], b[0]), vsubq_f64(a[1], b[1])]
        }
        mul(a: Self::Float, b: Self::Float) -> Self::Float {
            [vmulq_f64(a[0], b[0]), vmulq_f64(a[1], b[1])]
        }
        mul_add(a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float {
            [vfmaq_f64(c[0], a[0], b[0]), vfmaq_f64(c[1], a[1], b[1])]
        }
        mul_sub(a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float {
            // -(c - a · b), which NEON has in one step but for the sign.
            [
                vnegq_f64(vfmsq_f64(c[0], a[0], b[0])),
                vnegq_f64(vfmsq_f64(c[1], a[1], b[1])),
            ]
        }
        sub_mul(a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float {
            [vfmsq_f64(c[0], a[0], b[0]), vfmsq_f64(c[1], a[1], b[1])]
        }
        min(a: Self::Float, b: Self::Float) -> Self::Float {
            [vminq_f64(a[0], b[0]), vminq_f64(a[1], b[1])]
        }
        round(a: Self::Float) -> Self::Float { [vrndnq_f64(a[0]), vrndnq_f64(a[1])] }
        to_bits(a: Self::Float) -> Self::Word {
            [vreinterpretq_u64_f64(a[0]), vreinterpretq_u64_f64(a[1])]
        }
        of_bits(a: Self::Word) -> Self::Float {
            [vreinterpretq_f64_u64(a[0]), vreinterpretq_f64_u64(a[1])]
        }
        add_words(a: Self::Word, b: Self::Word) -> Self::Word {
            [vaddq_u64(a[0], b[0]), vaddq_u64(a[1], b[1])]
        }
        sub_words(a: Self::Word, b: Self::Word) -> Self::Word {
            [vsubq_u64(a[0], b[0]), vsubq_u64(a[1], b[1])]
        }
        and(a: Self::Word, b: Self::Word) -> Self::Word {
            [vandq_u64(a[0], b[0]), vandq_u64(a[1], b[1])]
        }
        or(a: Self::Word, b: Self::Word) -> Self::Word {
            [vorrq_u64(a[0], b[0]), vorrq_u64(a[1], b[1])]
        }
        xor(a: Self::Word, b: Self::Word) -> Self::Word {
            [veorq_u64(a[0], b[0]), veorq_u64(a[1], b[1])]
        }
        shift_right(a: Self::Word, counts: Self::Word) -> Self::Word {
            // To the left by a negative count.
            [
                vshlq_u64(a[0], vnegq_s64(vreinterpretq_s64_u64(counts[0]))),
                vshlq_u64(a[1], vnegq_s64(vreinterpretq_s64_u64(counts[1]))),
            ]
        }
        shift_left(a: Self::Word, counts: Self::Word) -> Self::Word {
            [
                vshlq_u64(a[0], vreinterpretq_s64_u64(counts[0])),
                vshlq_u64(a[1], vreinterpretq_s64_u64(counts[1])),
            ]
        }
        equal(a: Self::Word, b: Self::Word) -> Self::Word {
            [vceqq_u64(a[0], b[0]), vceqq_u64(a[1], b[1])]
        }
        transpose(rows: [Self::Float; 4]) -> [Self::Float; 4] { transpose(rows) }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn transpose([a, b, c, d]: [[float64x2_t; 2]; 4]) -> [[float64x2_t; 2]; 4] {
    [
        [vtrn1q_f64(a[0], b[0]), vtrn1q_f64(c[0], d[0])],
        [vtrn2q_f64(a[0], b[0]), vtrn2q_f64(c[0], d[0])],
        [vtrn1q_f64(a[1], b[1]), vtrn1q_f64(c[1], d[1])],
        [vtrn2q_f64(a[1], b[1]), vtrn2q_f64(c[1], d[1])],
    ]
}

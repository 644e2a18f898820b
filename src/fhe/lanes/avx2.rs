//! Four lanes on AVX2 with FMA.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{Lanes, Task, intrinsics};

/// The proof that this CPU has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

impl Lanes<4> for Avx2 {
    type Float = __m256d;
    type Word = __m256i;

    fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    #[inline]
    fn run<T: Task<Self, 4>>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx2,fma")]
        fn with_instructions<T: Task<Avx2, 4>>(lanes: Avx2, task: T) -> T::Output {
            task.run(lanes)
        }
        // SAFETY: a value of this type exists only where the CPU has the instructions.
        unsafe { with_instructions(self, task) }
    }

    intrinsics! {
        floats(lanes: [f64; 4]) -> __m256d { transmute::<[f64; 4], __m256d>(lanes) }
        to_floats(register: __m256d) -> [f64; 4] { transmute::<__m256d, [f64; 4]>(register) }
        float(number: f64) -> __m256d { _mm256_set1_pd(number) }
        words(lanes: &[u64; 4]) -> __m256i { transmute::<[u64; 4], __m256i>(*lanes) }
        store(lanes: &mut [u64; 4], register: __m256i) -> () {
            *lanes = transmute::<__m256i, [u64; 4]>(register)
        }
        word(number: u64) -> __m256i { _mm256_set1_epi64x(number as i64) }
        add(a: __m256d, b: __m256d) -> __m256d { _mm256_add_pd(a, b) }
        sub(a: __m256d, b: __m256d) -> __m256d { _mm256_sub_pd(a, b) }
        mul(a: __m256d, b: __m256d) -> __m256d { _mm256_mul_pd(a, b) }
        mul_add(a: __m256d, b: __m256d, c: __m256d) -> __m256d { _mm256_fmadd_pd(a, b, c) }
        mul_sub(a: __m256d, b: __m256d, c: __m256d) -> __m256d { _mm256_fmsub_pd(a, b, c) }
        sub_mul(a: __m256d, b: __m256d, c: __m256d) -> __m256d { _mm256_fnmadd_pd(a, b, c) }
        min(a: __m256d, b: __m256d) -> __m256d { _mm256_min_pd(a, b) }
        round(a: __m256d) -> __m256d {
            _mm256_round_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
        }
        to_bits(a: __m256d) -> __m256i { _mm256_castpd_si256(a) }
        of_bits(a: __m256i) -> __m256d { _mm256_castsi256_pd(a) }
        add_words(a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi64(a, b) }
        sub_words(a: __m256i, b: __m256i) -> __m256i { _mm256_sub_epi64(a, b) }
        and(a: __m256i, b: __m256i) -> __m256i { _mm256_and_si256(a, b) }
        or(a: __m256i, b: __m256i) -> __m256i { _mm256_or_si256(a, b) }
        xor(a: __m256i, b: __m256i) -> __m256i { _mm256_xor_si256(a, b) }
        shift_right(a: __m256i, counts: __m256i) -> __m256i { _mm256_srlv_epi64(a, counts) }
        shift_left(a: __m256i, counts: __m256i) -> __m256i { _mm256_sllv_epi64(a, counts) }
        equal(a: __m256i, b: __m256i) -> __m256i { _mm256_cmpeq_epi64(a, b) }
        transpose(rows: [__m256d; 4]) -> [__m256d; 4] { transpose(rows) }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn transpose([a, b, c, d]: [__m256d; 4]) -> [__m256d; 4] {
    // Even and odd columns of two rows each, side by side in either half.
    let (ab02, ab13) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
    let (cd02, cd13) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
    [
        _mm256_permute2f128_pd::<0x20>(ab02, cd02),
        _mm256_permute2f128_pd::<0x20>(ab13, cd13),
        _mm256_permute2f128_pd::<0x31>(ab02, cd02),
        _mm256_permute2f128_pd::<0x31>(ab13, cd13),
    ]
}

//! Eight lanes on AVX-512.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{Lanes, Task, intrinsics};

/// The proof that this CPU has AVX-512 F and DQ.
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

impl Lanes<8> for Avx512 {
    type Float = __m512d;
    type Word = __m512i;

    fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq"))
            .then_some(Self(()))
    }

    #[inline]
    fn run<T: Task<Self, 8>>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx512f,avx512dq")]
        fn with_instructions<T: Task<Avx512, 8>>(lanes: Avx512, task: T) -> T::Output {
            task.run(lanes)
        }
        // SAFETY: a value of this type exists only where the CPU has the instructions.
        unsafe { with_instructions(self, task) }
    }

    intrinsics! {
        floats(lanes: [f64; 8]) -> __m512d { transmute::<[f64; 8], __m512d>(lanes) }
        to_floats(register: __m512d) -> [f64; 8] { transmute::<__m512d, [f64; 8]>(register) }
        float(number: f64) -> __m512d { _mm512_set1_pd(number) }
        words(lanes: &[u64; 8]) -> __m512i { transmute::<[u64; 8], __m512i>(*lanes) }
        store(lanes: &mut [u64; 8], register: __m512i) -> () {
            *lanes = transmute::<__m512i, [u64; 8]>(register)
        }
        word(number: u64) -> __m512i { _mm512_set1_epi64(number as i64) }
        add(a: __m512d, b: __m512d) -> __m512d { _mm512_add_pd(a, b) }
        sub(a: __m512d, b: __m512d) -> __m512d { _mm512_sub_pd(a, b) }
        mul(a: __m512d, b: __m512d) -> __m512d { _mm512_mul_pd(a, b) }
        mul_add(a: __m512d, b: __m512d, c: __m512d) -> __m512d { _mm512_fmadd_pd(a, b, c) }
        mul_sub(a: __m512d, b: __m512d, c: __m512d) -> __m512d { _mm512_fmsub_pd(a, b, c) }
        sub_mul(a: __m512d, b: __m512d, c: __m512d) -> __m512d { _mm512_fnmadd_pd(a, b, c) }
        min(a: __m512d, b: __m512d) -> __m512d { _mm512_min_pd(a, b) }
        round(a: __m512d) -> __m512d {
            _mm512_roundscale_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
        }
        to_bits(a: __m512d) -> __m512i { _mm512_castpd_si512(a) }
        of_bits(a: __m512i) -> __m512d { _mm512_castsi512_pd(a) }
        add_words(a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi64(a, b) }
        sub_words(a: __m512i, b: __m512i) -> __m512i { _mm512_sub_epi64(a, b) }
        and(a: __m512i, b: __m512i) -> __m512i { _mm512_and_si512(a, b) }
        or(a: __m512i, b: __m512i) -> __m512i { _mm512_or_si512(a, b) }
        xor(a: __m512i, b: __m512i) -> __m512i { _mm512_xor_si512(a, b) }
        shift_right(a: __m512i, counts: __m512i) -> __m512i { _mm512_srlv_epi64(a, counts) }
        shift_left(a: __m512i, counts: __m512i) -> __m512i { _mm512_sllv_epi64(a, counts) }
        equal(a: __m512i, b: __m512i) -> __m512i {
            _mm512_movm_epi64(_mm512_cmpeq_epi64_mask(a, b))
        }
        transpose(rows: [__m512d; 8]) -> [__m512d; 8] { transpose(rows) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn transpose([a, b, c, d, e, f, g, h]: [__m512d; 8]) -> [__m512d; 8] {
    // Even and odd columns, each as a square of four by four pairs of rows.
    let [p0, p2, p4, p6] = transpose_pairs(
        _mm512_unpacklo_pd(a, b),
        _mm512_unpacklo_pd(c, d),
        _mm512_unpacklo_pd(e, f),
        _mm512_unpacklo_pd(g, h),
    );
    let [p1, p3, p5, p7] = transpose_pairs(
        _mm512_unpackhi_pd(a, b),
        _mm512_unpackhi_pd(c, d),
        _mm512_unpackhi_pd(e, f),
        _mm512_unpackhi_pd(g, h),
    );
    [p0, p1, p2, p3, p4, p5, p6, p7]
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn transpose_pairs(a: __m512d, b: __m512d, c: __m512d, d: __m512d) -> [__m512d; 4] {
    // The selectors take pairs 0 and 2, or 1 and 3, of either operand.
    let (ab02, ab13) = (
        _mm512_shuffle_f64x2::<0x88>(a, b),
        _mm512_shuffle_f64x2::<0xdd>(a, b),
    );
    let (cd02, cd13) = (
        _mm512_shuffle_f64x2::<0x88>(c, d),
        _mm512_shuffle_f64x2::<0xdd>(c, d),
    );
    [
        _mm512_shuffle_f64x2::<0x88>(ab02, cd02),
        _mm512_shuffle_f64x2::<0x88>(ab13, cd13),
        _mm512_shuffle_f64x2::<0xdd>(ab02, cd02),
        _mm512_shuffle_f64x2::<0xdd>(ab13, cd13),
    ]
}

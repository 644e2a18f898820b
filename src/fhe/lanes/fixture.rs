//! Tests on all registers of this CPU.

/// Runs `$body` for every implementation that this CPU has, its value bound to `$lanes`.
macro_rules! on_all_lanes {
    ($lanes:ident => $body:expr) => {{
        let $lanes = <crate::fhe::lanes::scalar::Scalar as crate::fhe::lanes::Lanes<4>>::detect()
            .expect("any CPU");
        $body;
        #[cfg(target_arch = "aarch64")]
        match <crate::fhe::lanes::neon::Neon as crate::fhe::lanes::Lanes<4>>::detect() {
            Some($lanes) => $body,
            None => eprintln!("skipped: this CPU has no NEON"),
        }
        #[cfg(target_arch = "x86_64")]
        match <crate::fhe::lanes::avx2::Avx2 as crate::fhe::lanes::Lanes<4>>::detect() {
            Some($lanes) => $body,
            None => eprintln!("skipped: this CPU has no AVX2 with FMA"),
        }
        #[cfg(target_arch = "x86_64")]
        match <crate::fhe::lanes::avx512::Avx512 as crate::fhe::lanes::Lanes<8>>::detect() {
            Some($lanes) => $body,
            None => eprintln!("skipped: this CPU has no AVX-512"),
        }
    }};
}
pub(in crate::fhe) use on_all_lanes;

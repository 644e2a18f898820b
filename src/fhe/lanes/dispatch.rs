//! From a path to the registers that it runs on.

/// Calls a function of a type that is generic over [`Lanes`] and their count, for the registers of a path.
macro_rules! on_path {
    ($path:expr, $generic:ident::$function:ident($($argument:expr),*)) => {
        match $path {
            #[cfg(target_arch = "x86_64")]
            $crate::core::simd::Path::Avx512 => {
                $generic::<$crate::fhe::lanes::avx512::Avx512, 8>::$function($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            $crate::core::simd::Path::Avx2 => {
                $generic::<$crate::fhe::lanes::avx2::Avx2, 4>::$function($($argument),*)
            }
            #[cfg(target_arch = "aarch64")]
            $crate::core::simd::Path::Neon => {
                $generic::<$crate::fhe::lanes::neon::Neon, 4>::$function($($argument),*)
            }
            _ => $generic::<$crate::fhe::lanes::scalar::Scalar, 4>::$function($($argument),*),
        }
    };
}
pub(in crate::fhe) use on_path;

//! The FFT, always on the same plan.
//!
//! Left alone, tfhe times the candidate algorithms for 10 ms at the first use of a size, and a
//! noisy machine picks badly. Plans also differ in the order of their points, so that nothing may
//! be transformed before its size is pinned: every FFT of this crate comes from here.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tfhe::core_crypto::fft_impl::fft64::math::fft::setup_custom_fft_plan;
use tfhe::core_crypto::prelude::Fft;
use tfhe_fft::ordered::FftAlgo;
use tfhe_fft::unordered::{Method, Plan};

use super::parameters::ParameterSet;

/// Polynomial sizes whose plan is set.
static PINNED: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// Returns the FFT for a set's polynomials, after fixing its algorithm at the first use.
pub(super) fn pinned_fft(parameters: &ParameterSet) -> Fft {
    let size = parameters.literal().polynomial_size;
    let mut pinned = PINNED.lock().unwrap_or_else(PoisonError::into_inner);
    if pinned.insert(size) {
        // A polynomial of N real coefficients is a complex transform of N/2 points.
        let points = size / 2;
        let method = Method::UserProvided {
            base_algo: FftAlgo::Dif8,
            base_n: points.min(512),
        };
        setup_custom_fft_plan(Plan::new(points, method));
    }
    Fft::new(parameters.polynomial_size())
}

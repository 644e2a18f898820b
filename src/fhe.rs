//! Homomorphic encryption: the only part of the crate that names `tfhe`.
//!
//! Torus fully homomorphic encryption (TFHE; Chillotti, Gama, Georgieva and Izabachène,
//! Journal of Cryptology 33, 2020) through `tfhe::core_crypto`: activations travel and live as
//! LWE ciphertexts under the flattened GLWE key, linear layers are integer matrix products on
//! them, and activation functions are keyswitch + modulus switch + blind rotation.

pub mod bootstrap;
pub mod cipher;
#[cfg(target_arch = "x86_64")]
mod cmux;
mod fourier;
pub mod generator;
pub mod keys;
pub mod keyswitch;
pub mod noise;
pub mod pack;
pub mod packed;
mod packing_decomposition;
pub mod parameters;
mod rotation;
#[cfg(target_arch = "x86_64")]
mod simd;
#[cfg(target_arch = "x86_64")]
mod transform;
pub mod zero;

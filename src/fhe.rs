//! Homomorphic encryption: the only part of the crate that names `tfhe`.
//!
//! Torus fully homomorphic encryption (TFHE; Chillotti, Gama, Georgieva and Izabachène,
//! Journal of Cryptology 33, 2020) through `tfhe::core_crypto`: activations travel and live as
//! LWE ciphertexts under the flattened GLWE key, linear layers are integer matrix products on
//! them, and activation functions are keyswitch + modulus switch + blind rotation.

mod binary;
pub mod bootstrap;
mod bootstrap_key;
mod butterfly;
pub mod cipher;
mod cmux;
mod decomposition;
mod difference;
mod fourier;
pub mod generator;
pub mod keys;
pub mod keyswitch;
mod lanes;
pub mod noise;
pub mod pack;
pub mod packed;
mod packing_decomposition;
pub mod parameters;
pub mod rotation;
mod shape;
mod transform;
pub mod zero;

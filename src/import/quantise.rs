//! Quantisation after training: ranges from calibration images, bits, corrected biases, the accuracy that
//! integers keep.

pub mod all_server;
pub mod bits;
pub mod calibration;
pub mod correction;
pub mod draft;
#[cfg(test)]
mod fixture;
pub mod images;
pub mod loss;
pub(super) mod noise;
mod raw_layer;
pub mod recipe;
pub(super) mod runaways;
pub mod search;
mod tensor_file;
mod weight_bits;

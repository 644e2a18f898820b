//! Networks of other programs made into model folders: read, calibrated on images, quantised,
//! checked.
//!
//! *Quantisation after training.* Weights are quantised per output channel (Jacob et al., CVPR
//! 2018; Krishnamoorthi, arXiv:1806.08342, section 3.1), BatchNorm is folded into them while the
//! file is read, activation ranges come from calibration images by a chosen method, and biases
//! are corrected by the mean error that rounding leaves (Nagel et al., ICCV 2019, section 4.2, on
//! calibration images). What a quantised network says of its own integers is used as it is.
//!
//! Files become messages and messages a checked graph ([`onnx`]), graphs the operations of this program
//! ([`lower`]), and these integers ([`quantise`]). Nothing here runs anything encrypted. The entry
//! point is [`import`](fn@import).

pub mod data;
pub mod evaluate;
mod fault;
#[cfg(feature = "engine")]
pub mod folder;
pub mod lower;
pub mod network;
#[cfg(feature = "engine")]
mod npy;
pub mod onnx;
#[cfg(feature = "engine")]
pub mod quantise;
mod reading;
#[cfg(feature = "engine")]
pub mod report;
#[cfg(feature = "engine")]
mod request;
#[cfg(feature = "engine")]
mod steps;

pub use network::Network;
pub use reading::{read_network, read_network_bytes, read_network_of};
#[cfg(feature = "engine")]
pub use request::ImportRequest;
#[cfg(feature = "engine")]
pub use steps::{Imported, import};

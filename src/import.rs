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
mod fault;
pub mod folder;
pub mod lower;
pub mod network;
mod npy;
pub mod onnx;
pub mod quantise;
pub mod report;
mod request;
mod steps;

pub use network::Network;
pub use request::Request;
pub use steps::{Imported, import, read_network, read_network_bytes};

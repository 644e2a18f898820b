//! What every room speaks of: errors, units, digests, statistics, placements, links, linear maps.
//!
//! Nothing here opens a file, runs a network or knows of encryption. There is no entry point:
//! [`placement`] is what the rest turns around.

pub mod cell;
pub mod digest;
pub mod error;
pub mod foreign;
pub mod linear_map;
pub mod link;
pub mod objective;
pub mod onnx_schema;
pub mod pareto;
pub mod placement;
pub mod security;
pub mod shape;
pub mod simd;
pub mod statistics;
pub mod text;
pub mod torus;
pub mod units;

//! From a server segment to what the server runs: integers, parameters, look-up tables, layouts.
//!
//! Nothing here encrypts, or runs a network on images. The entry points are
//! [`compile::compile_placement`] and, for several placements, [`compile::PlacementCompiler`]; what they make is
//! a [`program::Program`].

pub mod analysis;
pub mod compile;
pub mod cost;
pub mod deviation;
pub mod encoding;
pub mod interface;
pub mod key_kind;
pub mod packing;
pub mod program;
pub mod schedule;
pub mod select;

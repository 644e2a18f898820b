//! From a server segment to what the server runs: integers, parameters, look-up tables, layouts.
//!
//! Nothing here encrypts, or runs a network on images. The entry point is
//! [`compile::compile_placement`]; what it makes is a [`program::Program`].

pub mod analysis;
pub mod compile;
pub mod cost;
pub mod deviation;
pub mod encoding;
pub mod interface;
pub mod key_kind;
pub mod packing;
pub mod program;
pub mod select;

//! Lists, runs and measures every client/server split of a neural network under fully homomorphic
//! encryption.
//!
//! `ARCHITECTURE.md` tells where things are; [`inference::Session`] is the line that everything
//! else measures.

pub mod agreement;
pub mod analysis;
pub mod attack;
pub mod audit;
pub mod calibrate;
pub mod cli;
pub mod client;
pub mod compile;
pub mod cost;
pub mod cpu;
pub mod data;
pub mod deviation;
pub mod digest;
pub mod encoding;
pub mod environment;
pub mod error;
pub mod explain;
pub mod exposure;
pub mod fhe;
pub mod host;
pub mod import;
pub mod inference;
pub mod interface;
pub mod layer;
pub mod linear_map;
pub mod log;
pub mod memory;
pub mod merge;
pub mod model;
pub mod network;
pub mod packing;
pub mod pareto;
pub mod placement;
pub mod plot;
pub mod program;
pub mod progress;
pub mod projection;
pub mod protection;
pub mod quantise;
pub mod results;
pub mod role;
pub mod row;
pub mod select;
pub mod server;
pub mod settings;
pub mod shard;
pub mod simulation;
pub mod statistics;
pub mod sweep;
pub mod units;
pub mod wire;
pub mod worker;

pub use error::{Error, Result};

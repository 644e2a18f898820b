pub mod agreement;
pub mod client;
pub mod compile;
pub mod error;
pub mod fhe;
pub mod inference;
pub mod layer;
pub mod linear_map;
pub mod model;
pub mod placement;
pub mod program;
pub mod quantise;
pub mod server;
pub mod simulation;
pub mod statistics;
pub mod wire;

pub use error::{Error, Result};

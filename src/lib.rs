pub mod error;
pub mod fhe;
pub mod linear_map;
pub mod placement;
pub mod statistics;

//! What should come out: programs simulated in the clear, with noise and without, the accuracy that
//! follows, and whether what came out agrees.
//!
//! Nothing here measures time or memory. The entry points are [`simulation::simulate`] and
//! [`agreement::within_error_model`].

pub mod accuracy;
pub mod agreement;
pub mod audit;
pub mod explain;
pub mod simulation;
pub mod step_noise;
pub mod walk;

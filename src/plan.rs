//! What running splits will take: work counted from programs, seconds and memory from both, the
//! placements worth running.
//!
//! Nothing here runs an inference. The entry points are [`predict::predict`],
//! [`projection`] and [`memory_need`].

pub mod budget;
pub mod many_cores;
pub mod memory_need;
pub mod overhead;
pub mod predict;
pub mod projection;
pub mod remaining;
pub mod shapes;

//! Attacks on the server's model, mounted by a client of a split.
//!
//! Each reads one server segment and says what it recovered. What it did not recover is not thereby
//! safe: there are attacks that are not here. Chosen inputs ask a simulation of the server, whose
//! answers are distributed as the real one's, and send it a real message to confirm what was found;
//! masks are read from real messages.

pub mod affine;
pub mod attacker;
pub mod budget;
pub mod capacity;
pub mod chosen;
pub mod composition;
pub mod copy;
pub mod found;
pub mod lattice;
mod leading;
pub mod likelihood;
pub mod mask;
mod milestone;
pub mod ordinary;
pub mod peel;
pub mod plan;
pub mod queries;
pub mod response;
pub mod segment;
pub mod staircase;
pub mod two_adic;

/// Numbers of queries after which an attack's success is told, besides all that it needs.
pub const QUERIES: [usize; 2] = [1, 10];

//! `copy`: a client trains layers of its own in the place of the server's, on what the server answers.
//!
//! Where a client sees what goes into a server segment and what comes out, each segment is a regression by
//! itself: from the reals that its uploads stand for to those that its answers decode to, in the network's
//! own architecture with its rounding; where answers are labels, a classification. So a segment's copy is
//! learnt once for a number of queries and a seed, and serves all splits that have the segment. The client
//! knows the architecture, its own layers, the interface and the ranges; it starts from random weights.
//!
//! The gradients are this program's own, of its five kinds of operations. A library for learning would bring
//! tensors of its own, into which the maps of blocks with shared weights had to be translated and back, a
//! rounding that would have to be written for it all the same, minutes of building, and sums whose order
//! depends on the number of threads. Here a copy is learnt on one thread, and copies beside each other, so that
//! figures depend on the seed alone.
//!
//! It answers from the program in the clear, with noise: [`crate::attack::attacker`] says why that is enough, and
//! [`replay`] asks the real server.

pub mod affine;
pub mod campaign;
pub mod element;
pub mod ground;
pub mod learn;
pub mod least_squares;
pub mod lesson;
pub mod network;
pub mod pupil;
pub mod questions;
pub mod replay;
pub mod split;
pub mod start;
mod step;

#[cfg(test)]
mod tests;

//! The most noise that look-ups may have and keep the accuracy: found, and kept.

pub mod cache;
pub mod finder;
mod fractions;

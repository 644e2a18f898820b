//! What a sweep leaves on record, free of what made it: settings, samples, what is known of a split after
//! its first visit, of its segments, of its parties' memory.
//!
//! Nothing here runs anything. The log writes these types and reads them back, tables derive from them.

pub mod cost_model;
pub mod deviations;
pub mod download;
pub mod exposure;
pub mod finished;
pub mod learnt;
pub mod party_memory;
pub mod settings;
pub mod step_noise;

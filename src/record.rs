//! What a sweep leaves on record, free of what made it: settings, samples, what is known of a split, of
//! its segments, of its parties' memory; the log that holds this, and the tables that derive from it.
//!
//! Nothing here runs anything or reaches encryption. The entry points are [`log::Log`], which a sweep
//! appends to, and [`results::Tables`], which everything that reads results begins with.

pub mod columns;
pub mod compare;
pub mod copy;
pub mod cost_model;
pub mod deviations;
pub mod download;
pub mod drift;
pub mod environment;
pub mod exposure;
pub mod finished;
pub mod history;
pub mod host;
pub mod learnt;
pub mod leftover;
pub mod log;
pub mod order;
pub mod party_memory;
pub mod provenance;
pub mod reads;
pub mod results;
pub mod row;
pub mod segment_exposure;
pub mod settings;
pub mod shard;
pub mod spill;
pub mod stage;
pub mod step_noise;
pub mod visit;

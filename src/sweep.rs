//! A sweep: what to run, rounds over all splits, each visit in a worker process of its own.
//!
//! What it finds goes on [`record`](crate::record); nothing here judges which split is best. The
//! entry point is [`run`].

pub mod advance;
pub mod calibrate;
pub mod learnt;
pub mod merge;
pub mod role;
mod rounds;
pub mod settings;
pub mod watch;
pub mod worker;
pub mod yardstick;

pub use rounds::{
    Isolation, LOCK, Observer, ResultsFolder, Resume, difference, judge, run, schedule,
};

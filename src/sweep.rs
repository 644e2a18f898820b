//! A sweep: what to run, rounds over all splits, each visit in a worker process of its own.
//!
//! What it finds goes on [`record`](crate::record); nothing here judges which split is best. The
//! entry point is [`run`].

pub mod advance;
pub mod calibrate;
pub mod copies;
pub mod learnt;
pub mod merge;
mod observer;
mod overrides;
mod reference;
pub mod reference_batch;
mod results_folder;
pub mod role;
mod rounds;
mod schedule;
pub mod settings;
mod split_file;
mod step_noise;
mod tallies;
mod verdict;
pub mod watch;
pub mod worker;

pub use observer::Observer;
pub use overrides::Overrides;
pub use results_folder::{LOCK, ResultsFolder, Resume};
pub use rounds::{Isolation, run};
pub use schedule::schedule;

//! The results log: one JSON record per line, synced as it is written.
//!
//! Everything else in a results folder is derived from it. Its lines are numbered, and each carries a
//! checksum of itself and those before it (`line`); their `record`s tell the course of a sweep
//! (`course`): settings, an environment, and for each visit its start, a sample for each image and
//! its end. What does not hold together is refused by line (`reading`); `recover` keeps what stands
//! before that. A torn last line, which a crash can leave, lacks its newline and is cut off.
//!
//! No key is involved, so that the checksums stop accidents, not forgers; whole lines cut off at the
//! end look like a sweep that has not come so far.

mod course;
mod file;
pub mod line;
mod reading;
mod record;
pub mod recover;
mod storage;
mod writing;

pub use file::{FILE_NAME, is_torn_beginning, read, remove_torn_beginning};
pub use record::{Record, VisitEnd};
pub use storage::Storage;
pub use writing::Log;

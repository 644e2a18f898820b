//! The one error type of the library: what was being done, what was expected and what was found.
//!
//! *Invalid* means that the input is wrong and says how to mend it; *unsupported* means that it
//! is a fair request that this version does not serve.

use std::io;
use std::path::PathBuf;

use crate::core::units;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong outside of programming mistakes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },

    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },

    /// A chart could not be drawn.
    #[error("cannot draw {}: {reason}", path.display())]
    Draw { path: PathBuf, reason: String },

    /// A model, data, split or results file holds something that cannot be used.
    #[error("{place}: {reason}")]
    Invalid { place: String, reason: String },

    /// A value on the command line cannot be used.
    #[error("{0}")]
    Usage(String),

    /// The request is fair but not served by this version.
    #[error("{place}: not supported: {reason}")]
    Unsupported { place: String, reason: String },

    /// A message between client and server does not conform.
    #[error("message refused: {0}")]
    Message(String),

    /// A parameter set is below 128-bit security or cannot carry the network.
    #[error("parameter set refused: {0}")]
    Parameters(String),

    /// Some splits did not end well; their rows say how.
    #[error("{failed} of {total} splits did not finish: see the status column of {}", table.display())]
    SplitsFailed {
        failed: usize,
        total: usize,
        table: PathBuf,
    },

    /// A split returned values outside the error model.
    #[error("{mismatched} of {total} splits gave values outside the error model: see the status column of {}", table.display())]
    Mismatch {
        mismatched: usize,
        total: usize,
        table: PathBuf,
    },

    /// What is needed at once is more memory than this process can have.
    #[error(
        "not enough memory for {what}, which takes {} at once: raise ulimit -v or the control \
         group's limit, or use a machine with more",
        units::bytes(*bytes as u64)
    )]
    Memory { what: String, bytes: usize },

    /// The system ended a process of this program for want of memory.
    #[error("{0}")]
    OutOfMemory(String),

    /// The system gives no more threads.
    #[error(
        "cannot start a thread ({0}): set RAYON_NUM_THREADS to a smaller number, or allow more \
         processes (ulimit -u) or memory (ulimit -v)"
    )]
    Threads(String),

    /// A worker process could not be started or spoke nonsense.
    #[error("worker: {0}")]
    Worker(String),

    /// This binary was compiled for a CPU with features that this one lacks.
    #[error(
        "this binary needs {missing}, which this CPU lacks: `cargo build --release`, without RUSTFLAGS \
         that name a CPU, makes one for every CPU that has AES instructions (`aes`)"
    )]
    WrongCpu { missing: String },

    /// No split meets the limits that a person set.
    #[error("no split is left: {0}")]
    NothingLeft(String),

    /// Ctrl-C or a termination signal.
    #[error("interrupted; finished splits are kept, continue with --resume")]
    Interrupted,
}

impl Error {
    /// Returns an [`Error::Invalid`] for the file, node or field named by `place`.
    pub fn invalid(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// Returns whether more memory would have helped.
    pub fn is_memory(&self) -> bool {
        matches!(self, Self::Memory { .. } | Self::OutOfMemory(_))
    }

    /// Returns the process exit code that stands for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Read { .. }
            | Self::Invalid { .. }
            | Self::Unsupported { .. }
            | Self::Parameters(_) => 3,
            Self::SplitsFailed { .. } | Self::Worker(_) | Self::OutOfMemory(_) => 4,
            Self::Mismatch { .. } | Self::Message(_) => 5,
            Self::Write { .. }
            | Self::Draw { .. }
            | Self::Memory { .. }
            | Self::Threads(_)
            | Self::WrongCpu { .. } => 6,
            Self::NothingLeft(_) => 7,
            Self::Interrupted => 130,
        }
    }
}

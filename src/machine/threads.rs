//! Threads, which a machine may refuse.

use std::io;
use std::thread::{self, JoinHandle};

use crate::core::error::{Error, Result};

/// Starts the threads that all parallel work shares: one for each core, or `RAYON_NUM_THREADS`.
///
/// # Errors
///
/// [`Error::Threads`] where the system gives no more, or they have been started before.
pub fn start_pool() -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new();
    pool.build_global()
        .map_err(|error| Error::Threads(error.to_string()))
}

/// Starts a thread.
///
/// # Errors
///
/// [`Error::Threads`] where the system gives no more.
pub fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let started: io::Result<_> = thread::Builder::new().spawn(work);
    started.map_err(|error| Error::Threads(error.to_string()))
}

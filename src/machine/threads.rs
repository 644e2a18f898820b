//! Threads, which a machine may refuse.

use std::io;
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};

use super::allowance;
use crate::core::error::{Error, Result};
use crate::core::units;

/// Address space of a thread of the pool: its stack (the standard library's default, which the pool is
/// told to keep) and what the C library sets up beside it.
const STACK_BYTES: usize = 2 << 20;
const BESIDE_STACK_BYTES: usize = 64 << 10;

/// Starts the threads that all parallel work shares: one for each core, or `RAYON_NUM_THREADS`.
///
/// # Errors
///
/// [`Error::Threads`] where the system gives no more, or they have been started before.
pub fn start_pool() -> Result<()> {
    let threads = pool_threads();
    // Asked first: where address space runs out among threads that have just started, the C library
    // may end the whole process before the pool hears that the next one was refused.
    let bytes = threads.saturating_mul(STACK_BYTES + BESIDE_STACK_BYTES) as u64;
    if allowance::free_address_space().is_some_and(|free| free < bytes) {
        return Err(Error::Threads(format!(
            "{threads} threads take {} of address space, more than ulimit -v leaves",
            units::bytes(bytes)
        )));
    }
    let pool = rayon::ThreadPoolBuilder::new();
    pool.num_threads(threads)
        .stack_size(STACK_BYTES)
        .build_global()
        .map_err(|error| Error::Threads(error.to_string()))
}

/// Returns how many threads the pool has.
fn pool_threads() -> usize {
    let asked = std::env::var("RAYON_NUM_THREADS").ok();
    let asked = asked.and_then(|threads| threads.parse().ok());
    asked
        .filter(|threads| *threads > 0)
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZeroUsize::get))
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

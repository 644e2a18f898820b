//! Ctrl-C and termination signals.

use std::sync::atomic::Ordering;

use crate::cli::progress::INTERRUPTED;
use crate::core::error::{Error, Result};

/// Lets the first Ctrl-C ask for an end, and the second be one.
pub fn listen() -> Result<()> {
    let handler = || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    ctrlc::set_handler(handler).map_err(|error| not_listening(&error))
}

/// Returns the error of a program that cannot hear Ctrl-C, most likely for want of a thread.
pub fn not_listening(error: &ctrlc::Error) -> Error {
    match error {
        ctrlc::Error::System(error) => Error::Threads(error.to_string()),
        error => Error::Worker(format!("cannot listen for Ctrl-C: {error}")),
    }
}

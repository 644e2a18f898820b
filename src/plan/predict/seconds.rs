//! Seconds that unit costs make of work.

use super::fit::{Fit, Work};
use super::work::{Done, Figure};

/// Returns the seconds of an inference.
pub(super) fn online(fit: &Fit, done: &Done) -> f64 {
    let is_online = |figure: &Figure| {
        !matches!(
            figure,
            Figure::KeyGeneration
                | Figure::KeyTransfer
                | Figure::ClientMemory
                | Figure::ServerMemory
        )
    };
    let work = done.work.iter().filter(|(figure, _)| is_online(figure));
    work.map(|(_, work): (_, &Work)| fit.predict(work)).sum()
}

/// Returns the server's seconds of an inference.
pub(super) fn server(fit: &Fit, done: &Done) -> f64 {
    let is_server = |figure: &Figure| matches!(figure, Figure::Layer(_) | Figure::Messages);
    let work = done.work.iter().filter(|(figure, _)| is_server(figure));
    work.map(|(_, work): (_, &Work)| fit.predict(work)).sum()
}

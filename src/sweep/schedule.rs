//! Which visits a sweep makes, and in which order.

use crate::record::settings::Settings;
use crate::record::visit::Visit;

/// Returns the visits of a sweep in the order of its rounds.
pub fn schedule(settings: &Settings) -> impl Iterator<Item = Visit> {
    (0..settings.repeats).flat_map(move |repeat| {
        let count = settings.placements.len();
        let order = settings.order.of_round(count, settings.seed, repeat);
        order.into_iter().map(move |index| Visit {
            placement: settings.placements[index].clone(),
            repeat,
        })
    })
}

//! What a split gives away, as columns and rows.

use super::split::Split;
use crate::core::placement::Placement;
use crate::model::Model;
use crate::record::exposure::closed::Closed;
use crate::record::exposure::{Knowledge, Totals};
use crate::record::finished::Finished;
use crate::record::row::{ExposureRow, SplitRow};
use crate::record::segment_exposure::SegmentExposure;

impl Split<'_> {
    /// Returns the rows of a split's server segments, of what its first visit told.
    pub fn exposure_rows(&self, model: &Model, placement: &Placement) -> Vec<ExposureRow> {
        let row = |(index, segment): (usize, &SegmentExposure)| {
            let layers = &model.layers[segment.layers.0..segment.layers.1];
            let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
            ExposureRow {
                model: model.name.clone(),
                placement: placement.to_string(),
                segment: index,
                layers: names.join("+"),
                environment: self.environment(),
                ..segment.row()
            }
        };
        self.finished()
            .into_iter()
            .flat_map(|finished| &finished.learnt.exposure)
            .enumerate()
            .map(row)
            .collect()
    }
}

/// Returns a split's row with what its layers alone say of its exposure, which holds measured or not.
pub(super) fn with_closed_forms(row: SplitRow, closed: Option<Closed>) -> SplitRow {
    let Some(closed) = closed else { return row };
    SplitRow {
        exposed_weight_share: closed.is_all.then_some(closed.least),
        exposed_weight_share_least: Some(closed.least),
        exposure_is: if closed.is_all {
            Knowledge::ClosedForm
        } else {
            Knowledge::NotMounted
        }
        .word()
        .into(),
        ..row
    }
}

/// Returns a split's row with what is known of its exposure.
pub(super) fn with_exposure(row: SplitRow, finished: Option<&Finished>) -> SplitRow {
    // A log without exposure says nothing; a split without server segments has none to say.
    let Some(finished) = finished.filter(|f| f.learnt.exposure.len() == f.rounds) else {
        return row;
    };
    let segments = &finished.learnt.exposure;
    let totals = Totals::of(segments, row.client_weight_share);
    let revealed = segments
        .iter()
        .map(|segment| segment.queries.revealed_activations);
    let mut sets: Vec<&str> = finished.parameter_set.split('+').collect();
    sets.retain(|set| !set.is_empty());
    SplitRow {
        exposed_weight_share: totals.exposed_weight_share,
        exposed_weight_share_least: totals.exposed_weight_share_least,
        exposure_is: totals.knowledge.map_or("", Knowledge::word).into(),
        revealed_activations: Some(revealed.sum()),
        secret_keys: Some(sets.len()),
        log2_flooding_distance: totals.log2_flooding_distance,
        honest_queries: totals.honest_queries,
        honest_queries_are: totals.honest_queries_are.word().into(),
        malicious_queries: totals.malicious_queries,
        malicious_queries_are: totals.malicious_queries_are.word().into(),
        information_floor_queries: totals.information_floor_queries,
        chosen_input_recovered_share_1: totals.chosen[0],
        chosen_input_recovered_share_10: totals.chosen[1],
        chosen_input_recovered_share_all: totals.chosen[2],
        mask_recovered_share_1: totals.mask[0],
        mask_recovered_share_10: totals.mask[1],
        mask_recovered_share_all: totals.mask[2],
        mask_full_recovered_share_all: totals.mask_full[2],
        attack_s: totals.attack_s,
        ..row
    }
}

//! The rows of each visit of a split: its samples and its stages.

use super::split::Split;
use crate::model::Model;
use crate::record::environment::Environment;
use crate::record::row::{SampleRow, StageRow};
use crate::record::visit::Visit;

impl Split<'_> {
    /// Returns the rows of all samples, visit by visit.
    pub fn sample_rows(&self) -> impl Iterator<Item = SampleRow> {
        self.visits.iter().flat_map(|visit| {
            let environment = visit.environment.map(Environment::digest);
            let calibration_s = visit
                .end
                .calibration_s
                .map(|[before, after]| (before + after) / 2.0);
            visit.samples.iter().map(move |sample| SampleRow {
                calibration_s,
                environment: environment.clone(),
                ..sample.row.clone()
            })
        })
    }

    /// Returns the rows of the stages of all visits.
    pub fn stage_rows(&self, model: &Model) -> impl Iterator<Item = StageRow> {
        self.visits.iter().flat_map(move |visit| {
            let environment = visit.environment.map(Environment::digest);
            let Visit { placement, repeat } = &visit.end.visit;
            visit
                .end
                .stages
                .iter()
                .map(move |(stage, seconds)| StageRow {
                    model: model.name.clone(),
                    placement: placement.to_string(),
                    repeat: *repeat,
                    stage: stage.to_string(),
                    seconds: *seconds,
                    environment: environment.clone(),
                })
        })
    }
}

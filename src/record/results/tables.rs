//! The tables of a results folder, derived from the records of its log.

use std::path::Path;

use super::agreements::fill_in_known;
use super::copy_rows::copy_rows;
use super::names::{COPIES, EXPOSURE, LAYERS, SAMPLES, SPLITS, STAGES};
use super::split::Split;
use super::table::write_csv;
use crate::core::error::Result;
use crate::model::Model;
use crate::record::drift::Pace;
use crate::record::history::by_split;
use crate::record::log::Record;
use crate::record::row::{CopyRow, ExposureRow, LayerRow, SampleRow, SplitRow, StageRow};
use crate::record::settings::Settings;

/// The tables of a results folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    pub samples: Vec<SampleRow>,
    pub splits: Vec<SplitRow>,
    pub layers: Vec<LayerRow>,
    pub exposure: Vec<ExposureRow>,
    pub stages: Vec<StageRow>,
    /// None before copies were learnt.
    pub copies: Vec<CopyRow>,
}

impl Tables {
    /// Derives the tables from a log's records; splits without a visit that ended are `skipped`.
    pub fn derive(settings: &Settings, model: &Model, records: &[Record]) -> Self {
        let mut splits = by_split(records);
        let pace = Pace::of(splits.values().flatten());
        let mut tables = Self::default();
        for placement in &settings.placements {
            let visits = splits.remove(placement).unwrap_or_default();
            let split = Split { visits, settings };
            tables.samples.extend(split.sample_rows());
            tables.splits.push(split.row(model, placement, &pace));
            tables.layers.extend(split.layer_rows(model, placement));
            tables
                .exposure
                .extend(split.exposure_rows(model, placement));
            tables.stages.extend(split.stage_rows(model));
        }
        let unvisited = Split {
            visits: Vec::new(),
            settings,
        };
        let left_out = settings.left_out.iter().map(|placement| SplitRow {
            reason: Some("left out: the budget went to splits of more promise".into()),
            ..unvisited.row(model, placement, &pace)
        });
        tables.splits.extend(left_out);
        tables.copies = copy_rows(&model.name, &settings.placements, records);
        fill_in_known(&tables.copies, &mut tables.splits);
        tables
    }

    /// Writes the CSV files into a folder.
    ///
    /// # Errors
    ///
    /// [`crate::core::error::Error::Write`]; the old file then still stands.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_csv(&folder.join(SAMPLES), &self.samples)?;
        write_csv(&folder.join(SPLITS), &self.splits)?;
        write_csv(&folder.join(LAYERS), &self.layers)?;
        write_csv(&folder.join(EXPOSURE), &self.exposure)?;
        write_csv(&folder.join(STAGES), &self.stages)?;
        if self.copies.is_empty() {
            return Ok(());
        }
        write_csv(&folder.join(COPIES), &self.copies)
    }
}

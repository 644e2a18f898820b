//! What a results folder holds, as far as the report tells of it.

use std::path::Path;

use serde_json::Value;

use crate::core::error::Result;
use crate::record::provenance::read_environment;
use crate::record::results::{self, read_splits, read_table};
use crate::record::row::{LayerRow, SplitRow};

/// What a results folder holds, as far as the report tells of it.
pub(crate) struct Contents {
    pub(crate) splits: Vec<SplitRow>,
    pub(crate) layers: Vec<LayerRow>,
    pub(crate) environment: Value,
}

impl Contents {
    /// Reads the folder's tables and its description.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            splits: read_splits(folder)?,
            layers: read_table(folder, results::LAYERS)?,
            environment: read_environment(folder)?,
        })
    }
}

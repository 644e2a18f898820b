//! Counts the work of a model's placements.

use super::work::{Done, count};
use crate::circuit::compile::{Target, compile_placement};
use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::model::Model;
use crate::record::cost_model::CostModel;

/// A model, and what its placements' work depends on.
pub struct Counter<'a> {
    pub model: &'a Model,
    pub target: Target,
    pub cost: CostModel,
    pub threads: usize,
}

impl Counter<'_> {
    /// Returns what a placement does; the error's words where no parameter set carries it.
    ///
    /// # Errors
    ///
    /// All others of compiling it.
    pub fn count(&self, placement: &Placement) -> Result<std::result::Result<Done, String>> {
        match compile_placement(self.model, placement, &self.target) {
            Ok(programs) => Ok(Ok(count(
                self.model,
                placement,
                &programs,
                &self.cost,
                self.threads,
            ))),
            Err(Error::Parameters(reason)) => Ok(Err(reason)),
            Err(error) => Err(error),
        }
    }
}

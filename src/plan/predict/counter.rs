//! Counts the work of a model's placements.

use super::work::{Done, count};
use crate::circuit::compile::{PlacementCompiler, Target};
use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::model::Model;
use crate::record::cost_model::CostModel;

/// What the work of a model's placements depends on.
pub struct Counter<'a> {
    pub compiler: PlacementCompiler<'a>,
    pub cost: CostModel,
    pub threads: usize,
}

impl<'a> Counter<'a> {
    /// Returns the model whose placements are counted.
    pub fn model(&self) -> &'a Model {
        self.compiler.model()
    }

    /// Returns what they are compiled for.
    pub fn target(&self) -> &Target {
        self.compiler.target()
    }

    /// Returns what a placement does; the error's words where no parameter set carries it.
    ///
    /// # Errors
    ///
    /// All others of compiling it.
    pub fn count(&self, placement: &Placement) -> Result<std::result::Result<Done, String>> {
        match self.compiler.compile(placement) {
            Ok(programs) => Ok(Ok(count(
                self.model(),
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

//! The options that name a model and what is placed of it as a whole.

use std::path::PathBuf;

use clap::Args;

use crate::core::error::Result;
use crate::model::{Granularity, Model};

/// What a person says of a model.
#[derive(Debug, Clone, Args)]
pub struct ModelArguments {
    /// A model folder, or the name of a built-in model
    #[arg(long, value_name = "DIR", default_value = "models/digits-cnn")]
    pub model: PathBuf,
    /// What is placed as a whole: a residual block, or each layer [default: block]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub granularity: Option<Granularity>,
}

impl ModelArguments {
    /// Returns the model that is spoken of.
    ///
    /// # Errors
    ///
    /// As [`Model::load`].
    pub fn load(&self) -> Result<Model> {
        let granularity = self.granularity.unwrap_or_default();
        Ok(Model::load(&self.model)?.with_granularity(granularity))
    }
}

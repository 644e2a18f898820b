//! The options that name one split of a model.

use std::path::PathBuf;

use clap::Args;

use super::encryption::EncryptionArguments;
use crate::cli::progress::tell;
use crate::core::error::Result;
use crate::core::placement::Placement;
use crate::model::{Granularity, Model};
use crate::record::settings::Settings;
use crate::sweep::Overrides;

/// What a person says of a split.
#[derive(Debug, Args)]
pub struct SplitArguments {
    /// A model folder, or the name of a built-in model
    #[arg(long, value_name = "DIR", default_value = "models/digits-cnn")]
    model: PathBuf,
    /// What is placed as a whole: a residual block, or each layer [default: block]
    #[arg(long, value_enum, value_name = "WHAT")]
    granularity: Option<Granularity>,
    /// One letter per layer: C client, S server [default: all on the server]
    #[arg(long, value_name = "CSSC")]
    placement: Option<String>,
    #[command(flatten)]
    encryption: EncryptionArguments,
}

impl SplitArguments {
    /// Returns the settings, model and placement that are spoken of.
    pub fn resolve(self) -> Result<(Settings, Model, Placement)> {
        let letters = match self.placement {
            Some(letters) => letters,
            None => {
                let granularity = self.granularity.unwrap_or_default();
                let model = Model::load(&self.model)?.with_granularity(granularity);
                "S".repeat(model.layer_count())
            }
        };
        let (settings, model) = Settings::resolve(
            Overrides {
                model: Some(self.model),
                granularity: self.granularity,
                placements: vec![letters.parse()?],
                ..self.encryption.overrides()
            },
            &tell,
        )?;
        let placement = settings.placements[0].clone();
        Ok((settings, model, placement))
    }
}

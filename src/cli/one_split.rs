//! The options that name one split of a model.

use clap::Args;

use super::encryption::EncryptionArguments;
use super::model::ModelArguments;
use crate::cli::progress::tell;
use crate::core::error::Result;
use crate::core::placement::{Party, Placement};
use crate::model::Model;
use crate::record::settings::Settings;
use crate::sweep::Overrides;

/// What a person says of a split.
#[derive(Debug, Args)]
pub struct SplitArguments {
    #[command(flatten)]
    model: ModelArguments,
    /// One letter per layer: C client, S server [default: all on the server]
    #[arg(long, value_name = "CSSC")]
    placement: Option<String>,
    #[command(flatten)]
    encryption: EncryptionArguments,
}

impl SplitArguments {
    /// Returns the settings, model and placement that are spoken of.
    pub fn resolve(self) -> Result<(Settings, Model, Placement)> {
        let placement = match self.placement {
            Some(letters) => letters.parse()?,
            None => Placement::uniform(Party::Server, &self.model.load()?.pins()),
        };
        let (settings, model) = Settings::resolve(
            Overrides {
                model: Some(self.model.model),
                granularity: self.model.granularity,
                placements: vec![placement],
                ..self.encryption.overrides()
            },
            &tell,
        )?;
        let placement = settings.placements[0].clone();
        Ok((settings, model, placement))
    }
}

//! `splitbench list`.

use std::path::PathBuf;

use clap::Args;

use super::print::print;
use crate::core::error::Result;
use crate::core::units;
use crate::model::{Granularity, Model};
use crate::sweep::settings::all_placements;

/// What a person says of a list.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// A model folder, or the name of a built-in model
    #[arg(long, value_name = "DIR", default_value = "models/digits-cnn")]
    model: PathBuf,
    /// What is placed as a whole: a residual block, or each layer [default: block]
    #[arg(long, value_enum, value_name = "WHAT")]
    granularity: Option<Granularity>,
}

/// Prints a line for each split.
pub fn run(arguments: &ListArguments) -> Result<()> {
    let granularity = arguments.granularity.unwrap_or_default();
    let model = Model::load(&arguments.model)?.with_granularity(granularity);
    let width = model.layer_count().max("placement".len());
    let header = format!(
        "{:width$}  server segments  crossings  client weights  bootstraps",
        "placement"
    );
    let lines = all_placements(&model)?.into_iter().map(|placement| {
        let share = model.client_weight_share(&placement);
        format!(
            "{:width$}  {:>15}  {:>9}  {:>14}  {:>10}",
            placement,
            placement.server_segments().len(),
            model.crossing_count(&placement),
            share.map_or("none".into(), units::percent),
            model.bootstrap_count(&placement),
        )
    });
    print(std::iter::once(header).chain(lines))
}

//! `splitbench list`.

use clap::Args;

use super::model::ModelArguments;
use super::print::print;
use crate::core::error::Result;
use crate::core::units;
use crate::model::answer::Answer;
use crate::model::output_mode::OutputMode;
use crate::model::protection::Protection;
use crate::sweep::settings::all_placements;

/// What a person says of a list.
#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Count the bootstraps that this answer takes
    #[arg(long, value_enum, default_value_t)]
    answer: Answer,
    /// Count the bootstraps that this protection takes
    #[arg(long, value_enum, default_value_t)]
    protect: Protection,
}

/// Prints a line for each split.
pub fn run(arguments: &ListArguments) -> Result<()> {
    let model = arguments.model.load()?;
    let output_mode = OutputMode {
        answer: arguments.answer,
        protect: arguments.protect,
    };
    let width = model.layer_count().max("placement".len());
    let header = format!(
        "{:width$}  server segments  crossings  client weights  bootstraps",
        "placement"
    );
    let lines = all_placements(&model)?.into_iter().map(|placement| {
        let fraction = model.client_weight_share(&placement);
        format!(
            "{:width$}  {:>15}  {:>9}  {:>14}  {:>10}",
            placement,
            placement.server_segments().len(),
            model.crossing_count(&placement),
            fraction.map_or("none".into(), units::percent),
            output_mode.bootstrap_count(&model, &placement),
        )
    });
    print(std::iter::once(header).chain(lines))
}

//! `splitbench plot`.

use std::path::PathBuf;

use clap::Args;

use super::print::print;
use crate::core::error::Result;
use crate::record::results::read_splits;
use crate::report::plot::draw_results;

/// What a person says of charts.
#[derive(Debug, Args)]
pub struct PlotArguments {
    /// A results folder
    folder: PathBuf,
}

/// Draws the charts of a results folder and prints their paths.
pub fn run(arguments: &PlotArguments) -> Result<()> {
    let folder = &arguments.folder;
    let rows = read_splits(folder)?;
    let paths = draw_results(&rows, folder)?;
    print(paths.iter().map(|path| path.display().to_string()))
}

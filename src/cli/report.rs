//! `splitbench report`.

use std::path::PathBuf;

use clap::Args;

use super::print::print;
use crate::core::error::Result;
use crate::report;

/// What a person says of a report.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// A results folder
    folder: PathBuf,
}

/// Writes the report of a results folder and prints its path.
pub fn run(arguments: &ReportArguments) -> Result<()> {
    let path = report::write(&arguments.folder)?;
    print([path.display().to_string()])
}

//! `splitbench export`.

use std::path::PathBuf;

use clap::Args;

use super::print::print;
use crate::core::error::Result;
use crate::machine::whole_file::write_whole;
use crate::report::export::{Format, TableRequest, export};

/// What a person says of a table.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// A results folder
    folder: PathBuf,
    /// latex (booktabs), markdown, or csv, which takes no caption
    #[arg(long, value_enum)]
    format: Format,
    /// Columns of splits.csv, and exposure [default: those that decide between splits]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    columns: Vec<String>,
    /// Only the front: splits with a server that none dominates in online time, client memory, bytes
    /// and exposure
    #[arg(long)]
    front: bool,
    /// Where the table goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes or prints the table, the fastest split first.
pub fn run(arguments: ExportArguments) -> Result<()> {
    let table = export(&TableRequest {
        folder: arguments.folder,
        format: arguments.format,
        columns: arguments.columns,
        front: arguments.front,
    })?;
    match arguments.out {
        Some(path) => write_whole(&path, table.as_bytes()),
        None => print(table.lines().map(str::to_owned)),
    }
}

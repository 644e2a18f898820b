//! `splitbench merge`.

use std::path::PathBuf;

use clap::Args;

use super::print::print;
use super::summary::summary;
use crate::cli::progress::tell;
use crate::core::error::Result;
use crate::sweep::merge::{MergeRequest, merge};

/// What a person says of a merge.
#[derive(Debug, Args)]
pub struct MergeArguments {
    /// Results folders of the shards, or a folder that holds shard-<I>-of-<N>
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The new results folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where the model lies, if not where the sweeps found it
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Allow placements to be missing: a line says which, and their rows skipped or partial
    #[arg(long)]
    partial: bool,
    /// Allow different CPUs, instructions and thread counts; rows say their host, and each has charts of its own
    #[arg(long)]
    mix_hosts: bool,
}

/// Merges results folders and prints what a sweep of the whole would have.
pub fn run(arguments: MergeArguments) -> Result<()> {
    let request = MergeRequest {
        folders: arguments.folders,
        out: arguments.out,
        model: arguments.model,
        partial: arguments.partial,
        mix_hosts: arguments.mix_hosts,
    };
    let tables = merge(&request, &tell)?;
    print(summary(&tables, &request.out))
}

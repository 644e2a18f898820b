//! The command line: what a person types and reads. Results go to standard output, everything
//! else to standard error.

mod attack;
mod audit;
mod calibrate;
mod choose;
mod compare;
mod encryption;
mod export;
mod import;
mod interrupt;
mod list;
mod memory;
mod merge;
mod model;
mod one_split;
mod params;
mod plot;
mod predict;
mod print;
pub mod progress;
mod report;
mod scenario;
mod summary;
mod sweep;
mod typed;
mod version;
mod words;

use attack::AttackArguments;
use audit::AuditArguments;
use calibrate::CalibrateArguments;
use choose::ChooseArguments;
use clap::{Parser, Subcommand};
use compare::CompareArguments;
use export::ExportArguments;
use import::ImportArguments;
use list::ListArguments;
use merge::MergeArguments;
use one_split::SplitArguments;
use plot::PlotArguments;
use predict::PredictArguments;
use progress::tell;
use report::ReportArguments;
use sweep::SweepArguments;

use crate::core::error::Result;
use crate::core::placement::Party;
use crate::core::simd;
use crate::machine::threads;
use crate::sweep::{role, worker};

/// Lists, runs and measures every client/server split of a neural network under fully homomorphic
/// encryption.
#[derive(Debug, Parser)]
#[command(
    name = "splitbench",
    disable_version_flag = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Print the version
    #[arg(short = 'V', long, global = true)]
    version: bool,
    /// With --version: also print the build, and the instructions that hot loops run on here
    #[arg(long, requires = "version")]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a model folder of an ONNX file: quantise it on calibration images and check it
    Import(ImportArguments),
    /// List every split of a model: placement, server segments, crossings, the client's weights
    List(ListArguments),
    /// Run splits under encryption and write tables and charts; without arguments all splits of
    /// the built-in digits-cnn
    Sweep(SweepArguments),
    /// Make one results folder of the shards of a sweep
    Merge(MergeArguments),
    /// Compare two results folders, split by split
    Compare(CompareArguments),
    /// Choose a split of a results folder: the best within limits, the front, and why not the others
    Choose(ChooseArguments),
    /// Learn copies of the server's layers from its answers, for the splits of a results folder: how good a
    /// copy a client gets after how many queries
    Attack(AttackArguments),
    /// Predict what every split takes from machine calibration on some; compare with measured rows
    Predict(PredictArguments),
    /// Print the parameter sets chosen for a placement, the noise budget behind them and the accuracy
    Params(SplitArguments),
    /// Run one placement with real keys and compare every look-up with its clear value
    Audit(AuditArguments),
    /// Measure this machine's figures for the choice of parameter sets
    Calibrate(CalibrateArguments),
    /// Redraw the charts of a results folder from its splits.csv
    Plot(PlotArguments),
    /// Write report.html into a results folder: tables, charts and a map to choose a split by
    Report(ReportArguments),
    /// Write a table of splits for a paper: LaTeX, Markdown or CSV
    Export(ExportArguments),
    /// Run one split for a sweep, as told on standard input
    #[command(hide = true)]
    Worker,
    /// Run one party of one inference, for its memory
    #[command(hide = true)]
    Role { party: Party },
}

/// Runs a parsed command.
///
/// # Errors
///
/// Whatever the command meets; [`Error::exit_code`](crate::core::error::Error::exit_code) tells what
/// to exit with.
pub fn run(cli: Cli) -> Result<()> {
    let path = simd::check()?;
    let command = match cli.command {
        Some(command) if !cli.version => command,
        _ => {
            version::print(cli.verbose.then_some(path));
            return Ok(());
        }
    };
    threads::start_pool()?;
    match command {
        Command::Import(arguments) => import::run(arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::Merge(arguments) => merge::run(arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Choose(arguments) => choose::run(&arguments),
        Command::Attack(arguments) => attack::run(&arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Params(arguments) => params::run(arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Calibrate(arguments) => calibrate::run(&arguments),
        Command::Plot(arguments) => plot::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Worker => worker::run(),
        Command::Role { party } => role::run(party),
    }
}

/// Reads the command line. Ends the program where it asks for help, or cannot be read.
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        // It repeats what was typed, and a shell types names of files.
        error.render().to_string().lines().for_each(tell);
        std::process::exit(error.exit_code())
    })
}

//! The command line: what a person types and reads. Results go to standard output, everything
//! else to standard error.

mod calibrate;
mod choose;
mod compare;
mod export;
mod import;
mod merge;
mod predict;
pub mod progress;
mod report;
mod scenario;
mod sweep;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use calibrate::CalibrateArguments;
use choose::ChooseArguments;
use clap::{Args, Parser, Subcommand};
use compare::CompareArguments;
use export::ExportArguments;
use import::ImportArguments;
use merge::MergeArguments;
use predict::PredictArguments;
use report::ReportArguments;
use sweep::SweepArguments;

use crate::circuit::compile::compile_placement;
use crate::cli::progress::{INTERRUPTED, tell};
use crate::core::error::{Error, Result};
use crate::core::foreign::shown;
use crate::core::placement::{Party, Placement};
use crate::core::units;
use crate::machine::allowance::Bound;
use crate::machine::threads;
use crate::model::answer::Answer;
use crate::model::protection::Protection;
use crate::model::{Granularity, Model};
use crate::oracle::accuracy::Accuracy;
use crate::oracle::explain::explain;
use crate::party::session::Session;
use crate::plan::memory_need::MemoryNeed;
use crate::record::deviations::Deviations;
use crate::record::download::Download;
use crate::record::results::{self, Tables, read_splits};
use crate::record::row::SplitRow;
use crate::record::settings::Settings;
use crate::record::step_noise::StepNoise;
use crate::report::plot::{draw_results, hosts};
use crate::sweep::role;
use crate::sweep::settings::{Overrides, all_placements};
use crate::sweep::worker;

/// Lists, runs and measures every client/server split of a neural network under fully homomorphic
/// encryption.
#[derive(Debug, Parser)]
#[command(name = "splitbench", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
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
    /// Predict what every split takes from a calibration run of some; compare with measured rows
    Predict(PredictArguments),
    /// Print the parameter sets chosen for a placement, the noise budget behind them and the accuracy
    Params(ParamsArguments),
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

#[derive(Debug, Args)]
struct ListArguments {
    /// A model folder, or the name of a built-in model
    #[arg(long, value_name = "DIR", default_value = "models/digits-cnn")]
    model: PathBuf,
    /// What is placed as a whole: a residual block, or each layer [default: block]
    #[arg(long, value_enum, value_name = "WHAT")]
    granularity: Option<Granularity>,
}

/// What decides how a placement is encrypted.
#[derive(Debug, Clone, Args)]
struct EncryptionArguments {
    /// Parameter sets: auto (the cheapest that is precise enough, per server segment), exact, fast
    /// or accurate [default: auto]
    #[arg(long, value_name = "CHOICE")]
    parameters: Option<String>,
    /// With auto: the noise that a look-up may have, as a share of an output step,
    /// the mean over channels, or auto for the most, up to 0.5, that costs at most 0.3 points of
    /// the model's calibration images [default: auto]
    #[arg(long, value_name = "SHARE")]
    step_noise: Option<StepNoise>,
    /// log2 of the failure probability that no look-up may exceed [default: -64]
    #[arg(long, value_name = "LOG2", allow_negative_numbers = true)]
    log2_p_fail: Option<f64>,
    /// How answers travel: as they are, under a shared mask with a packing key, or as whole LWE
    /// ciphertexts [default: plain]
    #[arg(long, value_enum)]
    download: Option<Download>,
    /// What the client gets where the server runs the last layer: logits, or only the label of the
    /// largest, found under encryption [default: logits]
    #[arg(long, value_enum)]
    answer: Option<Answer>,
    /// What hides the model in answers: nothing, encryptions of zero and flooding noise on those that
    /// are linear combinations, or a bootstrap of every answer [default: none]
    #[arg(long, value_enum)]
    protect: Option<Protection>,
    /// With auto: figures of the machine, written by `splitbench calibrate`
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
}

impl EncryptionArguments {
    /// Returns what was said, and nothing of what else there is to say.
    fn overrides(self) -> Overrides {
        Overrides {
            parameters: self.parameters,
            step_noise: self.step_noise,
            log2_p_fail_lookup: self.log2_p_fail,
            download: self.download,
            answer: self.answer,
            protect: self.protect,
            calibration: self.calibration,
            ..Overrides::default()
        }
    }
}

#[derive(Debug, Args)]
struct ParamsArguments {
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

#[derive(Debug, Args)]
struct AuditArguments {
    #[command(flatten)]
    params: ParamsArguments,
    /// The first N test images
    #[arg(long, value_name = "N", default_value_t = 6)]
    images: usize,
}

#[derive(Debug, Args)]
struct PlotArguments {
    /// A results folder
    folder: PathBuf,
}

/// Runs a parsed command.
///
/// # Errors
///
/// Whatever the command meets; [`Error::exit_code`] tells what to exit with.
pub fn run(cli: Cli) -> Result<()> {
    threads::start_pool()?;
    match cli.command {
        Command::Import(arguments) => import::run(arguments),
        Command::List(arguments) => list(&arguments),
        Command::Sweep(arguments) => sweep::run(arguments),
        Command::Merge(arguments) => merge::run(arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Choose(arguments) => choose::run(&arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Params(arguments) => params(arguments),
        Command::Audit(arguments) => audit(arguments),
        Command::Calibrate(arguments) => calibrate::run(&arguments),
        Command::Plot(arguments) => plot(&arguments.folder),
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

/// Prints lines to standard output, one for each, whatever names they hold; a reader that has heard
/// enough, `head` say, is no error.
fn print(lines: impl IntoIterator<Item = String>) -> Result<()> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut lines = lines.into_iter();
    let written = lines
        .try_for_each(|line| writeln!(stdout, "{}", shown(&line)))
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Write {
            path: "standard output".into(),
            source: error,
        }),
        _ => Ok(()),
    }
}

fn list(arguments: &ListArguments) -> Result<()> {
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

/// Returns the settings, model and placement that `params` and `audit` speak of.
fn resolve_one(arguments: ParamsArguments) -> Result<(Settings, Model, Placement)> {
    let letters = match arguments.placement {
        Some(letters) => letters,
        None => {
            let granularity = arguments.granularity.unwrap_or_default();
            let model = Model::load(&arguments.model)?.with_granularity(granularity);
            "S".repeat(model.layer_count())
        }
    };
    let (settings, model) = Settings::resolve(
        Overrides {
            model: Some(arguments.model),
            granularity: arguments.granularity,
            placements: vec![letters.parse()?],
            ..arguments.encryption.overrides()
        },
        &tell,
    )?;
    let placement = settings.placements[0].clone();
    Ok((settings, model, placement))
}

fn params(arguments: ParamsArguments) -> Result<()> {
    let (settings, model, placement) = resolve_one(arguments)?;
    let programs = compile_placement(&model, &placement, &settings.target()?)?;
    let images: Vec<usize> = (0..model.test.len()).collect();
    let accuracy = Accuracy::of(&model, &placement, &programs, &images, settings.seed);
    print(explain(&model, &programs, &accuracy, &settings.cost))
}

fn audit(arguments: AuditArguments) -> Result<()> {
    let image_count = arguments.images;
    let (settings, model, placement) = resolve_one(arguments.params)?;
    if image_count == 0 || image_count > model.test.len() {
        let most = model.test.len();
        return Err(Error::Usage(format!(
            "--images {image_count}: give 1 to {most}"
        )));
    }
    let session = Session::set_up(&model, &placement, &settings.target()?)?;
    let mut layers: BTreeMap<usize, (Deviations, Deviations)> = BTreeMap::new();
    for image in 0..image_count {
        let exchanges = session.infer(model.test.image(image))?.exchanges;
        let uploads: Vec<_> = exchanges.into_iter().map(|e| e.uploaded).collect();
        for found in crate::oracle::audit::audit(&session, &uploads)? {
            let (predicted, measured) = layers.entry(model.layer_of(found.node)).or_default();
            *predicted = predicted.plus(found.predicted);
            *measured = measured.plus(found.measured);
        }
    }
    let header =
        "layer       look-ups  >=1 step predicted  measured  >=2 steps predicted  measured";
    let lines = layers.into_iter().map(|(layer, (predicted, measured))| {
        let rates = |tally: Deviations| tally.rates().unwrap_or_default();
        format!(
            "{:10}  {:>8}  {:>17}  {:>8}  {:>18.4} %  {:>6.4} %",
            model.layers[layer].name,
            measured.look_ups,
            units::percent(rates(predicted).0),
            units::percent(rates(measured).0),
            100.0 * rates(predicted).1,
            100.0 * rates(measured).1,
        )
    });
    print(std::iter::once(header.to_owned()).chain(lines))
}

/// Refuses what is projected to take more memory than there is, or than a worker may take, and tells
/// what else than the machine bounds it.
///
/// # Errors
///
/// [`Error::Usage`] with both figures and `ways_out`.
fn hold_memory(need: &MemoryNeed, limit: Option<u64>, ways_out: &str) -> Result<()> {
    for weighed in need.weighed(limit) {
        if weighed.is_too_much() {
            return Err(Error::Usage(format!("{weighed}: {ways_out}")));
        }
        if weighed.allowance.bound != Bound::Machine {
            tell(&format!("memory: {weighed}"));
        }
    }
    Ok(())
}

/// Lets the first Ctrl-C ask for an end, and the second be one.
fn listen() -> Result<()> {
    let handler = || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    ctrlc::set_handler(handler).map_err(|error| not_listening(&error))
}

/// Returns the error of a program that cannot hear Ctrl-C, most likely for want of a thread.
fn not_listening(error: &ctrlc::Error) -> Error {
    match error {
        ctrlc::Error::System(error) => Error::Threads(error.to_string()),
        error => Error::Worker(format!("cannot listen for Ctrl-C: {error}")),
    }
}

/// Returns what a person wants to know first, and where the rest is.
fn summary(tables: &Tables, folder: &Path) -> Vec<String> {
    let times = |row: &&SplitRow| row.online_s_median.is_some();
    let by_time = |a: &&SplitRow, b: &&SplitRow| a.online_s_median.partial_cmp(&b.online_s_median);
    let by_time = |a: &&SplitRow, b: &&SplitRow| by_time(a, b).unwrap_or(std::cmp::Ordering::Equal);
    let describe = |name: &str, row: &SplitRow| {
        format!(
            "{name} {}: {} online, {} up, {} down, {} at peak, accuracy {}{}",
            row.placement,
            row.online_s_median.map_or("-".into(), units::seconds),
            row.upload_bytes.map_or("-".into(), units::bytes),
            row.download_bytes.map_or("-".into(), units::bytes),
            row.peak_rss_bytes.map_or("-".into(), units::bytes),
            row.simulated_accuracy.map_or("-".into(), units::percent),
            row.failure_words()
                .map_or(String::new(), |words| format!(", {words}")),
        )
    };
    let is_one_host = hosts(&tables.splits).len() < 2;
    let rows = || tables.splits.iter().filter(times).filter(|_| is_one_host);
    let fastest = rows().filter(|row| row.rounds > Some(0)).min_by(by_time);
    let all_server = rows().find(|row| !row.placement.contains('C'));
    let mut lines = Vec::new();
    lines.extend(fastest.map(|row| describe("fastest with a server ", row)));
    lines.extend(all_server.map(|row| describe("everything on a server", row)));
    lines.extend(time_spent(tables));
    lines.push(format!(
        "tables  {}",
        folder.join(results::SPLITS).display()
    ));
    lines.push(format!(
        "charts  {}",
        folder
            .join(if is_one_host {
                results::CHARTS.to_owned()
            } else {
                format!("{}-*", results::CHARTS)
            })
            .display()
    ));
    let report = folder.join(results::REPORT);
    lines.push(format!("report  {}", report.display()));
    lines
}

/// Returns what the time of all visits went to, the longest stage first; nothing where that is unknown.
fn time_spent(tables: &Tables) -> Option<String> {
    let mut stages: BTreeMap<&str, f64> = BTreeMap::new();
    for row in &tables.stages {
        *stages.entry(&row.stage).or_default() += row.seconds;
    }
    let total: f64 = stages.values().sum();
    let mut stages: Vec<(&str, f64)> = stages.into_iter().collect();
    stages.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let words = stages.iter().map(|(stage, seconds)| {
        let share = (100.0 * seconds / total).round();
        format!("{stage} {share} %")
    });
    let words: Vec<String> = words.collect();
    let total = units::rough_seconds(total);
    (!words.is_empty()).then(|| format!("time    {total}: {}", words.join(", ")))
}

fn plot(folder: &Path) -> Result<()> {
    let rows = read_splits(folder)?;
    let paths = draw_results(&rows, folder)?;
    print(paths.iter().map(|path| path.display().to_string()))
}

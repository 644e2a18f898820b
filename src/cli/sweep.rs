//! `splitbench sweep`.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;

use super::encryption::EncryptionArguments;
use super::interrupt::listen;
use super::memory::hold_memory;
use super::print::print;
use super::summary::summary;
use super::typed::seconds;
use crate::cli::progress::{INTERRUPTED, Progress, tell};
use crate::core::error::{Error, Result};
use crate::core::units;
use crate::model::{Granularity, Model};
use crate::plan::memory_need::MemoryNeed;
use crate::plan::projection::{Projection, project};
use crate::record::order::Order;
use crate::record::settings::Settings;
use crate::sweep::Overrides;
use crate::sweep::watch::Limits;
use crate::sweep::{self, Isolation, ResultsFolder, Resume};

/// What to do where a sweep needs more memory than there is.
const WAYS_OUT: &str = "leave heavy splits out with --placement, or add --force";

#[derive(Debug, Args)]
pub struct SweepArguments {
    /// A split file: model, placements, images, repeats, seed
    #[arg(long, value_name = "FILE")]
    splits: Option<PathBuf>,
    /// A model folder, or the name of a built-in model; alone, all its splits
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// What is placed as a whole: a residual block, or each layer [default: block]
    #[arg(long, value_enum, value_name = "WHAT")]
    granularity: Option<Granularity>,
    /// Only these placements, one letter per layer: C client, S server
    #[arg(long, value_name = "CSSC", num_args = 1..)]
    placement: Vec<String>,
    /// The first N test images
    #[arg(long, value_name = "N")]
    images: Option<usize>,
    /// Rounds: each visits every split, with keys and a process of its own, and infers every image
    /// once [default: 1]
    #[arg(long, value_name = "N")]
    repeats: Option<usize>,
    /// Order of the splits in a round [default: seeded]
    #[arg(long, value_enum)]
    order: Option<Order>,
    /// Seed of the simulated noise and of the order [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Only the I-th of N parts of the placements, for other machines to run the others
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Only the splits of most promise, as many as are projected to take so long: 90s, 30m, 2h
    #[arg(long, value_name = "TIME", value_parser = seconds,
        conflicts_with_all = ["placement", "shard"])]
    budget: Option<f64>,
    /// Simulate accuracy over the first N test images only, for networks where all of them take long
    #[arg(long, value_name = "N")]
    accuracy_images: Option<usize>,
    /// Let ciphertexts that wait for a later layer spill to a file (in TMPDIR) rather than have more
    /// than so many bytes of them in memory, for instance 600MB
    #[arg(long, value_name = "SIZE")]
    spill_above: Option<String>,
    /// Leave the memory of each party empty, which takes two processes and further keys for each split
    #[arg(long)]
    skip_party_memory: bool,
    /// How long attacks on a server segment may take before they are stopped, and what they would
    /// have found is unknown: 10s, 5m [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = seconds, conflicts_with = "skip_attacks")]
    attack_budget: Option<f64>,
    /// Mount no attacks: what a split gives away is then known only where algebra tells
    #[arg(long)]
    skip_attacks: bool,
    /// A first look: one round, without attacks and without the memory of each party
    #[arg(long, conflicts_with_all = ["repeats", "attack_budget"])]
    quick: bool,
    #[command(flatten)]
    encryption: EncryptionArguments,
    /// Where the results go [default: results/<name of the split file>, and in it
    /// shard-<I>-of-<N>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with what the results folder holds
    #[arg(long)]
    resume: bool,
    /// Go on, and run those splits again that failed, timed out or ran out of memory
    #[arg(long)]
    retry: bool,
    /// Go on where the log is damaged: keep the lines before the damage, say what is dropped, and run
    /// that again; the damaged log stays beside it
    #[arg(long)]
    recover: bool,
    /// Stop a split after so many seconds in a round
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Stop a split whose worker takes more memory, for instance 4GB
    #[arg(long, value_name = "SIZE")]
    memory_limit: Option<String>,
    /// Run also what is projected to take more memory than there is
    #[arg(long)]
    force: bool,
    /// Run splits in this process instead of one each: quicker to start, but memory then tells
    /// little, and a split that crashes ends the sweep
    #[arg(long, conflicts_with_all = ["timeout", "memory_limit"])]
    in_process: bool,
}

/// Runs the sweep.
///
/// # Errors
///
/// As [`sweep::run`], and [`Error::Usage`] for what cannot be run.
pub fn run(arguments: &SweepArguments) -> Result<()> {
    let (settings, model) = Settings::resolve(arguments.overrides()?, &tell)?;
    let folder = arguments.folder(&settings);
    let limits = arguments.limits()?;
    let isolation = if arguments.in_process {
        Isolation::None
    } else {
        Isolation::workers(limits)?
    };
    let results = arguments.open(&folder, &settings)?;
    listen()?;
    announce(&settings, &model);
    if arguments.quick {
        tell("--quick leaves out: further rounds, attacks, the memory of each party");
    }
    let stop = || INTERRUPTED.load(Ordering::Relaxed);
    let memory = match MemoryNeed::of(&settings, &model, &stop)? {
        memory if arguments.in_process => memory.in_process(),
        memory => memory,
    };
    // Before anything needs it.
    if !arguments.force
        && let Err(error) = hold_memory(&memory, limits.memory_bytes, WAYS_OUT)
    {
        results.abandon();
        return Err(error);
    }
    let projection = project(&settings, &model, &stop)?;
    tell_projection(&settings, &projection, &memory);
    let outcome = {
        let (splits, rounds) = (settings.placements.len(), settings.repeats);
        let progress = Progress::new(splits, rounds, projection.expected);
        sweep::run(results, &settings, &model, &isolation, &progress)
    };
    let tables = outcome?;
    print(summary(&tables, &folder))
}

impl SweepArguments {
    /// Returns what was said of the settings.
    fn overrides(&self) -> Result<Overrides> {
        let placements = self.placement.iter().map(|text| text.parse());
        Ok(Overrides {
            splits: self.splits.clone(),
            model: self.model.clone(),
            granularity: self.granularity,
            placements: placements.collect::<Result<_>>()?,
            images: self.images,
            repeats: if self.quick { Some(1) } else { self.repeats },
            order: self.order,
            seed: self.seed,
            shard: self.shard.as_deref().map(str::parse).transpose()?,
            budget_s: self.budget,
            accuracy_images: self.accuracy_images,
            skip_party_memory: self.skip_party_memory || self.quick,
            attack_budget_s: self.attack_budget,
            skip_attacks: self.skip_attacks || self.quick,
            spill_above_bytes: size("--spill-above", self.spill_above.as_deref())?,
            ..self.encryption.clone().overrides()
        })
    }

    /// Returns where the results go.
    fn folder(&self, settings: &Settings) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            let folder = Path::new("results").join(&settings.name);
            match settings.shard {
                Some(shard) => folder.join(shard.folder_name()),
                None => folder,
            }
        })
    }

    fn limits(&self) -> Result<Limits> {
        Ok(Limits {
            time: self.timeout.map(Duration::from_secs),
            memory_bytes: size("--memory-limit", self.memory_limit.as_deref())?,
        })
    }

    /// Opens the results folder, mended before where that is asked for.
    fn open(&self, folder: &Path, settings: &Settings) -> Result<ResultsFolder> {
        if self.recover
            && let Some(dropped) = ResultsFolder::recover(folder, settings)?
        {
            tell(&dropped.to_string());
        }
        let resume = match (self.retry, self.resume || self.recover) {
            (true, _) => Resume::Retry,
            (false, true) => Resume::Continue,
            (false, false) => Resume::No,
        };
        ResultsFolder::open(folder, settings, resume)
    }
}

fn size(option: &str, text: Option<&str>) -> Result<Option<u64>> {
    let parse = |text: &str| {
        units::parse_bytes(text).ok_or_else(|| {
            Error::Usage(format!(
                "{option} {text:?}: give a size such as 4GB or 512MiB"
            ))
        })
    };
    text.map(parse).transpose()
}

/// Tells what is about to be done, before anything that takes time.
fn announce(settings: &Settings, model: &Model) {
    tell(&format!(
        "{}: {} splits of {} layers, {} images, {} rounds, parameter sets: {}; trying this machine",
        model.name,
        settings.placements.len(),
        model.layer_count(),
        settings.images,
        settings.repeats,
        settings.parameters,
    ));
}

fn tell_projection(settings: &Settings, projection: &Projection, memory: &MemoryNeed) {
    let visits: Vec<_> = sweep::schedule(settings).collect();
    let seconds = projection.expected.seconds(&visits).into_iter().sum();
    tell(&format!(
        "{} inferences, {} bootstraps: about {} and {} here",
        projection.inference_count,
        projection.bootstrap_count,
        units::rough_seconds(seconds),
        units::bytes(memory.together()),
    ));
}

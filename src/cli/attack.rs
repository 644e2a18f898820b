//! `splitbench attack`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;

use super::interrupt::listen;
use super::print::print;
use super::typed::seconds;
use crate::attack::copy::campaign::{Campaign, Wanted};
use crate::attack::copy::ground::Ground;
use crate::attack::copy::pupil::Pupil;
use crate::attack::copy::replay::replay;
use crate::cli::progress::{INTERRUPTED, copied, tell};
use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::core::units;
use crate::model::source::Source;
use crate::model::{Model, TestSet};
use crate::record::copy::{AGREEMENTS, CopyPoint, Until};
use crate::record::log::{self, Record};
use crate::record::results::{COPIES, Tables, copy_curve, write_csv};
use crate::record::settings::Settings;
use crate::report;
use crate::report::plot::draw_results;
use crate::sweep::copies::learn;
use crate::sweep::{ResultsFolder, Resume};

/// Seeds that are learnt with, at most.
const MOST_SEEDS: usize = 100;
/// Queries that a point may have, at most.
const MOST_QUERIES: usize = 1_000_000;

/// What a person says of an attack.
#[derive(Debug, Args)]
pub struct AttackArguments {
    /// A results folder
    folder: PathBuf,
    /// Only these placements, one letter per layer: C client, S server [default: all that ended well]
    #[arg(long, value_name = "CSSC", num_args = 1..)]
    placement: Vec<String>,
    /// After how many queries copies are judged
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "10,100,1000,10000"
    )]
    queries: Vec<usize>,
    /// Copies for each point, with other queries, noise and start
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: usize,
    /// How long to learn; what does not fit is unknown, and learnt when asked for again
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "15m")]
    budget: f64,
    /// Queries that are put to a real server too, over all segments, whatever of the budget is left; 0 for none
    #[arg(long, value_name = "N", default_value_t = 200)]
    replay: usize,
    /// The model that was swept, where it lies elsewhere
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

/// Learns copies, keeps what they are worth and prints it.
///
/// # Errors
///
/// [`Error::Usage`] for what cannot be asked, [`Error::Invalid`] where the model changed; as
/// [`ResultsFolder::open`] and [`Campaign::run`].
pub fn run(arguments: &AttackArguments) -> Result<()> {
    let wanted = arguments.wanted()?;
    let settings = arguments.settings()?;
    let (model, training) = arguments.load(&settings)?;
    let mut folder = ResultsFolder::open(&arguments.folder, &settings, Resume::Continue)?;
    let placements = arguments.placements(&settings, &model, folder.records())?;
    listen()?;
    tell(&format!(
        "{}: copies of {} splits, {} seeds, at most {}; compiling",
        model.name,
        placements.len(),
        wanted.seeds,
        units::rough_seconds(wanted.budget_s),
    ));
    let ground = Ground::new(model.clone(), training, settings.target()?)?;
    let campaign = Campaign::new(&ground, &placements)?;
    let hear = |point: &CopyPoint, advance| tell(&copied(point, advance));
    let stop = || INTERRUPTED.load(Ordering::Relaxed);
    let learnt = learn(&mut folder, &campaign, &wanted, &hear, &stop);
    write(&folder, &settings, &model)?;
    learnt?;
    let replayed = arguments.replay(&ground, &campaign, &mut folder, wanted.seed)?;
    print(
        table(folder.records(), &placements, &wanted.queries)
            .into_iter()
            .chain([replayed]),
    )
}

impl AttackArguments {
    fn wanted(&self) -> Result<Wanted> {
        let mut queries = self.queries.clone();
        queries.sort_unstable();
        queries.dedup();
        if let Some(wrong) = queries
            .iter()
            .find(|count| !(2..=MOST_QUERIES).contains(*count))
        {
            return Err(Error::Usage(format!(
                "--queries {wrong}: give numbers from 2 to {MOST_QUERIES}"
            )));
        }
        if !(1..=MOST_SEEDS).contains(&self.seeds) {
            let seeds = self.seeds;
            return Err(Error::Usage(format!(
                "--seeds {seeds}: give 1 to {MOST_SEEDS}"
            )));
        }
        if self.replay > MOST_QUERIES {
            let replay = self.replay;
            return Err(Error::Usage(format!(
                "--replay {replay}: give at most {MOST_QUERIES}"
            )));
        }
        Ok(Wanted {
            queries,
            seeds: self.seeds,
            seed: 0,
            budget_s: self.budget,
        })
    }

    /// Returns the settings that the folder's sweep ran with.
    fn settings(&self) -> Result<Settings> {
        match log::read(&self.folder)?.into_iter().next() {
            Some(Record::Settings(settings)) => Ok(settings),
            _ => {
                let place = self.folder.join(log::FILE_NAME).display().to_string();
                let reason =
                    "there is no log of a sweep: give a folder that `splitbench sweep` wrote";
                Err(Error::invalid(place, reason))
            }
        }
    }

    /// Loads the model that was swept, and the images that it was trained on.
    fn load(&self, settings: &Settings) -> Result<(Model, Option<TestSet>)> {
        let path = self.model.as_ref().unwrap_or(&settings.model);
        let source = Source::find(path)?;
        let model = Model::read(&source)?.with_granularity(settings.granularity);
        if model.digest != settings.model_digest {
            let reason = "not the model that was swept, its digest differs: restore it, or name that one \
                          with --model";
            return Err(Error::invalid(path.display().to_string(), reason));
        }
        let training = TestSet::training(&source, &model)?;
        Ok((model, training))
    }

    /// Returns the placements to attack: those that ended well, or of these the ones that were asked for.
    fn placements(
        &self,
        settings: &Settings,
        model: &Model,
        records: &[Record],
    ) -> Result<Vec<Placement>> {
        let splits = Tables::derive(settings, model, records).splits;
        let is_ok = |placement: &Placement| {
            let name = placement.to_string();
            splits
                .iter()
                .any(|row| row.placement == name && row.status == "ok")
        };
        if self.placement.is_empty() {
            let ok = settings
                .placements
                .iter()
                .filter(|placement| is_ok(placement));
            return Ok(ok.cloned().collect());
        }
        let mut placements = Vec::new();
        for letters in &self.placement {
            let placement = model.place(letters.parse()?)?;
            if !is_ok(&placement) {
                return Err(Error::Usage(format!(
                    "--placement {placement}: {} has no row of it with status ok; run it first",
                    self.folder.display()
                )));
            }
            if !placements.contains(&placement) {
                placements.push(placement);
            }
        }
        Ok(placements)
    }

    /// Puts questions to real servers, those of segments that were asked before less, and says what came of it.
    fn replay(
        &self,
        ground: &Ground,
        campaign: &Campaign<'_>,
        folder: &mut ResultsFolder,
        seed: u64,
    ) -> Result<String> {
        let pupils: Vec<&Pupil> = campaign.pupils().collect();
        let each = self.replay.div_ceil(pupils.len().max(1));
        let stop = || INTERRUPTED.load(Ordering::Relaxed);
        for pupil in &pupils {
            let asked = asked_before(folder.records(), pupil);
            if asked >= each {
                continue;
            }
            let found = replay(ground, pupil, each, seed, &stop)?;
            tell(&format!(
                "layers {} to {}: {} of {} queries answered within the error model by a real server",
                found.layers.0 + 1,
                found.layers.1,
                found.within,
                found.queries,
            ));
            folder.append(Record::Replay(found))?;
            if stop() {
                return Err(Error::Interrupted);
            }
        }
        // Each replay of a segment begins with the same questions: the longest counts.
        let mut longest = BTreeMap::new();
        for record in folder.records() {
            if let Record::Replay(replay) = record {
                let of = longest
                    .entry((replay.layers, &replay.parameters))
                    .or_insert((0_usize, 0_usize));
                *of = (*of).max((replay.queries, replay.within));
            }
        }
        let queries = longest
            .values()
            .fold(0_usize, |sum, of| sum.saturating_add(of.0));
        let within = longest
            .values()
            .fold(0_usize, |sum, of| sum.saturating_add(of.1));
        Ok(format!(
            "{queries} queries were put to real servers too, {within} of them answered within the error model"
        ))
    }
}

/// Returns how many questions of a segment a real server was asked.
fn asked_before(records: &[Record], pupil: &Pupil) -> usize {
    let parameters = pupil.program.parameters.to_string();
    let layers = (pupil.layers.start, pupil.layers.end);
    let asked = records.iter().filter_map(|record| match record {
        Record::Replay(replay) if replay.layers == layers && replay.parameters == parameters => {
            Some(replay.queries)
        }
        _ => None,
    });
    asked.max().unwrap_or(0)
}

/// Writes the table, and what shows it.
fn write(folder: &ResultsFolder, settings: &Settings, model: &Model) -> Result<()> {
    folder.check_place()?;
    let tables = Tables::derive(settings, model, folder.records());
    write_csv(&folder.path().join(COPIES), &tables.copies)?;
    draw_results(&tables.splits, folder.path())?;
    report::write(folder.path())?;
    Ok(())
}

/// Width of a column with two percentages.
const WIDTH: usize = 19;

/// Returns a line for each split: agreements of copies, beside them of what is learnt without the server.
fn table(records: &[Record], placements: &[Placement], queries: &[usize]) -> Vec<String> {
    let what = "agreement with the server's labels after so many queries: of copies, and (of what the same \
                images teach without the server)";
    let width = placements
        .iter()
        .map(|placement| placement.parties().len())
        .max()
        .unwrap_or(0)
        .max("split".len());
    let counts = queries.iter().map(|count| format!("  {count:>WIDTH$}"));
    let agreements =
        AGREEMENTS.map(|agreement| format!("  {:>8}", units::percent_as_typed(agreement)));
    let header = format!(
        "{:width$}{}  {:>8}{}",
        "split",
        counts.collect::<String>(),
        "ceiling",
        agreements.concat()
    );
    let curves = placements
        .iter()
        .map(|placement| (placement, copy_curve(records, placement)));
    let lines = curves
        .filter(|(_, curve)| !curve.is_empty())
        .map(|(placement, curve)| {
            format!("{:width$}{}", placement.to_string(), cells(&curve, queries))
        });
    [what.to_owned(), header].into_iter().chain(lines).collect()
}

/// Returns what stands behind the name of a split.
fn cells(curve: &[&CopyPoint], queries: &[usize]) -> String {
    let shown = |fraction: Option<f64>| fraction.map_or_else(|| "-".into(), units::percent);
    let points = queries.iter().map(|count| {
        let point = curve.iter().find(|point| point.queries == *count);
        let copy = point.and_then(|point| point.mean(|of| Some(of.copy.agreement)));
        let own = point.and_then(|point| point.mean(|of| of.own.map(|own| own.agreement)));
        format!("  {:>WIDTH$}", format!("{} ({})", shown(copy), shown(own)))
    });
    let ceiling = shown(curve.last().and_then(|point| point.ceiling));
    let until = AGREEMENTS.map(|agreement| match Until::of(curve, agreement).cell() {
        unknown if unknown.is_empty() => format!("  {:>8}", "-"),
        cell => format!("  {cell:>8}"),
    });
    format!(
        "{}  {ceiling:>8}{}",
        points.collect::<String>(),
        until.concat()
    )
}

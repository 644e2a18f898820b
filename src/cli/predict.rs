//! `splitbench predict`.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;

use super::encryption::EncryptionArguments;
use super::interrupt::listen;
use super::memory::hold_memory;
use super::model::ModelArguments;
use super::print::print;
use super::scenario::ScenarioArguments;
use crate::choose::dominance;
use crate::choose::scenario::Scenario;
use crate::choose::solver::{self, FrontRequest};
use crate::circuit::analysis::DEFAULT_STEP_NOISE;
use crate::circuit::compile::PlacementCompiler;
use crate::cli::progress::{INTERRUPTED, Progress, tell};
use crate::core::error::{Error, Result};
use crate::core::objective::Objective;
use crate::core::placement::{Party, Placement};
use crate::core::units;
use crate::machine::whole_file::write_json;
use crate::model::Model;
use crate::plan::budget::promising;
use crate::plan::memory_need::MemoryNeed;
use crate::plan::predict::calibration::Calibration;
use crate::plan::predict::fit::Fit;
use crate::plan::predict::oracle::FittedOracle;
use crate::plan::predict::{
    Counter, Errors, PREDICTIONS, PredictionRow, UNITS, calibration_placements, predict,
};
use crate::plan::projection::project;
use crate::record::exposure::closed::Closed;
use crate::record::log::{self, Record};
use crate::record::results::{LAYERS, read_csv, read_splits, write_csv};
use crate::record::row::{LayerRow, SplitRow};
use crate::record::settings::Settings;
use crate::record::step_noise::StepNoise;
use crate::report::plot::hosts;
use crate::sweep::Overrides;
use crate::sweep::watch::Limits;
use crate::sweep::{self, Isolation, ResultsFolder, Resume};

/// The most layers for which all splits are predicted.
const MOST_LISTED_LAYERS: usize = 12;
/// The most layers whose runs are all compiled, n(n + 1)/2 of them.
const MOST_COMPILED_LAYERS: usize = 24;
/// How far the printed front may lie above the true one.
const TOLERANCE: f64 = 0.01;
/// The folder of machine calibration in that of predictions.
const CALIBRATION: &str = "calibration";

/// What a person says of a prediction.
#[derive(Debug, Args)]
pub struct PredictArguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    encryption: EncryptionArguments,
    /// Predict the splits of a results folder with its settings, and compare
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "granularity", "out"])]
    against: Option<PathBuf>,
    /// With --against: take the rows of the splits of machine calibration from the folder, and run nothing
    #[arg(long, requires = "against")]
    reuse: bool,
    /// Inferences of each split of machine calibration
    #[arg(long, value_name = "N", default_value_t = 7)]
    repeats: usize,
    /// Where predictions and machine calibration go [default: results/<name>-predicted]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    scenario: ScenarioArguments,
}

/// What is predicted, from what, and where it goes.
struct Task {
    settings: Settings,
    model: Model,
    candidates: Vec<Placement>,
    threads: usize,
    folder: PathBuf,
    /// Rows to compare with.
    measured: Vec<SplitRow>,
}

/// Calibrates, predicts, writes and prints.
pub fn run(arguments: &PredictArguments) -> Result<()> {
    let task = match &arguments.against {
        Some(folder) => Task::of_results(folder)?,
        None => Task::of_model(arguments)?,
    };
    let counter = Counter {
        compiler: PlacementCompiler::new(&task.model, task.settings.target()?),
        cost: task.settings.cost.here(),
        threads: task.threads,
    };
    let begin = Instant::now();
    let mut chosen = calibration_placements(&counter, &task.candidates)?;
    if arguments.reuse {
        chosen.retain(|placement| task.is_measured(placement));
    }
    tell(&format!(
        "{}: {} splits to predict, of which {} are measured for machine calibration",
        task.model.name,
        task.candidates.len(),
        chosen.len()
    ));
    let (splits, layers) = if arguments.reuse {
        task.rows_of(&chosen)?
    } else {
        task.measure(&chosen, arguments.repeats)?
    };
    let calibration = Calibration::of(&counter, &splits, &layers)?;
    let fit = calibration.fit();
    let predicted = task.candidates.iter().map(|placement| {
        let mut row = predict(&counter, &fit, placement)?;
        let of = task
            .measured
            .iter()
            .find(|of| of.placement == row.placement);
        row.compare(&calibration, of);
        Ok(row)
    });
    let rows: Vec<PredictionRow> = predicted.collect::<Result<_>>()?;
    std::fs::create_dir_all(&task.folder).map_err(|source| Error::Write {
        path: task.folder.clone(),
        source,
    })?;
    write_csv(&task.folder.join(PREDICTIONS), &rows)?;
    write_json(&task.folder.join(UNITS), &fit)?;
    tell(&format!(
        "took {}",
        units::seconds(begin.elapsed().as_secs_f64())
    ));
    let scenario = arguments.scenario.scenario()?;
    let mut lines = match arguments.against {
        Some(_) => comparison(&rows),
        None => front_lines(&counter, &fit, &scenario, &rows)?,
    };
    lines.extend(figures_as_known(&rows));
    let path = task.folder.join(PREDICTIONS);
    lines.push(format!("predictions  {}", path.display()));
    print(lines)
}

impl Task {
    fn of_model(arguments: &PredictArguments) -> Result<Self> {
        let ModelArguments { model, granularity } = &arguments.model;
        let pins = arguments.model.load()?.pins();
        let of = |placements, step_noise| Overrides {
            model: Some(model.clone()),
            granularity: *granularity,
            placements,
            repeats: Some(arguments.repeats),
            step_noise,
            ..arguments.encryption.clone().overrides()
        };
        let candidates: Vec<Placement> = match pins.free_count() {
            0..=MOST_LISTED_LAYERS => Placement::all(&pins).collect(),
            _ => {
                // There are too many to list, and any placement will do to check the settings by.
                let any = vec![Placement::uniform(Party::Server, &pins)];
                let usual = Some(StepNoise::Fraction(DEFAULT_STEP_NOISE));
                let (settings, model) = Settings::resolve(of(any, usual), &|_| ())?;
                let found = promising(&model, &settings.asked(&model)?)?;
                found.into_iter().map(|found| found.placement).collect()
            }
        };
        let asked = arguments.encryption.clone().overrides().step_noise;
        let (settings, model) = Settings::resolve(of(candidates.clone(), asked), &tell)?;
        let folder = arguments.out.clone().unwrap_or_else(|| {
            let name = format!("{}-predicted", settings.name);
            Path::new("results").join(name)
        });
        Ok(Self {
            settings,
            model,
            candidates,
            threads: rayon::current_num_threads(),
            folder,
            measured: Vec::new(),
        })
    }

    fn of_results(folder: &Path) -> Result<Self> {
        let measured = read_splits(folder)?;
        if hosts(&measured).len() > 1 {
            let reason =
                "it holds times of several hosts, which do not compare: give a folder of one";
            return Err(Error::invalid(folder.display().to_string(), reason));
        }
        let records = log::read(folder)?;
        let Some(Record::Settings(settings)) = records.first() else {
            let reason = "it has no log with settings: give a folder that a sweep wrote";
            return Err(Error::invalid(folder.display().to_string(), reason));
        };
        let threads = records.iter().rev().find_map(|record| match record {
            Record::Environment(environment) => Some(environment.machine.threads_used),
            _ => None,
        });
        let model = Model::load(&settings.model)?.with_granularity(settings.granularity);
        if model.digest != settings.model_digest {
            let place = settings.model.display().to_string();
            let reason = "the model is not the one that was swept: its digest differs";
            return Err(Error::invalid(place, reason));
        }
        Ok(Self {
            candidates: settings.placements.clone(),
            settings: settings.clone(),
            model,
            threads: threads.unwrap_or_else(rayon::current_num_threads),
            folder: folder.to_owned(),
            measured,
        })
    }

    /// Returns the rows of some placements, and those of their layers, from the results folder.
    fn rows_of(&self, chosen: &[Placement]) -> Result<(Vec<SplitRow>, Vec<LayerRow>)> {
        let names: Vec<String> = chosen.iter().map(Placement::to_string).collect();
        let rows = self.measured.iter();
        let chosen = rows.filter(|row| names.contains(&row.placement));
        Ok((
            chosen.cloned().collect(),
            read_csv(&self.folder.join(LAYERS))?,
        ))
    }

    /// Returns whether the folder holds times of a placement.
    fn is_measured(&self, placement: &Placement) -> bool {
        let name = placement.to_string();
        self.measured
            .iter()
            .any(|row| row.placement == name && dominance::is_ok(row))
    }

    /// Runs some placements, or goes on with what an earlier run left of them.
    fn measure(
        &self,
        chosen: &[Placement],
        repeats: usize,
    ) -> Result<(Vec<SplitRow>, Vec<LayerRow>)> {
        let settings = Settings {
            splitbench_version: env!("CARGO_PKG_VERSION").into(),
            name: CALIBRATION.into(),
            shard: None,
            whole: Vec::new(),
            budget_s: None,
            placements: chosen.to_vec(),
            left_out: Vec::new(),
            images: 1,
            repeats,
            ..self.settings.clone()
        };
        let folder = self.folder.join(CALIBRATION);
        let isolation = Isolation::workers(Limits::default())?;
        let results = ResultsFolder::open(&folder, &settings, Resume::Continue)?;
        listen()?;
        let stop = || INTERRUPTED.load(Ordering::Relaxed);
        let memory = MemoryNeed::of(&settings, &self.model, &stop)?;
        hold_memory(&memory, None, "or predict on a machine with more")?;
        let expected = project(&settings, &self.model, &stop)?.expected;
        let progress = Progress::new(chosen.len(), repeats, expected);
        match sweep::run(results, &settings, &self.model, &isolation, &progress) {
            Ok(tables) => Ok((tables.splits, tables.layers)),
            // What did run is enough to fit to; the others' work follows its family.
            Err(Error::SplitsFailed { table, .. } | Error::Mismatch { table, .. }) => {
                let splits = read_csv(&table)?;
                Ok((splits, read_csv(&folder.join(LAYERS))?))
            }
            Err(error) => Err(error),
        }
    }
}

/// Returns the front that the solver finds; of a network too large to compile all its runs, the
/// splits that a front by shapes promised.
fn front_lines(
    counter: &Counter<'_>,
    fit: &Fit,
    scenario: &Scenario,
    rows: &[PredictionRow],
) -> Result<Vec<String>> {
    let layers = counter.model().layer_count();
    let mut lines = vec![
        format!("predicted, modelled for {scenario}"),
        "exposure that is not known counts as the least that it can be".into(),
    ];
    if layers > MOST_COMPILED_LAYERS {
        lines.push(format!(
            "{} splits that the front by shapes promises, and their neighbours",
            rows.len()
        ));
        return Ok(lines);
    }
    let oracle = FittedOracle::new(counter, fit, scenario);
    let request = FrontRequest {
        objectives: vec![
            Objective::Time,
            Objective::ClientMemory,
            Objective::Bytes,
            Objective::Exposure,
        ],
        tolerance: TOLERANCE,
        ..FrontRequest::default()
    };
    let front = solver::front(&oracle, &request)?;
    // Nothing is attacked here: what closed forms do not tell is not known.
    let exposure = |placement: &Placement, least: f64| {
        let closed = Closed::of(counter.model(), placement, counter.target().output_mode);
        match closed {
            Some(closed) if closed.is_all => units::percent(closed.least),
            _ => format!("≥ {}, unknown", units::percent(least)),
        }
    };
    let width = layers.max("front".len());
    lines.push(format!(
        "{:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>18}",
        "front", "time", "client", "server", "bytes", "given away"
    ));
    lines.extend(front.iter().map(|solution| {
        let bytes = |objective| units::bytes(solution.cost.value(objective).round() as u64);
        format!(
            "{:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>18}",
            solution.placement,
            units::seconds(solution.cost.time_s),
            bytes(Objective::ClientMemory),
            bytes(Objective::ServerMemory),
            bytes(Objective::Bytes),
            exposure(&solution.placement, solution.cost.exposure),
        )
    }));
    Ok(lines)
}

/// Returns predicted against measured online times, and the errors.
fn comparison(rows: &[PredictionRow]) -> Vec<String> {
    let lengths = rows.iter().map(|row| row.placement.len());
    let width = lengths.max().unwrap_or(0).max("split".len());
    let time = |seconds: Option<f64>| seconds.map_or("-".into(), units::seconds);
    let mut lines = vec![format!(
        "{:width$}  {:>9}  {:>9}  {:>8}  {}",
        "split", "predicted", "measured", "error", "of those fitted to"
    )];
    lines.extend(rows.iter().map(|row| {
        let error = row.online_error.map(|error| {
            let sign = if error >= 0.0 { "+" } else { "" };
            format!("{sign}{}", units::percent(error))
        });
        let line = format!(
            "{:width$}  {:>9}  {:>9}  {:>8}  {}",
            row.placement,
            time(row.out_of_sample_online_s.or(row.online_s)),
            time(row.measured_online_s),
            error.unwrap_or("-".into()),
            if row.calibrated { "left out" } else { "" },
        );
        line.trim_end().to_owned()
    }));
    lines
}

/// The error of a figure of a row.
type FigureError = fn(&PredictionRow) -> Option<f64>;

/// Says of each figure whether it is predicted, exact or not known, and how far off it is.
fn figures_as_known(rows: &[PredictionRow]) -> Vec<String> {
    let fitted = rows.iter().filter(|row| row.calibrated).count();
    let is_solved = |row: &&PredictionRow| row.exposed_weight_share.is_some();
    let solved = rows.iter().filter(is_solved).count();
    let costs = match fitted {
        0 => "by built-in unit costs, for no split was measured".into(),
        fitted => format!("by unit costs fitted to {fitted} measured splits"),
    };
    let mut lines = vec![String::new(), format!("time, memory  predicted, {costs}")];
    let errors: [(&str, FigureError); 3] = [
        ("online time", |row| row.online_error),
        ("client memory", |row| row.client_memory_error),
        ("server memory", |row| row.server_memory_error),
    ];
    for (name, error) in errors {
        for (sample, calibrated) in [
            ("splits not fitted to", false),
            ("those fitted to, each left out in turn", true),
        ] {
            // Of one, the others are none.
            let tells = !calibrated || fitted > 1;
            let of_sample = rows
                .iter()
                .filter(|row| row.calibrated == calibrated && tells);
            lines.extend(Errors::of(of_sample, error).map(|errors| {
                let (median, worst) = (units::percent(errors.median), units::percent(errors.worst));
                format!(
                    "  error of {name} over {sample}: median {median}, worst {worst}, n = {}",
                    errors.n
                )
            }));
        }
    }
    lines.extend([
        "bytes         exact, as are rounds, look-ups, parameter sets and fractions of weights".into(),
        format!(
            "exposure      exact for {solved} of {} splits, by closed forms; of the others not known, \
             for nothing is attacked: the least of it",
            rows.len()
        ),
        "accuracy      not known: `splitbench params` simulates it".into(),
        String::new(),
    ]);
    lines
}

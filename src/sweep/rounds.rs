//! A sweep: rounds over all splits, each visit in a worker of its own and kept as soon as it is there.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;

use crate::core::error::{Error, Result};
use crate::core::statistics::median;
use crate::fhe::parameters::ParameterSet;
use crate::machine::file::open_lock;
use crate::model::Model;
use crate::record::environment::Environment;
use crate::record::finished::{Finished, Sample};
use crate::record::history::{Done, environments};
use crate::record::learnt::Learnt;
use crate::record::leftover::{is_draft, remove_drafts};
use crate::record::log::recover::{Damage, Dropped};
use crate::record::log::{self, Log, Record, VisitEnd};
use crate::record::results::{self, Description, Tables};
use crate::record::row::Status;
use crate::record::settings::Settings;
use crate::record::stage::{Begin, Stage, StageClock};
use crate::record::visit::Visit;
use crate::report;
use crate::report::plot::draw_results;
use crate::sweep::advance::Advance;
use crate::sweep::watch::{Ended, Limits, Listener, stay, watch};
use crate::sweep::worker::Job;
use crate::sweep::yardstick::Yardstick;

/// The lock's name in a results folder.
pub const LOCK: &str = ".lock";

/// Look-ups of a calibration's batch.
const CALIBRATION_BATCH: usize = 16;

/// What keeps visits apart.
#[derive(Debug, Clone)]
pub enum Isolation {
    /// A process for each.
    Worker {
        /// The splitbench binary that it runs.
        program: PathBuf,
        limits: Limits,
    },
    /// Nothing: visits run in this process, whose memory then tells little, and what ends one ends all.
    None,
}

impl Isolation {
    /// Returns workers that run this very program.
    ///
    /// # Errors
    ///
    /// [`Error::Worker`] where the system does not tell which that is.
    pub fn workers(limits: Limits) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| Error::Worker(error.to_string()))?;
        Ok(Self::Worker { program, limits })
    }
}

/// What a sweep tells while it runs.
pub trait Observer: Sync {
    /// These visits are left to make, each with how many come before it in the schedule.
    fn start(&self, left: &[(usize, Visit)]);
    /// So many visits are behind; this one begins.
    fn begin(&self, done: usize, visit: &Visit);
    /// It is at this stage now.
    fn stage(&self, visit: &Visit, begin: Begin);
    /// Its inference has come so far; told of long ones only.
    fn advance(&self, visit: &Visit, advance: &Advance);
    /// It ended so.
    fn end(&self, end: &VisitEnd, online_s: Option<f64>);
    /// Whether to stop.
    fn stop(&self) -> bool;
}

/// What to do with visits that a results folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Refuse it: they are another sweep's.
    No,
    /// Make those that have not ended.
    Continue,
    /// Make also those again that failed, or were stopped by a limit.
    Retry,
}

/// A results folder that this process alone writes to.
pub struct ResultsFolder {
    path: PathBuf,
    log: Log,
    records: Vec<Record>,
    resume: Resume,
    /// Released when dropped.
    _lock: fs::File,
}

impl ResultsFolder {
    /// Opens a new folder, or, where it is to be resumed, one that a sweep with the same settings left.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] where the folder belongs to something else, is in use, or would have to
    /// be resumed; [`Error::Write`].
    pub fn open(path: &Path, settings: &Settings, resume: Resume) -> Result<Self> {
        let write_error = |error| cannot_write(path, error);
        let shown = path.display();
        let is_new = match fs::read_dir(path) {
            Ok(mut entries) => {
                let is_torn = log::is_torn_beginning(path, settings);
                entries.all(|entry| {
                    entry.is_ok_and(|entry| {
                        let name = entry.file_name();
                        let is_left = name == LOCK || is_draft(&name.to_string_lossy());
                        is_left || is_torn && name == log::FILE_NAME
                    })
                })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(write_error(error)),
        };
        if !is_new {
            let records = log::read(path)?;
            check_same(path, &records, settings)?;
            // A sweep that ended before its first split left nothing to protect.
            let is_protected = |record: &Record| matches!(record, Record::Start(_));
            if resume == Resume::No && records.iter().any(is_protected) {
                let (done, placements) = (Done::of(ends(&records)), &settings.placements);
                let over = placements
                    .iter()
                    .filter(|p| done.is_over(p, settings.repeats));
                return Err(Error::Usage(format!(
                    "{shown} already holds this sweep, {} of {} splits done: add --resume to go \
                     on with it, or choose another folder with --out",
                    over.count(),
                    placements.len()
                )));
            }
        }
        fs::create_dir_all(path).map_err(write_error)?;
        let lock = lock(path)?;
        remove_drafts(path);
        let (log, records) = if is_new {
            log::remove_torn_beginning(path, settings)?;
            (Log::create(path, settings)?, Vec::new())
        } else {
            Log::resume(path)?
        };
        Ok(Self {
            path: path.to_owned(),
            log,
            records,
            resume,
            _lock: lock,
        })
    }

    /// Mends the log of a folder that a sweep with the same settings left, and returns what that dropped;
    /// none where the log is sound or there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn recover(path: &Path, settings: &Settings) -> Result<Option<Dropped>> {
        let find = || -> Result<Option<Damage>> {
            let damage = Damage::find(path)?;
            // Where nothing is sound, nothing tells whose it is.
            if let Some(damage) = damage.as_ref().filter(|damage| !damage.records.is_empty()) {
                check_same(path, &damage.records, settings)?;
            }
            Ok(damage)
        };
        if find()?.is_none() {
            return Ok(None);
        }
        let _lock = lock(path)?;
        // Another sweep may have mended it meanwhile.
        find()?.map(|damage| damage.mend(settings)).transpose()
    }

    /// Returns the visits that have not ended and are worth making, each with how many come before it
    /// in the schedule.
    fn visits_left(&self, settings: &Settings) -> Vec<(usize, Visit)> {
        let done = match self.resume {
            Resume::Retry => Done::to_retry(ends(&self.records)),
            Resume::No | Resume::Continue => Done::of(ends(&self.records)),
        };
        let left = schedule(settings).enumerate();
        left.filter(|(_, visit)| !done.covers(visit)).collect()
    }

    /// Takes back what opening the folder has written, where no split has begun; an empty one goes too.
    pub fn abandon(self) {
        if matches!(self.records.as_slice(), [] | [Record::Settings(_)]) {
            // What cannot be removed is a sweep that has not begun: it can be resumed.
            for file in [log::FILE_NAME, LOCK] {
                let _ = fs::remove_file(self.path.join(file));
            }
            let _ = fs::remove_dir(&self.path);
        }
    }

    fn append(&mut self, record: Record) -> Result<()> {
        self.log.append(&record)?;
        self.records.push(record);
        Ok(())
    }
}

/// Locks a results folder until the file is dropped.
fn lock(path: &Path) -> Result<fs::File> {
    let write_error = |error| cannot_write(path, error);
    let lock = open_lock(&path.join(LOCK)).map_err(|error| match error {
        Error::Write { source, .. } => write_error(source),
        error => error,
    })?;
    if FileExt::try_lock_exclusive(&lock).map_err(write_error)? {
        return Ok(lock);
    }
    Err(Error::Usage(format!(
        "{} is being written by another sweep: wait, or choose another --out",
        path.display()
    )))
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    let reason = format!("{error}: choose another folder with --out");
    Error::Write {
        path: path.to_owned(),
        source: std::io::Error::new(error.kind(), reason),
    }
}

fn check_same(path: &Path, records: &[Record], settings: &Settings) -> Result<()> {
    match records.first() {
        Some(Record::Settings(found)) if found == settings => Ok(()),
        Some(Record::Settings(found)) => Err(Error::Usage(format!(
            "{} holds a sweep with other settings ({}): choose another folder with --out",
            path.display(),
            difference(found, settings)
        ))),
        _ => Err(Error::Usage(format!(
            "{} is no results folder, and it is not empty: choose another with --out",
            path.display()
        ))),
    }
}

/// Names a setting that differs, one that explains others first.
pub fn difference(found: &Settings, wanted: &Settings) -> String {
    let fields = |settings: &Settings| serde_json::to_value(settings).unwrap_or_default();
    let (found, wanted) = (fields(found), fields(wanted));
    let all = found
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    let telling = ["model", "model_digest", "shard"].into_iter();
    for name in telling.chain(all.map(String::as_str)) {
        let (value, other) = (&found[name], &wanted[name]);
        if value != other {
            return match value {
                serde_json::Value::Array(_) => format!("its {name} differ"),
                value => format!("its {name} is {value}, not {other}"),
            };
        }
    }
    "of another version".into()
}

fn ends(records: &[Record]) -> impl Iterator<Item = &VisitEnd> {
    records.iter().filter_map(|record| match record {
        Record::End(end) => Some(end),
        _ => None,
    })
}

/// Makes every visit that has not ended yet, then writes tables and charts.
///
/// # Errors
///
/// [`Error::Interrupted`], [`Error::SplitsFailed`] and [`Error::Mismatch`] after everything was
/// written; [`Error::Write`].
pub fn run(
    mut folder: ResultsFolder,
    settings: &Settings,
    model: &Model,
    isolation: &Isolation,
    observer: &dyn Observer,
) -> Result<Tables> {
    let left = folder.visits_left(settings);
    if !left.is_empty() {
        folder.append(Record::Environment(Environment::probe()))?;
    }
    let description = Description::of(settings, model, environments(&folder.records));
    results::write_json(&folder.path.join(results::ENVIRONMENT), &description)?;
    let outcome = make_visits(settings, left, isolation, observer, &mut folder);
    // Tables go to the log that they derive from, or nowhere.
    folder.log.check_place()?;
    let tables = Tables::derive(settings, model, &folder.records);
    tables.write(&folder.path)?;
    draw_results(&tables.splits, &folder.path)?;
    report::write(&folder.path)?;
    outcome?;
    judge(&tables, &folder.path)?;
    Ok(tables)
}

/// Returns the visits of a sweep in the order of its rounds.
pub fn schedule(settings: &Settings) -> impl Iterator<Item = Visit> {
    (0..settings.repeats).flat_map(move |repeat| {
        let count = settings.placements.len();
        let order = settings.order.of_round(count, settings.seed, repeat);
        order.into_iter().map(move |index| Visit {
            placement: settings.placements[index].clone(),
            repeat,
        })
    })
}

fn make_visits(
    settings: &Settings,
    left: Vec<(usize, Visit)>,
    isolation: &Isolation,
    observer: &dyn Observer,
    folder: &mut ResultsFolder,
) -> Result<()> {
    let mut yardstick = None;
    let mut learnt = learnt(&folder.records);
    let mut clock = StageClock::start(Stage::Reference);
    observer.start(&left);
    // Further rounds of what did not end well would end alike.
    let mut broken = HashSet::new();
    for (index, visit) in left {
        if broken.contains(&visit.placement) {
            continue;
        }
        if observer.stop() {
            return Err(Error::Interrupted);
        }
        observer.begin(index, &visit);
        let (yardstick, before) = match &mut yardstick {
            Some((yardstick, last)) => (yardstick, last),
            none => {
                let new = Yardstick::new(ParameterSet::fast()?, CALIBRATION_BATCH);
                let pace = new.look_up_s(None).median;
                let (yardstick, last) = none.insert((new, pace));
                (yardstick, last)
            }
        };
        folder.append(Record::Start(visit.clone()))?;
        clock.begin(Stage::Start);
        let segments = visit.placement.server_segments();
        let segments: Vec<_> = segments.iter().map(|of| &of.layers).collect();
        let job = Job {
            settings: settings.clone(),
            visit: visit.clone(),
            known: learnt.of_layers(&segments),
        };
        let mut listener = VisitListener {
            visit: &visit,
            observer,
            folder,
            clock: &mut clock,
            samples: Vec::new(),
        };
        let ended = match isolation {
            Isolation::Worker { program, limits } => watch(program, &job, *limits, &mut listener)?,
            Isolation::None => stay(&job, &mut listener)?,
        };
        let samples = listener.samples;
        clock.begin(Stage::Reference);
        observer.stage(&visit, Stage::Reference.into());
        // What follows a visit also precedes the next.
        let after = yardstick.look_up_s(Some(*before)).median;
        let calibration_s = Some([*before, after]);
        *before = after;
        clock.begin(Stage::Reference);
        let (status, reason, finished) = match ended {
            Ended::Stopped => return Err(Error::Interrupted),
            Ended::Broken { status, reason } => (status, Some(reason), None),
            Ended::Finished(finished) => conclude(finished, &samples),
        };
        let end = VisitEnd {
            visit,
            status,
            reason,
            calibration_s,
            stages: clock.take(),
            finished,
        };
        if let Some(finished) = &end.finished {
            learnt.extend(finished.learnt.clone());
        }
        if status != Status::Ok {
            broken.insert(end.visit.placement.clone());
        }
        let times = samples.iter().map(|sample| sample.row.online_s);
        observer.end(&end, median(times));
        folder.append(Record::End(end))?;
    }
    Ok(())
}

/// Returns what visits that ended have learnt of server segments.
fn learnt(records: &[Record]) -> Learnt {
    let mut learnt = Learnt::default();
    for finished in ends(records).filter_map(|end| end.finished.as_ref()) {
        learnt.extend(finished.learnt.clone());
    }
    learnt
}

/// Keeps what a visit's worker tells, and passes it on.
struct VisitListener<'a> {
    visit: &'a Visit,
    observer: &'a dyn Observer,
    folder: &'a mut ResultsFolder,
    clock: &'a mut StageClock,
    samples: Vec<Sample>,
}

impl Listener for VisitListener<'_> {
    fn sample(&mut self, sample: Sample) -> Result<()> {
        self.folder.append(Record::Sample(sample.clone()))?;
        self.samples.push(sample);
        Ok(())
    }

    fn begin(&mut self, begin: Begin) {
        self.clock.begin(begin.stage);
        self.observer.stage(self.visit, begin);
    }

    fn advance(&mut self, advance: &Advance) {
        self.observer.advance(self.visit, advance);
    }

    fn stop(&self) -> bool {
        self.observer.stop()
    }
}

/// Judges a visit whose worker finished.
fn conclude(
    finished: Option<Box<Finished>>,
    samples: &[Sample],
) -> (Status, Option<String>, Option<Finished>) {
    let outside = samples
        .iter()
        .filter(|sample| !sample.row.encrypted_agreement)
        .count();
    let finished = finished.map(|finished| *finished);
    if outside == 0 {
        return (Status::Ok, None, finished);
    }
    let total = samples.len();
    let reason = format!("{outside} of {total} inferences outside the error model");
    (Status::Mismatch, Some(reason), finished)
}

/// Returns an error where a split ended, but not as `ok`.
///
/// # Errors
///
/// [`Error::SplitsFailed`], [`Error::Mismatch`].
pub fn judge(tables: &Tables, folder: &Path) -> Result<()> {
    let count = |status: Status| {
        let rows = tables
            .splits
            .iter()
            .filter(|row| row.status == status.word());
        rows.count()
    };
    let (total, table) = (tables.splits.len(), folder.join(results::SPLITS));
    let mismatched = count(Status::Mismatch);
    if mismatched > 0 {
        return Err(Error::Mismatch {
            mismatched,
            total,
            table,
        });
    }
    match total - count(Status::Ok) - count(Status::Partial) - count(Status::Skipped) {
        0 => Ok(()),
        failed => Err(Error::SplitsFailed {
            failed,
            total,
            table,
        }),
    }
}

//! A sweep: every split in a worker of its own, each row kept as soon as it is there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs4::fs_std::FileExt;

use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::log::{self, Log, Record, SplitEnd};
use crate::model::Model;
use crate::placement::Placement;
use crate::plot::draw_results;
use crate::report;
use crate::results::{self, Tables};
use crate::row::Status;
use crate::settings::Settings;
use crate::worker::{Ended, Finished, Job, Sample, watch};

/// The lock's name in a results folder.
pub const LOCK: &str = ".lock";

/// How to run a sweep.
#[derive(Debug, Clone)]
pub struct Options {
    /// The splitbench binary that workers run.
    pub program: PathBuf,
    /// Per split.
    pub time_limit: Option<Duration>,
}

/// What a sweep tells while it runs.
pub trait Observer {
    /// The split with this index begins.
    fn begin(&self, index: usize, placement: &Placement);
    /// It ended so.
    fn end(&self, placement: &Placement, end: &SplitEnd, online_s: Option<f64>);
    /// Whether to stop.
    fn stop(&self) -> bool;
}

/// A results folder that this process alone writes to.
pub struct ResultsFolder {
    path: PathBuf,
    log: Log,
    records: Vec<Record>,
    /// Released when dropped.
    _lock: fs::File,
}

impl ResultsFolder {
    /// Opens a new folder, or with `resume` one that a sweep with the same settings left.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] where the folder belongs to something else, is in use, or would have to
    /// be resumed; [`Error::Write`].
    pub fn open(path: &Path, settings: &Settings, resume: bool) -> Result<Self> {
        let write_error = |error: std::io::Error| Error::Write {
            path: path.to_owned(),
            source: std::io::Error::new(
                error.kind(),
                format!("{error}: choose another folder with --out"),
            ),
        };
        let shown = path.display();
        let is_new = match fs::read_dir(path) {
            Ok(mut entries) => {
                let is_torn = log::is_torn_beginning(path, settings);
                entries.all(|entry| {
                    entry.is_ok_and(|entry| {
                        entry.file_name() == LOCK || is_torn && entry.file_name() == log::FILE_NAME
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
            if !resume && records.iter().any(is_protected) {
                return Err(Error::Usage(format!(
                    "{shown} already holds this sweep, {} of {} splits done: add --resume to go \
                     on with it, or choose another folder with --out",
                    ended_count(&records),
                    settings.placements.len()
                )));
            }
        }
        fs::create_dir_all(path).map_err(write_error)?;
        let lock = fs::File::create(path.join(LOCK)).map_err(write_error)?;
        if !FileExt::try_lock_exclusive(&lock).map_err(write_error)? {
            let reason =
                format!("{shown} is being written by another sweep: wait, or choose another --out");
            return Err(Error::Usage(reason));
        }
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
            _lock: lock,
        })
    }

    /// Records the host where it is not that of the last run.
    fn append_host(&mut self, host: Host) -> Result<()> {
        let last = self.records.iter().rev().find_map(|record| match record {
            Record::Host(last) => Some(last),
            _ => None,
        });
        if last == Some(&host) {
            return Ok(());
        }
        self.append(Record::Host(host))
    }

    fn append(&mut self, record: Record) -> Result<()> {
        self.log.append(&record)?;
        self.records.push(record);
        Ok(())
    }

    /// Returns the placements that have ended, whatever their status.
    fn ended(&self) -> impl Iterator<Item = &Placement> {
        self.records.iter().filter_map(|record| match record {
            Record::End(end) => Some(&end.placement),
            _ => None,
        })
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

fn ended_count(records: &[Record]) -> usize {
    let ended = records
        .iter()
        .filter(|record| matches!(record, Record::End(_)));
    ended.count()
}

/// Runs every split that has not ended yet, then writes tables and charts.
///
/// # Errors
///
/// [`Error::Interrupted`], [`Error::SplitsFailed`] and [`Error::Mismatch`] after everything was
/// written; [`Error::Write`].
pub fn run(
    mut folder: ResultsFolder,
    settings: &Settings,
    model: &Model,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Tables> {
    let environment = Environment::of(settings, model);
    results::write_json(&folder.path.join(results::ENVIRONMENT), &environment)?;
    folder.append_host(Host::of(&environment.machine))?;
    let outcome = run_splits(settings, options, observer, &mut folder);
    let tables = Tables::derive(settings, model, &folder.records);
    tables.write(&folder.path)?;
    draw_results(&tables.splits, &folder.path)?;
    report::write(&folder.path)?;
    outcome?;
    judge(&tables, &folder.path)?;
    Ok(tables)
}

fn run_splits(
    settings: &Settings,
    options: &Options,
    observer: &dyn Observer,
    folder: &mut ResultsFolder,
) -> Result<()> {
    let ended: Vec<Placement> = folder.ended().cloned().collect();
    for (index, placement) in settings.placements.iter().enumerate() {
        if ended.contains(placement) {
            continue;
        }
        if observer.stop() {
            return Err(Error::Interrupted);
        }
        observer.begin(index, placement);
        folder.append(Record::Start(placement.clone()))?;
        let job = Job {
            settings: settings.clone(),
            placement: placement.clone(),
        };
        let mut samples: Vec<Sample> = Vec::new();
        let ended = watch(
            &options.program,
            &job,
            options.time_limit,
            &|| observer.stop(),
            &mut |sample| {
                folder.append(Record::Sample(sample.clone()))?;
                samples.push(sample);
                Ok(())
            },
        )?;
        let end = match ended {
            Ended::Stopped => return Err(Error::Interrupted),
            Ended::Broken { status, reason } => SplitEnd {
                placement: placement.clone(),
                status,
                reason: Some(reason),
                finished: None,
            },
            Ended::Finished(finished) => conclude(placement, *finished, &samples),
        };
        folder.append(Record::End(end.clone()))?;
        let times = samples.iter().map(|sample| sample.row.online_s);
        observer.end(placement, &end, crate::statistics::median(times));
    }
    Ok(())
}

/// Judges a split whose worker finished.
fn conclude(placement: &Placement, finished: Finished, samples: &[Sample]) -> SplitEnd {
    let outside = samples
        .iter()
        .filter(|sample| !sample.row.encrypted_agreement)
        .count();
    let (status, reason) = match outside {
        0 => (Status::Ok, None),
        count => {
            let reason = format!(
                "{count} of {} inferences outside the error model",
                samples.len()
            );
            (Status::Mismatch, Some(reason))
        }
    };
    SplitEnd {
        placement: placement.clone(),
        status,
        reason,
        finished: Some(finished),
    }
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
    match total - count(Status::Ok) - count(Status::Skipped) {
        0 => Ok(()),
        failed => Err(Error::SplitsFailed {
            failed,
            total,
            table,
        }),
    }
}

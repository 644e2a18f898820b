//! A results folder that a sweep writes to: opened or gone on with, locked, mended.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;

use crate::core::error::{Error, Result};
use crate::machine::file::open_lock;
use crate::record::history::Done;
use crate::record::leftover::{is_draft, remove_drafts};
use crate::record::log::recover::{Damage, Dropped};
use crate::record::log::{self, Log, Record, VisitEnd};
use crate::record::settings::{Settings, difference};
use crate::record::visit::Visit;
use crate::sweep::schedule::schedule;

/// The lock's name in a results folder.
pub const LOCK: &str = ".lock";

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
        let is_new = is_new(path, settings)?;
        if !is_new {
            let records = log::read(path)?;
            check_same(path, &records, settings)?;
            if resume == Resume::No {
                check_unbegun(path, &records, settings)?;
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
    pub fn visits_left(&self, settings: &Settings) -> Vec<(usize, Visit)> {
        let done = match self.resume {
            Resume::Retry => Done::to_retry(self.ends()),
            Resume::No | Resume::Continue => Done::of(self.ends()),
        };
        schedule(settings)
            .enumerate()
            .filter(|(_, visit)| !done.covers(visit))
            .collect()
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

    /// Writes a record to the log.
    ///
    /// # Errors
    ///
    /// As [`Log::append`].
    pub fn append(&mut self, record: Record) -> Result<()> {
        self.log.append(&record)?;
        self.records.push(record);
        Ok(())
    }

    /// Returns where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the records of the log, those appended among them.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Checks that the log still lies where it was opened.
    ///
    /// # Errors
    ///
    /// As [`Log::check_place`].
    pub fn check_place(&self) -> Result<()> {
        self.log.check_place()
    }

    /// Returns how visits have ended, in the order of the log.
    pub fn ends(&self) -> impl Iterator<Item = &VisitEnd> {
        ends(&self.records)
    }
}

/// Returns whether a folder is not there, or holds nothing but what a sweep leaves that was killed before
/// its first line.
fn is_new(path: &Path, settings: &Settings) -> Result<bool> {
    let mut entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(cannot_write(path, error)),
    };
    let is_torn = log::is_torn_beginning(path, settings);
    Ok(entries.all(|entry| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            let is_left = name == LOCK || is_draft(&name.to_string_lossy());
            is_left || is_torn && name == log::FILE_NAME
        })
    }))
}

/// Refuses records of a sweep that has begun a split.
fn check_unbegun(path: &Path, records: &[Record], settings: &Settings) -> Result<()> {
    // A sweep that ended before its first split left nothing to protect.
    let is_protected = |record: &Record| matches!(record, Record::Start(_));
    if !records.iter().any(is_protected) {
        return Ok(());
    }
    let (done, placements) = (Done::of(ends(records)), &settings.placements);
    let over = placements
        .iter()
        .filter(|p| done.is_over(p, settings.repeats))
        .count();
    Err(Error::Usage(format!(
        "{} already holds this sweep, {over} of {} splits done: add --resume to go \
         on with it, or choose another folder with --out",
        path.display(),
        placements.len()
    )))
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

fn ends(records: &[Record]) -> impl Iterator<Item = &VisitEnd> {
    records.iter().filter_map(|record| match record {
        Record::End(end) => Some(end),
        _ => None,
    })
}

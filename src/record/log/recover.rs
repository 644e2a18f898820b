//! Recovering a damaged log: what stands before the damage is kept, and the damaged file beside it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::file::{FILE_NAME, read_text};
use super::line::{Chain, remains};
use super::reading::{Fault, Reading};
use super::record::{Record, line_of};
use crate::core::error::{Error, Result};
use crate::machine::whole_file::write_whole;
use crate::record::settings::Settings;
use crate::record::visit::Visit;

/// Visits that are named when they are dropped.
const MOST_NAMED: usize = 12;

/// A log with a line that is not sound.
#[derive(Debug)]
pub struct Damage {
    path: PathBuf,
    text: Vec<u8>,
    /// What is sound before that line.
    pub records: Vec<Record>,
    /// The lines of the same.
    sound: Vec<u8>,
    fault: Fault,
    /// Lines from there on.
    lines: usize,
    visits: Vec<Visit>,
}

/// What a recovery dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The log.
    pub path: PathBuf,
    /// The first line dropped, from 1, and what is wrong with it.
    pub fault: Fault,
    /// How many lines.
    pub lines: usize,
    /// The visits that they tell of, as far as they can be read, and that are to be made again.
    pub visits: Vec<Visit>,
    /// Where the damaged log is kept.
    pub kept: PathBuf,
}

impl Damage {
    /// Returns the damage of a folder's log; none where it is sound, but for a torn last line.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] where not one line is a log's, [`Error::Read`].
    pub fn find(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE_NAME);
        let text = read_text(folder)?;
        let reading = Reading::of(&text);
        let Some(fault) = reading.fault.clone() else {
            return Ok(None);
        };
        let behind = reading.rest.split(|&byte| byte == b'\n');
        let told: Vec<Record> = behind.filter_map(record_in_remains).collect();
        if reading.records.is_empty() && told.is_empty() {
            return Err(Error::Usage(format!(
                "{} holds nothing that a sweep wrote: choose another folder with --out",
                path.display()
            )));
        }
        let open = reading.course.open_visit().cloned();
        let mut visits: Vec<Visit> = Vec::new();
        for visit in open.into_iter().chain(told.iter().filter_map(visit_of)) {
            if !reading.course.has_ended(&visit) && !visits.contains(&visit) {
                visits.push(visit);
            }
        }
        Ok(Some(Self {
            path,
            sound: reading.sound_lines().0,
            lines: reading.rest.split_inclusive(|&byte| byte == b'\n').count(),
            records: reading.records,
            fault,
            visits,
            text,
        }))
    }

    /// Keeps the damaged log beside its place, and puts there what is sound of it, or where that is
    /// nothing these settings; each in one step.
    ///
    /// # Errors
    ///
    /// [`Error::Write`]; the log then still stands as it was.
    pub fn mend(self, settings: &Settings) -> Result<Dropped> {
        let mut sound = self.sound;
        if sound.is_empty() {
            let settings = Record::Settings(settings.clone());
            sound = line_of(&settings, &mut Chain::default())?.into_bytes();
        }
        let kept = free_path(&self.path);
        write_whole(&kept, &self.text)?;
        write_whole(&self.path, &sound)?;
        Ok(Dropped {
            path: self.path,
            fault: self.fault,
            lines: self.lines,
            visits: self.visits,
            kept,
        })
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, kept) = (self.path.display(), self.kept.display());
        let Fault { line, reason } = &self.fault;
        let plural = if self.lines == 1 { "" } else { "s" };
        write!(
            formatter,
            "{path}: line {line}: {reason}; dropped {} line{plural} from there on",
            self.lines
        )?;
        let named: Vec<String> = self.visits.iter().map(Visit::to_string).collect();
        let (named, more) = named.split_at(named.len().min(MOST_NAMED));
        match (named, more.len()) {
            ([], _) => write!(formatter, ", of no visit that can be named")?,
            (named, 0) => write!(formatter, ", of {}", named.join(", "))?,
            (named, more) => write!(formatter, ", of {} and {more} more", named.join(", "))?,
        }
        write!(
            formatter,
            "; what is missing runs again; the damaged log is kept as {kept}"
        )
    }
}

/// Returns the record in what may once have been a line.
fn record_in_remains(line: &[u8]) -> Option<Record> {
    serde_json::from_str(remains(line)?).ok()
}

/// Returns the visit that a record begins or ends.
fn visit_of(record: &Record) -> Option<Visit> {
    match record {
        Record::Start(visit) => Some(visit.clone()),
        Record::End(end) => Some(end.visit.clone()),
        _ => None,
    }
}

/// Returns the first of `log.jsonl.damaged`, `log.jsonl.damaged-2`, … that is not there.
fn free_path(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".damaged");
    let mut path = PathBuf::from(&name);
    let mut count = 1;
    while path.symlink_metadata().is_ok() {
        count += 1;
        let mut numbered = name.clone();
        numbered.push(format!("-{count}"));
        path = numbered.into();
    }
    path
}

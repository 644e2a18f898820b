//! The results log: one JSON record per line, each with its checksum, synced as it is written.
//!
//! Everything else in a results folder is derived from it. A line is the CRC-32 of the JSON in
//! eight hexadecimal digits, a space, the JSON, a newline. A torn last line, which a crash can
//! leave, is cut off; a bad line before it is an error.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::file::{self, MOST_RECORD_BYTES};
use crate::row::Status;
use crate::settings::Settings;
use crate::visit::Visit;
use crate::worker::{Finished, Sample};

/// The log's name in a results folder.
pub const FILE_NAME: &str = "log.jsonl";

/// What a line holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first line.
    Settings(Settings),
    /// What the visits from here on run in.
    Environment(Environment),
    /// A visit begins; what an earlier try left of it no longer counts.
    Start(Visit),
    Sample(Sample),
    /// A visit has ended.
    End(VisitEnd),
}

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisitEnd {
    #[serde(flatten)]
    pub visit: Visit,
    pub status: Status,
    /// Why, where the status is not `ok`.
    pub reason: Option<String>,
    /// Seconds per look-up of the calibration bootstraps just before and just after.
    pub calibration_s: Option<[f64; 2]>,
    /// What the worker of a first round reported last; `None` where it did not get that far.
    pub finished: Option<Finished>,
}

/// Where a log's lines go.
pub trait Storage: Write {
    /// Waits until what was written is there to stay.
    ///
    /// # Errors
    ///
    /// Whatever the storage meets.
    fn sync(&mut self) -> io::Result<()>;
}

impl Storage for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Storage for Vec<u8> {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log that is being written.
#[derive(Debug)]
pub struct Log<S = File> {
    /// Names the log in errors.
    path: PathBuf,
    storage: S,
    /// Whether a write has failed, so that half a line may stand at the end.
    is_torn: bool,
}

impl Log {
    /// Starts a log with its settings.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] where there is one already or it cannot be written.
    pub fn create(folder: &Path, settings: &Settings) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })?;
        let mut log = Self::on(&path, file);
        log.append(&Record::Settings(settings.clone()))?;
        Ok(log)
    }

    /// Opens a log to go on, after cutting a torn last line off.
    ///
    /// # Errors
    ///
    /// As [`read`], and [`Error::Write`].
    pub fn resume(folder: &Path) -> Result<(Self, Vec<Record>)> {
        let (records, whole_bytes) = read_whole_lines(folder)?;
        let path = folder.join(FILE_NAME);
        let opened = OpenOptions::new().append(true).open(&path);
        let cut = opened.and_then(|file| file.set_len(whole_bytes as u64).map(|()| file));
        match cut {
            Ok(file) => Ok((Self::on(&path, file), records)),
            Err(source) => Err(Error::Write { path, source }),
        }
    }
}

impl<S: Storage> Log<S> {
    /// Returns a log whose next line goes to `storage`; errors call it `path`.
    pub fn on(path: &Path, storage: S) -> Self {
        Self {
            path: path.to_owned(),
            storage,
            is_torn: false,
        }
    }

    /// Writes a record and waits until the storage has it.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], for instance when the disk is full; from then on always, because a line
    /// behind half a line would be lost with it.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let line = line_of(record)?;
        let written = if self.is_torn {
            Err(io::Error::other("an earlier line could not be written"))
        } else {
            let written = self.storage.write_all(line.as_bytes());
            written.and_then(|()| self.storage.sync())
        };
        self.is_torn = written.is_err();
        written.map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Returns the storage with every line appended so far.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

/// Returns a record as it stands in a log.
fn line_of(record: &Record) -> Result<String> {
    let json = serde_json::to_string(record)
        .map_err(|error| Error::Worker(format!("unwritable record: {error}")))?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())))
}

/// Returns whether a folder's log holds no more than the torn first line of a log with these
/// settings: what a crash leaves that comes before anything else.
pub fn is_torn_beginning(folder: &Path, settings: &Settings) -> bool {
    let wanted = line_of(&Record::Settings(settings.clone()));
    match (
        file::read(&folder.join(FILE_NAME), MOST_RECORD_BYTES),
        wanted,
    ) {
        (Ok(found), Ok(wanted)) => {
            found.len() < wanted.len() && wanted.as_bytes().starts_with(&found)
        }
        _ => false,
    }
}

/// Removes a log that [`is_torn_beginning`].
///
/// # Errors
///
/// [`Error::Write`].
pub fn remove_torn_beginning(folder: &Path, settings: &Settings) -> Result<()> {
    if !is_torn_beginning(folder, settings) {
        return Ok(());
    }
    let path = folder.join(FILE_NAME);
    fs::remove_file(&path).map_err(|source| Error::Write { path, source })
}

/// Reads the records of a results folder's log; none where there is no log.
///
/// # Errors
///
/// [`Error::Invalid`] that names a damaged line, [`Error::Read`].
pub fn read(folder: &Path) -> Result<Vec<Record>> {
    read_whole_lines(folder).map(|(records, _)| records)
}

/// Returns the records and the bytes of their lines.
fn read_whole_lines(folder: &Path) -> Result<(Vec<Record>, usize)> {
    let path = folder.join(FILE_NAME);
    let Some(text) = file::read_if_there(&path, MOST_RECORD_BYTES)? else {
        return Ok((Vec::new(), 0));
    };
    let mut records = Vec::new();
    let mut whole_bytes = 0;
    for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        match checked_json(line) {
            Some(json) => {
                let record = serde_json::from_str(json).map_err(|error| {
                    let place = format!("{}: line {}", path.display(), index + 1);
                    Error::invalid(place, format!("written by another version: {error}"))
                })?;
                records.push(record);
            }
            None if whole_bytes + line.len() == text.len() => break,
            None => {
                let place = format!("{}: line {}", path.display(), index + 1);
                let reason =
                    "damaged: its checksum differs; restore the file or use another folder";
                return Err(Error::invalid(place, reason));
            }
        }
        whole_bytes += line.len();
    }
    Ok((records, whole_bytes))
}

/// Returns the JSON of a whole line with the right checksum.
fn checked_json(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (checksum, json) = line.split_at_checked(8)?;
    let json = json.strip_prefix(' ')?;
    let expected = u32::from_str_radix(checksum, 16).ok()?;
    (crc32fast::hash(json.as_bytes()) == expected).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(text: &str) -> Record {
        Record::Start(Visit {
            placement: text.parse().expect("letters"),
            repeat: 0,
        })
    }

    fn written(folder: &Path) -> Vec<u8> {
        let file = File::create_new(folder.join(FILE_NAME)).expect("new");
        let mut log = Log::on(&folder.join(FILE_NAME), file);
        log.append(&start("CSC")).expect("written");
        log.append(&start("SSS")).expect("written");
        fs::read(folder.join(FILE_NAME)).expect("readable")
    }

    #[test]
    fn a_log_cut_anywhere_gives_its_whole_lines_and_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let bytes = written(folder.path());
        let first_line = bytes
            .iter()
            .position(|&byte| byte == b'\n')
            .expect("newline")
            + 1;
        for cut in 0..=bytes.len() {
            fs::write(folder.path().join(FILE_NAME), &bytes[..cut]).expect("written");
            let (mut log, records) = Log::resume(folder.path()).expect("torn lines are cut");
            let whole = usize::from(cut >= first_line) + usize::from(cut == bytes.len());
            assert_eq!(records.len(), whole, "cut at {cut}");
            log.append(&start("CCC")).expect("written");
            let after = read(folder.path()).expect("readable");
            assert_eq!(after.len(), whole + 1, "cut at {cut}");
            assert_eq!(after[whole], start("CCC"));
        }
    }

    #[test]
    fn a_bad_line_before_the_last_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let mut bytes = written(folder.path());
        bytes[12] ^= 1;
        fs::write(folder.path().join(FILE_NAME), bytes).expect("written");
        let error = read(folder.path()).expect_err("damaged").to_string();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn no_log_has_no_records() {
        let folder = tempfile::tempdir().expect("folder");
        assert_eq!(read(folder.path()).expect("none"), []);
    }
}

//! The results log: one JSON record per line, synced as it is written.
//!
//! Everything else in a results folder is derived from it. Its lines are numbered, and each carries a
//! checksum of itself and those before it (`line`); their records tell the course of a sweep
//! (`course`): settings, an environment, and for each visit its start, a sample for each image and
//! its end. What does not hold together is refused by line (`reading`); `recover` keeps what stands
//! before that. A torn last line, which a crash can leave, lacks its newline and is cut off.
//!
//! No key is involved, so that the checksums stop accidents, not forgers; whole lines cut off at the
//! end look like a sweep that has not come so far.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::core::error::{Error, Result};
use crate::machine::file::{self, MOST_RECORD_BYTES};
use crate::record::environment::Environment;
use crate::record::finished::{Finished, Sample};
use crate::record::results::write_whole;
use crate::record::row::Status;
use crate::record::settings::Settings;
use crate::record::stage::Stage;
use crate::record::visit::Visit;

mod course;
pub mod line;
mod reading;
pub mod recover;

use line::{Chain, Form};
use reading::{ADVICE, Reading};

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
    /// Seconds of each stage of the visit, which share all of its time; none in earlier logs.
    #[serde(default)]
    pub stages: Vec<(Stage, f64)>,
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

    /// Returns whether a path leads to it.
    fn is_at(&self, _path: &Path) -> bool {
        true
    }
}

impl Storage for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    #[cfg(unix)]
    fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (own, there) = (
            self.metadata().map(identity),
            fs::metadata(path).map(identity),
        );
        matches!((own, there), (Ok(own), Ok(there)) if own == there)
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
    chain: Chain,
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

    /// Opens a log to go on, after cutting a torn last line off. A log of an older form is first
    /// replaced, in one step, by one of the same records.
    ///
    /// # Errors
    ///
    /// As [`read`], and [`Error::Write`].
    pub fn resume(folder: &Path) -> Result<(Self, Vec<Record>)> {
        let path = folder.join(FILE_NAME);
        let text = read_text(folder)?;
        let reading = sound(&path, &text)?;
        let (lines, chain) = reading.sound_lines();
        if reading.form == Form::Older {
            write_whole(&path, &lines)?;
        }
        let opened = OpenOptions::new().append(true).open(&path);
        let cut = opened.and_then(|file| file.set_len(lines.len() as u64).map(|()| file));
        match cut {
            Ok(file) => {
                let log = Self {
                    chain,
                    ..Self::on(&path, file)
                };
                Ok((log, reading.records))
            }
            Err(source) => Err(Error::Write { path, source }),
        }
    }
}

impl<S: Storage> Log<S> {
    /// Returns a log whose first line goes to `storage`; errors call it `path`.
    pub fn on(path: &Path, storage: S) -> Self {
        Self {
            path: path.to_owned(),
            storage,
            chain: Chain::default(),
            is_torn: false,
        }
    }

    /// Writes a record and waits until the storage has it.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], for instance when the disk is full, or as [`Self::check_place`]; from then on
    /// always, because a line behind half a line would be lost with it.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let line = line_of(record, &mut self.chain)?;
        let written = if self.is_torn {
            Err(io::Error::other("an earlier line could not be written"))
        } else {
            let written = self.storage.write_all(line.as_bytes());
            written.and_then(|()| self.storage.sync())
        };
        let written = written.map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        });
        let written = written.and_then(|()| self.check_place());
        self.is_torn = written.is_err();
        written
    }

    /// Checks that the log still lies where it was opened.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] where its folder, or the log alone, was removed, moved or replaced.
    pub fn check_place(&self) -> Result<()> {
        if self.storage.is_at(&self.path) {
            return Ok(());
        }
        let reason = "it, or its folder, was removed, moved or replaced while the sweep ran: put it \
                      back and go on with --resume, or choose another folder with --out";
        Err(Error::Write {
            path: self.path.clone(),
            source: io::Error::other(reason),
        })
    }

    /// Returns the storage with every line appended so far.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

/// Returns a record as the next line of a log.
fn line_of(record: &Record, chain: &mut Chain) -> Result<String> {
    let json = serde_json::to_string(record)
        .map_err(|error| Error::Worker(format!("unwritable record: {error}")))?;
    Ok(chain.seal(&json))
}

/// Returns whether a folder's log holds no more than the torn first line of a log with these
/// settings: what a crash leaves that comes before anything else.
pub fn is_torn_beginning(folder: &Path, settings: &Settings) -> bool {
    let wanted = line_of(&Record::Settings(settings.clone()), &mut Chain::default());
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
/// [`Error::Invalid`] that names the first line that is damaged or does not follow from those before
/// it, and [`Error::Read`].
pub fn read(folder: &Path) -> Result<Vec<Record>> {
    let text = read_text(folder)?;
    Ok(sound(&folder.join(FILE_NAME), &text)?.records)
}

/// Returns a log's text; an empty one where there is no log.
fn read_text(folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join(FILE_NAME);
    let text = file::read_if_there(&path, MOST_RECORD_BYTES)?;
    Ok(text.unwrap_or_default())
}

/// Reads a log that must be sound, but for a torn last line.
fn sound<'a>(path: &Path, text: &'a [u8]) -> Result<Reading<'a>> {
    let reading = Reading::of(text);
    match &reading.fault {
        None => Ok(reading),
        Some(fault) => {
            let place = format!("{}: line {}", path.display(), fault.line);
            Err(Error::invalid(place, format!("{}; {ADVICE}", fault.reason)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns settings that name two splits.
    fn settings() -> Record {
        let settings = serde_json::json!({
            "name": "two", "model": "m", "model_digest": "0", "placements": ["CSC", "SSS"],
            "images": 1, "repeats": 1, "seed": 0, "parameters": "auto", "step_noise": 0.5,
            "log2_p_fail_lookup": -64.0, "download": "plain",
            "cost": {"rotation_ns": 1.0, "keyswitch_ns": 1.0}
        });
        Record::Settings(serde_json::from_value(settings).expect("settings"))
    }

    fn environment() -> Record {
        Record::Environment(Environment::default())
    }

    /// Writes a log of two lines and returns its text.
    fn written(folder: &Path) -> Vec<u8> {
        let file = File::create_new(folder.join(FILE_NAME)).expect("new");
        let mut log = Log::on(&folder.join(FILE_NAME), file);
        log.append(&settings()).expect("written");
        log.append(&environment()).expect("written");
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
            let next = if whole == 0 {
                settings()
            } else {
                environment()
            };
            log.append(&next).expect("written");
            let after = read(folder.path()).expect("readable");
            assert_eq!(after.len(), whole + 1, "cut at {cut}");
            assert_eq!(after[whole], next);
        }
    }

    #[test]
    fn a_bad_line_is_named_also_where_it_is_the_last() {
        let folder = tempfile::tempdir().expect("folder");
        let bytes = written(folder.path());
        for (index, line) in [(30, "line 1"), (bytes.len() - 2, "line 2")] {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            fs::write(folder.path().join(FILE_NAME), bytes).expect("written");
            let error = read(folder.path()).expect_err("damaged").to_string();
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn no_log_has_no_records() {
        let folder = tempfile::tempdir().expect("folder");
        assert_eq!(read(folder.path()).expect("none"), []);
    }

    #[cfg(unix)]
    #[test]
    fn a_log_that_is_no_longer_in_its_place_takes_no_line() {
        let desk = tempfile::tempdir().expect("folder");
        let (folder, away) = (desk.path().join("results"), desk.path().join("away"));
        let takes_away: [&dyn Fn() -> io::Result<()>; 4] = [
            &|| fs::remove_dir_all(&folder),
            &|| fs::rename(&folder, &away),
            &|| fs::rename(&folder, &away).and_then(|()| fs::create_dir(&folder)),
            // Another file of the same name and content.
            &|| {
                let log = folder.join(FILE_NAME);
                fs::copy(&log, folder.join("copy"))?;
                fs::rename(folder.join("copy"), log)
            },
        ];
        for take_away in takes_away {
            fs::create_dir(&folder).expect("folder");
            written(&folder);
            let (mut log, _) = Log::resume(&folder).expect("sound");
            log.append(&environment()).expect("written");
            take_away().expect("taken away");
            for _ in 0..2 {
                let error = log.append(&environment()).expect_err("gone").to_string();
                assert!(error.contains("results/log.jsonl"), "{error}");
            }
            let error = log.check_place().expect_err("gone").to_string();
            assert!(
                error.contains("--resume") && error.contains("--out"),
                "{error}"
            );
            let _ = fs::remove_dir_all(&away);
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

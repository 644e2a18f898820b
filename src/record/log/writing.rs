//! A log that is being written, a synced line for each record.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::file::{FILE_NAME, read_text, sound};
use super::line::{Chain, Form};
use super::record::{Record, line_of};
use super::storage::Storage;
use crate::core::error::{Error, Result};
use crate::machine::whole_file::write_whole;
use crate::record::settings::Settings;

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
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| Error::Write {
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
    /// As [`read`](super::file::read), and [`Error::Write`].
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
        let synced = if self.is_torn {
            Err(io::Error::other("an earlier line could not be written"))
        } else {
            self.storage
                .write_all(line.as_bytes())
                .and_then(|()| self.storage.sync())
        };
        let written = synced
            .map_err(|source| Error::Write {
                path: self.path.clone(),
                source,
            })
            .and_then(|()| self.check_place());
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::record::environment::Environment;
    use crate::record::log::read;

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

//! The log of a results folder: its name, its text, and the records in it.

use std::fs;
use std::path::Path;

use super::line::Chain;
use super::reading::{ADVICE, Reading};
use super::record::{Record, line_of};
use crate::core::error::{Error, Result};
use crate::machine::file::{self, MOST_RECORD_BYTES};
use crate::record::settings::Settings;

/// The log's name in a results folder.
pub const FILE_NAME: &str = "log.jsonl";

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
pub(super) fn read_text(folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join(FILE_NAME);
    let text = file::read_if_there(&path, MOST_RECORD_BYTES)?;
    Ok(text.unwrap_or_default())
}

/// Reads a log that must be sound, but for a torn last line.
pub(super) fn sound<'a>(path: &Path, text: &'a [u8]) -> Result<Reading<'a>> {
    let reading = Reading::of(text);
    match &reading.fault {
        None => Ok(reading),
        Some(fault) => {
            let place = format!("{}: line {}", path.display(), fault.line);
            Err(Error::invalid(place, format!("{}; {ADVICE}", fault.reason)))
        }
    }
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

//! Files that are written whole or not at all.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::core::error::{Error, Result};
use crate::machine::file;

/// Writes pretty JSON.
///
/// # Errors
///
/// [`Error::Write`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    match pretty_json(value) {
        Ok(json) => write_whole(path, &json),
        Err(error) => Err(cannot_write(path, error.into())),
    }
}

/// Returns a value as the lines of a JSON file.
///
/// # Errors
///
/// What serialising it meets.
pub fn pretty_json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    Ok(json)
}

/// Replaces a file in one step: a reader sees the old one or the new one.
///
/// # Errors
///
/// [`Error::Write`]; the old file then still stands.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut draft = draft_beside(path, "")?;
    draft
        .write_all(bytes)
        .map_err(|source| cannot_write(path, source))?;
    publish(draft, path)
}

/// Returns an empty file in the same folder, readable by whom the umask lets, for [`publish`]; it is gone
/// if it is dropped.
///
/// # Errors
///
/// [`Error::Write`].
pub fn draft_beside(path: &Path, suffix: &str) -> Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.suffix(suffix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
        .tempfile_in(folder_of(path))
        .map_err(|source| cannot_write(path, source))
}

/// Puts a draft in the place of a file, on disk when it returns.
///
/// # Errors
///
/// [`Error::Write`]; the old file then still stands.
pub fn publish(draft: NamedTempFile, path: &Path) -> Result<()> {
    let replace = || -> std::io::Result<()> {
        draft.as_file().sync_all()?;
        draft.persist(path)?;
        file::sync(folder_of(path))
    };
    replace().map_err(|source| cannot_write(path, source))
}

/// Returns the folder that a file or a folder lies in. A bare name has the parent "", which cannot be
/// opened.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| *folder != Path::new(""))
        .unwrap_or(Path::new("."))
}

fn cannot_write(path: &Path, source: std::io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}

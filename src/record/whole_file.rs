//! Files that are written whole or not at all.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::core::error::{Error, Result};
use crate::machine::file;

/// Writes pretty JSON.
///
/// # Errors
///
/// [`Error::Write`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    match serde_json::to_vec_pretty(value) {
        Ok(mut json) => {
            json.push(b'\n');
            write_whole(path, &json)
        }
        Err(error) => Err(Error::Write {
            path: path.to_owned(),
            source: error.into(),
        }),
    }
}

/// Replaces a file in one step: a reader sees the old one or the new one.
///
/// # Errors
///
/// [`Error::Write`]; the old file then still stands.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // A bare file name has the parent "", which cannot be opened.
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let replace = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file()
                .set_permissions(fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path)?;
        file::sync(folder)
    };
    replace().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

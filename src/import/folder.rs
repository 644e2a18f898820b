//! A new model folder, which appears whole or not at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::error::{Error, Result};
use crate::machine::new_folder::NewFolder;

/// Held while a folder is being written.
static WRITING: Mutex<()> = Mutex::new(());

/// Waits for a folder that is being written, and keeps the next from being begun: what ends the
/// program holds this, so that nothing half written stays.
pub fn hold() -> MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks that nothing is where a folder is to be.
///
/// # Errors
///
/// [`Error::Usage`] where something is.
pub fn check_free(out: &Path) -> Result<()> {
    if out.symlink_metadata().is_err() {
        return Ok(());
    }
    let reason = "is there already: give another folder, or remove it";
    Err(Error::Usage(format!("{} {reason}", out.display())))
}

/// Writes a folder of these files, by their names.
///
/// # Errors
///
/// [`Error::Write`] that names the folder; nothing is there then that was not there before.
pub fn write(out: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let _writing = hold();
    check_free(out)?;
    let new = NewFolder::begin(out)?;
    for (file, bytes) in files {
        std::fs::write(new.path().join(file), bytes).map_err(|source| Error::Write {
            path: out.to_owned(),
            source,
        })?;
    }
    new.publish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        };
        entries.map(name).collect()
    }

    #[test]
    fn a_folder_appears_whole_with_those_around_it() {
        let root = tempfile::tempdir().expect("a folder");
        let out = root.path().join("a/b");
        let files = BTreeMap::from([("x".to_owned(), vec![1, 2])]);
        write(&out, &files).expect("written");
        assert_eq!(names(root.path()), ["a"]);
        assert_eq!(names(&root.path().join("a")), ["b"]);
        assert_eq!(std::fs::read(out.join("x")).expect("readable"), [1, 2]);
        assert!(matches!(write(&out, &files), Err(Error::Usage(_))));
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let root = tempfile::tempdir().expect("a folder");
        // A name that leads into a folder which is not there.
        let files = BTreeMap::from([("x/y".to_owned(), vec![1])]);
        for out in ["m", "a/b/m"] {
            let refused = write(&root.path().join(out), &files);
            assert!(matches!(refused, Err(Error::Write { .. })), "{refused:?}");
            assert_eq!(names(root.path()), [""; 0], "{out}");
        }
    }
}

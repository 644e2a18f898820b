//! A new model folder, which appears whole or not at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

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
    let failed = |source: std::io::Error| Error::Write {
        path: out.to_owned(),
        source,
    };
    let parent = match out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let is_there = |folder: &&Path| folder.is_dir() && **folder != *Path::new("");
    let beside = parent.ancestors().find(is_there).unwrap_or(Path::new("."));
    let new = tempfile::Builder::new()
        .prefix(".import-")
        .tempdir_in(beside)
        .map_err(failed)?;
    for (file, bytes) in files {
        std::fs::write(new.path().join(file), bytes).map_err(failed)?;
    }
    set_readable(new.path()).map_err(failed)?;
    let moved = std::fs::create_dir_all(parent).and_then(|()| std::fs::rename(new.path(), out));
    match moved {
        Ok(()) => {
            // The folder has gone where it belongs: nothing is left to remove.
            let _ = new.keep();
            Ok(())
        }
        Err(source) => {
            remove_empty(parent, beside);
            Err(failed(source))
        }
    }
}

/// Removes the folders from `inner` outwards that were made below `outer`, as far as they are empty.
fn remove_empty(inner: &Path, outer: &Path) {
    let made = inner.ancestors().take_while(|folder| *folder != outer);
    for folder in made.filter(|folder| *folder != Path::new("")) {
        // What somebody has put something into meanwhile stays.
        if std::fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Gives a folder that was made for its owner alone the usual permissions.
#[cfg(unix)]
fn set_readable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn set_readable(_folder: &Path) -> std::io::Result<()> {
    Ok(())
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
        // A file where a folder around it would be.
        std::fs::write(root.path().join("file"), "").expect("written");
        let whole = BTreeMap::from([("x".to_owned(), vec![1])]);
        assert!(write(&root.path().join("file/m"), &whole).is_err());
        assert_eq!(names(root.path()), ["file"]);
        remove_empty(&root.path().join("none/at/all"), root.path());
        std::fs::create_dir_all(root.path().join("p/q")).expect("made");
        remove_empty(&root.path().join("p/q"), root.path());
        assert_eq!(names(root.path()), ["file"]);
    }
}

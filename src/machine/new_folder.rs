//! A folder that appears whole or not at all: it is filled beside its place, and moved there at the end.
//!
//! What a kill leaves beside is removed by the next one that begins there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs4::fs_std::FileExt;
use tempfile::TempDir;

use crate::core::error::{Error, Result};
use crate::machine::file::{open_lock, sync};
use crate::machine::whole_file::folder_of;

/// What the names of drafts begin with.
const PREFIX: &str = ".splitbench-";
/// How many letters and digits follow: tempfile's.
const RANDOM: usize = 6;
/// Held by whoever fills a draft.
const LOCK: &str = ".lock";
/// A draft that is younger may not be locked yet.
const SETTLED: Duration = Duration::from_secs(60);

/// A folder that is being filled; it vanishes where it is not published.
pub struct NewFolder {
    draft: TempDir,
    lock: File,
    out: PathBuf,
    /// Where it is to lie, which need not be there.
    parent: PathBuf,
    /// The nearest folder around that is there.
    beside: PathBuf,
}

impl NewFolder {
    /// Begins a folder that is to lie at `out`.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] that names `out`.
    pub fn begin(out: &Path) -> Result<Self> {
        let parent = folder_of(out);
        let is_there = |folder: &&Path| folder.is_dir() && **folder != *Path::new("");
        let beside = parent.ancestors().find(is_there).unwrap_or(Path::new("."));
        remove_drafts(beside);
        let failed = |source| Error::Write {
            path: out.to_owned(),
            source,
        };
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(PREFIX).rand_bytes(RANDOM);
        let draft = builder.tempdir_in(beside).map_err(failed)?;
        let lock = open_lock(&draft.path().join(LOCK))?;
        FileExt::try_lock_exclusive(&lock).map_err(failed)?;
        Ok(Self {
            draft,
            lock,
            out: out.to_owned(),
            parent: parent.to_owned(),
            beside: beside.to_owned(),
        })
    }

    /// Returns where it is filled.
    pub fn path(&self) -> &Path {
        self.draft.path()
    }

    /// Moves it where it belongs, in one step. An empty folder there is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] that names the folder; nothing is there then that was not there before.
    pub fn publish(self) -> Result<()> {
        let Self {
            draft,
            lock,
            out,
            parent,
            beside,
        } = self;
        drop(lock);
        let moved = fs::remove_file(draft.path().join(LOCK))
            .and_then(|()| sync_all(draft.path()))
            .and_then(|()| set_readable(draft.path()))
            .and_then(|()| fs::create_dir_all(&parent))
            .and_then(|()| fs::rename(draft.path(), &out));
        if let Err(source) = moved {
            remove_empty(&parent, &beside);
            return Err(Error::Write { path: out, source });
        }
        // Its files have moved on; there is nothing left to clean up.
        let _ = draft.keep();
        sync(&parent).map_err(|source| Error::Write { path: out, source })
    }
}

/// Waits until all files in a folder are stored.
fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            sync(&path)?;
        }
    }
    sync(folder)
}

/// Removes the drafts in a folder that nobody fills.
///
/// One that cannot be removed stays: it is in nobody's way.
fn remove_drafts(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_draft = is_draft_of(PREFIX, &name.to_string_lossy());
        // Of a link this is the link itself.
        let Some(metadata) = entry.metadata().ok().filter(fs::Metadata::is_dir) else {
            continue;
        };
        let age = metadata.modified().map(|modified| {
            let now = SystemTime::now();
            now.duration_since(modified).unwrap_or_default()
        });
        if is_draft && age.is_ok_and(|age| age >= SETTLED) && !is_filled(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Returns whether a name is that of a draft which begins so.
pub fn is_draft_of(prefix: &str, name: &str) -> bool {
    let random = name.strip_prefix(prefix);
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Returns whether somebody fills a draft, or may do so.
fn is_filled(draft: &Path) -> bool {
    let lock = draft.join(LOCK);
    if lock.symlink_metadata().is_err() {
        // It was about to be moved, or had hardly begun.
        return false;
    }
    let locked = open_lock(&lock).map(|lock| FileExt::try_lock_exclusive(&lock));
    !matches!(locked, Ok(Ok(true)))
}

/// Removes the folders from `inner` outwards that were made below `outer`, as far as they are empty.
fn remove_empty(inner: &Path, outer: &Path) {
    let made = inner.ancestors().take_while(|folder| *folder != outer);
    for folder in made.filter(|folder| *folder != Path::new("")) {
        // What somebody has put something into meanwhile stays.
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Gives a folder that was made for its owner alone the usual permissions.
#[cfg(unix)]
fn set_readable(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn set_readable(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_whole_with_those_around_it() {
        let root = tempfile::tempdir().expect("a folder");
        let out = root.path().join("a/b");
        let new = NewFolder::begin(&out).expect("begun");
        fs::create_dir(new.path().join("inner")).expect("made");
        fs::write(new.path().join("inner/x"), [1, 2]).expect("written");
        assert!(!out.exists());
        new.publish().expect("published");
        assert_eq!(names(root.path()), ["a"]);
        assert_eq!(names(&out), ["inner"]);
        assert_eq!(fs::read(out.join("inner/x")).expect("readable"), [1, 2]);
        // What has come up meanwhile stays, and the other leaves nothing.
        let late = NewFolder::begin(&out).expect("begun");
        assert!(late.publish().is_err());
        assert_eq!(names(root.path()), ["a"]);
        assert_eq!(names(&root.path().join("a")), ["b"]);
    }

    #[test]
    fn what_is_not_published_leaves_nothing() {
        let root = tempfile::tempdir().expect("a folder");
        drop(NewFolder::begin(&root.path().join("a/b")).expect("begun"));
        assert_eq!(names(root.path()), [""; 0]);
        // A file where a folder around it would be.
        fs::write(root.path().join("file"), "").expect("written");
        let below = NewFolder::begin(&root.path().join("file/m")).expect("begun");
        assert!(below.publish().is_err());
        assert_eq!(names(root.path()), ["file"]);
        remove_empty(&root.path().join("none/at/all"), root.path());
        fs::create_dir_all(root.path().join("p/q")).expect("made");
        remove_empty(&root.path().join("p/q"), root.path());
        assert_eq!(names(root.path()), ["file"]);
    }

    #[test]
    fn drafts_that_a_kill_left_go_and_everything_else_stays() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        let old = SystemTime::now() - 2 * SETTLED;
        let drafts = [
            ".splitbench-AbCdE1",
            ".splitbench-AbCdE2",
            ".splitbench-AbCdE3",
        ];
        for name in drafts.iter().chain(&[".splitbench-mine", "results"]) {
            fs::create_dir(path(name)).expect("made");
            fs::write(path(name).join("x"), "x").expect("written");
        }
        fs::write(path(drafts[0]).join(LOCK), "").expect("written");
        let held = open_lock(&path(drafts[1]).join(LOCK)).expect("a file");
        assert!(FileExt::try_lock_exclusive(&held).expect("locked"));
        let age = |name: &str| {
            let folder = File::open(path(name)).expect("a folder");
            folder.set_modified(old).expect("aged");
        };
        for name in [drafts[0], drafts[1], ".splitbench-mine", "results"] {
            age(name);
        }
        drop(NewFolder::begin(&path("out")).expect("begun"));
        let stays = [drafts[1], drafts[2], ".splitbench-mine", "results"];
        assert_eq!(names(root.path()), stays);
        age(drafts[2]);
        drop(NewFolder::begin(&path("out")).expect("begun"));
        assert_eq!(
            names(root.path()),
            [drafts[1], ".splitbench-mine", "results"]
        );
    }
}

//! Drafts of files that a kill left in a results folder.

use std::fs;
use std::path::Path;

use crate::machine::new_folder::is_draft_of;
use crate::record::results::CHARTS;

/// What the names of drafts begin with: tempfile's.
const PREFIX: &str = ".tmp";

/// What the names of drafts may end with: charts are drawn by what theirs do.
const SUFFIXES: [&str; 3] = ["", ".svg", ".png"];

/// Returns whether a file's name is that of a draft.
pub fn is_draft(name: &str) -> bool {
    SUFFIXES
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .any(|stem| is_draft_of(PREFIX, stem))
}

/// Removes the drafts in a results folder and in its folders of charts.
///
/// One that cannot be removed stays: it is in nobody's way.
pub fn remove_drafts(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Of a link this is the link itself.
        let (Ok(kind), name) = (entry.file_type(), entry.file_name()) else {
            continue;
        };
        let name = name.to_string_lossy();
        if kind.is_file() && is_draft(&name) {
            let _ = fs::remove_file(entry.path());
        } else if kind.is_dir() && name.starts_with(CHARTS) {
            remove_drafts(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_go_and_everything_else_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("charts/.tmpAbCdE9")).expect("folders");
        fs::create_dir(path("mine")).expect("folder");
        let stays = [
            "splits.csv",
            ".tmp",
            ".tmpAbCdE",
            ".tmp-notes",
            "mine/.tmpAbCdE1",
            "charts/bytes.svg",
            "charts/.tmpAbCdE4.csv",
            "charts/.tmpAbCdE9/own",
        ];
        let goes = [
            ".tmpAbCdE1",
            "charts/.tmp000000",
            "charts/.tmpAbCdE2.svg",
            "charts/.tmpAbCdE3.png",
        ];
        for name in stays.iter().chain(&goes) {
            fs::write(path(name), "x").expect("written");
        }
        let draft = tempfile::NamedTempFile::new_in(folder.path()).expect("draft");
        let (_, left) = draft.keep().expect("left behind");
        remove_drafts(folder.path());
        assert!(!left.exists());
        for (names, there) in [(&stays[..], true), (&goes[..], false)] {
            for name in names {
                assert_eq!(path(name).exists(), there, "{name}");
            }
        }
    }
}

//! What the fuzzer found worth keeping is fed to the same functions as there: read or refused, never a
//! panic.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../fuzz/src/feed.rs"]
mod feed;

use std::fs;
use std::path::Path;

/// The largest file of the corpus.
const MOST_BYTES: u64 = 16 << 10;

#[test]
fn the_corpus_is_read_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for &(name, feed) in feed::FEEDS {
        let mut paths: Vec<_> = fs::read_dir(corpus.join(name))
            .unwrap_or_else(|error| panic!("the corpus of {name}: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        assert!(paths.len() > 4, "{name}: {} files", paths.len());
        for path in paths {
            let bytes = fs::read(&path).unwrap();
            assert!(bytes.len() as u64 <= MOST_BYTES, "{}", path.display());
            // A panic says what, this says where.
            eprintln!("{}", path.display());
            feed(&bytes);
        }
    }
}

#[cfg(feature = "engine")]
#[test]
fn every_target_has_a_feed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut targets: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    targets.sort();
    let feeds = feed::FEEDS.iter().map(|(name, _)| (*name).to_owned());
    let mut feeds: Vec<String> = feeds.collect();
    feeds.sort();
    assert_eq!(targets, feeds);
    let manifest = include_str!("../fuzz/Cargo.toml");
    for (name, _) in feed::FEEDS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

//! What was found of a model's step noise, kept beside it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fractions::FRACTIONS;
use crate::core::error::Result;
use crate::core::text::from_json;
use crate::machine::file::{self, MOST_TEXT_BYTES};
use crate::machine::whole_file::{pretty_json, write_json};

/// The file in the model's folder.
const CACHE: &str = "step-noise.json";

/// What a segment was found to bear.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    #[serde(rename = "share")]
    pub fraction: f64,
    /// The fraction of calibration images that this noise costs.
    pub loss: f64,
    pub images: usize,
}

/// What was found before, by a digest of all that it depends on.
#[derive(Default)]
pub struct Cache {
    path: Option<PathBuf>,
    known: BTreeMap<String, Found>,
}

impl Cache {
    /// Reads what a folder keeps; a file that this program has not written counts for nothing.
    ///
    /// # Errors
    ///
    /// What [`file::read`] gives, unless the file is absent.
    pub fn read(folder: Option<PathBuf>) -> Result<Self> {
        let path = folder.map(|folder| folder.join(CACHE));
        let bytes = match &path {
            Some(path) => file::read_if_there(path, MOST_TEXT_BYTES)?,
            None => None,
        };
        let known: Option<BTreeMap<String, Found>> = bytes.and_then(|bytes| from_json(&bytes).ok());
        Ok(Self {
            path,
            known: known.unwrap_or_default(),
        })
    }

    /// Returns what was found.
    pub fn get(&self, key: &str) -> Option<Found> {
        let found = self.known.get(key).copied();
        found.filter(|found| FRACTIONS.contains(&found.fraction))
    }

    /// Takes note of what was found.
    pub fn put(&mut self, key: String, found: Found) {
        self.known.insert(key, found);
    }

    /// Writes the file, whole or not at all, if there is a folder.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn write(&self) -> Result<()> {
        match &self.path {
            Some(path) => write_json(path, &self.known),
            None => Ok(()),
        }
    }

    /// Returns the file's name and what it would hold; none where nothing was found.
    pub fn file(&self) -> Option<(String, Vec<u8>)> {
        let json = pretty_json(&self.known)
            .ok()
            .filter(|_| !self.known.is_empty());
        Some((CACHE.to_owned(), json?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_found_again_and_nothing_else() {
        let folder = tempfile::tempdir().expect("temporary");
        let found = |fraction| Found {
            fraction,
            loss: 0.001,
            images: 1000,
        };
        let read = || Cache::read(Some(folder.path().to_owned())).expect("readable");
        let mut cache = read();
        assert_eq!(cache.get("a"), None);
        cache.put("a".into(), found(FRACTIONS[1]));
        cache.put("b".into(), found(7.0));
        cache.write().expect("writable");
        assert_eq!(read().get("a"), Some(found(FRACTIONS[1])));
        // No fraction that this program tries.
        assert_eq!(read().get("b"), None);
        std::fs::write(folder.path().join(CACHE), "{").expect("writable");
        assert_eq!(read().get("a"), None);
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        let mut cache = Cache::default();
        let found = Found {
            fraction: FRACTIONS[0],
            loss: 0.0,
            images: 100,
        };
        cache.put("a".into(), found);
        assert!(cache.write().is_ok());
        let (name, json) = cache.file().expect("something");
        assert_eq!(name, CACHE);
        assert!(json.ends_with(b"}\n"));
        assert_eq!(Cache::default().file(), None);
    }
}

//! Where a model's files come from: a folder, or the binary itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::core::digest::hex_digest;
use crate::core::error::{Error, Result};
use crate::machine::file;

/// The most bytes of weights or images: 1 GiB.
const MOST_BYTES: u64 = 1 << 30;

/// A model folder on disk, in memory, or one of those that are compiled in.
#[derive(Debug, Clone)]
pub enum Source {
    Folder(PathBuf),
    Embedded(&'static Embedded),
    /// A folder that is not written yet.
    Memory(BTreeMap<String, Vec<u8>>),
}

/// A model folder that is compiled in.
#[derive(Debug)]
pub struct Embedded {
    pub name: &'static str,
    files: [(&'static str, &'static [u8]); 7],
}

macro_rules! embedded {
    ($name:literal) => {
        Embedded {
            name: $name,
            files: embedded!(
                $name,
                "model.json",
                "weights.bin",
                "test-images.npy",
                "test-labels.npy",
                "training.json",
                "training-images.npy",
                "training-labels.npy"
            ),
        }
    };
    ($name:literal, $($file:literal),+) => {
        [$((
            $file,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $name, "/", $file)),
        )),+]
    };
}

/// The models that every binary carries; the first is the default.
pub static EMBEDDED: [Embedded; 3] = [
    embedded!("digits-cnn"),
    embedded!("digits-mlp"),
    embedded!("digits-deep"),
];

impl Source {
    /// Returns the folder at `path`, or else the embedded model of that name (with or without
    /// `models/` before it).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] that lists the embedded models where there is neither.
    pub fn find(path: &Path) -> Result<Self> {
        if path.join("model.json").exists() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let name = path.strip_prefix("models").unwrap_or(path);
        let embedded = EMBEDDED.iter().find(|model| Path::new(model.name) == name);
        embedded.map(Self::Embedded).ok_or_else(|| {
            let names: Vec<&str> = EMBEDDED.iter().map(|model| model.name).collect();
            Error::invalid(
                path.display().to_string(),
                format!(
                    "no such model: give a folder that holds a model.json, or one of the built-in {}",
                    names.join(", ")
                ),
            )
        })
    }

    /// Returns the folder on disk, where it is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Embedded(_) | Self::Memory(_) => None,
        }
    }

    /// Returns how the file is named in messages.
    pub fn place(&self, file: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(file).display().to_string(),
            Self::Embedded(model) => format!("built-in {}/{file}", model.name),
            Self::Memory(_) => format!("imported {file}"),
        }
    }

    /// Returns whether there is a file of that name.
    pub fn holds(&self, file: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(file).exists(),
            Self::Embedded(model) => model.files.iter().any(|(name, _)| *name == file),
            Self::Memory(files) => files.contains_key(file),
        }
    }

    /// Returns the bytes of a file of the folder, at most `most`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a name that leaves the folder, [`Error::Read`] where there is none;
    /// what [`file::read`] gives.
    pub fn read(&self, file: &str, most: u64) -> Result<Cow<'_, [u8]>> {
        if Path::new(file).file_name() != Some(file.as_ref()) {
            let reason = format!("{file:?} must be the name of a file beside model.json");
            return Err(Error::invalid(self.place("model.json"), reason));
        }
        match self {
            Self::Folder(folder) => file::read(&folder.join(file), most).map(Cow::Owned),
            Self::Embedded(model) => model
                .files
                .iter()
                .find(|(name, _)| *name == file)
                .map(|(_, bytes)| Cow::Borrowed(*bytes))
                .ok_or_else(|| Error::invalid(self.place(file), "not built in")),
            Self::Memory(files) => files
                .get(file)
                .map(|bytes| Cow::Borrowed(bytes.as_slice()))
                .ok_or_else(|| Error::invalid(self.place(file), "not there")),
        }
    }

    /// Returns the bytes of a file after comparing its SHA-256.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], and [`Error::Invalid`] where the checksum differs.
    pub fn read_checked(&self, file: &str, sha256: &str) -> Result<Cow<'_, [u8]>> {
        let bytes = self.read(file, MOST_BYTES)?;
        let found = hex_digest(&bytes);
        if found.eq_ignore_ascii_case(sha256) {
            return Ok(bytes);
        }
        Err(Error::invalid(
            self.place(file),
            format!(
                "truncated or altered: its SHA-256 is {found}, but model.json says {sha256}; \
                 restore the file or write the folder anew"
            ),
        ))
    }
}

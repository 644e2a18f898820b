//! Numbers that a model keeps in files of their own, next to it.
//!
//! Such a file must lie within the model's folder, links followed: a model out of the network must
//! not be able to read anything else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use prost::bytes::Bytes;

use crate::Error;
use crate::core::foreign::quoted;
use crate::core::onnx_schema::StringStringEntry;
use crate::import::fault::{Fault, Outcome, invalid, unsupported};
use crate::machine::file::{Regular, buffer, check_inflation};

/// Bytes that constants may share, however short the file that they share.
const SHARED_BYTES: u64 = 1 << 20;

/// The folder that external numbers may come from.
#[derive(Debug)]
pub struct Folder {
    path: Option<PathBuf>,
    /// Bytes read of each file so far.
    read: RefCell<HashMap<PathBuf, u64>>,
}

impl Folder {
    /// Returns a folder that holds nothing, for a model that is no file.
    pub fn none() -> Self {
        Self {
            path: None,
            read: RefCell::default(),
        }
    }

    /// Returns the folder that the model lies in.
    pub fn of(model: &Path) -> Self {
        let parent = model
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Self {
            path: Some(parent.unwrap_or(Path::new(".")).to_path_buf()),
            read: RefCell::default(),
        }
    }

    /// Returns the bytes that the entries point to.
    ///
    /// # Errors
    ///
    /// A sentence where they lead out of the folder or there are not `byte_count` of them.
    pub fn read(&self, entries: &[StringStringEntry], byte_count: usize) -> Outcome<Bytes> {
        let Some(folder) = &self.path else {
            return unsupported("numbers in a file of their own, of a model that is no file");
        };
        let entry = |key: &str| {
            let found = entries
                .iter()
                .find(|entry| entry.key.as_deref() == Some(key));
            found.and_then(|entry| entry.value.as_deref())
        };
        let Some(location) = entry("location") else {
            return invalid("external numbers without a location");
        };
        let offset = number(entry("offset"))?.unwrap_or(0);
        let length = number(entry("length"))?.unwrap_or(byte_count as u64);
        if length != byte_count as u64 {
            return invalid(format!(
                "{length} external bytes where its shape and type take {byte_count}"
            ));
        }
        let path = inside(folder, location)?;
        self.part(path, offset, byte_count)
            .map_err(|fault| match fault {
                Fault::Invalid(reason) => {
                    Fault::Invalid(format!("external file {}: {reason}", quoted(location)))
                }
                fault => fault,
            })
    }

    /// Returns a part of a file, whose length is checked before memory is taken for it.
    fn part(&self, path: PathBuf, offset: u64, byte_count: usize) -> Outcome<Bytes> {
        let text = |error: std::io::Error| Fault::Invalid(error.to_string());
        let reason = |error: Error| match error {
            Error::Invalid { reason, .. } => Fault::Invalid(reason),
            error => Fault::Invalid(error.to_string()),
        };
        let Regular {
            mut file,
            length,
            stored,
        } = Regular::open(&path).map_err(reason)?;
        let end = offset.checked_add(byte_count as u64);
        if end.is_none_or(|end| end > length) {
            return invalid(format!(
                "{byte_count} bytes from {offset} on, but it has {length}"
            ));
        }
        check_inflation("", length, stored).map_err(reason)?;
        let mut files = self.read.borrow_mut();
        let read = files.entry(path).or_default();
        *read += byte_count as u64;
        if *read > length.max(SHARED_BYTES) {
            return invalid(format!("its {length} bytes are read more than once"));
        }
        file.seek(SeekFrom::Start(offset)).map_err(text)?;
        let mut bytes = buffer("", byte_count).map_err(|_| Fault::Memory(byte_count))?;
        let read = file.take(byte_count as u64).read_to_end(&mut bytes);
        if read.map_err(text)? == byte_count {
            Ok(bytes.into())
        } else {
            invalid("it ends before its length")
        }
    }
}

/// Returns the number of an entry.
fn number(text: Option<&str>) -> Outcome<Option<u64>> {
    match text.map(str::parse).transpose() {
        Ok(number) => Ok(number),
        Err(_) => invalid("external numbers at an offset or of a length that is no number"),
    }
}

/// Returns the path of a file that lies within `folder`.
fn inside(folder: &Path, location: &str) -> Outcome<PathBuf> {
    let relative = Path::new(location);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if location.is_empty() || !relative.components().all(plain) {
        return invalid(format!(
            "external file {} does not lie in the model's folder",
            quoted(location)
        ));
    }
    let real = folder.canonicalize().and_then(|folder| {
        let path = folder.join(relative).canonicalize()?;
        Ok((folder, path))
    });
    match real {
        Ok((folder, path)) if path.starts_with(&folder) => Ok(path),
        Ok(_) => invalid(format!(
            "external file {} links out of the model's folder",
            quoted(location)
        )),
        Err(error) => invalid(format!("external file {}: {error}", quoted(location))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(pairs: &[(&str, &str)]) -> Vec<StringStringEntry> {
        let entry = |&(key, value): &(&str, &str)| StringStringEntry {
            key: Some(key.into()),
            value: Some(value.into()),
        };
        pairs.iter().map(entry).collect()
    }

    #[test]
    fn bytes_come_from_the_offset() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w.bin"), [1, 2, 3, 4]).unwrap();
        let source = Folder::of(&folder.path().join("model.onnx"));
        let found = source.read(&entries(&[("location", "w.bin"), ("offset", "1")]), 2);
        assert_eq!(found.unwrap().as_ref(), [2, 3]);
        for wrong in [
            &[("location", "w.bin"), ("offset", "3")][..],
            &[("location", "w.bin"), ("offset", "18446744073709551615")],
            &[("location", "w.bin"), ("length", "1")],
            &[("location", "missing.bin")],
            &[("location", ".")],
            &[("location", "")],
            &[("offset", "0")],
        ] {
            assert!(source.read(&entries(wrong), 2).is_err(), "{wrong:?}");
        }
    }
}

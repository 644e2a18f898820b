//! Numbers that a model keeps in files of their own, next to it.
//!
//! Such a file must lie within the model's folder, links followed: a model out of the network must
//! not be able to read anything else.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use prost::bytes::Bytes;

use super::schema::StringStringEntry;
use crate::foreign::quoted;
use crate::import::fault::{Outcome, invalid, unsupported};

/// The folder that external numbers may come from.
#[derive(Debug, Clone)]
pub struct Folder {
    path: Option<PathBuf>,
}

impl Folder {
    /// Returns a folder that holds nothing, for a model that is no file.
    pub fn none() -> Self {
        Self { path: None }
    }

    /// Returns the folder that the model lies in.
    pub fn of(model: &Path) -> Self {
        let parent = model
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Self {
            path: Some(parent.unwrap_or(Path::new(".")).to_path_buf()),
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
        read_part(&path, offset, byte_count)
            .or_else(|reason| invalid(format!("external file {}: {reason}", quoted(location))))
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

/// Returns a part of a file, whose length is checked before memory is taken for it.
fn read_part(path: &Path, offset: u64, byte_count: usize) -> Result<Bytes, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut file = File::open(path).map_err(text)?;
    let metadata = file.metadata().map_err(text)?;
    if !metadata.is_file() {
        return Err("is no ordinary file".into());
    }
    let end = offset.checked_add(byte_count as u64);
    if end.is_none_or(|end| end > metadata.len()) {
        let length = metadata.len();
        return Err(format!(
            "{byte_count} bytes from {offset} on, but it has {length}"
        ));
    }
    file.seek(SeekFrom::Start(offset)).map_err(text)?;
    let mut bytes = vec![0; byte_count];
    file.read_exact(&mut bytes).map_err(text)?;
    Ok(bytes.into())
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

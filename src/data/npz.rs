//! NumPy's `.npz` format: a zip archive of `.npy` arrays, stored or deflated.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::ZipArchive;

use super::source::{Source, open_regular};
use super::{ImageSet, npy, quoted};
use crate::error::{Error, Result};

/// Names of arrays of images, each with the name of its labels; the first that is there counts.
const NAMES: [(&str, &str); 4] = [
    ("images", "labels"),
    ("x", "y"),
    ("x_test", "y_test"),
    ("data", "targets"),
];
/// No archive of images has more members.
const MAX_MEMBERS: usize = 1000;

/// Reads the images of an archive, and the labels where an array has their name.
///
/// # Errors
///
/// [`Error::Invalid`] or [`Error::Unsupported`] with what to change.
pub(super) fn images(path: &Path) -> Result<ImageSet> {
    let mut archive = Archive::open(path)?;
    let name = match NAMES.iter().find(|(images, _)| archive.has(images)) {
        Some((images, _)) => (*images).to_string(),
        None => archive.only_array_of_images()?,
    };
    let mut set = npy::images(archive.array(&name)?)?;
    if let Some(labels) = archive.labels_name(&name) {
        set.labels = Some(npy::labels(archive.array(labels)?)?);
    }
    set.place = archive.place;
    Ok(set)
}

/// Reads the labels of an archive: the array that has their name, or its only array.
///
/// # Errors
///
/// As for [`images`].
pub(super) fn labels(path: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::open(path)?;
    let by_name = NAMES.iter().find(|(images, _)| archive.has(images));
    let name = match archive.labels_name(by_name.map_or("", |(images, _)| images)) {
        Some(name) => name.to_string(),
        None if archive.names.len() == 1 => archive.names[0].clone(),
        None => {
            return Err(archive.refuse("no array is named labels, y, y_test or targets"));
        }
    };
    npy::labels(archive.array(&name)?)
}

/// An opened archive.
struct Archive {
    place: String,
    /// The arrays, without the ending `.npy`.
    names: Vec<String>,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// Opens an archive and lists its arrays.
    fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let file = BufReader::new(open_regular(path)?);
        let zip = ZipArchive::new(file).map_err(|error| damaged(&place, &error))?;
        if zip.len() > MAX_MEMBERS {
            return Err(Error::invalid(
                place,
                format!("holds more than {MAX_MEMBERS} members: give the images as one array"),
            ));
        }
        let names = zip.file_names().filter_map(|name| {
            let name = name.ok()?;
            Some(name.strip_suffix(".npy")?.to_string())
        });
        let names = names.collect();
        Ok(Self { place, names, zip })
    }

    /// Returns whether an array of that name is there.
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Returns the name of the labels: the one that belongs to `images`, or else the first.
    fn labels_name(&self, images: &str) -> Option<&'static str> {
        let own = NAMES.iter().filter(|(name, _)| *name == images);
        let candidates = own.chain(&NAMES).map(|(_, labels)| *labels);
        candidates.into_iter().find(|labels| self.has(labels))
    }

    /// Opens an array.
    fn array(&mut self, name: &str) -> Result<Source<'_>> {
        let member = self.zip.by_name(&format!("{name}.npy"));
        let member = member.map_err(|error| damaged(&self.place, &error))?;
        let (length, packed_bytes) = (member.size(), member.compressed_size());
        let place = format!("{}, array {}", self.place, quoted(name));
        Source::new(place, member, length, packed_bytes)
    }

    /// Returns the only array of at least two axes.
    fn only_array_of_images(&mut self) -> Result<String> {
        let mut found = Vec::new();
        for name in self.names.clone() {
            let source = self.array(&name)?;
            if npy::Header::of(&source)?.shape.len() >= 2 {
                found.push(name);
            }
        }
        match <[String; 1]>::try_from(found) {
            Ok([name]) => Ok(name),
            Err(found) => Err(self.refuse(&format!(
                "no array is named images, x, x_test or data, and {} have two axes or more",
                found.len()
            ))),
        }
    }

    /// Returns the error of an archive in which an array was not found.
    fn refuse(&self, reason: &str) -> Error {
        const SHOWN: usize = 8;
        let names = self.names.iter().take(SHOWN).map(|name| quoted(name));
        let names = names.collect::<Vec<_>>().join(", ");
        Error::invalid(
            &self.place,
            format!("{reason}; it holds {names}: save it again with images= and labels="),
        )
    }
}

/// Returns the error of an archive that cannot be read.
fn damaged(place: &str, error: &zip::result::ZipError) -> Error {
    Error::invalid(
        place,
        format!("cannot be opened as .npz ({error}): write it again with numpy.savez_compressed"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::CompressionMethod;
    use zip::write::{SimpleFileOptions, ZipWriter};

    use crate::data::tests::{npy, write};
    use crate::data::{Pixels, read_images, read_labels};

    fn archive(method: CompressionMethod, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in members {
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn stored(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        archive(CompressionMethod::Stored, members)
    }

    fn images(first: u8) -> Vec<u8> {
        npy("|u1", "(2, 1, 2)", &[first, 1, 2, 3])
    }

    fn labels(first: u8) -> Vec<u8> {
        npy("|u1", "(2,)", &[first, 1])
    }

    #[test]
    fn images_and_labels_come_by_name_stored_or_deflated() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let members = [
                ("x_train.npy", images(9)),
                ("y_train.npy", labels(9)),
                ("x_test.npy", images(7)),
                ("y_test.npy", labels(5)),
            ];
            let file = write(&archive(method, &members));
            let set = read_images(file.path()).unwrap();
            assert_eq!(set.shape, [1, 2]);
            assert_eq!(set.pixels, Pixels::Integer(vec![7, 1, 2, 3]));
            assert_eq!(set.labels, Some(vec![5, 1]));
            assert_eq!(read_labels(file.path()).unwrap(), [5, 1]);
        }
    }

    #[test]
    fn the_labels_that_belong_to_the_images_come_first() {
        let file = write(&stored(&[
            ("labels.npy", labels(4)),
            ("x.npy", images(0)),
            ("y.npy", labels(8)),
        ]));
        assert_eq!(read_images(file.path()).unwrap().labels, Some(vec![8, 1]));
        assert_eq!(read_labels(file.path()).unwrap(), [8, 1]);
    }

    #[test]
    fn the_only_array_of_images_needs_no_name() {
        let file = write(&stored(&[
            ("ids.npy", labels(4)),
            ("digits.npy", images(6)),
        ]));
        let set = read_images(file.path()).unwrap();
        assert_eq!(set.pixels, Pixels::Integer(vec![6, 1, 2, 3]));
        assert_eq!(set.labels, None);
        let only = write(&stored(&[("classes.npy", labels(4))]));
        assert_eq!(read_labels(only.path()).unwrap(), [4, 1]);
    }

    #[test]
    fn unusable_archives_are_refused() {
        let whole = stored(&[("x.npy", images(77)), ("a.npy", images(1))]);
        let mut damaged = whole.clone();
        let at = whole.windows(4).position(|w| w == [77, 1, 2, 3]).unwrap();
        damaged[at] ^= 0xff;
        let mut long = whole.clone();
        let at = whole.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        long[at + 24..at + 28].copy_from_slice(&0xf000_0000u32.to_le_bytes());
        let table = [
            (whole[..whole.len() - 30].to_vec(), "cannot be opened"),
            (damaged, "array \"x\""),
            (long, "cannot hold"),
            (stored(&[]), "0 have two axes"),
            (
                stored(&[("a.npy", images(0)), ("b.npy", images(0))]),
                "2 have two axes",
            ),
            (
                stored(&[("x.npy", b"text".to_vec())]),
                "no readable .npy header",
            ),
            (stored(&[("x.npy", Vec::new())]), "is empty"),
            (stored(&[("x.npy", labels(0))]), "2 to 4 axes"),
            (
                stored(&[("x.npy", images(0)), ("y.npy", images(0))]),
                "array \"y\"",
            ),
            (b"PK\x03\x04 and nothing more".to_vec(), "cannot be opened"),
        ];
        for (i, (bytes, expected)) in table.into_iter().enumerate() {
            let message = read_images(write(&bytes).path()).unwrap_err().to_string();
            assert!(message.contains(expected), "case {i}: {message}");
            assert!(!message.contains('\n'), "case {i}: {message}");
        }
        let message = read_labels(write(&whole).path()).unwrap_err().to_string();
        assert!(
            message.contains("labels, y, y_test or targets"),
            "{message}"
        );
    }
}

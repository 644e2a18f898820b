//! NumPy's `.npz` format: a zip archive of `.npy` arrays, stored or deflated.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::ZipArchive;

use super::fitting::check_shape;
use super::image_set::ImageSet;
use super::npy;
use super::preprocessing::ImageLayout;
use super::shape::Fits;
use super::source::Source;
use crate::core::error::{Error, Result};
use crate::core::foreign::quoted;
use crate::import::network::InputPart;
use crate::machine::file::Regular;

/// What arrays of images are called, each with what their labels are called.
const ROLES: [(&[&str], &[&str]); 4] = [
    (&["images", "image"], &["labels", "label"]),
    (&["x", "features"], &["y"]),
    (
        &["data", "inputs", "input"],
        &["targets", "target", "classes"],
    ),
    (&["arr_0"], &["arr_1"]),
];
/// What is put before or after those names, and the part that it means; none for a part that is
/// neither.
const PARTS: [(&str, Option<Part>); 8] = [
    ("training", Some(Part::Training)),
    ("train", Some(Part::Training)),
    ("testing", Some(Part::Test)),
    ("test", Some(Part::Test)),
    ("validation", None),
    ("valid", None),
    ("val", None),
    ("dev", None),
];
/// No archive of images has more members.
const MAX_MEMBERS: usize = 1000;

/// Which part of an archive that holds several is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Training,
    Test,
}

/// What the name of an array says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meaning {
    /// Index in [`ROLES`].
    role: usize,
    is_labels: bool,
    /// The part and whether the name says one.
    part: Option<Option<Part>>,
}

impl Meaning {
    /// Returns what a name such as `x_train`, `testLabels` or `data` says.
    fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let plain = Self::of_role(&name, None);
        plain.or_else(|| {
            PARTS.iter().find_map(|&(word, part)| {
                let rest = name
                    .strip_prefix(word)
                    .or_else(|| name.strip_suffix(word))?;
                Self::of_role(rest.trim_matches(['_', '-', '.']), Some(part))
            })
        })
    }

    fn of_role(name: &str, part: Option<Option<Part>>) -> Option<Self> {
        ROLES
            .iter()
            .enumerate()
            .find_map(|(role, (images, labels))| {
                let is_labels = labels.contains(&name);
                (is_labels || images.contains(&name)).then_some(Self {
                    role,
                    is_labels,
                    part,
                })
            })
    }
}

/// Reads the images of an archive, and the labels where an array has their name. Of a network of several
/// `inputs` they are the arrays of these names, where there are any such.
///
/// # Errors
///
/// [`Error::Invalid`] or [`Error::Unsupported`] with what to change.
pub(super) fn images(
    path: &Path,
    part: Part,
    inputs: &[InputPart],
    fits: &Fits,
) -> Result<ImageSet> {
    let mut archive = Archive::open(path)?;
    if archive.has_inputs(inputs)? {
        return by_input(archive, inputs);
    }
    let (name, meaning) = match archive.images_of(part)? {
        Some((name, meaning)) => (name, Some(meaning)),
        None => (archive.only_array_of_images()?, None),
    };
    let mut set = npy::images(archive.array(&name)?, fits)?;
    if let Some(labels) = archive.labels_of(meaning)? {
        set.labels = Some(npy::labels(archive.array(&labels)?, set.count())?);
    }
    set.place = archive.place;
    Ok(set)
}

/// Reads one array for each input, by its name, all of which become one list for each image; the labels
/// where another array has their name.
fn by_input(mut archive: Archive, inputs: &[InputPart]) -> Result<ImageSet> {
    let mut sets = Vec::with_capacity(inputs.len());
    for input in inputs {
        let fits = |place: &str, stored: &[usize]| {
            check_shape(place, stored, &input.shape, ImageLayout::Chw)
        };
        sets.push(npy::images(archive.array(&input.name)?, &fits)?);
    }
    let mut set = ImageSet::side_by_side(archive.place.clone(), sets)?;
    let is_input = |name: &String| inputs.iter().any(|input| input.name == *name);
    archive.names.retain(|name| !is_input(name));
    if let Some(labels) = archive.labels_of(None)? {
        set.labels = Some(npy::labels(archive.array(&labels)?, set.count())?);
    }
    Ok(set)
}

/// Reads the labels of an archive, at most `most`: the array that has their name, or its only array.
///
/// # Errors
///
/// As for [`images`].
pub(super) fn labels(path: &Path, part: Part, most: usize) -> Result<Vec<f64>> {
    let mut archive = Archive::open(path)?;
    let images = archive.images_of(part)?.map(|(_, meaning)| meaning);
    let by_name = match images {
        Some(_) => archive.labels_of(images)?,
        None => {
            let labels = archive.named(|meaning| meaning.is_labels);
            archive.one_of_part(labels, part)?.map(|(name, _)| name)
        }
    };
    let name = match by_name {
        Some(name) => name,
        None if archive.names.len() == 1 => archive.names[0].clone(),
        None => {
            return Err(archive.refuse("no array is named labels, y, y_test or targets"));
        }
    };
    npy::labels(archive.array(&name)?, most)
}

/// An opened archive.
struct Archive {
    place: String,
    /// The arrays, without the ending `.npy`.
    names: Vec<String>,
    /// Bytes of the file that are stored.
    stored: u64,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// Opens an archive and lists its arrays.
    fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let Regular { file, stored, .. } = Regular::open(path)?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(&place, &error))?;
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
        Ok(Self {
            place,
            names: names.collect(),
            stored,
            zip,
        })
    }

    /// Returns whether there are arrays named as inputs are; of several inputs all or none.
    fn has_inputs(&self, inputs: &[InputPart]) -> Result<bool> {
        let (there, missing): (Vec<_>, Vec<_>) = inputs
            .iter()
            .partition(|input| self.names.contains(&input.name));
        match (&there[..], &missing[..]) {
            ([], _) => Ok(false),
            (_, []) => Ok(true),
            (_, [missing, ..]) => {
                let name = quoted(&missing.name);
                let reason = format!("no array is named {name}, as an input of the network is");
                Err(Error::invalid(&self.place, reason))
            }
        }
    }

    /// Returns the arrays whose name says something that is wanted.
    fn named(&self, wanted: impl Fn(&Meaning) -> bool) -> Vec<(String, Meaning)> {
        self.names
            .iter()
            .filter_map(|name| Some((name.clone(), Meaning::of(name)?)))
            .filter(|(_, meaning)| wanted(meaning))
            .collect()
    }

    /// Returns the images of a part, or those that belong to no part where it has none.
    fn images_of(&self, part: Part) -> Result<Option<(String, Meaning)>> {
        self.one_of_part(self.named(|meaning| !meaning.is_labels), part)
    }

    /// Returns the array of a part, else the only one that is of no part, else the only one.
    fn one_of_part(
        &self,
        arrays: Vec<(String, Meaning)>,
        part: Part,
    ) -> Result<Option<(String, Meaning)>> {
        let of = |wanted: Option<Option<Part>>| -> Vec<(String, Meaning)> {
            let arrays = arrays.iter().filter(|(_, meaning)| meaning.part == wanted);
            arrays.cloned().collect()
        };
        let choices = [of(Some(Some(part))), of(None), arrays.clone()];
        let Some(candidates) = choices.into_iter().find(|arrays| !arrays.is_empty()) else {
            return Ok(None);
        };
        match <[_; 1]>::try_from(candidates) {
            Ok([one]) => Ok(Some(one)),
            Err(several) => {
                let names: Vec<String> = several.iter().map(|(name, _)| quoted(name)).collect();
                Err(self.refuse(&format!("any of {} could be meant", names.join(", "))))
            }
        }
    }

    /// Returns the labels of images: of their part those that belong to their name, or else the
    /// only ones; labels of any part where the images' name says nothing.
    fn labels_of(&self, images: Option<Meaning>) -> Result<Option<String>> {
        let Some(images) = images else {
            let labels = self.named(|meaning| meaning.is_labels);
            let only = <[_; 1]>::try_from(labels).ok();
            return Ok(only.map(|[(name, _)]| name));
        };
        let mut labels = self.named(|meaning| meaning.is_labels && meaning.part == images.part);
        if labels
            .iter()
            .any(|(_, meaning)| meaning.role == images.role)
        {
            labels.retain(|(_, meaning)| meaning.role == images.role);
        }
        if labels.len() > 1 {
            let names: Vec<String> = labels.iter().map(|(name, _)| quoted(name)).collect();
            let reason = format!("any of {} could be the labels", names.join(", "));
            return Err(self.refuse(&reason));
        }
        Ok(labels.pop().map(|(name, _)| name))
    }

    /// Opens an array.
    fn array(&mut self, name: &str) -> Result<Source<'_>> {
        let member = self.zip.by_name(&format!("{name}.npy"));
        let member = member.map_err(|error| damaged(&self.place, &error))?;
        let (length, packed_bytes) = (member.size(), member.compressed_size().min(self.stored));
        let place = format!("{}, array {}", self.place, quoted(name));
        Source::new(place, member, length, packed_bytes)
    }

    /// Returns the only array of at least two axes.
    fn only_array_of_images(&mut self) -> Result<String> {
        let mut found = Vec::new();
        for name in self.names.clone() {
            let source = self.array(&name)?;
            if npy::header(&source)?.shape.len() >= 2 {
                found.push(name);
            }
        }
        match <[String; 1]>::try_from(found) {
            Ok([name]) => Ok(name),
            Err(found) => Err(self.refuse(&format!(
                "no array is named images, x, x_train, x_test or data, and {} have two axes or more",
                found.len()
            ))),
        }
    }

    /// Returns the error of an archive in which an array was not found.
    fn refuse(&self, reason: &str) -> Error {
        const SHOWN: usize = 8;
        let shown: Vec<String> = self
            .names
            .iter()
            .take(SHOWN)
            .map(|name| quoted(name))
            .collect();
        let names = shown.join(", ");
        Error::invalid(
            &self.place,
            format!(
                "{reason}; it holds {names}: save it again with images= and labels=, or x_train=, y_train=, x_test= and y_test="
            ),
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

    use super::Meaning;
    use crate::import::data::tests::{npy, read_images, read_labels, write};
    use crate::import::data::{Part, Pixels};

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
            let set = read_images(file.path(), Part::Test).unwrap();
            assert_eq!(set.shape, [1, 2]);
            assert_eq!(set.pixels, Pixels::Integer(vec![7, 1, 2, 3]));
            assert_eq!(set.labels, Some(vec![5.0, 1.0]));
            assert_eq!(read_labels(file.path(), Part::Test).unwrap(), [5.0, 1.0]);
            let set = read_images(file.path(), Part::Training).unwrap();
            assert_eq!(set.pixels, Pixels::Integer(vec![9, 1, 2, 3]));
            assert_eq!(set.labels, Some(vec![9.0, 1.0]));
            assert_eq!(
                read_labels(file.path(), Part::Training).unwrap(),
                [9.0, 1.0]
            );
        }
    }

    #[test]
    fn the_labels_that_belong_to_the_images_come_first() {
        let file = write(&stored(&[
            ("labels.npy", labels(4)),
            ("x.npy", images(0)),
            ("y.npy", labels(8)),
        ]));
        assert_eq!(
            read_images(file.path(), Part::Test).unwrap().labels,
            Some(vec![8.0, 1.0])
        );
        assert_eq!(read_labels(file.path(), Part::Test).unwrap(), [8.0, 1.0]);
    }

    #[test]
    fn the_only_array_of_images_needs_no_name() {
        let file = write(&stored(&[
            ("ids.npy", labels(4)),
            ("digits.npy", images(6)),
        ]));
        let set = read_images(file.path(), Part::Test).unwrap();
        assert_eq!(set.pixels, Pixels::Integer(vec![6, 1, 2, 3]));
        assert_eq!(set.labels, None);
        let only = write(&stored(&[("classes.npy", labels(4))]));
        assert_eq!(read_labels(only.path(), Part::Test).unwrap(), [4.0, 1.0]);
    }

    #[test]
    fn names_say_what_an_array_is() {
        let table = [
            ("x_train", Some((1, false, Some(Some(Part::Training))))),
            ("X", Some((1, false, None))),
            ("ytest", Some((1, true, Some(Some(Part::Test))))),
            ("train_images", Some((0, false, Some(Some(Part::Training))))),
            ("Test-Labels", Some((0, true, Some(Some(Part::Test))))),
            ("y_val", Some((1, true, Some(None)))),
            ("arr_1", Some((3, true, None))),
            ("digits", None),
            ("test", None),
        ];
        for (name, expected) in table {
            let found = Meaning::of(name);
            let found = found.map(|found| (found.role, found.is_labels, found.part));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn the_only_part_of_an_archive_serves_either_way() {
        let file = write(&stored(&[
            ("X_test.npy", images(7)),
            ("Y_test.npy", labels(5)),
        ]));
        let set = read_images(file.path(), Part::Training).unwrap();
        assert_eq!(set.labels, Some(vec![5.0, 1.0]));
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
            (stored(&[("x.npy", labels(0))]), "2 to 8 axes"),
            (
                stored(&[("x.npy", images(0)), ("y.npy", images(0))]),
                "array \"y\"",
            ),
            (b"PK\x03\x04 and nothing more".to_vec(), "cannot be opened"),
            (
                stored(&[("x.npy", images(0)), ("images.npy", images(0))]),
                "any of \"x\", \"images\" could be meant",
            ),
            (
                stored(&[("x_train.npy", images(0)), ("x_val.npy", images(0))]),
                "any of \"x_train\", \"x_val\" could be meant",
            ),
            (
                stored(&[
                    ("x.npy", images(0)),
                    ("labels.npy", labels(0)),
                    ("target.npy", labels(0)),
                ]),
                "could be the labels",
            ),
        ];
        for (i, (bytes, expected)) in table.into_iter().enumerate() {
            let message = read_images(write(&bytes).path(), Part::Test)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "case {i}: {message}");
            assert!(!message.contains('\n'), "case {i}: {message}");
        }
        let message = read_labels(write(&whole).path(), Part::Test)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("labels, y, y_test or targets"),
            "{message}"
        );
    }
}

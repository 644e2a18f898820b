//! Reads a file or folder of images or labels with the reader of its format.

use std::path::Path;

use super::image_set::ImageSet;
use super::npz::Part;
use super::shape::Fits;
use super::source::Source;
use super::{cifar, idx, label_list, npy, npz, pictures};
use crate::core::error::{Error, Result};
use crate::import::network::InputPart;
use crate::model::npy::MAGIC;

/// The formats named where a file is none of them.
const IMAGE_FORMATS: &str = "give a .npy or .npz file, IDX (as MNIST) or CIFAR-10 binary, plain or \
     gzip, or a folder of PNG images with labels.csv";
/// The formats named where a file holds no labels.
const LABEL_FORMATS: &str = "give a .npy or .npz file, IDX (as MNIST) or CIFAR-10 binary, plain or \
     gzip, or a text file with one whole number per line";

/// Reads the images of a file or folder, and its labels where it holds them; of an archive with a
/// training and a test part, those of one part. What does not fit is left unread.
///
/// # Errors
///
/// [`Error::Read`] where `path` cannot be opened; [`Error::Invalid`] or [`Error::Unsupported`]
/// where it holds no usable images, with what to change; what `fits` gives.
pub fn read_images(path: &Path, part: Part, fits: &Fits) -> Result<ImageSet> {
    read_inputs(path, part, &[], fits)
}

/// As [`read_images`], for a network of several `inputs`: of an archive with an array for each, by its name,
/// each image becomes one list, such as other files hold.
///
/// # Errors
///
/// As for [`read_images`], and where an input has no array, or one of another number of images.
pub fn read_inputs(path: &Path, part: Part, inputs: &[InputPart], fits: &Fits) -> Result<ImageSet> {
    if path.is_dir() {
        return pictures::read(path, fits);
    }
    let source = Source::open(path)?;
    match Format::of(&source) {
        Format::Npy => npy::images(source, fits),
        Format::Npz => npz::images(path, part, inputs, fits),
        Format::Idx => idx::images(source, fits),
        Format::Cifar => cifar::images(source, fits),
        Format::Png => Err(Error::invalid(
            source.place,
            "is a single PNG image: give its folder, with a labels.csv (columns file,label)",
        )),
        Format::Text => Err(Error::invalid(
            source.place,
            format!("is text, which can hold labels only: {IMAGE_FORMATS}"),
        )),
        Format::Unknown => Err(Error::invalid(
            source.place,
            format!("is in no known format: {IMAGE_FORMATS}"),
        )),
    }
}

/// Reads the labels of a file or folder, one for each of at most `most` images.
///
/// # Errors
///
/// As for [`read_images`].
pub fn read_labels(path: &Path, part: Part, most: usize) -> Result<Vec<f64>> {
    if path.is_dir() {
        return pictures::labels(path, most);
    }
    let source = Source::open(path)?;
    match Format::of(&source) {
        Format::Npy => npy::labels(source, most),
        Format::Npz => npz::labels(path, part, most),
        Format::Idx => idx::labels(source, most),
        Format::Cifar => cifar::labels(source, most),
        Format::Text => label_list::read(source, most),
        Format::Png | Format::Unknown => Err(Error::invalid(
            source.place,
            format!("holds no labels: {LABEL_FORMATS}"),
        )),
    }
}

/// What the first bytes and the length of a file say that it is.
enum Format {
    Npy,
    Npz,
    Idx,
    Cifar,
    Png,
    Text,
    Unknown,
}

impl Format {
    /// Returns the format of a file.
    ///
    /// A CIFAR-10 record may begin with the bytes that open an IDX file, so IDX counts first
    /// where its header agrees with the file's length, and last where it does not.
    fn of(source: &Source) -> Self {
        let head = source.head();
        if head.starts_with(MAGIC) {
            Self::Npy
        } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            Self::Npz
        } else if head.starts_with(b"\x89PNG\r\n\x1a\n") {
            Self::Png
        } else if idx::announced_bytes(head) == Some(source.length) {
            Self::Idx
        } else if cifar::looks_like(source) {
            Self::Cifar
        } else if idx::opens(head) {
            Self::Idx
        } else if label_list::looks_like(head) {
            Self::Text
        } else {
            Self::Unknown
        }
    }
}

//! Fixtures of the readers' tests, and reading of the data sets themselves where they are there.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;

use super::{ImageSet, Part, Preprocessing, fit};
use crate::core::error::Result;
use crate::model::npy::MAGIC;

/// Reads images of any shape.
pub(super) fn read_images(path: &Path, part: Part) -> Result<ImageSet> {
    super::read_images(path, part, &|_, _| Ok(()))
}

/// Reads any number of labels.
pub(super) fn read_labels(path: &Path, part: Part) -> Result<Vec<f64>> {
    super::read_labels(path, part, usize::MAX)
}

/// Classes of digits and of CIFAR-10.
const TEN: [i64; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// Returns a temporary file.
pub(super) fn write(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Returns bytes packed by gzip.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Returns an array in `.npy` format.
pub(super) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let dictionary =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}          \n");
    npy_with(&dictionary, data)
}

/// Returns an array in `.npy` format with a header of one's own.
pub(super) fn npy_with(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let length = (dictionary.len() as u16).to_le_bytes();
    [MAGIC, &[1, 0], &length, dictionary.as_bytes(), data].concat()
}

/// Returns an IDX file.
pub(super) fn idx(element: u8, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, element, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(data);
    file
}

/// Returns a file of the data sets, or `None`, saying so, where it is absent.
fn data_set(file: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("SPLITBENCH_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    let path = folder.join(file);
    if !path.exists() {
        eprintln!("skipped: {file} is absent, $SPLITBENCH_DATA may name its folder");
        return None;
    }
    Some(path)
}

/// Returns how often each of ten classes appears.
fn histogram(labels: &[f64]) -> [usize; 10] {
    let mut counts = [0; 10];
    for &label in labels {
        counts[label as usize] += 1;
    }
    counts
}

#[test]
fn the_mnist_test_set_is_read_and_fits() {
    let images = data_set("mnist/t10k-images-idx3-ubyte.gz");
    let labels = data_set("mnist/t10k-labels-idx1-ubyte.gz");
    let (Some(images), Some(labels)) = (images, labels) else {
        return;
    };
    let mut set = read_images(&images, Part::Test).unwrap();
    assert_eq!((set.count(), set.shape.as_slice()), (10_000, &[28, 28][..]));
    let labels = read_labels(&labels, Part::Test).unwrap();
    let expected = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!(histogram(&labels), expected);
    set.labels = Some(labels);
    for shape in [&[1, 28, 28][..], &[28, 28], &[784]] {
        let fitted = fit(set.clone(), shape, &TEN, &Preprocessing::default(), None).unwrap();
        assert_eq!(fitted.count, 10_000);
        assert_eq!(fitted.images.len(), 7_840_000);
        assert!(fitted.scale.iter().all(|&scale| scale == 1.0));
        assert!(fitted.offset.iter().all(|&offset| offset == 0.0));
    }
}

#[test]
fn the_cifar_test_set_is_read_and_fits() {
    let Some(path) = data_set("cifar10/test_batch.bin.gz") else {
        return;
    };
    let set = read_images(&path, Part::Test).unwrap();
    assert_eq!(
        (set.count(), set.shape.as_slice()),
        (10_000, &[3, 32, 32][..])
    );
    let labels = set.labels.clone().unwrap();
    assert_eq!(histogram(&labels), [1000; 10]);
    assert_eq!(labels[..8], [3.0, 8.0, 8.0, 0.0, 6.0, 6.0, 1.0, 6.0]);
    assert_eq!(read_labels(&path, Part::Test).unwrap(), labels);
    let preprocessing = Preprocessing::parse(
        Some("1/255"),
        Some("0.485,0.456,0.406"),
        Some("0.229,0.224,0.225"),
        None,
    );
    let fitted = fit(set, &[3, 32, 32], &TEN, &preprocessing.unwrap(), None).unwrap();
    let real = |channel: usize, value: f64| {
        (value / 255.0 - [0.485, 0.456, 0.406][channel]) / [0.229, 0.224, 0.225][channel]
    };
    for channel in 0..3 {
        let value = f64::from(fitted.images[1024 * channel]);
        let difference = fitted.scale[channel] * value + fitted.offset[channel];
        assert!((difference - real(channel, value)).abs() < 1e-12);
    }
}

#[test]
fn the_digits_are_read_and_fit() {
    let images = data_set("digits/digits_images_u8_1797x8x8.npy");
    let labels = data_set("digits/digits_labels_u8_1797.npy");
    let (Some(images), Some(labels)) = (images, labels) else {
        return;
    };
    let mut set = read_images(&images, Part::Test).unwrap();
    set.labels = Some(read_labels(&labels, Part::Test).unwrap());
    let scale = Preprocessing::parse(Some("1/16"), None, None, None).unwrap();
    let fitted = fit(set.clone(), &[64], &TEN, &scale, None).unwrap();
    assert_eq!(fitted.count, 1797);
    assert_eq!(fitted.scale, [1.0 / 16.0; 64]);
    assert_eq!(fitted.labels.unwrap()[..4], [0, 1, 2, 3]);
    let nine: Vec<i64> = (0..9).collect();
    let message = fit(set, &[64], &nine, &scale, None)
        .unwrap_err()
        .to_string();
    assert!(message.contains("label 9 of image 9"), "{message}");
}

#[test]
fn files_in_no_known_format_are_refused() {
    let table: [(&[u8], &str); 4] = [
        (b"RIFF\x10\0\0\0WEBP", "no known format"),
        (b"\x89PNG\r\n\x1a\n", "labels.csv"),
        (b"1\n2\n", "labels only"),
        (&[7; 4000], "no known format"),
    ];
    for (bytes, expected) in table {
        let message = read_images(write(bytes).path(), Part::Test)
            .unwrap_err()
            .to_string();
        assert!(message.contains(expected), "{message}");
    }
    let message = read_labels(write(b"\x89PNG\r\n\x1a\n").path(), Part::Test).unwrap_err();
    assert!(message.to_string().contains("holds no labels"), "{message}");
}

//! The networks that are imported, and the first images of the data folder as files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use flate2::read::GzDecoder;
use splitbench::import::data::Preprocessing;
use splitbench::import::quantise::calibration::RangeMethod;
use splitbench::import::{ImportRequest, Imported, import};
use tempfile::TempDir;

use super::data::data;

/// Images that calibrate.
pub const CALIBRATION: usize = 200;
/// Test images with reference logits.
pub const REFERENCES: usize = 1000;
/// Test images of a folder whose accuracy nothing is said about.
pub const FEW: usize = 20;

/// A network and what is known of it.
pub struct Case {
    pub name: &'static str,
    pub is_colour: bool,
    pub scale: Option<&'static str>,
    pub mean: Option<&'static str>,
    pub std: Option<&'static str>,
    /// How far logits may lie from the reference: absolute, and as a fraction of the image's largest.
    pub tolerance: (f32, f32),
    /// The most accuracy that the integer network may lose, where all references are test images.
    pub most_loss: Option<f64>,
}

pub const NORMALISED: (Option<&str>, Option<&str>, Option<&str>) = (
    Some("1/255"),
    Some("0.485,0.456,0.406"),
    Some("0.229,0.224,0.225"),
);
/// A fraction of the largest logit alone, where they grow without bounds.
pub const RELATIVE: (f32, f32) = (0.0, 1e-3);
pub const FLOAT: (f32, f32) = (1e-3, 1e-3);
/// The step of the last quantiser of the eight-bit ResNet-8.
pub const STEP: f32 = 0.171_9;
/// Sums in another order round to other steps of the quantisers. ONNX Runtime differs from itself
/// by two of the last; over all images, six are allowed.
pub const EIGHT_BITS: (f32, f32) = (6.05 * STEP, 0.0);

pub fn cases() -> Vec<Case> {
    let case = |name, is_colour, (scale, mean, std), tolerance, most_loss| Case {
        name,
        is_colour,
        scale,
        mean,
        std,
        tolerance,
        most_loss,
    };
    let bytes = (None, None, None);
    let units = (Some("1/255"), None, None);
    let cryptonets = (Some("1/256"), None, None);
    vec![
        case("TFC_2W2A", false, units, FLOAT, Some(0.005)),
        case(
            "ccoltong_lenet5_regularized",
            false,
            units,
            FLOAT,
            Some(0.02),
        ),
        case("cryptonets_mnist", false, cryptonets, FLOAT, Some(0.02)),
        case("onnxzoo_mnist-8", false, bytes, FLOAT, Some(0.02)),
        case(
            "delphi_minionn_cifar10_7_approx",
            true,
            units,
            RELATIVE,
            None,
        ),
        case("delphi_minionn_cifar10_relu", true, units, FLOAT, None),
        case("mlperf_tiny_resnet8_float", true, bytes, FLOAT, None),
        case(
            "mlperf_tiny_resnet8_int8_qdq",
            true,
            bytes,
            EIGHT_BITS,
            Some(0.02),
        ),
        case("resnet20_akamaster", true, NORMALISED, FLOAT, None),
        case("resnet20_akamaster_bnfolded", true, NORMALISED, FLOAT, None),
    ]
}

/// The first images of each data set, as files, and a place for model folders.
pub struct Files {
    pub data: PathBuf,
    pub folder: TempDir,
}

pub static FILES: LazyLock<Option<Files>> = LazyLock::new(|| {
    let files = Files {
        data: data()?,
        folder: tempfile::tempdir().unwrap(),
    };
    files.cut_mnist("train", CALIBRATION, "calibrate");
    files.cut_cifar("data_batch_1", CALIBRATION, "calibrate");
    for count in [FEW, REFERENCES] {
        files.cut_mnist("t10k", count, &format!("test{count}"));
        files.cut_cifar("test_batch", count, &format!("test{count}"));
    }
    Some(files)
});

impl Files {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn unpacked(&self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(self.data.join(name)).unwrap())
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    pub fn cut_mnist(&self, set: &str, count: usize, name: &str) {
        for (part, header, size) in [("images-idx3", 16, 784), ("labels-idx1", 8, 1)] {
            let mut bytes = self.unpacked(&format!("mnist/{set}-{part}-ubyte.gz"));
            bytes[4..8].copy_from_slice(&(count as u32).to_be_bytes());
            bytes.truncate(header + count * size);
            fs::write(self.path(&format!("{name}-{part}")), bytes).unwrap();
        }
    }

    pub fn cut_cifar(&self, set: &str, count: usize, name: &str) {
        let mut bytes = self.unpacked(&format!("cifar10/{set}.bin.gz"));
        bytes.truncate(count * 3073);
        fs::write(self.path(&format!("{name}-cifar")), bytes).unwrap();
    }

    /// Returns the request of a case with that many test images.
    pub fn request(&self, case: &Case, test_images: usize, out: &str) -> ImportRequest {
        let test = format!("test{test_images}");
        let images = |set: &str| {
            if case.is_colour {
                self.path(&format!("{set}-cifar"))
            } else {
                self.path(&format!("{set}-images-idx3"))
            }
        };
        let labels = |set: &str| {
            let path = self.path(&format!("{set}-labels-idx1"));
            (!case.is_colour).then_some(path)
        };
        ImportRequest {
            onnx: self.data.join("models").join(format!("{}.onnx", case.name)),
            shapes: Vec::new(),
            calibrate: images("calibrate"),
            labels: labels("calibrate"),
            test: Some(images(&test)),
            test_labels: labels(&test),
            calibration_images: CALIBRATION,
            preprocessing: Preprocessing::parse(case.scale, case.mean, case.std, None).unwrap(),
            bits: None,
            weight_bits: None,
            range: RangeMethod::Mse,
            most_loss: 0.01,
            out: self.path(out),
        }
    }

    /// Returns the pixels of the first test images.
    pub fn pixels(&self, is_colour: bool) -> Vec<u8> {
        if is_colour {
            let bytes = fs::read(self.path(&format!("test{REFERENCES}-cifar"))).unwrap();
            let records = bytes.chunks_exact(3073).flat_map(|record| &record[1..]);
            records.copied().collect()
        } else {
            fs::read(self.path(&format!("test{REFERENCES}-images-idx3"))).unwrap()[16..].to_vec()
        }
    }
}

/// Imports a case once, whichever tests ask for it.
pub fn imported(files: &Files, case: &Case) -> Arc<Imported> {
    static DONE: LazyLock<Mutex<BTreeMap<&str, Arc<Imported>>>> = LazyLock::new(Mutex::default);
    let mut done = DONE.lock().unwrap();
    let entry = done.entry(case.name).or_insert_with(|| {
        let test_images = case.most_loss.map_or(FEW, |_| REFERENCES);
        let request = files.request(case, test_images, case.name);
        let imported = import(&request, &|_| {});
        Arc::new(imported.unwrap_or_else(|error| panic!("{}: {error}", case.name)))
    });
    Arc::clone(entry)
}

pub fn case(name: &str) -> Case {
    let mut cases = cases().into_iter();
    cases.find(|case| case.name == name).unwrap()
}

//! `model.json` as written: raw values, not yet checked.

use serde::Deserialize;

/// The only version that this reader knows.
pub const VERSION: u32 = 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawModel {
    pub format: String,
    pub version: u32,
    pub name: String,
    pub description: String,
    pub input: RawInput,
    pub layers: Vec<RawLayer>,
    pub weights: RawWeights,
    pub test: RawTest,
    /// Share of test images that the float network classifies rightly.
    pub float_accuracy: f64,
}

/// Integer inputs 0..=max of that shape; `real = scale * integer`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawInput {
    pub shape: Vec<usize>,
    pub scale: f64,
    pub max: u32,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum RawLayer {
    Dense {
        name: String,
        weights: String,
        bias: String,
        weight_bits: u32,
        range: String,
    },
    Conv2d {
        name: String,
        weights: String,
        bias: String,
        stride: [usize; 2],
        padding: [usize; 2],
        weight_bits: u32,
        range: String,
    },
    AveragePool {
        name: String,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
    },
    Relu {
        name: String,
        bits: u32,
        clip: f64,
    },
    Flatten {
        name: String,
    },
}

impl RawLayer {
    pub fn name(&self) -> &str {
        let (Self::Dense { name, .. }
        | Self::Conv2d { name, .. }
        | Self::AveragePool { name, .. }
        | Self::Relu { name, .. }
        | Self::Flatten { name }) = self;
        name
    }
}

/// Little-endian float32 tensors in one file, and its checksum.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWeights {
    pub file: String,
    pub sha256: String,
    pub tensors: Vec<RawTensor>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// In bytes.
    pub offset: usize,
}

/// Test images `[n, …]` and labels `[n]`, u8 in NumPy's format.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTest {
    pub images: String,
    pub images_sha256: String,
    pub labels: String,
    pub labels_sha256: String,
}

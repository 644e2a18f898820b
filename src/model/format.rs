//! `model.json` as written: raw values, not yet checked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::layer::Function;
use crate::model::layer::pinned::{Kind, Operator};

/// The only version that this reader knows.
pub const VERSION: u32 = 2;
/// What `format` says.
pub const FORMAT: &str = "splitbench-model";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawModel {
    pub format: String,
    pub version: u32,
    pub name: String,
    pub description: String,
    pub input: RawInput,
    /// Each a [`RawLayer`].
    pub layers: Vec<Value>,
    pub weights: RawWeights,
    /// Images that say how much noise the network bears; not those that it is tested on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<RawTest>,
    pub test: RawTest,
    /// The number of each class, in the order of the outputs; two of a single output, of its
    /// negative and of its positive side; none where the outputs are no classes. Without the field
    /// several outputs are classes from 0 on, and a single one is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<i64>>,
    /// `[outputs]`: added to the logits that are compared for a label, beside the corrections of layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_correction: Option<String>,
    /// Fraction of test images that the float network classifies rightly, before their values were
    /// rounded to integers; none where its outputs are no classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float_accuracy: Option<f64>,
}

/// Integer inputs 0..=max of that shape; `real = scale * integer + offset`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawInput {
    pub shape: Vec<usize>,
    pub max: u32,
    pub scale: PerChannel,
    #[serde(
        default = "PerChannel::zero",
        skip_serializing_if = "PerChannel::is_zero"
    )]
    pub offset: PerChannel,
}

/// One number for all channels, or one for each; elements are the channels of a vector.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number or a list with one number per channel"
)]
pub enum PerChannel {
    All(f64),
    Each(Vec<f64>),
}

impl PerChannel {
    fn zero() -> Self {
        Self::All(0.0)
    }

    fn is_zero(&self) -> bool {
        matches!(self, Self::All(value) if *value == 0.0)
    }
}

/// One operation; its input is the one before it unless `input` names another.
#[derive(Debug)]
pub struct RawLayer {
    pub name: String,
    pub input: Option<String>,
    /// Operations in a row with the same block are placed together.
    pub block: Option<String>,
    /// Only the client can run it, though its kind of operation has an encrypted form.
    pub pinned: bool,
    pub operation: RawOperation,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum RawOperation {
    Dense {
        weights: String,
        bias: String,
        weight_bits: u32,
        /// `[channels, 2]`: smallest and largest output over the calibration data.
        range: String,
        /// `[channels]`: weights of a quantised network are integer multiples of these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weight_scale: Option<String>,
        /// `[channels]`: added to the bias of the integer network.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correction: Option<String>,
    },
    Conv2d {
        weights: String,
        bias: String,
        stride: [usize; 2],
        /// Top, left, bottom, right.
        padding: [usize; 4],
        #[serde(default = "one", skip_serializing_if = "is_one")]
        groups: usize,
        weight_bits: u32,
        range: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weight_scale: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correction: Option<String>,
    },
    AveragePool {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 4],
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        count_padding: bool,
        /// Rows and columns of the padding that never count.
        #[serde(default, skip_serializing_if = "is_nothing")]
        excess: [usize; 2],
        /// As that of a linear operation; else that of what is pooled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<String>,
    },
    MaxPool {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 4],
    },
    Activation {
        function: Function,
        output: RawQuantisation,
    },
    /// The sum of `input` and `other`.
    Add {
        other: String,
        range: String,
    },
    Flatten {},
    /// The same elements in the same order.
    Reshape {
        shape: Vec<usize>,
    },
    /// Any other linear map, as small dense blocks.
    Linear {
        /// Of the output.
        shape: Vec<usize>,
        /// `[numbers]`: the rows of all blocks that differ.
        weights: String,
        /// `[numbers]`: the first weight, rows, columns, outputs and inputs of each block; an input of
        /// -1 is a zero.
        blocks: String,
        /// `[channels]` or `[elements]`.
        bias: String,
        /// Its numbers were not trained: it moves elements, or adds them up.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fixed: bool,
        weight_bits: u32,
        range: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weight_scale: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correction: Option<String>,
    },
    /// The largest element of each window.
    Largest {
        shape: Vec<usize>,
        /// `[numbers]`: for each output how many elements its window has, and which.
        windows: String,
    },
    /// An operator of ONNX that has no encrypted form; what it reads is in its operands.
    Pinned {
        operator: Operator,
        operands: Vec<RawOperand>,
        /// Of the output, without the batch.
        shape: Vec<usize>,
        /// As that of a linear operation, where a server may read the output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<String>,
    },
}

/// What an operator of ONNX reads, as the operator has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum RawOperand {
    /// An optional input that is left out.
    Nothing {},
    /// What a layer makes, or the network's input, in this shape with a batch of one image.
    Value {
        value: String,
        shape: Vec<usize>,
        kind: Kind,
    },
    /// A tensor of the weights' file, infinite numbers allowed.
    Constant { tensor: String, kind: Kind },
}

impl RawLayer {
    /// Reads an entry of `layers`.
    ///
    /// # Errors
    ///
    /// A sentence on what is wrong with it.
    pub fn from_json(value: Value) -> Result<Self, String> {
        let Value::Object(mut fields) = value else {
            return Err("each layer is an object with a name and an op".into());
        };
        let mut text = |field: &str| match fields.remove(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{field} must be a text, not {other}")),
        };
        let (name, input, block) = (text("name")?, text("input")?, text("block")?);
        let name = name.ok_or("missing field `name`")?;
        let pinned = match fields.remove("pinned") {
            None => false,
            Some(Value::Bool(pinned)) => pinned,
            Some(other) => return Err(format!("pinned must be true or false, not {other}")),
        };
        let operation = serde_json::from_value(Value::Object(fields));
        Ok(Self {
            operation: operation.map_err(|error| error.to_string())?,
            name,
            input,
            block,
            pinned,
        })
    }

    /// Returns the entry of `layers`.
    ///
    /// # Panics
    ///
    /// Never: every operation is an object.
    pub fn to_json(&self) -> Value {
        let Ok(Value::Object(operation)) = serde_json::to_value(&self.operation) else {
            unreachable!("an operation is an object");
        };
        let text = |text: &String| Value::String(text.clone());
        let mut fields = serde_json::Map::new();
        fields.insert("name".into(), text(&self.name));
        fields.extend(self.input.iter().map(|input| ("input".into(), text(input))));
        fields.extend(self.block.iter().map(|block| ("block".into(), text(block))));
        if self.pinned {
            fields.insert("pinned".into(), true.into());
        }
        fields.extend(operation);
        Value::Object(fields)
    }
}

/// What dense layers and convolutions have in common.
pub struct RawLinear<'a> {
    pub weights: &'a str,
    pub bias: &'a str,
    pub weight_bits: u32,
    pub range: &'a str,
    pub weight_scale: Option<&'a str>,
    pub correction: Option<&'a str>,
}

impl RawOperation {
    /// Returns the tensors of a dense layer or a convolution.
    pub fn linear(&self) -> Option<RawLinear<'_>> {
        match self {
            Self::Dense {
                weights,
                bias,
                weight_bits,
                range,
                weight_scale,
                correction,
            }
            | Self::Conv2d {
                weights,
                bias,
                weight_bits,
                range,
                weight_scale,
                correction,
                ..
            }
            | Self::Linear {
                weights,
                bias,
                weight_bits,
                range,
                weight_scale,
                correction,
                ..
            } => Some(RawLinear {
                weights,
                bias,
                weight_bits: *weight_bits,
                range,
                weight_scale: weight_scale.as_deref(),
                correction: correction.as_deref(),
            }),
            _ => None,
        }
    }
}

/// The integers `low..=high` with `real = scale * integer`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawQuantisation {
    pub scale: f64,
    pub low: i64,
    pub high: i64,
}

fn one() -> usize {
    1
}

fn is_one(value: &usize) -> bool {
    *value == 1
}

fn is_nothing(value: &[usize; 2]) -> bool {
    *value == [0, 0]
}

/// Little-endian float32 tensors in one file, and its checksum.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWeights {
    pub file: String,
    pub sha256: String,
    pub tensors: Vec<RawTensor>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// In bytes.
    pub offset: usize,
}

/// Test images `[n, …]` of u8, and for each the index of its class `[n]`, of u8, u16 or u32, in
/// NumPy's format.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTest {
    pub images: String,
    pub images_sha256: String,
    pub labels: String,
    pub labels_sha256: String,
}

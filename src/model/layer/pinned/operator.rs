//! An operator of ONNX as a model folder writes it, and which of them a client runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An operator, its settings, and which of its outputs is meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    pub name: String,
    /// Empty for ONNX's own operators.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Version of the domain's operators.
    pub opset: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Attribute>,
    /// Index of the output that is the layer's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub output: usize,
}

/// A setting of an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    Integer(i64),
    Float(f32),
    Text(String),
    Integers(Vec<i64>),
    Floats(Vec<f32>),
}

/// What the elements of a tensor are; all are float32 here, as which integers are exact up to 2^24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Float,
    Integer,
    Boolean,
}

/// What an operator reads, in its order.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Nothing: an optional input that is left out.
    Absent,
    /// A value of the network, of one image.
    Value {
        shape: Vec<usize>,
        kind: Kind,
    },
    Constant(Constant),
}

/// Numbers that do not depend on the network's input.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    pub shape: Vec<usize>,
    pub kind: Kind,
    /// Integers beyond 2^31 stand for the largest that there is.
    pub values: Vec<f32>,
}

/// ONNX's own operators that a client runs: all give the same for the same input, and tell the shape of
/// what they make before they run.
const OWN: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Attention",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "CumSum",
    "DepthToSpace",
    "Div",
    "Einsum",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "GRU",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GridSample",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LSTM",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tan",
    "Tanh",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
];
/// Operators of `com.microsoft`.
const CONTRIB: &[&str] = &[
    "BiasGelu",
    "FastGelu",
    "FusedMatMul",
    "Gelu",
    "SkipLayerNormalization",
];

impl Operator {
    /// Checks that a client runs the operator.
    ///
    /// # Errors
    ///
    /// A sentence where it does not.
    pub fn check(&self) -> Result<(), String> {
        let name = self.name.as_str();
        if !(1..=26).contains(&self.opset) {
            return Err(format!("version {} of the operators", self.opset));
        }
        let is_known = match self.domain.as_str() {
            "" => OWN.contains(&name),
            "com.microsoft" => CONTRIB.contains(&name),
            _ => false,
        };
        if is_known {
            return Ok(());
        }
        Err(format!("no client here runs the operator {:?}", self.name))
    }
}

impl Operand {
    /// Returns the shape and kind, if there is anything.
    pub fn typed(&self) -> Option<(&[usize], Kind)> {
        match self {
            Self::Absent => None,
            Self::Value { shape, kind } => Some((shape, *kind)),
            Self::Constant(constant) => Some((&constant.shape, constant.kind)),
        }
    }
}

fn is_zero(index: &usize) -> bool {
    *index == 0
}

//! What the operators that are read may be told: an input or attribute that is not known here is
//! refused, for it may change what the operator computes.

use super::expression::elementary;
use crate::core::foreign::quoted;
use crate::import::fault::{Outcome, unsupported};
use crate::import::onnx::Node;

/// Attributes of the windows of convolutions and pools.
const CONV: &[&str] = &[
    "auto_pad",
    "dilations",
    "group",
    "kernel_shape",
    "pads",
    "strides",
];
const CONV_TRANSPOSE: &[&str] = &[
    "auto_pad",
    "dilations",
    "group",
    "kernel_shape",
    "output_padding",
    "output_shape",
    "pads",
    "strides",
];
const RESIZE: &[&str] = &[
    "antialias",
    "axes",
    "coordinate_transformation_mode",
    // Of a mode that is not read.
    "cubic_coeff_a",
    "exclude_outside",
    // Of coordinates that are not read.
    "extrapolation_value",
    "keep_aspect_ratio_policy",
    "mode",
    "nearest_mode",
];
const MAX_POOL: &[&str] = &[
    "auto_pad",
    "ceil_mode",
    "dilations",
    "kernel_shape",
    "pads",
    // Only the indices that nothing here reads depend on it.
    "storage_order",
    "strides",
];
const AVERAGE_POOL: &[&str] = &[
    "auto_pad",
    "ceil_mode",
    "count_include_pad",
    "dilations",
    "kernel_shape",
    "pads",
    "strides",
];
const CLASSIFIER: &[&str] = &[
    "classlabels_ints",
    "classlabels_strings",
    "coefficients",
    "intercepts",
    // Says how the file was trained.
    "multi_class",
    "post_transform",
];
const ENCODER: &[&str] = &[
    "default_float",
    "default_int64",
    "default_string",
    "default_tensor",
    "keys_floats",
    "keys_int64s",
    "keys_strings",
    "keys_tensor",
    "values_floats",
    "values_int64s",
    "values_strings",
    "values_tensor",
];
const CONSTANT: &[&str] = &[
    "sparse_value",
    "value",
    "value_float",
    "value_floats",
    "value_int",
    "value_ints",
    "value_string",
    "value_strings",
];
/// `saturate` and `precision` are of types of numbers that are not read.
const QUANTIZE: &[&str] = &[
    "axis",
    "block_size",
    "output_dtype",
    "precision",
    "saturate",
];

/// Any number of inputs.
const ANY: usize = usize::MAX;

/// Returns the most inputs and the attributes of an operator; `None` of one that is not read.
fn known(node: &Node) -> Option<(usize, &'static [&'static str])> {
    Some(match (node.domain.as_str(), node.operator.as_str()) {
        ("ai.onnx.ml", "LinearClassifier") => (1, CLASSIFIER),
        ("ai.onnx.ml", "LinearRegressor") => (
            1,
            &["coefficients", "intercepts", "post_transform", "targets"],
        ),
        ("ai.onnx.ml", "Scaler") => (1, &["offset", "scale"]),
        ("ai.onnx.ml", "ZipMap") => (1, &["classlabels_int64s", "classlabels_strings"]),
        ("ai.onnx.ml", "Normalizer") => (1, &["norm"]),
        ("ai.onnx.ml", "LabelEncoder") => (1, ENCODER),
        ("ai.onnx.ml", "ArrayFeatureExtractor") => (2, &[]),
        (_, "Quant" | "IntQuant") => (4, &["narrow", "rounding_mode", "signed"]),
        (_, "BipolarQuant") => (2, &[]),
        (_, "QuantizeLinear" | "DequantizeLinear") => (3, QUANTIZE),
        ("", "Constant") => (0, CONSTANT),
        ("", "ConstantOfShape") => (1, &["value"]),
        ("", "Shape") => (1, &["end", "start"]),
        ("", "Concat") => (ANY, &["axis"]),
        ("", "Gather") => (2, &["axis"]),
        ("", "Slice") => (5, &["axes", "ends", "starts"]),
        ("", "Expand" | "Tile") => (2, &[]),
        ("", "Split") => (2, &["axis", "num_outputs", "split"]),
        ("", "Upsample") => (2, &["mode", "scales"]),
        ("", "Resize") => (4, RESIZE),
        ("", "DepthToSpace") => (1, &["blocksize", "mode"]),
        ("", "SpaceToDepth") => (1, &["blocksize"]),
        // The ratio and the seed matter in training alone.
        ("", "Dropout") => (3, &["is_test", "ratio", "seed"]),
        // Both are of types of numbers that are not read.
        ("", "Cast") => (1, &["round_mode", "saturate", "to"]),
        ("", "Reshape") => (2, &["allowzero"]),
        ("", "Flatten" | "Softmax" | "LogSoftmax") => (1, &["axis"]),
        ("", "Squeeze" | "Unsqueeze") => (2, &["axes"]),
        ("", "Transpose") => (1, &["perm"]),
        ("", "Clip") => (3, &["max", "min"]),
        ("", "Conv") => (3, CONV),
        ("", "ConvTranspose") => (3, CONV_TRANSPOSE),
        ("", "Gemm") => (3, &["alpha", "beta", "broadcast", "transA", "transB"]),
        // The momentum matters in training alone.
        ("", "BatchNormalization") => (
            5,
            &["epsilon", "is_test", "momentum", "spatial", "training_mode"],
        ),
        ("", "MaxPool") => (1, MAX_POOL),
        ("", "AveragePool") => (1, AVERAGE_POOL),
        ("", "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin") => {
            (2, &["axes", "keepdims", "noop_with_empty_axes"])
        }
        ("", "ArgMax") => (1, &["axis", "keepdims", "select_last_index"]),
        ("", "TopK") => (2, &["axis", "k", "largest", "sorted"]),
        ("", "Pad") => (4, &["mode", "pads", "value"]),
        _ => return known_of_elements(node),
    })
}

/// Returns the same of a function of single elements.
fn known_of_elements(node: &Node) -> Option<(usize, &'static [&'static str])> {
    Some(match (node.domain.as_str(), node.operator.as_str()) {
        // Of operator sets before 7.
        ("", "Add" | "Sub" | "Mul" | "Div" | "Pow") => (2, &["axis", "broadcast"]),
        ("", "MatMul" | "PRelu") => (2, &[]),
        ("", "Sum" | "Mean" | "Min" | "Max") => (ANY, &[]),
        (
            "",
            "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Equal" | "And" | "Or" | "Xor",
        ) => (2, &[]),
        ("", "Where") => (3, &[]),
        (
            "",
            "Neg" | "Identity" | "Relu" | "Sigmoid" | "Tanh" | "HardSwish" | "Softsign" | "Mish"
            | "Not" | "GlobalAveragePool" | "GlobalMaxPool",
        ) => (1, &[]),
        ("", operator) if elementary(operator).is_some() => (1, &[]),
        ("" | "com.microsoft", "Gelu") => (1, &["approximate"]),
        ("", "Elu" | "Celu" | "ThresholdedRelu") => (1, &["alpha"]),
        ("", "Selu") => (1, &["alpha", "gamma"]),
        ("", "Shrink") => (1, &["bias", "lambd"]),
        ("", "LeakyRelu" | "Swish") => (1, &["alpha"]),
        ("", "HardSigmoid") => (1, &["alpha", "beta"]),
        _ => return None,
    })
}

/// Refuses what a node is told beyond what is known of its operator.
///
/// # Errors
///
/// A sentence that names the first attribute, or counts the inputs.
pub fn check(node: &Node) -> Outcome<()> {
    let Some((most_inputs, names)) = known(node) else {
        return Ok(());
    };
    let inputs = node.inputs.iter().rposition(Option::is_some);
    if let Some(last) = inputs.filter(|last| *last >= most_inputs) {
        return unsupported(format!(
            "{} inputs; at most {most_inputs} are read",
            last + 1
        ));
    }
    let unknown = node.attribute_names().filter(|name| !names.contains(name));
    match unknown.min() {
        Some(name) => unsupported(format!(
            "the attribute {}, which is not known here",
            quoted(name)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::onnx::fixture::{integers, node};

    #[test]
    fn what_is_not_known_of_an_operator_is_refused() {
        let pads = integers("pads", &[0; 4]);
        assert!(check(&node("Conv", std::slice::from_ref(&pads))).is_ok());
        assert!(check(&node("Relu", &[])).is_ok());
        assert!(check(&node("Relu", std::slice::from_ref(&pads))).is_err());
        // Of an operator that is not read something else is said.
        assert!(check(&node("Einsum", &[pads])).is_ok());
        let mut relu = node("Relu", &[]);
        relu.inputs.extend([None, None]);
        assert!(check(&relu).is_ok());
        relu.inputs.push(Some(0));
        assert!(check(&relu).is_err());
    }
}

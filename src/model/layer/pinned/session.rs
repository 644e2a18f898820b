//! An operator in the runtime that a client has for it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use prost::Message;
use rten::{
    Dimension, Model, ModelOptions, NodeId, ShapeInferenceMode, Value, ValueOrView, ValueType,
};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use super::operator::{Attribute, Constant, Kind, Operand, Operator};
use crate::core::foreign::line;
use crate::core::onnx_schema::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type, data_type,
};
use crate::core::shape::element_count;

/// Integers up to this are exact as float32.
const LARGEST_EXACT: f32 = 16_777_216.0;
/// The most elements of what an operator makes, and of what it needs on the way.
const MOST_ELEMENTS: usize = 1 << 22;

/// An operator that is ready to run on one image at a time.
pub struct Session {
    model: Model,
    /// Those of its operands that are values, in order.
    inputs: Vec<Input>,
    /// What stands for its only input, where all its operands are constants.
    fixed: Option<Vec<f32>>,
    output: NodeId,
    /// Of its output, with the axis of the batch.
    pub shape: Vec<usize>,
    pub kind: Kind,
}

struct Input {
    id: NodeId,
    shape: Vec<usize>,
    kind: Kind,
}

impl Session {
    /// Opens an operator for operands of these shapes. Nothing runs before the shape of what it makes is
    /// known and small enough.
    ///
    /// # Errors
    ///
    /// A sentence where no client runs it so.
    pub fn open(operator: &Operator, operands: &[Operand]) -> Result<Self, String> {
        operator.check()?;
        check_scratch(operator, operands)?;
        let (operands, fixed) = with_an_input(operands);
        let bytes = file(operator, &operands).encode_to_vec();
        let load = || {
            let mut options = ModelOptions::with_all_ops();
            options.shape_inference(ShapeInferenceMode::Strict);
            options.load(bytes)
        };
        let refused =
            |reason: String| format!("the client's runtime refuses it: {}", line(&reason));
        let model = match catch_unwind(AssertUnwindSafe(load)) {
            Ok(Ok(model)) => model,
            Ok(Err(error)) => return Err(refused(error.to_string())),
            Err(_) => return Err(refused("it breaks off".into())),
        };
        let Some(&output) = model.output_ids().first() else {
            return Err(refused("it makes nothing".into()));
        };
        let (shape, kind) = typed(&model, output)?;
        match element_count(&shape) {
            Some(1..=MOST_ELEMENTS) => {}
            _ => return Err(format!("makes a value of shape {shape:?}")),
        }
        let values = operands.iter().filter_map(|operand| match operand {
            Operand::Value { shape, kind } => Some((shape.clone(), *kind)),
            Operand::Absent | Operand::Constant(_) => None,
        });
        let inputs = model.input_ids().iter().zip(values);
        let inputs = inputs.map(|(&id, (shape, kind))| Input { id, shape, kind });
        let session = Self {
            inputs: inputs.collect(),
            fixed,
            model,
            output,
            shape,
            kind,
        };
        session.try_out(operator).map_err(refused)?;
        Ok(session)
    }

    /// Runs once on numbers that suit any operator, for types that do not.
    fn try_out(&self, operator: &Operator) -> Result<(), String> {
        let number = match operator.name.as_str() {
            // By zero, integers are not divided.
            "Div" | "Mod" => 1.0,
            _ => 0.0,
        };
        let inputs = self.inputs.iter().skip(self.fixed.iter().count());
        let values = inputs.map(|input| vec![number; input.shape.iter().product()]);
        self.run(&values.collect::<Vec<_>>()).map(|_| ())
    }

    /// Returns what the operator makes of its values of one image, each `[elements]`.
    ///
    /// # Errors
    ///
    /// A sentence where it gives nothing, or integers that are no longer exact.
    pub fn run(&self, values: &[Vec<f32>]) -> Result<Vec<f32>, String> {
        let values = self.fixed.iter().chain(values);
        let inputs = self.inputs.iter().zip(values);
        let inputs = inputs.map(|(input, values)| Ok((input.id, input.tensor(values)?)));
        let inputs: Vec<(NodeId, ValueOrView<'_>)> = inputs.collect::<Result<_, String>>()?;
        let run = || self.model.run(inputs, &[self.output], None);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(mut made)) => match made.pop() {
                Some(Value::FloatTensor(made)) => Ok(made.iter().copied().collect()),
                Some(Value::Int32Tensor(made)) => made.iter().map(|&made| exact(made)).collect(),
                _ => Err("makes no numbers".into()),
            },
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("breaks off".into()),
        }
    }
}

impl Input {
    /// Returns a tensor of the kind that the operator reads.
    fn tensor(&self, values: &[f32]) -> Result<ValueOrView<'static>, String> {
        let wrong = "reads a value of another size";
        let shape = self.shape.as_slice();
        let integers = match self.kind {
            Kind::Float => {
                let made = Tensor::try_from_data(shape, values.to_vec());
                return made
                    .map(|made| Value::from(made).into())
                    .map_err(|_| wrong.into());
            }
            Kind::Integer => integers(values)?,
            Kind::Boolean => values.iter().map(|&v| i32::from(v != 0.0)).collect(),
        };
        let made = Tensor::try_from_data(shape, integers);
        made.map(|made| Value::from(made).into())
            .map_err(|_| wrong.into())
    }
}

/// Returns operands one of which at least is a value, and what stands for that value where it is a constant:
/// what reads constants alone would be run while it is loaded, before anything is checked.
fn with_an_input(operands: &[Operand]) -> (Vec<Operand>, Option<Vec<f32>>) {
    let mut operands = operands.to_vec();
    let has_values = operands
        .iter()
        .any(|operand| matches!(operand, Operand::Value { .. }));
    let first = operands.first_mut().filter(|_| !has_values);
    let fixed = first.and_then(|first| {
        let Operand::Constant(Constant {
            shape,
            kind,
            values,
        }) = first
        else {
            return None;
        };
        let (shape, kind, values) = (std::mem::take(shape), *kind, std::mem::take(values));
        *first = Operand::Value { shape, kind };
        Some(values)
    });
    (operands, fixed)
}

/// Returns the shape and kind that a value has before anything runs.
fn typed(model: &Model, value: NodeId) -> Result<(Vec<usize>, Kind), String> {
    let unknown = || "it does not tell the shape of what it makes".to_owned();
    let info = model.node_info(value).ok_or_else(unknown)?;
    let sizes = info.shape().ok_or_else(unknown)?;
    let sizes = sizes.iter().map(|size| match size {
        Dimension::Fixed(size) => Some(*size),
        Dimension::Symbolic(_) => None,
    });
    let shape = sizes.collect::<Option<Vec<usize>>>().ok_or_else(unknown)?;
    let kind = match info.dtype() {
        Some(ValueType::Tensor(rten::DataType::Float)) => Kind::Float,
        Some(ValueType::Tensor(rten::DataType::Int32)) => Kind::Integer,
        _ => return Err("it makes numbers of a kind that is not read here".into()),
    };
    Ok((shape, kind))
}

/// Checks that what an operator needs on the way is not far more than it reads and makes.
fn check_scratch(operator: &Operator, operands: &[Operand]) -> Result<(), String> {
    let size = |operand: usize, from_end: usize| {
        let shape = operands.get(operand).and_then(Operand::typed)?.0;
        shape.len().checked_sub(from_end).map(|axis| shape[axis])
    };
    let scratch = match operator.name.as_str() {
        "Attention" => {
            // Queries and keys, of each head.
            let heads = size(0, 4).or_else(|| {
                let Some(Attribute::Integer(heads)) = operator.attributes.get("q_num_heads") else {
                    return None;
                };
                usize::try_from(*heads).ok()
            });
            let sizes = [heads, size(0, 2), size(1, 2)];
            sizes.map(|size| size.unwrap_or(1)).to_vec()
        }
        // Whatever its letters, no more than all elements of one operand for each of the others.
        "Einsum" => {
            let counts = operands.iter().filter_map(Operand::typed);
            let counts = counts.map(|(shape, _)| element_count(shape).unwrap_or(usize::MAX));
            counts.collect()
        }
        _ => return Ok(()),
    };
    match element_count(&scratch) {
        Some(count) if count <= 16 * MOST_ELEMENTS => Ok(()),
        _ => Err("it takes far more room than what it reads and makes".into()),
    }
}

/// Returns float32 numbers that are whole as integers.
fn integers(values: &[f32]) -> Result<Vec<i32>, String> {
    let integer = |&value: &f32| {
        if value.fract() == 0.0 && value.abs() <= LARGEST_EXACT {
            return Ok(value as i32);
        }
        Err(format!(
            "reads {value} where it takes whole numbers, of which an input of the network holds 256 at most"
        ))
    };
    values.iter().map(integer).collect()
}

fn exact(integer: i32) -> Result<f32, String> {
    let value = integer as f32;
    if value.abs() <= LARGEST_EXACT {
        return Ok(value);
    }
    Err(format!("makes {integer}, more than is exact here"))
}

/// Returns a file of one operator.
fn file(operator: &Operator, operands: &[Operand]) -> ModelProto {
    let name = |index: usize| format!("x{index}");
    let mut graph = GraphProto {
        name: Some("pinned".into()),
        ..GraphProto::default()
    };
    let mut input = Vec::new();
    for (index, operand) in operands.iter().enumerate() {
        input.push(match operand {
            Operand::Absent => String::new(),
            _ => name(index),
        });
        match operand {
            Operand::Absent => {}
            Operand::Value { shape, kind } => graph.input.push(info(name(index), shape, *kind)),
            Operand::Constant(constant) => graph.initializer.push(tensor(name(index), constant)),
        }
    }
    // Outputs before the one that is meant are left out.
    let mut output = vec![String::new(); operator.output];
    output.push("y".into());
    graph.output.push(ValueInfoProto {
        name: Some("y".into()),
        r#type: None,
    });
    graph.node.push(NodeProto {
        input,
        output,
        name: None,
        op_type: Some(operator.name.clone()),
        attribute: operator.attributes.iter().map(attribute).collect(),
        domain: Some(operator.domain.clone()),
    });
    ModelProto {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![OperatorSetId {
            domain: Some(operator.domain.clone()),
            version: Some(operator.opset),
        }],
    }
}

fn info(name: String, shape: &[usize], kind: Kind) -> ValueInfoProto {
    let dim = shape.iter().map(|&size| DimensionProto {
        dim_value: i64::try_from(size).ok(),
        dim_param: None,
    });
    let shape = TensorShapeProto { dim: dim.collect() };
    let tensor_type = TensorTypeProto {
        elem_type: Some(code(kind)),
        shape: Some(shape),
    };
    ValueInfoProto {
        name: Some(name),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor_type),
        }),
    }
}

fn tensor(name: String, constant: &Constant) -> TensorProto {
    let mut tensor = TensorProto {
        dims: constant.shape.iter().map(|&size| size as i64).collect(),
        data_type: Some(code(constant.kind)),
        name: Some(name),
        ..TensorProto::default()
    };
    let values = constant.values.iter();
    match constant.kind {
        Kind::Float => tensor.float_data = values.copied().collect(),
        Kind::Integer => tensor.int64_data = values.map(|&value| value as i64).collect(),
        Kind::Boolean => tensor.int32_data = values.map(|&v| i32::from(v != 0.0)).collect(),
    }
    tensor
}

fn code(kind: Kind) -> i32 {
    match kind {
        Kind::Float => data_type::FLOAT,
        Kind::Integer => data_type::INT64,
        Kind::Boolean => data_type::BOOL,
    }
}

fn attribute((name, value): (&String, &Attribute)) -> AttributeProto {
    let mut proto = AttributeProto {
        name: Some(name.clone()),
        ..AttributeProto::default()
    };
    proto.r#type = Some(match value {
        Attribute::Integer(integer) => {
            proto.i = Some(*integer);
            attribute_type::INT
        }
        Attribute::Float(float) => {
            proto.f = Some(*float);
            attribute_type::FLOAT
        }
        Attribute::Text(text) => {
            proto.s = Some(text.clone().into_bytes().into());
            attribute_type::STRING
        }
        Attribute::Integers(integers) => {
            proto.ints.clone_from(integers);
            attribute_type::INTS
        }
        Attribute::Floats(floats) => {
            proto.floats.clone_from(floats);
            attribute_type::FLOATS
        }
    });
    proto
}

//! One use of an operator, and its settings.

use std::collections::{BTreeMap, HashMap};

use super::external::Folder;
use super::tensor::Tensor;
use crate::core::foreign::quoted;
use crate::core::onnx_schema::{AttributeProto, NodeProto, attribute_type};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::model::layer::pinned::Attribute as Setting;

/// One use of an operator. Values are numbers that stand for names.
#[derive(Debug, Clone)]
pub struct Node {
    /// As in the file; may be empty.
    pub name: String,
    pub operator: String,
    /// Empty for ONNX's own operators.
    pub domain: String,
    /// `None` where an optional input is left out.
    pub inputs: Vec<Option<usize>>,
    pub outputs: Vec<Option<usize>>,
    /// Values that are to be true or false for it to run.
    pub conditions: Vec<(usize, bool)>,
    attributes: HashMap<String, Attribute>,
}

/// A setting.
#[derive(Debug, Clone)]
enum Attribute {
    Float(f32),
    Integer(i64),
    Text(String),
    Tensor(Tensor),
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    /// Of a kind that no operator here reads.
    Other,
}

impl Node {
    /// Returns the node of a message; `number` gives the number of a value's name.
    ///
    /// # Errors
    ///
    /// A sentence on the first attribute that cannot be used.
    pub fn decode(
        proto: NodeProto,
        folder: &Folder,
        mut number: impl FnMut(&str) -> usize,
    ) -> Outcome<Self> {
        let mut attributes = HashMap::new();
        for attribute in proto.attribute {
            let name = attribute.name.clone().unwrap_or_default();
            let value = Attribute::decode(attribute, folder)?;
            if attributes.insert(name.clone(), value).is_some() {
                return invalid(format!("two attributes {}", quoted(&name)));
            }
        }
        let domain = proto.domain.unwrap_or_default();
        let mut numbers = |names: &[String]| -> Vec<Option<usize>> {
            let number = |name: &String| (!name.is_empty()).then(|| number(name));
            names.iter().map(number).collect()
        };
        Ok(Self {
            name: proto.name.unwrap_or_default(),
            operator: proto.op_type.unwrap_or_default(),
            domain: if domain == "ai.onnx" {
                String::new()
            } else {
                domain
            },
            inputs: numbers(&proto.input),
            outputs: numbers(&proto.output),
            conditions: Vec::new(),
            attributes,
        })
    }

    /// Returns all values that are to be known before it runs.
    pub fn reads(&self) -> impl Iterator<Item = usize> {
        let conditions = self.conditions.iter().map(|(value, _)| *value);
        self.inputs.iter().flatten().copied().chain(conditions)
    }

    /// Returns the number of an input that must be there.
    ///
    /// # Errors
    ///
    /// A sentence where it is not.
    pub fn input(&self, index: usize) -> Outcome<usize> {
        match self.optional_input(index) {
            Some(value) => Ok(value),
            None => invalid(format!("has no input {index}")),
        }
    }

    /// Returns the number of an input that may be left out.
    pub fn optional_input(&self, index: usize) -> Option<usize> {
        self.inputs.get(index).copied().flatten()
    }

    /// Returns the names of the attributes that the file sets.
    pub fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.attributes.keys().map(String::as_str)
    }

    /// Returns whether the file sets this attribute.
    pub fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// Returns an integer attribute, or `default` where the file leaves it out.
    ///
    /// # Errors
    ///
    /// A sentence where it is of another type.
    pub fn integer(&self, name: &str, default: i64) -> Outcome<i64> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Integer(value)) => Ok(*value),
            Some(_) => wrong_type(name, "an integer"),
        }
    }

    /// Returns a float attribute, or `default` where the file leaves it out.
    ///
    /// # Errors
    ///
    /// A sentence where it is of another type or not finite.
    pub fn float(&self, name: &str, default: f32) -> Outcome<f32> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) if value.is_finite() => Ok(*value),
            Some(_) => wrong_type(name, "a finite number"),
        }
    }

    /// Returns a text attribute, or `default` where the file leaves it out.
    ///
    /// # Errors
    ///
    /// A sentence where it is of another type.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> Outcome<&'a str> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Text(value)) => Ok(value),
            Some(_) => wrong_type(name, "text"),
        }
    }

    /// Returns a list of integers, where the file has it.
    ///
    /// # Errors
    ///
    /// A sentence where it is of another type.
    pub fn integers(&self, name: &str) -> Outcome<Option<&[i64]>> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Integers(values)) => Ok(Some(values)),
            Some(_) => wrong_type(name, "a list of integers"),
        }
    }

    /// Returns a list of finite floats, where the file has it.
    ///
    /// # Errors
    ///
    /// A sentence where it is of another type or not finite.
    pub fn floats(&self, name: &str) -> Outcome<Option<&[f32]>> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Floats(values)) if values.iter().all(|value| value.is_finite()) => {
                Ok(Some(values))
            }
            Some(_) => wrong_type(name, "a list of finite numbers"),
        }
    }

    /// Returns a constant, where the file has it.
    ///
    /// # Errors
    ///
    /// A sentence where it is of another type.
    pub fn tensor(&self, name: &str) -> Outcome<Option<&Tensor>> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Tensor(tensor)) => Ok(Some(tensor)),
            Some(_) => wrong_type(name, "a tensor"),
        }
    }

    /// Returns all attributes, for an operator that is run as it is.
    ///
    /// # Errors
    ///
    /// A sentence where one is a constant, or of a kind that is not read.
    pub fn settings(&self) -> Outcome<BTreeMap<String, Setting>> {
        let setting = |(name, attribute): (&String, &Attribute)| {
            let setting = match attribute {
                Attribute::Float(value) => Setting::Float(*value),
                Attribute::Integer(value) => Setting::Integer(*value),
                Attribute::Text(text) => Setting::Text(text.clone()),
                Attribute::Floats(values) => Setting::Floats(values.clone()),
                Attribute::Integers(values) => Setting::Integers(values.clone()),
                Attribute::Tensor(_) | Attribute::Other => {
                    return unsupported(format!("attribute {} is not read", quoted(name)));
                }
            };
            Ok((name.clone(), setting))
        };
        self.attributes.iter().map(setting).collect()
    }

    /// Returns the node as an error names it.
    pub fn place(&self, first_output: &str) -> String {
        let operator = quoted(&self.operator);
        let operator = operator.trim_matches('"');
        if self.name.is_empty() {
            format!("node that makes {} ({operator})", quoted(first_output))
        } else {
            format!("node {} ({operator})", quoted(&self.name))
        }
    }
}

fn wrong_type<T>(name: &str, expected: &str) -> Outcome<T> {
    invalid(format!("attribute {name} is not {expected}"))
}

impl Attribute {
    fn decode(proto: AttributeProto, folder: &Folder) -> Outcome<Self> {
        let name = quoted(proto.name.as_deref().unwrap_or_default());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let kind = proto.r#type.unwrap_or(0);
        if proto.g.is_some() || !proto.graphs.is_empty() {
            return unsupported(format!("attribute {name} holds a graph of its own"));
        }
        Ok(match kind {
            attribute_type::FLOAT => Self::Float(proto.f.unwrap_or(0.0)),
            attribute_type::INT => Self::Integer(proto.i.unwrap_or(0)),
            attribute_type::STRING => Self::Text(text(&proto.s.unwrap_or_default())),
            attribute_type::TENSOR => match proto.t {
                Some(tensor) => Self::Tensor(Tensor::decode(*tensor, folder)?),
                None => return invalid(format!("attribute {name} lacks its tensor")),
            },
            attribute_type::FLOATS => Self::Floats(proto.floats),
            attribute_type::INTS => Self::Integers(proto.ints),
            attribute_type::GRAPH | attribute_type::GRAPHS => {
                return unsupported(format!("attribute {name} holds a graph of its own"));
            }
            _ => Self::Other,
        })
    }
}

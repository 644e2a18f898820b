//! Nodes of one input and a few settings.

use super::external::Folder;
use super::node::Node;
use crate::core::onnx_schema::{AttributeProto, NodeProto, attribute_type};

/// Returns a node of an operator with these settings.
pub fn node(operator: &str, attributes: &[AttributeProto]) -> Node {
    let proto = NodeProto {
        input: vec!["x".into()],
        output: vec!["y".into()],
        op_type: Some(operator.into()),
        attribute: attributes.to_vec(),
        ..NodeProto::default()
    };
    Node::decode(proto, &Folder::none(), |_| 0).expect("a node")
}

/// Returns a setting that is an integer.
pub fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        i: Some(value),
        r#type: Some(attribute_type::INT),
        ..AttributeProto::default()
    }
}

/// Returns a setting that is a list of integers.
pub fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ints: values.to_vec(),
        r#type: Some(attribute_type::INTS),
        ..AttributeProto::default()
    }
}

/// Returns a setting that is text.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        s: Some(value.as_bytes().to_vec().into()),
        r#type: Some(attribute_type::STRING),
        ..AttributeProto::default()
    }
}

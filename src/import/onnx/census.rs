//! Counts the parts of a file before it is decoded.
//!
//! A message of two bytes takes some hundred bytes once it is decoded, so a small file could fill
//! the memory; this walk over the bytes allocates nothing and stops at a limit.

use crate::import::fault::{Outcome, invalid};

/// The most messages and strings of a file, together about 100 MB once decoded.
const MOST_PARTS: usize = 500_000;

/// The messages that hold others.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    /// Bytes, text or numbers.
    Leaf,
}

impl Kind {
    /// Returns what the field of this number holds, as in [`onnx_schema`](crate::core::onnx_schema).
    fn field(self, number: u64) -> Self {
        match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11 | 12) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::ValueInfo, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            _ => Self::Leaf,
        }
    }

    /// Returns whether fields of this number are decoded into a list of things.
    fn counts(self, number: u64) -> bool {
        match self {
            Self::Model => matches!(number, 7 | 8),
            Self::Graph => matches!(number, 1 | 5 | 11 | 12 | 15),
            Self::Node => matches!(number, 1 | 2 | 5),
            Self::Attribute => matches!(number, 5 | 9 | 11),
            Self::Tensor => number == 13,
            Self::Shape => number == 1,
            Self::ValueInfo | Self::Type | Self::TensorType | Self::Leaf => false,
        }
    }
}

/// Checks that the file is made of few enough parts.
///
/// # Errors
///
/// A sentence where it is not, or where it is no protobuf message.
pub fn check(bytes: &[u8]) -> Outcome<()> {
    let mut count = 0;
    walk(bytes, Kind::Model, &mut count)
}

/// Adds the parts of a graph within a node to `count`, and checks that they are few enough.
///
/// # Errors
///
/// As [`check`].
pub fn check_graph(bytes: &[u8], count: &mut usize) -> Outcome<()> {
    walk(bytes, Kind::Graph, count)
}

/// Adds the parts within a message to `count`; the depth is that of the schema, at most eight.
fn walk(mut bytes: &[u8], kind: Kind, count: &mut usize) -> Outcome<()> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let number = key >> 3;
        match key & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            1 => {
                take(&mut bytes, 8)?;
            }
            2 => {
                let length = varint(&mut bytes)?;
                let part = take(&mut bytes, length)?;
                if kind.counts(number) {
                    *count += 1;
                    if *count > MOST_PARTS {
                        return invalid(format!("more than {MOST_PARTS} nodes, names and tensors"));
                    }
                }
                let inner = kind.field(number);
                if !matches!(inner, Kind::Leaf) {
                    walk(part, inner, count)?;
                }
            }
            5 => {
                take(&mut bytes, 4)?;
            }
            _ => return invalid("not an ONNX file: a field of an unknown kind"),
        }
    }
    Ok(())
}

/// Returns the next number, seven bits a byte.
fn varint(bytes: &mut &[u8]) -> Outcome<u64> {
    let mut value = 0u64;
    for place in 0..10 {
        let Some((&byte, rest)) = bytes.split_first() else {
            return invalid("not an ONNX file, or cut short");
        };
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    invalid("not an ONNX file: a number of more than ten bytes")
}

/// Returns the next `length` bytes.
fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Outcome<&'a [u8]> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some((part, rest)) = bytes.split_at_checked(length) else {
        return invalid("not an ONNX file, or cut short");
    };
    *bytes = rest;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_tiny_messages_are_refused_before_they_are_decoded() {
        // A graph of empty nodes: two bytes each.
        let nodes = [0x0a, 0x00].repeat(MOST_PARTS + 1);
        let mut file = vec![0x3a];
        let mut length = nodes.len();
        while length >= 0x80 {
            file.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        file.push(length as u8);
        file.extend(nodes);
        assert!(check(&file).is_err());
        assert!(check(&[0x3a, 0x02, 0x0a, 0x00]).is_ok());
        assert!(check(&[0x3a, 0x7f]).is_err());
    }
}

//! Constants: decoded, with every length checked before anything is allocated.

use prost::bytes::Bytes;

use super::external::Folder;
use crate::core::onnx_schema::{TensorProto, data_type};
use crate::core::shape;
use crate::import::fault::{Outcome, collected, invalid, unsupported};

/// The most elements of one input image or intermediate value.
pub const MOST_ACTIVATIONS: usize = 1 << 22;

/// The most elements of one constant, and of all of a file.
pub const MOST_ELEMENTS: usize = 1 << 28;

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Of the axes, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    pub data: Data,
}

/// The elements of a constant, the last axis running fastest.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Never NaN.
    Float(Vec<f32>),
    Integer {
        kind: IntegerKind,
        values: Vec<i64>,
    },
    /// Text, which is not kept.
    Text,
}

/// The type that integers have in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegerKind {
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Bool,
}

impl IntegerKind {
    /// Returns the kind of this number in the schema, if it is one.
    pub fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            data_type::INT8 => Self::Int8,
            data_type::UINT8 => Self::Uint8,
            data_type::INT16 => Self::Int16,
            data_type::UINT16 => Self::Uint16,
            data_type::INT32 => Self::Int32,
            data_type::UINT32 => Self::Uint32,
            data_type::INT64 => Self::Int64,
            data_type::UINT64 => Self::Uint64,
            data_type::BOOL => Self::Bool,
            _ => return None,
        })
    }

    /// Returns the smallest and the largest value, the latter cut to 64 bits with sign.
    pub fn range(self) -> (i64, i64) {
        match self {
            Self::Int8 => (i8::MIN.into(), i8::MAX.into()),
            Self::Uint8 => (0, u8::MAX.into()),
            Self::Int16 => (i16::MIN.into(), i16::MAX.into()),
            Self::Uint16 => (0, u16::MAX.into()),
            Self::Int32 => (i32::MIN.into(), i32::MAX.into()),
            Self::Uint32 => (0, u32::MAX.into()),
            Self::Int64 => (i64::MIN, i64::MAX),
            Self::Uint64 => (0, i64::MAX),
            Self::Bool => (0, 1),
        }
    }

    fn byte_count(self) -> usize {
        match self {
            Self::Int8 | Self::Uint8 | Self::Bool => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 => 4,
            Self::Int64 | Self::Uint64 => 8,
        }
    }
}

/// The types of numbers that become `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FloatKind {
    Float16,
    Bfloat16,
    Float32,
    Float64,
}

impl FloatKind {
    /// Returns the kind of this number in the schema, if it is one.
    fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            data_type::FLOAT => Self::Float32,
            data_type::FLOAT16 => Self::Float16,
            data_type::BFLOAT16 => Self::Bfloat16,
            data_type::DOUBLE => Self::Float64,
            _ => return None,
        })
    }
}

/// Returns whether a number of the schema, or of an attribute, names a type of reals.
pub fn is_float(code: i64) -> bool {
    i32::try_from(code).is_ok_and(|code| FloatKind::from_code(code).is_some())
}

impl Tensor {
    /// Returns a constant of floats.
    pub fn floats(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self {
            shape,
            data: Data::Float(values),
        }
    }

    /// Returns a constant of 64-bit integers.
    pub fn integers(shape: Vec<usize>, values: Vec<i64>) -> Self {
        let kind = IntegerKind::Int64;
        Self {
            shape,
            data: Data::Integer { kind, values },
        }
    }

    /// Returns the number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Decodes a constant; `folder` holds the numbers that are in files of their own.
    ///
    /// # Errors
    ///
    /// A sentence on what is wrong with it.
    pub fn decode(proto: TensorProto, folder: &Folder) -> Outcome<Self> {
        let shape = sizes(&proto.dims)?;
        let count = element_count(&shape)?;
        let code = proto.data_type.unwrap_or(0);
        let data = if code == data_type::STRING {
            Data::Text
        } else if let Some(kind) = IntegerKind::from_code(code) {
            let values = decode_integers(proto, kind, count, folder)?;
            Data::Integer { kind, values }
        } else {
            let Some(kind) = FloatKind::from_code(code) else {
                return unsupported(format!("numbers of ONNX type {code}"));
            };
            Data::Float(decode_floats(proto, kind, count, folder)?)
        };
        Ok(Self { shape, data })
    }
}

/// Returns the sizes of the axes.
fn sizes(dims: &[i64]) -> Outcome<Vec<usize>> {
    check_rank(dims.len())?;
    let size = |&dim: &i64| match usize::try_from(dim) {
        Ok(size) => Ok(size),
        Err(_) => invalid(format!("a size of {dim}")),
    };
    dims.iter().map(size).collect()
}

/// Checks that there are few enough axes.
fn check_rank(rank: usize) -> Outcome<()> {
    const MOST_AXES: usize = 8;
    if rank > MOST_AXES {
        return unsupported(format!("{rank} axes; at most {MOST_AXES} are read"));
    }
    Ok(())
}

/// Returns the number of elements of a shape.
///
/// # Errors
///
/// A sentence where there are too many, or too many axes.
pub fn element_count(shape: &[usize]) -> Outcome<usize> {
    check_rank(shape.len())?;
    match shape::element_count(shape) {
        Some(count) if count <= MOST_ELEMENTS => Ok(count),
        _ => invalid(format!(
            "shape {shape:?}: more than {MOST_ELEMENTS} elements"
        )),
    }
}

/// Returns the raw bytes of a constant where it has some, of the right length.
fn raw_bytes(
    proto: &mut TensorProto,
    byte_count: usize,
    folder: &Folder,
) -> Outcome<Option<Bytes>> {
    let bytes = if proto.data_location == Some(1) {
        Some(folder.read(&proto.external_data, byte_count)?)
    } else {
        proto.raw_data.take()
    };
    match &bytes {
        Some(raw) if raw.len() != byte_count => invalid(format!(
            "{} bytes where its shape and type take {byte_count}",
            raw.len()
        )),
        _ => Ok(bytes),
    }
}

/// Checks that a typed list holds one number per element.
fn check_length(length: usize, count: usize) -> Outcome<()> {
    if length == count {
        return Ok(());
    }
    invalid(format!("{length} numbers where its shape takes {count}"))
}

fn decode_floats(
    mut proto: TensorProto,
    kind: FloatKind,
    count: usize,
    folder: &Folder,
) -> Outcome<Vec<f32>> {
    let width = match kind {
        FloatKind::Float16 | FloatKind::Bfloat16 => 2,
        FloatKind::Float32 => 4,
        FloatKind::Float64 => 8,
    };
    let values: Vec<f32> = if let Some(raw) = raw_bytes(&mut proto, count * width, folder)? {
        let number = |bytes: &[u8]| match kind {
            FloatKind::Float16 => from_half(u16::from_le_bytes(array(bytes))),
            FloatKind::Bfloat16 => from_bfloat(u16::from_le_bytes(array(bytes))),
            FloatKind::Float32 => f32::from_le_bytes(array(bytes)),
            FloatKind::Float64 => f64::from_le_bytes(array(bytes)) as f32,
        };
        collected(raw.chunks_exact(width).map(number))?
    } else {
        let length = match kind {
            FloatKind::Float32 => proto.float_data.len(),
            FloatKind::Float64 => proto.double_data.len(),
            FloatKind::Float16 | FloatKind::Bfloat16 => proto.int32_data.len(),
        };
        check_length(length, count)?;
        let halves = proto.int32_data.iter();
        match kind {
            FloatKind::Float32 => proto.float_data,
            FloatKind::Float64 => collected(proto.double_data.iter().map(|&value| value as f32))?,
            FloatKind::Float16 => collected(halves.map(|&bits| from_half(bits as u16)))?,
            FloatKind::Bfloat16 => collected(halves.map(|&bits| from_bfloat(bits as u16)))?,
        }
    };
    // Infinities may end a range, or mask; what computes is checked where it is used.
    match values.iter().position(|value| value.is_nan()) {
        Some(index) => invalid(format!("element {index} is {}", values[index])),
        None => Ok(values),
    }
}

fn decode_integers(
    mut proto: TensorProto,
    kind: IntegerKind,
    count: usize,
    folder: &Folder,
) -> Outcome<Vec<i64>> {
    let width = kind.byte_count();
    let values: Vec<i64> = if let Some(raw) = raw_bytes(&mut proto, count * width, folder)? {
        let number = |bytes: &[u8]| match kind {
            IntegerKind::Int8 => i64::from(bytes[0] as i8),
            IntegerKind::Uint8 | IntegerKind::Bool => i64::from(bytes[0]),
            IntegerKind::Int16 => i64::from(i16::from_le_bytes(array(bytes))),
            IntegerKind::Uint16 => i64::from(u16::from_le_bytes(array(bytes))),
            IntegerKind::Int32 => i64::from(i32::from_le_bytes(array(bytes))),
            IntegerKind::Uint32 => i64::from(u32::from_le_bytes(array(bytes))),
            IntegerKind::Int64 | IntegerKind::Uint64 => i64::from_le_bytes(array(bytes)),
        };
        collected(raw.chunks_exact(width).map(number))?
    } else {
        match kind {
            IntegerKind::Int64 => proto.int64_data,
            IntegerKind::Uint32 | IntegerKind::Uint64 => {
                collected(proto.uint64_data.iter().map(|&value| value as i64))?
            }
            _ => collected(proto.int32_data.iter().map(|&value| value.into()))?,
        }
    };
    check_length(values.len(), count)?;
    let (low, high) = kind.range();
    match values
        .iter()
        .position(|value| !(low..=high).contains(value))
    {
        Some(index) => invalid(format!(
            "element {index} is {}, outside of {low} to {high}",
            values[index]
        )),
        None => Ok(values),
    }
}

/// Returns the bytes of one number.
///
/// # Panics
///
/// Panics where there are not `N` of them.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

/// Returns the number of 16 bits: sign, 5 bits of exponent, 10 of mantissa (IEEE 754).
fn from_half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let mantissa = f32::from(bits & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => mantissa * 2f32.powi(-14),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + mantissa) * 2f32.powi(exponent - 15),
    }
}

/// Returns the number whose upper 16 bits are these.
fn from_bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(proto: TensorProto) -> Outcome<Tensor> {
        Tensor::decode(proto, &Folder::none())
    }

    #[test]
    fn raw_and_typed_numbers_agree() {
        let raw: Vec<u8> = [1.5f32, -2.0]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let proto = TensorProto {
            dims: vec![2],
            data_type: Some(data_type::FLOAT),
            raw_data: Some(raw.into()),
            ..TensorProto::default()
        };
        let typed = TensorProto {
            raw_data: None,
            float_data: vec![1.5, -2.0],
            ..proto.clone()
        };
        assert_eq!(decode(proto).unwrap(), decode(typed).unwrap());
    }

    #[test]
    fn halves_are_read_as_ieee_754_has_them() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(from_half(bits), value, "{bits:#x}");
        }
        assert!(from_half(0x7c00).is_infinite() && from_half(0x7e00).is_nan());
        assert_eq!(from_bfloat(0x3fc0), 1.5);
    }

    #[test]
    fn small_integers_keep_their_sign() {
        let proto = TensorProto {
            dims: vec![2, 2],
            data_type: Some(data_type::INT8),
            raw_data: Some(vec![0xff, 0x80, 0x7f, 0].into()),
            ..TensorProto::default()
        };
        let Data::Integer { values, .. } = decode(proto).unwrap().data else {
            panic!("integers");
        };
        assert_eq!(values, [-1, -128, 127, 0]);
    }

    #[test]
    fn wrong_lengths_and_odd_numbers_are_refused() {
        let proto = TensorProto {
            dims: vec![1 << 40],
            data_type: Some(data_type::FLOAT),
            ..TensorProto::default()
        };
        let with = |dims: &[i64], float_data: &[f32]| TensorProto {
            dims: dims.to_vec(),
            float_data: float_data.to_vec(),
            ..proto.clone()
        };
        assert!(decode(proto.clone()).is_err());
        assert!(decode(with(&[1 << 40, 1 << 40], &[])).is_err());
        assert!(decode(with(&[-1], &[])).is_err());
        assert!(decode(with(&[3], &[1.0, 2.0])).is_err());
        assert!(decode(with(&[2], &[1.0, f32::NAN])).is_err());
        assert!(decode(with(&[2], &[1.0, 2.0])).is_ok());
        let byte = TensorProto {
            data_type: Some(data_type::INT8),
            int32_data: vec![200],
            ..with(&[1], &[])
        };
        assert!(decode(byte).is_err());
    }
}

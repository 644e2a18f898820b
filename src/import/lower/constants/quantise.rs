//! Quantises and dequantises constants, and keeps the grid that their numbers lie on.

use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::lower::arithmetic::{Spread, finite_floats, floats, integers, uniform};
use crate::import::lower::range::{IntegerRange, clip_range, quant_range, quantised_kind};
use crate::import::lower::value::{Constant, Grid};
use crate::import::onnx::tensor::{Data, IntegerKind};
use crate::import::onnx::{Node, Tensor};

/// Returns what a quantiser makes of a constant; `others` are its further inputs.
///
/// # Errors
///
/// A sentence where an input is missing or wrong.
pub fn quantise(
    node: &Node,
    constant: &Constant,
    others: &[Option<&Constant>],
) -> Outcome<Constant> {
    let other = |index: usize| others.get(index).copied().flatten();
    match node.operator.as_str() {
        "Clip" => clip(node, &constant.tensor, other(0), other(1)),
        "QuantizeLinear" => {
            let steps = Steps::of_axis(node, &constant.tensor, other(0), other(1))?;
            steps.integers(&floats(&constant.tensor)?, quantised_kind(node, other(1))?)
        }
        "DequantizeLinear" => {
            let steps = Steps::of_axis(node, &constant.tensor, other(0), other(1))?;
            let values = integers(&constant.tensor)?
                .iter()
                .map(|&value| value as f64);
            steps.reals(values)
        }
        "BipolarQuant" => {
            let steps = Steps::of_shape(&constant.tensor, other(0), None)?;
            let values = finite_floats(&constant.tensor)?;
            let sign = |&value: &f32| if value < 0.0 { -1.0 } else { 1.0 };
            steps.reals(values.iter().map(sign))
        }
        _ => {
            let steps = Steps::of_shape(&constant.tensor, other(0), other(1))?;
            let bits = match other(2).map(uniform).transpose()?.flatten() {
                Some(bits) => f64::from(bits),
                None => return unsupported("has no single bit width"),
            };
            let range = quant_range(node, bits)?;
            let values = finite_floats(&constant.tensor)?;
            let integers: Vec<f64> = values
                .iter()
                .enumerate()
                .map(|(element, &value)| {
                    let (scale, zero) = steps.at(element);
                    let integer = (f64::from(value) / scale + zero).round_ties_even();
                    integer.clamp(range.low as f64, range.high as f64)
                })
                .collect();
            steps.reals(integers.into_iter())
        }
    }
}

/// The scale and zero point of each element of a constant.
struct Steps {
    shape: Vec<usize>,
    scale: Vec<f32>,
    scale_spread: Spread,
    zero: Vec<f64>,
    zero_spread: Spread,
    /// Along which the scales differ; `None` also where they differ along several.
    axis: Option<usize>,
}

impl Steps {
    /// Returns the steps of ONNX's operators: one, or one per index along `axis`.
    fn of_axis(
        node: &Node,
        tensor: &Tensor,
        scale: Option<&Constant>,
        zero: Option<&Constant>,
    ) -> Outcome<Self> {
        let Some(scale) = scale else {
            return invalid("has no scale");
        };
        if node.integer("block_size", 0)? != 0 {
            return unsupported("quantisation in blocks");
        }
        let rank = tensor.shape.len();
        let along = |constant: &Constant| -> Outcome<Tensor> {
            let mut tensor = constant.tensor.clone();
            if tensor.count() != 1 {
                let axis = super::arrange::axis_of(node.integer("axis", 1)?, rank)?;
                tensor.shape = vec![1; rank];
                tensor.shape[axis] = tensor_length(constant)?;
            }
            Ok(tensor)
        };
        let scale = Constant::new(along(scale)?);
        let zero = zero.map(along).transpose()?.map(Constant::new);
        Self::of_shape(tensor, Some(&scale), zero.as_ref())
    }

    /// Returns steps that spread over the constant.
    fn of_shape(
        tensor: &Tensor,
        scale: Option<&Constant>,
        zero: Option<&Constant>,
    ) -> Outcome<Self> {
        let Some(scale) = scale else {
            return invalid("has no scale");
        };
        let numbers = finite_floats(&scale.tensor)?;
        if numbers.iter().any(|&scale| scale <= 0.0) {
            return invalid("a scale that is not above zero");
        }
        let (zero_shape, zero) = match zero.map(|zero| &zero.tensor) {
            None => (&[][..], vec![0.0]),
            Some(zero) => {
                let values = floats(zero)?.iter().map(|&value| value.into()).collect();
                (&zero.shape[..], values)
            }
        };
        // A single number spreads over anything, whatever its axes.
        let narrow =
            |shape: &[usize], count: usize| if count == 1 { vec![] } else { shape.to_vec() };
        let scale_shape = narrow(&scale.tensor.shape, numbers.len());
        let wide: Vec<usize> = (0..scale_shape.len())
            .filter(|&axis| scale_shape[axis] > 1)
            .collect();
        Ok(Self {
            scale: numbers.to_vec(),
            scale_spread: Spread::new(&scale_shape, &tensor.shape)?,
            zero_spread: Spread::new(&narrow(zero_shape, zero.len()), &tensor.shape)?,
            zero,
            axis: match wide[..] {
                [axis] => Some(axis + tensor.shape.len() - scale_shape.len()),
                _ => None,
            },
            shape: tensor.shape.clone(),
        })
    }

    fn at(&self, element: usize) -> (f64, f64) {
        let scale = self.scale[self.scale_spread.index(element)];
        (scale.into(), self.zero[self.zero_spread.index(element)])
    }

    /// Returns the integers of reals.
    fn integers(&self, values: &[f32], kind: IntegerKind) -> Outcome<Constant> {
        let (low, high) = kind.range();
        let integer = |(element, &value): (usize, &f32)| {
            let (scale, zero) = self.at(element);
            let integer = (f64::from(value) / scale).round_ties_even() + zero;
            integer.clamp(low as f64, high as f64) as i64
        };
        let values = values.iter().enumerate().map(integer).collect();
        Ok(Constant::new(Tensor {
            shape: self.shape.clone(),
            data: Data::Integer { kind, values },
        }))
    }

    /// Returns the reals of integers, with their grid.
    fn reals(&self, values: impl Iterator<Item = f64>) -> Outcome<Constant> {
        let real = |(element, value): (usize, f64)| {
            let (scale, zero) = self.at(element);
            ((value - zero) as f32) * scale as f32
        };
        let values = values.enumerate().map(real).collect();
        let is_on_grid = self.axis.is_some() || self.scale.len() == 1;
        let grid = is_on_grid.then(|| Grid {
            scale: self.scale.clone(),
            axis: self.axis,
        });
        Ok(Constant {
            grid,
            ..Constant::new(Tensor::floats(self.shape.clone(), values))
        })
    }
}

/// Returns the length of a list.
fn tensor_length(constant: &Constant) -> Outcome<usize> {
    match constant.tensor.shape[..] {
        [length] => Ok(length),
        _ => unsupported("scales that are neither one number nor a list"),
    }
}

/// Returns numbers cut to a range.
fn clip(
    node: &Node,
    tensor: &Tensor,
    low: Option<&Constant>,
    high: Option<&Constant>,
) -> Outcome<Constant> {
    let data = match &tensor.data {
        Data::Integer { kind, values } => {
            let range = IntegerRange::of_clip(low, high, kind.range())?;
            let clipped = values
                .iter()
                .map(|&value| value.clamp(range.low, range.high));
            Data::Integer {
                kind: *kind,
                values: clipped.collect(),
            }
        }
        _ => {
            let (low, high) = clip_range(node, low, high)?;
            let values = floats(tensor)?;
            let clipped = values
                .iter()
                .map(|&value| f64::from(value).max(low).min(high) as f32);
            Data::Float(clipped.collect())
        }
    };
    Ok(Constant::new(Tensor {
        shape: tensor.shape.clone(),
        data,
    }))
}

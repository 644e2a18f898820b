//! Multiplying by constants and adding them: folded into the layer before where that is linear and
//! read by nothing else, a step of its own otherwise.

use std::borrow::Cow;

use super::arithmetic::{Spread, finite_floats};
use super::draft::{Diagonal, Stage, scale_outputs};
use super::expression::{chain, line};
use super::lowering::Lowering;
use super::maps::element_wise;
use super::value::{Constant, Value, Wire};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::network::Operation;
use crate::import::onnx::{Node, Tensor};

/// `scale · x + offset`, both spread over the axes of a value, the batch included.
#[derive(Debug)]
pub struct Affine {
    pub shape: Vec<usize>,
    pub scale: Vec<f32>,
    pub offset: Vec<f32>,
}

impl Affine {
    /// Returns `scale · x + offset` for single numbers.
    pub fn uniform(scale: f32, offset: f32) -> Self {
        Self {
            shape: vec![],
            scale: vec![scale],
            offset: vec![offset],
        }
    }

    /// Returns one with numbers for each index of the first axis after the batch.
    fn of_channels(rank: usize, scale: Vec<f32>, offset: Vec<f32>) -> Self {
        let mut shape = vec![1; rank + 1];
        shape[1] = scale.len();
        Self {
            shape,
            scale,
            offset,
        }
    }

    /// Returns what the operator does to `x` with a constant to its right, or to its left where
    /// `is_left`.
    ///
    /// # Errors
    ///
    /// A sentence where that is not affine.
    pub fn of_operator(operator: &str, constant: &Constant, is_left: bool) -> Outcome<Self> {
        let values = finite_floats(&constant.tensor)?;
        let all = |number: f32| vec![number; values.len()];
        let (scale, offset) = match (operator, is_left) {
            ("Add" | "Sum", _) => (all(1.0), values.to_vec()),
            ("Sub", false) => (all(1.0), values.iter().map(|value| -value).collect()),
            ("Sub", true) => (all(-1.0), values.to_vec()),
            ("Mul", _) => (values.to_vec(), all(0.0)),
            ("Div", false) if values.contains(&0.0) => return invalid("a division by zero"),
            ("Div", false) => (values.iter().map(|value| value.recip()).collect(), all(0.0)),
            _ => return unsupported(format!("{operator} of a constant by a value")),
        };
        if values.is_empty() {
            return invalid("a constant of no elements");
        }
        Ok(Self {
            shape: constant.tensor.shape.clone(),
            scale,
            offset,
        })
    }

    /// Returns the numbers where they are the same everywhere.
    fn as_uniform(&self) -> Option<(f32, f32)> {
        let same = |values: &[f32]| values.iter().all(|value| *value == values[0]);
        (same(&self.scale) && same(&self.offset)).then(|| (self.scale[0], self.offset[0]))
    }
}

/// Returns the affine function of a wire.
///
/// # Errors
///
/// A sentence where its numbers do not fit the wire.
pub fn apply(
    lowering: &mut Lowering<'_>,
    wire: &Wire,
    affine: &Affine,
    name: Option<String>,
) -> Outcome<Wire> {
    if wire.integers.is_some() {
        return unsupported("computes with the integers of a QuantizeLinear");
    }
    if let Some((scale, offset)) = affine.as_uniform() {
        check_rank(wire, &affine.shape)?;
        return apply_uniform(lowering, wire, scale, offset, name);
    }
    let mut wire = wire.clone();
    let mut diagonal = spread(lowering, &wire, affine, channel_size(lowering, &wire))?;
    if diagonal.is_none() && wire.layout.shape().len() == 1 {
        // Flat for the file, an image here: element by element.
        let value = lowering.draft.materialise(&wire)?;
        let root = lowering.draft.flatten(value)?;
        wire = Wire {
            root,
            exclusive: false,
            ..lowering.draft.settle(&wire)?
        };
        diagonal = spread(lowering, &wire, affine, 1)?;
    }
    match diagonal {
        Some(diagonal) => apply_diagonal(lowering, &wire, diagonal, name),
        None => apply_elements(lowering, &wire, affine, name),
    }
}

/// Applies numbers that differ within a channel.
fn apply_elements(
    lowering: &mut Lowering<'_>,
    wire: &Wire,
    affine: &Affine,
    name: Option<String>,
) -> Outcome<Wire> {
    let Some(Diagonal { scale, offset }) = spread(lowering, wire, affine, 1)? else {
        return unsupported("numbers that differ within an element");
    };
    let settled = lowering.draft.settle(wire)?;
    let shape = lowering.draft.shape(settled.root).to_vec();
    let operation = Operation::Linear {
        map: element_wise(&scale),
        bias: offset,
        fixed: false,
    };
    let root = lowering
        .draft
        .operation(operation, settled.root, shape, name)?;
    Ok(Wire {
        root,
        exclusive: true,
        ..settled
    })
}

fn apply_uniform(
    lowering: &mut Lowering<'_>,
    wire: &Wire,
    scale: f32,
    offset: f32,
    name: Option<String>,
) -> Outcome<Wire> {
    if wire.is_identity() && wire.exclusive {
        let count = lowering.draft.shape(wire.root)[0];
        let change = Diagonal {
            scale: vec![scale; count],
            offset: vec![offset; count],
        };
        if fold_back(lowering, wire.root, &change)? {
            return Ok(wire.clone());
        }
    }
    let function = chain(&wire.function, line(scale.into(), offset.into()))?;
    Ok(Wire {
        name: wire.name.clone().or(name),
        ..wire.with_function(function)
    })
}

fn apply_diagonal(
    lowering: &mut Lowering<'_>,
    wire: &Wire,
    diagonal: Diagonal,
    name: Option<String>,
) -> Outcome<Wire> {
    if wire.is_identity() && wire.exclusive && fold_back(lowering, wire.root, &diagonal)? {
        return Ok(wire.clone());
    }
    let settled = lowering.draft.settle(wire)?;
    let shape = lowering.draft.shape(settled.root).to_vec();
    let inputs = vec![settled.root];
    let root = lowering
        .draft
        .push(Stage::Diagonal(diagonal), inputs, shape, name)?;
    Ok(Wire {
        root,
        exclusive: true,
        ..settled
    })
}

/// Changes the step that makes `root` where it is linear; returns whether it did.
fn fold_back(lowering: &mut Lowering<'_>, root: usize, change: &Diagonal) -> Outcome<bool> {
    let Some(index) = root.checked_sub(1) else {
        return Ok(false);
    };
    let draft = &mut lowering.draft;
    // Each change takes the time of all weights.
    draft.spend(match &draft.steps[index].stage {
        Stage::Operation(Operation::Dense { weights, .. }) => weights.len(),
        Stage::Operation(Operation::Conv2d { weights, .. }) => weights.len(),
        Stage::Operation(Operation::Linear { map, .. }) => map.multiplication_count() / 8,
        _ => change.scale.len(),
    })?;
    Ok(match &mut draft.steps[index].stage {
        Stage::Operation(operation) => scale_outputs(operation, change),
        Stage::Diagonal(before) => {
            *before = before.then(change);
            true
        }
        Stage::Pick(_) => false,
    })
}

/// Checks that a constant of this shape does not make the value larger.
fn check_rank(wire: &Wire, shape: &[usize]) -> Outcome<()> {
    let full = [vec![1], wire.layout.shape()].concat();
    match Spread::new(shape, &full) {
        Ok(_) => Ok(()),
        Err(_) => unsupported(format!(
            "a constant of shape {shape:?} and a value of shape {:?}",
            wire.layout.shape()
        )),
    }
}

/// Returns how many elements a channel of the wire's root has.
fn channel_size(lowering: &Lowering<'_>, wire: &Wire) -> usize {
    lowering.draft.shape(wire.root)[1..].iter().product()
}

/// Returns the numbers for each run of so many elements of the wire's root, `None` where they differ
/// within one.
fn spread(
    lowering: &mut Lowering<'_>,
    wire: &Wire,
    affine: &Affine,
    run: usize,
) -> Outcome<Option<Diagonal>> {
    check_rank(wire, &affine.shape)?;
    let count = wire.layout.count() / run;
    // Axes of the constant that have more than one number, as axes of the wire.
    let rank = wire.layout.shape().len();
    let mut strides = vec![0; rank];
    let mut stride = 1;
    for (back, &size) in affine.shape.iter().rev().enumerate() {
        if size > 1 {
            strides[rank - 1 - back] = stride;
        }
        stride *= size;
    }
    let layout = &wire.layout;
    let mut wide = (0..rank).filter(|&axis| strides[axis] > 0);
    if !wide.all(|axis| layout.is_constant_within(axis, run)) {
        return Ok(None);
    }
    lowering.draft.spend(count)?;
    let place = |element: usize| -> usize {
        (0..rank)
            .map(|axis| layout.index(axis, element * run) * strides[axis])
            .sum()
    };
    let places: Vec<usize> = (0..count).map(place).collect();
    Ok(Some(Diagonal {
        scale: places.iter().map(|&place| affine.scale[place]).collect(),
        offset: places.iter().map(|&place| affine.offset[place]).collect(),
    }))
}

/// Lowers `BatchNormalization` as inference has it: `scale · (x - mean) / √(variance + ε) + bias`.
///
/// # Errors
///
/// A sentence where its constants do not fit.
pub fn batch_normalization(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let is_inference = lowering.graph.opset > 6 || node.integer("is_test", 0)? != 0;
    if node.integer("training_mode", 0)? != 0 || !is_inference {
        return unsupported("batch normalisation that still learns");
    }
    if node.integer("spatial", 1)? != 1 {
        return unsupported("batch normalisation of single elements");
    }
    let wire = lowering.wire(node, 0)?;
    let shape = wire.layout.shape();
    let epsilon = f64::from(node.float("epsilon", 1e-5)?);
    let mut constants = Vec::new();
    for index in 1..5 {
        let constant = lowering.constant(node, index)?;
        if Some(&constant.tensor.count()) != shape.first() {
            return invalid(format!(
                "{} numbers for a value of shape {shape:?}",
                constant.tensor.count()
            ));
        }
        constants.push(constant);
    }
    let list = |index: usize| -> Outcome<Cow<'_, [f32]>> {
        let constant: &Constant = &constants[index];
        finite_floats(&constant.tensor)
    };
    let [scale, bias, mean, variance] = [list(0)?, list(1)?, list(2)?, list(3)?];
    let deviation = |channel: usize| (f64::from(variance[channel]) + epsilon).sqrt();
    if let Some(channel) = (0..variance.len()).find(|&channel| deviation(channel).is_nan()) {
        return invalid(format!(
            "channel {channel} has the variance {}",
            variance[channel]
        ));
    }
    let factor = |channel: usize| f64::from(scale[channel]) / deviation(channel);
    let shift =
        |channel: usize| f64::from(bias[channel]) - f64::from(mean[channel]) * factor(channel);
    let channels = 0..scale.len();
    let affine = Affine::of_channels(
        shape.len(),
        channels
            .clone()
            .map(|channel| factor(channel) as f32)
            .collect(),
        channels.map(|channel| shift(channel) as f32).collect(),
    );
    let name = lowering.name(node, None);
    apply(lowering, &wire, &affine, name).map(Value::Wire)
}

/// Lowers scikit-learn's `Scaler`: `(x - offset) · scale`.
///
/// # Errors
///
/// A sentence where its numbers do not fit.
pub fn scaler(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.number_wire(node, 0)?;
    let count = wire.layout.count();
    let list = |name: &str| -> Outcome<Vec<f32>> {
        match node.floats(name)? {
            Some([number]) => Ok(vec![*number; count]),
            Some(numbers) if numbers.len() == count => Ok(numbers.to_vec()),
            _ => invalid(format!("{name} does not hold one number or {count}")),
        }
    };
    let (scale, shift) = (list("scale")?, list("offset")?);
    let offset = scale
        .iter()
        .zip(&shift)
        .map(|(scale, shift)| -scale * shift)
        .collect();
    let shape = wire.layout.shape();
    if shape.len() != 1 {
        return unsupported(format!("a scaler of shape {shape:?}"));
    }
    let affine = Affine::of_channels(1, scale, offset);
    let name = lowering.name(node, None);
    apply(lowering, &wire, &affine, name).map(Value::Wire)
}

impl Diagonal {
    /// Returns the diagonal that does `self`, then `next`.
    pub fn then(&self, next: &Self) -> Self {
        let scale = self
            .scale
            .iter()
            .zip(&next.scale)
            .map(|(one, two)| one * two);
        let offsets = self.offset.iter().zip(&next.scale).zip(&next.offset);
        Self {
            scale: scale.collect(),
            offset: offsets
                .map(|((one, scale), two)| one * scale + two)
                .collect(),
        }
    }
}

/// Returns the bias of `count` outputs: a number each, or one for all.
///
/// # Errors
///
/// A sentence where the numbers do not fit.
pub fn bias_of(tensor: &Tensor, count: usize) -> Outcome<Vec<f32>> {
    let values = finite_floats(tensor)?;
    let leading = tensor
        .shape
        .split_last()
        .map_or(&[][..], |(_, leading)| leading);
    match &*values {
        [number] => Ok(vec![*number; count]),
        _ if values.len() == count && leading.iter().all(|&size| size == 1) => Ok(values.to_vec()),
        _ => invalid(format!(
            "a bias of shape {:?} for {count} outputs",
            tensor.shape
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(values: &[f32]) -> Constant {
        Constant::new(Tensor::floats(vec![values.len()], values.to_vec()))
    }

    #[test]
    fn operators_with_a_constant_are_lines() {
        for (operator, is_left, scale, offset) in [
            ("Add", false, [1.0, 1.0], [2.0, -4.0]),
            ("Sub", false, [1.0, 1.0], [-2.0, 4.0]),
            ("Sub", true, [-1.0, -1.0], [2.0, -4.0]),
            ("Mul", true, [2.0, -4.0], [0.0, 0.0]),
            ("Div", false, [0.5, -0.25], [0.0, 0.0]),
        ] {
            let found = Affine::of_operator(operator, &constant(&[2.0, -4.0]), is_left).unwrap();
            assert_eq!(
                (&found.scale[..], &found.offset[..]),
                (&scale[..], &offset[..]),
                "{operator} {is_left}"
            );
        }
        assert!(Affine::of_operator("Div", &constant(&[1.0, 0.0]), false).is_err());
        assert!(Affine::of_operator("Div", &constant(&[1.0]), true).is_err());
        assert!(Affine::of_operator("Add", &constant(&[]), false).is_err());
        assert!(Affine::of_operator("Mul", &constant(&[f32::INFINITY]), false).is_err());
    }

    #[test]
    fn diagonals_come_one_after_the_other() {
        let diagonal = |scale: f32, offset: f32| Diagonal {
            scale: vec![scale],
            offset: vec![offset],
        };
        // 3·(2x + 1) - 1.
        let found = diagonal(2.0, 1.0).then(&diagonal(3.0, -1.0));
        assert_eq!(found, diagonal(6.0, 2.0));
    }

    #[test]
    fn a_bias_is_a_number_each_or_one_for_all() {
        let of = |shape: &[usize], values: &[f32]| {
            bias_of(&Tensor::floats(shape.to_vec(), values.to_vec()), 2).ok()
        };
        assert_eq!(of(&[], &[3.0]), Some(vec![3.0, 3.0]));
        assert_eq!(of(&[1, 2], &[3.0, 4.0]), Some(vec![3.0, 4.0]));
        assert_eq!(of(&[2, 1], &[3.0, 4.0]), None);
        assert_eq!(of(&[3], &[3.0, 4.0, 5.0]), None);
    }
}

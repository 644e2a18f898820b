//! Channels that never change: a BatchNorm after which a function gives one value whatever comes, or
//! one that makes a large number of a channel that is always the same.
//!
//! What a value can reach follows from the functions before it, by interval arithmetic. A channel
//! whose function has one value over all of that becomes a bias; one that is always the same
//! goes into the biases of the layers that read it. Otherwise its weights, far off those of the
//! others, would set the integers of all. Nor do the scales of channels matter in front of a sign.

use std::ops::Range;

use ndarray::{ArrayViewMut, ArrayViewMutD, Axis};

use super::draft::{NetworkDraft, Stage, Step};
use crate::import::network::Operation;
use crate::model::layer::Function;

/// The least and the greatest that a channel reaches.
type Reach = (f64, f64);

const ANYTHING: Reach = (f64::NEG_INFINITY, f64::INFINITY);

/// By how much a reach is widened, as a fraction of the largest term: sums are of float32.
const ROUNDING: f64 = 1e-6;

/// Folds away the channels that never change.
pub fn settle(draft: &mut NetworkDraft) {
    let readers = draft.readers();
    let mut reaches = vec![vec![ANYTHING; draft.input_shape[0]]];
    for index in 0..draft.steps.len() {
        let inputs = draft.steps[index].inputs.clone();
        fold_constants(&mut draft.steps[index], &reaches[inputs[0]]);
        let functions = functions(&draft.steps, &readers[index + 1]);
        let are_of_sign = functions.iter().flatten().all(is_of_sign) && functions.is_some();
        if are_of_sign {
            normalise(&mut draft.steps[index]);
        }
        let mut reach = reach(&draft.steps[index], &reaches, draft.shape(inputs[0]));
        if let Some(functions) = functions {
            for (channel, reach) in reach.iter_mut().enumerate() {
                if !functions
                    .iter()
                    .all(|function| is_one_value(function, *reach))
                {
                    continue;
                }
                let value = representative(*reach, are_of_sign);
                if silence(&mut draft.steps[index], channel, value) {
                    *reach = (value.into(), value.into());
                }
            }
        }
        reaches.push(reach);
    }
}

/// Returns the functions that read a value, if nothing else does.
fn functions(steps: &[Step], readers: &[usize]) -> Option<Vec<Function>> {
    let function = |&reader: &usize| match &steps[reader].stage {
        Stage::Operation(Operation::Activation(function)) => Some(function.clone()),
        _ => None,
    };
    let functions: Option<Vec<Function>> = readers.iter().map(function).collect();
    functions.filter(|functions| !functions.is_empty())
}

/// Returns whether a function is one of the sign alone.
fn is_of_sign(function: &Function) -> bool {
    match function {
        Function::Quantise(quantise) => quantise.bipolar,
        Function::Chain(parts) => parts.first().is_some_and(is_of_sign),
        _ => false,
    }
}

/// Divides each output channel by its largest weight, which keeps the sign: the channels in front of
/// a sign get one scale, however far apart a norm has brought them.
fn normalise(step: &mut Step) {
    let (rows, quantisation): (Vec<ArrayViewMutD<'_, f32>>, _) = match &mut step.stage {
        Stage::Operation(Operation::Dense {
            weights,
            bias,
            quantisation,
        }) => {
            let rows = weights.outer_iter_mut().map(ArrayViewMut::into_dyn);
            (rows.collect(), (bias, quantisation))
        }
        Stage::Operation(Operation::Conv2d {
            weights,
            bias,
            quantisation,
            ..
        }) => {
            let rows = weights.outer_iter_mut().map(ArrayViewMut::into_dyn);
            (rows.collect(), (bias, quantisation))
        }
        _ => return,
    };
    let (bias, quantisation) = quantisation;
    for (channel, mut row) in rows.into_iter().enumerate() {
        let largest = row
            .iter()
            .fold(0.0, |largest: f32, weight| largest.max(weight.abs()));
        if largest == 0.0 || !(bias[channel] / largest).is_finite() {
            continue;
        }
        row.mapv_inplace(|weight| weight / largest);
        bias[channel] /= largest;
        if let Some(quantisation) = quantisation {
            quantisation.scale[channel] /= largest;
        }
    }
}

/// Returns whether a function has the same float32 value all over a reach.
fn is_one_value(function: &Function, (low, high): Reach) -> bool {
    low.is_finite()
        && high.is_finite()
        && function.is_monotone()
        && function.value(low) as f32 == function.value(high) as f32
}

/// Returns a value that stands for all of a reach; in front of functions of the sign any of its sign.
fn representative((low, high): Reach, are_of_sign: bool) -> f32 {
    // Any value that it reaches will do; its bias alone need not be one.
    let value = if !are_of_sign {
        low + (high - low) / 2.0
    } else if low < 0.0 {
        -1.0
    } else {
        1.0
    };
    value as f32
}

/// Makes an output channel one value, and returns whether the step has weights, so that it can.
fn silence(step: &mut Step, channel: usize, value: f32) -> bool {
    let bias = match &mut step.stage {
        Stage::Operation(Operation::Dense { weights, bias, .. }) => {
            weights.row_mut(channel).fill(0.0);
            &mut bias[channel]
        }
        Stage::Operation(Operation::Conv2d { weights, bias, .. }) => {
            weights.index_axis_mut(Axis(0), channel).fill(0.0);
            &mut bias[channel]
        }
        _ => return false,
    };
    *bias = value;
    true
}

/// Moves input channels that are always the same into the bias of a linear layer.
fn fold_constants(step: &mut Step, inputs: &[Reach]) {
    let constant = |channel: usize| {
        let (low, high) = inputs[channel];
        (low.is_finite() && low as f32 == high as f32).then_some(low as f32)
    };
    match &mut step.stage {
        Stage::Operation(Operation::Dense { weights, bias, .. }) => {
            for channel in 0..inputs.len() {
                let Some(value) = constant(channel) else {
                    continue;
                };
                for (weight, bias) in weights.column_mut(channel).iter_mut().zip(&mut *bias) {
                    *bias += *weight * value;
                    *weight = 0.0;
                }
            }
        }
        Stage::Operation(Operation::Conv2d {
            weights,
            bias,
            padding,
            groups,
            ..
        }) => {
            let (outputs, in_channels) = (weights.dim().0, weights.dim().1);
            for (output, (mut kernels, bias)) in weights.outer_iter_mut().zip(bias).enumerate() {
                let first = group_of(output, outputs, *groups) * in_channels;
                for (channel, mut kernel) in kernels.outer_iter_mut().enumerate() {
                    // Around the image the channel is zero, not what it always is.
                    let value = constant(first + channel);
                    if let Some(value) = value.filter(|&value| value == 0.0 || *padding == [0; 4]) {
                        *bias += kernel.sum() * value;
                        kernel.fill(0.0);
                    }
                }
            }
        }
        _ => {}
    }
}

fn group_of(output: usize, outputs: usize, groups: usize) -> usize {
    output / (outputs / groups)
}

/// Returns what each channel of a step's output can reach.
fn reach(step: &Step, reaches: &[Vec<Reach>], shape: &[usize]) -> Vec<Reach> {
    let input = &reaches[step.inputs[0]];
    let Stage::Operation(operation) = &step.stage else {
        return vec![ANYTHING; step.shape[0]];
    };
    match operation {
        Operation::Dense { weights, bias, .. } => weights
            .outer_iter()
            .zip(bias)
            .map(|(row, &bias)| {
                sum(
                    bias,
                    row.iter()
                        .zip(input)
                        .map(|(&weight, &reach)| (weight, reach)),
                )
            })
            .collect(),
        Operation::Conv2d {
            weights,
            bias,
            padding,
            groups,
            ..
        } => {
            let (outputs, in_channels) = (weights.dim().0, weights.dim().1);
            let is_padded = *padding != [0; 4];
            let kernels = weights.outer_iter().zip(bias).enumerate();
            kernels
                .map(|(output, (kernels, &bias))| {
                    let first = group_of(output, outputs, *groups) * in_channels;
                    let taps = kernels.indexed_iter().map(|((channel, _, _), &weight)| {
                        (weight, with_zero(input[first + channel], is_padded))
                    });
                    sum(bias, taps)
                })
                .collect()
        }
        Operation::AveragePool { count_padding, .. } => {
            let reach = |&reach: &Reach| with_zero(reach, *count_padding);
            input.iter().map(reach).collect()
        }
        Operation::MaxPool { .. } => input.clone(),
        Operation::Activation(function) => input
            .iter()
            .map(|&reach| through(function, reach))
            .collect(),
        Operation::Add => input
            .iter()
            .zip(&reaches[step.inputs[1]])
            .map(|(one, other)| (one.0 + other.0, one.1 + other.1))
            .collect(),
        Operation::Flatten => {
            let run: Range<usize> = 0..shape[1..].iter().product();
            let repeat = |&reach: &Reach| run.clone().map(move |_| reach);
            input.iter().flat_map(repeat).collect()
        }
        _ => vec![ANYTHING; step.shape[0]],
    }
}

fn with_zero((low, high): Reach, is_padded: bool) -> Reach {
    if is_padded {
        (low.min(0.0), high.max(0.0))
    } else {
        (low, high)
    }
}

/// Returns what a bias and weighted terms can reach together.
fn sum(bias: f32, terms: impl Iterator<Item = (f32, Reach)>) -> Reach {
    let bias = f64::from(bias);
    let (mut low, mut high, mut size) = (bias, bias, bias.abs());
    let mut moves = false;
    for (weight, reach) in terms.filter(|(weight, _)| *weight != 0.0) {
        let weight = f64::from(weight);
        let ends = [weight * reach.0, weight * reach.1];
        low += ends[0].min(ends[1]);
        high += ends[0].max(ends[1]);
        size += ends[0].abs().max(ends[1].abs());
        moves = true;
    }
    if !moves {
        return (bias, bias);
    }
    (low - size * ROUNDING, high + size * ROUNDING)
}

/// Returns what a function makes of a reach, as far as it is known.
fn through(function: &Function, (low, high): Reach) -> Reach {
    match function {
        // Part by part: what one does not know the next may still bound.
        Function::Chain(parts) => parts
            .iter()
            .fold((low, high), |reach, part| through(part, reach)),
        Function::Sum(parts) => parts.iter().fold((0.0, 0.0), |sum, part| {
            let part = through(part, (low, high));
            (sum.0 + part.0, sum.1 + part.1)
        }),
        _ if !function.is_monotone() => ANYTHING,
        _ => {
            let end = |at: f64, unknown: f64| match function.value(at) {
                value if value.is_nan() => unknown,
                value => value,
            };
            (end(low, f64::NEG_INFINITY), end(high, f64::INFINITY))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::lower::fixture::{conv, dense, draft, step};
    use crate::model::layer::function::{Clip, Quantise};
    use ndarray::{Array1, Array4, array};

    fn sign() -> Operation {
        Operation::Activation(Function::Quantise(Quantise {
            scale: 1.0,
            low: -1,
            high: 1,
            bipolar: true,
        }))
    }

    fn settled(middle: Operation, after: Operation) -> Vec<Step> {
        let steps = vec![
            step(&[0], &[2], sign()),
            step(&[1], &[2], middle),
            step(&[2], &[2], sign()),
            step(&[3], &[1], after),
        ];
        let mut draft = draft(&[2], steps);
        settle(&mut draft);
        draft.steps
    }

    #[test]
    fn a_channel_whose_sign_is_known_keeps_its_bias_alone() {
        let middle = dense(array![[3e-8, -3e-8], [2.0, -2.0]], array![-0.1, 1.0]);
        let steps = settled(middle, dense(array![[5.0, 1.0]], array![0.25]));
        let Stage::Operation(Operation::Dense { weights, bias, .. }) = &steps[1].stage else {
            panic!("dense");
        };
        assert_eq!(*weights, array![[0.0, 0.0], [1.0, -1.0]]);
        assert_eq!(*bias, array![-1.0, 0.5]);
        // It is always -1, which the next layer adds to its bias.
        let Stage::Operation(Operation::Dense { weights, bias, .. }) = &steps[3].stage else {
            panic!("dense");
        };
        assert_eq!((weights, bias), (&array![[0.0, 1.0]], &array![-4.75]));
    }

    #[test]
    fn a_channel_becomes_a_value_that_it_reaches_and_not_its_bias() {
        let clip = |low, high| Operation::Activation(Function::Clip(Clip { low, high }));
        let relu = || Operation::Activation(Function::Relu);
        // Inputs of 1 to 2: the first sum lies between -1.1 and -0.1, its bias above zero.
        for after in [relu, sign] {
            let steps = vec![
                step(&[0], &[2], clip(1.0, 2.0)),
                step(
                    &[1],
                    &[2],
                    dense(array![[-1.0, 0.0], [1.0, 2.0]], array![0.9, -4.0]),
                ),
                step(&[2], &[2], after()),
                step(&[3], &[1], dense(array![[5.0, 1.0]], array![0.25])),
            ];
            let mut draft = draft(&[2], steps);
            settle(&mut draft);
            let Stage::Operation(Operation::Dense { weights, bias, .. }) = &draft.steps[1].stage
            else {
                panic!("dense");
            };
            assert_eq!(weights.row(0), array![0.0, 0.0]);
            assert!((-1.2..-0.05).contains(&bias[0]), "{}", bias[0]);
        }
    }

    #[test]
    fn what_may_change_stays() {
        let middle = dense(array![[3e-8, -3e-8], [1.0, -0.5]], array![-3e-8, 0.5]);
        let steps = settled(middle, dense(array![[5.0, 1.0]], array![0.25]));
        let Stage::Operation(Operation::Dense { weights, bias, .. }) = &steps[1].stage else {
            panic!("dense");
        };
        // In front of a sign both channels get one scale.
        assert_eq!(*weights, array![[1.0, -1.0], [1.0, -0.5]]);
        assert_eq!(*bias, array![-1.0, 0.5]);
        let Stage::Operation(Operation::Dense { weights, .. }) = &steps[3].stage else {
            panic!("dense");
        };
        assert_eq!(*weights, array![[5.0, 1.0]]);
    }

    #[test]
    fn functions_bound_what_they_make() {
        let clip = Function::Clip(Clip {
            low: -2.0,
            high: 3.0,
        });
        assert_eq!(through(&clip, ANYTHING), (-2.0, 3.0));
        assert_eq!(through(&Function::Relu, ANYTHING), (0.0, f64::INFINITY));
        assert_eq!(through(&Function::Tanh, ANYTHING), (-1.0, 1.0));
        assert_eq!(through(&Function::HardSwish, (0.0, 1.0)), ANYTHING);
        // A polynomial has no value at infinity, but the sign of any number is one or minus one.
        let Operation::Activation(sign) = sign() else {
            panic!("a function");
        };
        let line = crate::import::lower::expression::line(2.0, -1.0);
        let sign_of_line = Function::Chain(vec![line, sign]);
        assert_eq!(through(&sign_of_line, ANYTHING), (-1.0, 1.0));
        let twice = Function::Sum(vec![sign_of_line.clone(), sign_of_line]);
        assert_eq!(through(&twice, ANYTHING), (-2.0, 2.0));
        let reach = sum(1.0, [(2.0, (-1.0, 3.0)), (0.0, ANYTHING)].into_iter());
        assert!((reach.0 + 1.0).abs() < 1e-4 && (reach.1 - 7.0).abs() < 1e-4);
        assert_eq!(sum(1.0, [(0.0, ANYTHING)].into_iter()), (1.0, 1.0));
    }

    /// Returns the weights and biases of a convolution of single elements, once what is constant in
    /// its input is folded away.
    fn folded(
        weights: [[f32; 2]; 2],
        padding: usize,
        groups: usize,
        inputs: &[Reach],
    ) -> (Vec<f32>, Array1<f32>) {
        let channels = 2 / groups;
        let kernels = Array4::from_shape_fn((2, channels, 1, 1), |(output, channel, _, _)| {
            weights[output][channel]
        });
        let mut step = step(
            &[0],
            &[2, 3, 3],
            conv(kernels, array![0.5, 0.25], padding, groups),
        );
        fold_constants(&mut step, inputs);
        let Stage::Operation(Operation::Conv2d { weights, bias, .. }) = step.stage else {
            panic!("a convolution");
        };
        (weights.iter().copied().collect(), bias)
    }

    #[test]
    fn a_constant_channel_goes_into_the_bias_unless_zeros_lie_around_it() {
        let weights = [[3.0, 5.0], [7.0, 11.0]];
        let inputs = [(2.0, 2.0), (0.0, 1.0)];
        // 0.5 + 3·2 and 0.25 + 7·2.
        let expected = (vec![0.0, 5.0, 0.0, 11.0], array![6.5, 14.25]);
        assert_eq!(folded(weights, 0, 1, &inputs), expected);
        let unchanged = (vec![3.0, 5.0, 7.0, 11.0], array![0.5, 0.25]);
        assert_eq!(folded(weights, 1, 1, &inputs), unchanged);
        // A channel of zeros is what lies around it.
        let zero = [(0.0, 0.0), (0.0, 1.0)];
        let expected = (vec![0.0, 5.0, 0.0, 11.0], array![0.5, 0.25]);
        assert_eq!(folded(weights, 1, 1, &zero), expected);
    }

    #[test]
    fn each_group_reads_channels_of_its_own() {
        let inputs = [(0.0, 1.0), (2.0, 2.0)];
        // The second output alone reads the constant channel: 0.25 + 7·2.
        let expected = (vec![3.0, 0.0], array![0.5, 14.25]);
        assert_eq!(folded([[3.0, 0.0], [7.0, 0.0]], 0, 2, &inputs), expected);
    }

    #[test]
    fn padding_brings_zero_within_reach() {
        let near = |(low, high): Reach, expected: Reach| {
            (low - expected.0).abs() < 1e-4 && (high - expected.1).abs() < 1e-4
        };
        let inputs = [vec![(1.0, 2.0)]];
        for (padding, expected) in [(0, (3.0, 6.0)), (1, (0.0, 6.0))] {
            let kernel = Array4::from_elem((1, 1, 1, 1), 3.0);
            let step = step(&[0], &[1, 3, 3], conv(kernel, array![0.0], padding, 1));
            let found = reach(&step, &inputs, &[1, 3, 3])[0];
            assert!(near(found, expected), "{padding}: {found:?}");
        }
        let flatten = step(&[0], &[4], Operation::Flatten);
        let inputs = [vec![(0.0, 1.0), (2.0, 3.0)]];
        let expected = [(0.0, 1.0), (0.0, 1.0), (2.0, 3.0), (2.0, 3.0)];
        assert_eq!(reach(&flatten, &inputs, &[2, 1, 2]), expected);
    }
}

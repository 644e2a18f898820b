//! Makes the network out of the draft: the order of the layers, the residual blocks, the names.

use super::draft::{NetworkDraft, Stage, Step};
use super::names;
use crate::core::foreign::quoted;
use crate::import::fault::{Outcome, invalid};
use crate::import::network::{InputPart, Layer, Network, Operation, Tail, WeightQuantisation};

/// Returns the network of a draft whose steps are all operations and whose last is the output.
pub fn finish(
    draft: NetworkDraft,
    input_parts: Vec<InputPart>,
    tail: Tail,
    classes: Option<Vec<i64>>,
) -> Network {
    let blocks = blocks(&draft.steps);
    let order = order(&draft.steps, &blocks);
    let names = block_names(&draft.steps, &blocks);
    let mut places = vec![0; draft.steps.len() + 1];
    for (place, &index) in order.iter().enumerate() {
        places[index + 1] = place + 1;
    }
    let mut steps: Vec<Option<Step>> = draft.steps.into_iter().map(Some).collect();
    let mut layers: Vec<Layer> = Vec::with_capacity(order.len());
    for index in order {
        let Some(step) = steps[index].take() else {
            continue;
        };
        let Stage::Operation(mut operation) = step.stage else {
            continue;
        };
        count_bits(&mut operation);
        layers.push(Layer {
            name: step.name.unwrap_or_default(),
            inputs: step.inputs.iter().map(|&input| places[input]).collect(),
            shape: step.shape,
            block: names[index].clone(),
            is_pinned: step.is_pinned,
            operation,
        });
    }
    names::settle(&mut layers);
    let mut notes = draft.notes;
    notes.extend(pinned_note(&draft.pinned));
    Network {
        input_shape: draft.input_shape,
        input_parts,
        layers,
        tail,
        classes,
        notes,
    }
}

/// Returns a sentence on the operators without an encrypted form, each with the first reason for it.
fn pinned_note(pinned: &[(String, String)]) -> Option<String> {
    let mut named: Vec<(&str, &str, usize)> = Vec::new();
    for (operator, reason) in pinned {
        match named.iter_mut().find(|(name, _, _)| name == operator) {
            Some((_, _, count)) => *count += 1,
            None => named.push((operator, reason, 1)),
        }
    }
    let each = named.iter().map(|(operator, reason, count)| match count {
        1 => format!("{operator} ({reason})"),
        _ => format!("{count} of {operator} (the first: {reason})"),
    });
    let each: Vec<String> = each.collect();
    (!each.is_empty()).then(|| {
        format!(
            "pinned to the client, without an encrypted form: {}",
            each.join(", ")
        )
    })
}

/// Returns the number of the residual block of each step, from 1 on.
///
/// A block is what lies between two values that everything passes through, and more than one way
/// leads from one to the other: value `v` is such a one where no step after it reads a value
/// before it. One that holds a step of the client alone would be the client's as a whole, and is none.
fn blocks(steps: &[Step]) -> Vec<Option<usize>> {
    let mut last_read = vec![0; steps.len() + 1];
    for (index, step) in steps.iter().enumerate() {
        for &input in &step.inputs {
            last_read[input] = index + 1;
        }
    }
    let mut blocks = vec![None; steps.len()];
    let mut count = 0;
    // The furthest value that is made from one before `value`.
    let mut reach = last_read[0];
    let mut start = 0;
    for value in 1..=steps.len() {
        if reach <= value {
            // The values between `start` and `value` and `value` itself.
            let is_free = steps[start..value].iter().all(|step| !step.is_pinned);
            if is_free && value - start > 1 {
                count += 1;
                blocks[start..value].fill(Some(count));
            } else if is_free && start > 0 && is_tail_of_block(steps, value, &blocks) {
                blocks[value - 1] = Some(count);
            }
            start = value;
        }
        reach = reach.max(last_read[value]);
    }
    blocks
}

/// Returns the name of the block of each step: of residual blocks by number, and around them `stem`
/// and `head`, where these have one layer with weights each.
fn block_names(steps: &[Step], blocks: &[Option<usize>]) -> Vec<Option<String>> {
    let number = |block: &Option<usize>| block.map(|number| format!("block{number}"));
    let mut names: Vec<Option<String>> = blocks.iter().map(number).collect();
    let is_residual = |block: &Option<usize>| block.is_some();
    let first = blocks.iter().position(is_residual);
    let last = blocks.iter().rposition(is_residual);
    if let (Some(first), Some(last)) = (first, last) {
        for (range, name) in [(0..first, "stem"), (last + 1..steps.len(), "head")] {
            let weighted = steps[range.clone()].iter().filter(|step| has_weights(step));
            if weighted.count() == 1 {
                names[range].fill(Some(name.into()));
            }
        }
    }
    names
}

fn has_weights(step: &Step) -> bool {
    let Stage::Operation(operation) = &step.stage else {
        return false;
    };
    matches!(
        operation,
        Operation::Dense { .. } | Operation::Conv2d { .. } | Operation::Linear { fixed: false, .. }
    )
}

/// Returns whether a value is the activation right after the addition that ends a block.
fn is_tail_of_block(steps: &[Step], value: usize, blocks: &[Option<usize>]) -> bool {
    let (step, before) = (&steps[value - 1], &steps[value - 2]);
    matches!(step.stage, Stage::Operation(Operation::Activation(_)))
        && matches!(before.stage, Stage::Operation(Operation::Add))
        && blocks[value - 2].is_some()
}

/// Returns the steps in the order of the network: as in the draft, but within a block the longer
/// branch first.
fn order(steps: &[Step], blocks: &[Option<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(steps.len());
    let mut start = 0;
    while start < steps.len() {
        let same = |index: &usize| blocks[*index].is_some() && blocks[*index] == blocks[start];
        let end = (start..steps.len())
            .take_while(same)
            .last()
            .map_or(start + 1, |last| last + 1);
        let branch = main_branch(steps, start, end);
        order.extend((start..end).filter(|index| branch[index - start]));
        order.extend((start..end).filter(|index| !branch[index - start]));
        start = end;
    }
    order
}

/// Returns for each step of a block whether it belongs to the branch with more steps, out of the
/// two that its last addition joins.
fn main_branch(steps: &[Step], start: usize, end: usize) -> Vec<bool> {
    let is_add = |index: &usize| matches!(steps[*index].stage, Stage::Operation(Operation::Add));
    let none = vec![false; end - start];
    if end - start == 1 {
        return none;
    }
    let Some(last) = (start..end).rev().find(is_add) else {
        return none;
    };
    let branch = |value: usize| {
        let mut members = none.clone();
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            if value > start && value <= end && !members[value - 1 - start] {
                members[value - 1 - start] = true;
                open.extend(&steps[value - 1].inputs);
            }
        }
        members
    };
    let size = |members: &Vec<bool>| members.iter().filter(|&&member| member).count();
    let branches = steps[last].inputs.iter().map(|&value| branch(value));
    branches.rev().max_by_key(size).unwrap_or(none)
}

/// Sets the bits of quantised weights to what their integers take.
fn count_bits(operation: &mut Operation) {
    let (numbers, quantisation): (Vec<f32>, _) = match operation {
        Operation::Dense {
            weights,
            quantisation: Some(quantisation),
            ..
        } => (weights.iter().copied().collect(), quantisation),
        Operation::Conv2d {
            weights,
            quantisation: Some(quantisation),
            ..
        } => (weights.iter().copied().collect(), quantisation),
        _ => return,
    };
    let row = numbers.len() / quantisation.scale.len().max(1);
    let integers = numbers
        .chunks(row.max(1))
        .zip(&quantisation.scale)
        .flat_map(|(row, scale)| row.iter().map(move |weight| weight / scale));
    // b bits hold -2^(b - 1) to 2^(b - 1) - 1; at least 2, so that there is a positive one.
    let magnitude = |integer: f32| {
        let integer = integer.round() as i64;
        if integer < 0 { !integer } else { integer }
    };
    let largest = integers.map(magnitude).max().unwrap_or(0);
    quantisation.bits = (u64::BITS - largest.leading_zeros() + 1).max(2);
}

/// Checks that no weight became infinite on the way.
///
/// # Errors
///
/// A sentence with the layer.
pub fn check_numbers(network: &Network) -> Outcome<()> {
    for layer in &network.layers {
        if !is_finite(&layer.operation) {
            let reason = format!(
                "layer {} has weights that are not finite",
                quoted(&layer.name)
            );
            return invalid(reason);
        }
    }
    Ok(())
}

/// Returns whether all numbers of an operation are finite, and its scales above zero.
fn is_finite(operation: &Operation) -> bool {
    let finite = |number: &f32| number.is_finite();
    let positive = |quantisation: &Option<WeightQuantisation>| {
        quantisation
            .iter()
            .flat_map(|quantisation| &quantisation.scale)
            .all(|scale| scale.is_finite() && *scale > 0.0)
    };
    match operation {
        Operation::Dense {
            weights,
            bias,
            quantisation,
        } => weights.iter().all(finite) && bias.iter().all(finite) && positive(quantisation),
        Operation::Conv2d {
            weights,
            bias,
            quantisation,
            ..
        } => weights.iter().all(finite) && bias.iter().all(finite) && positive(quantisation),
        Operation::Activation(function) => function.check().is_ok(),
        Operation::Linear { map, bias, .. } => {
            let weights = map.blocks.iter().flat_map(|block| block.weights.iter());
            bias.iter().chain(weights).all(finite)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::lower::fixture::{dense, step};
    use crate::model::layer::Function;
    use ndarray::array;

    fn layer() -> Operation {
        dense(array![[1.0]], array![0.0])
    }

    fn relu() -> Operation {
        Operation::Activation(Function::Relu)
    }

    #[test]
    fn a_block_lies_between_values_that_everything_passes() {
        let steps = [
            step(&[0], &[1], layer()),
            step(&[1], &[1], relu()),
            step(&[2], &[1], layer()),
            step(&[3, 2], &[1], Operation::Add),
            // The activation right after an addition belongs to its block.
            step(&[4], &[1], relu()),
            step(&[5], &[1], layer()),
        ];
        let blocks = blocks(&steps);
        assert_eq!(blocks, [None, None, Some(1), Some(1), Some(1), None]);
        let names = block_names(&steps, &blocks);
        let names: Vec<_> = names.iter().flatten().map(String::as_str).collect();
        assert_eq!(
            names,
            ["stem", "stem", "block1", "block1", "block1", "head"]
        );
    }

    #[test]
    fn the_longer_branch_of_a_block_comes_first() {
        let steps = [
            step(&[0], &[1], relu()),
            // The short branch.
            step(&[1], &[1], layer()),
            step(&[1], &[1], layer()),
            step(&[3], &[1], relu()),
            step(&[2, 4], &[1], Operation::Add),
        ];
        let blocks = blocks(&steps);
        assert_eq!(blocks, [None, Some(1), Some(1), Some(1), Some(1)]);
        assert_eq!(order(&steps, &blocks), [0, 2, 3, 1, 4]);
    }

    #[test]
    fn quantised_weights_have_the_bits_that_their_integers_take() {
        for (weights, expected) in [
            // -8 to 7, in steps of a half.
            (array![[-4.0, 3.5]], 4),
            (array![[4.0, 0.0]], 5),
            (array![[0.0, -0.5]], 2),
        ] {
            let mut operation = Operation::Dense {
                weights,
                bias: array![0.0],
                quantisation: Some(WeightQuantisation {
                    bits: 8,
                    scale: vec![0.5],
                }),
            };
            count_bits(&mut operation);
            let Operation::Dense { quantisation, .. } = operation else {
                panic!("dense");
            };
            assert_eq!(quantisation.unwrap().bits, expected);
        }
    }

    #[test]
    fn weights_and_their_scales_are_finite() {
        assert!(is_finite(&layer()));
        assert!(!is_finite(&dense(array![[f32::NAN]], array![0.0])));
        assert!(!is_finite(&dense(array![[1.0]], array![f32::INFINITY])));
        let scaled = |scale: f32| Operation::Dense {
            weights: array![[1.0]],
            bias: array![0.0],
            quantisation: Some(WeightQuantisation {
                bits: 2,
                scale: vec![scale],
            }),
        };
        assert!(is_finite(&scaled(0.5)) && !is_finite(&scaled(0.0)));
    }
}

//! Passes over the finished draft: diagonals are merged into the linear layer that follows, and a
//! max pool follows an activation, because under encryption it compares numbers that a look-up
//! made.

use ndarray::{Array1, Array2, Array4, Axis};

use super::dead;
use super::draft::{Diagonal, NetworkDraft, Stage, Step};
use super::maps::{element_wise, scaled, selection};
use super::pins;
use crate::core::linear_map::{Block, PADDING};
use crate::import::network::{Operation, WeightQuantisation};
use crate::model::layer::Function;

/// The longest diagonal on a list that becomes a dense layer.
const MOST_DENSE: usize = 2048;

/// Returns the draft ready to become a network, its last step the output; `output` is the value
/// that the file gives back.
pub fn rewrite(mut draft: NetworkDraft, output: usize) -> NetworkDraft {
    keep_needed(&mut draft, output);
    merge_picks(&mut draft);
    let last = draft.steps.len();
    keep_needed(&mut draft, last);
    merge_diagonals(&mut draft);
    let last = draft.steps.len();
    keep_needed(&mut draft, last);
    pins::mark(&mut draft);
    for index in 0..draft.steps.len() {
        let inputs = draft.shape(draft.steps[index].inputs[0]).iter().product();
        let step = &mut draft.steps[index];
        match &step.stage {
            Stage::Operation(_) => {}
            Stage::Diagonal(diagonal) => {
                step.stage = Stage::Operation(as_layer(diagonal, &step.shape));
            }
            Stage::Pick(picks) => step.stage = Stage::Operation(picking_layer(picks, inputs)),
        }
    }
    dead::settle(&mut draft);
    put_copies_last(&mut draft);
    put_activations_first(&mut draft);
    insert_identities(&mut draft);
    pins::settle(&mut draft);
    draft
}

/// Drops the steps that the output does not depend on; the output becomes the last.
fn keep_needed(draft: &mut NetworkDraft, output: usize) {
    let mut needed = vec![false; draft.steps.len() + 1];
    needed[output] = true;
    for index in (0..draft.steps.len()).rev() {
        if needed[index + 1] {
            for &input in &draft.steps[index].inputs {
                needed[input] = true;
            }
        }
    }
    let mut places = vec![0; draft.steps.len() + 1];
    let mut kept = Vec::new();
    for (index, mut step) in std::mem::take(&mut draft.steps).into_iter().enumerate() {
        if needed[index + 1] {
            step.inputs
                .iter_mut()
                .for_each(|input| *input = places[*input]);
            kept.push(step);
            places[index + 1] = kept.len();
        }
    }
    draft.steps = kept;
}

/// Merges each pick into the pick or the dense layer that it alone reads, or into the dense layer that
/// alone reads it.
fn merge_picks(draft: &mut NetworkDraft) {
    let readers = draft.readers();
    for index in 0..draft.steps.len() {
        let Stage::Pick(picks) = draft.steps[index].stage.clone() else {
            continue;
        };
        let source = draft.steps[index].inputs[0];
        let maker = source
            .checked_sub(1)
            .map(|maker| draft.steps[maker].clone());
        let are_lists = draft.shape(source).len() == 1 && draft.steps[index].shape.len() == 1;
        let is_of_list = are_lists && !picks.contains(&PADDING);
        if let (Some(maker), [_]) = (&maker, &readers[source][..])
            && let Stage::Pick(before) = &maker.stage
        {
            let place = |&pick: &u32| before.get(pick as usize).copied().unwrap_or(PADDING);
            let step = &mut draft.steps[index];
            step.stage = Stage::Pick(picks.iter().map(place).collect());
            step.inputs.clone_from(&maker.inputs);
        } else if let (Some(maker), [_], true) = (maker, &readers[source][..], is_of_list)
            && let Some(operation) = rows_picked(&maker.stage, &picks)
        {
            let step = &mut draft.steps[index];
            step.stage = Stage::Operation(operation);
            step.inputs = maker.inputs;
            step.name = maker.name;
        } else if let ([reader], true) = (&readers[index + 1][..], is_of_list) {
            let count = draft.shape(source)[0];
            let reader = &mut draft.steps[*reader];
            if let Stage::Operation(Operation::Dense { weights, .. }) = &mut reader.stage {
                let mut wide = Array2::zeros((weights.nrows(), count));
                for (column, &pick) in weights.columns().into_iter().zip(&picks) {
                    let mut sum = wide.column_mut(pick as usize);
                    sum += &column;
                }
                *weights = wide;
                reader.inputs = vec![source];
            }
        }
    }
}

/// Returns the dense layer that makes only the outputs picked, if a stage is one.
fn rows_picked(stage: &Stage, picks: &[u32]) -> Option<Operation> {
    let Stage::Operation(Operation::Dense {
        weights,
        bias,
        quantisation,
    }) = stage
    else {
        return None;
    };
    let rows: Vec<usize> = picks.iter().map(|&pick| pick as usize).collect();
    let scales = |own: &WeightQuantisation| WeightQuantisation {
        bits: own.bits,
        scale: rows.iter().map(|&row| own.scale[row]).collect(),
    };
    Some(Operation::Dense {
        weights: weights.select(Axis(0), &rows),
        bias: bias.select(Axis(0), &rows),
        quantisation: quantisation.as_ref().map(scales),
    })
}

/// Returns the layer that a pick is.
fn picking_layer(picks: &[u32], inputs: usize) -> Operation {
    Operation::Linear {
        map: selection(picks, inputs),
        bias: vec![0.0; picks.len()],
        fixed: true,
    }
}

/// Merges each diagonal into the one step that reads it, where that is linear.
fn merge_diagonals(draft: &mut NetworkDraft) {
    let readers = draft.readers();
    for index in 0..draft.steps.len() {
        let Stage::Diagonal(diagonal) = &draft.steps[index].stage else {
            continue;
        };
        let [mut reader] = readers[index + 1][..] else {
            continue;
        };
        let run: usize = draft.steps[index].shape[1..].iter().product();
        let is_flatten = matches!(
            draft.steps[reader].stage,
            Stage::Operation(Operation::Flatten)
        );
        let entry = reader;
        if is_flatten {
            let [next] = readers[reader + 1][..] else {
                continue;
            };
            reader = next;
        }
        let diagonal = diagonal.clone();
        if merge(&diagonal, &mut draft.steps[reader].stage, run) {
            let source = draft.steps[index].inputs[0];
            for input in &mut draft.steps[entry].inputs {
                if *input == index + 1 {
                    *input = source;
                }
            }
        }
    }
}

/// Merges a diagonal, whose numbers each stand for `run` elements, into what follows; returns
/// whether it could.
fn merge(diagonal: &Diagonal, stage: &mut Stage, run: usize) -> bool {
    match stage {
        Stage::Diagonal(next) if next.scale.len() == diagonal.scale.len() => {
            *next = diagonal.then(next);
        }
        Stage::Operation(Operation::Dense {
            weights,
            bias,
            quantisation,
        }) => {
            if quantisation.is_some() && !keeps_integers(diagonal) {
                return false;
            }
            scale_columns(weights, bias, diagonal, run);
            scale_steps(quantisation, diagonal.scale[0]);
        }
        Stage::Operation(Operation::Conv2d {
            weights,
            bias,
            padding,
            groups,
            quantisation,
            ..
        }) => {
            let has_offset = diagonal.offset.iter().any(|&offset| offset != 0.0);
            // Padding is zero before the diagonal, but would have to be its offset after.
            if has_offset && *padding != [0; 4]
                || quantisation.is_some() && !keeps_integers(diagonal)
            {
                return false;
            }
            scale_channels(weights, bias, diagonal, *groups);
            scale_steps(quantisation, diagonal.scale[0]);
        }
        Stage::Operation(Operation::Linear {
            map,
            bias,
            fixed: false,
        }) => {
            let offset = |element: usize| diagonal.offset[element / run];
            let added = map.apply_to(
                &(0..map.input_count)
                    .map(|e| offset(e).into())
                    .collect::<Vec<f64>>(),
            );
            for (bias, added) in bias.iter_mut().zip(added) {
                *bias += added as f32;
            }
            *map = scaled(map, |_| 1.0, |element| diagonal.scale[element / run]);
        }
        _ => return false,
    }
    true
}

/// Returns whether quantised weights stay integers times a step, one for each output.
fn keeps_integers(diagonal: &Diagonal) -> bool {
    let first = diagonal.scale[0];
    first != 0.0 && diagonal.scale.iter().all(|&scale| scale == first)
}

/// Puts a diagonal, whose numbers each stand for `run` elements, before a matrix.
fn scale_columns(
    weights: &mut Array2<f32>,
    bias: &mut Array1<f32>,
    diagonal: &Diagonal,
    run: usize,
) {
    for (mut row, bias) in weights.outer_iter_mut().zip(bias) {
        for (column, weight) in row.iter_mut().enumerate() {
            *bias += *weight * diagonal.offset[column / run];
            *weight *= diagonal.scale[column / run];
        }
    }
}

/// Puts a diagonal before the kernels of a convolution.
fn scale_channels(
    weights: &mut Array4<f32>,
    bias: &mut Array1<f32>,
    diagonal: &Diagonal,
    groups: usize,
) {
    let (outputs, in_channels) = (weights.dim().0, weights.dim().1);
    let outputs_per_group = outputs / groups;
    for (output, (mut kernels, bias)) in weights.outer_iter_mut().zip(bias).enumerate() {
        for (channel, mut kernel) in kernels.outer_iter_mut().enumerate() {
            let source = output / outputs_per_group * in_channels + channel;
            *bias += kernel.sum() * diagonal.offset[source];
            kernel.mapv_inplace(|weight| weight * diagonal.scale[source]);
        }
    }
}

/// Scales the steps that quantised weights are multiples of.
fn scale_steps(quantisation: &mut Option<WeightQuantisation>, factor: f32) {
    if let Some(WeightQuantisation { scale, .. }) = quantisation {
        scale.iter_mut().for_each(|step| *step *= factor.abs());
    }
}

/// Returns the layer that a diagonal is: a convolution of each channel, or a dense layer.
fn as_layer(diagonal: &Diagonal, shape: &[usize]) -> Operation {
    let count = diagonal.scale.len();
    let bias = Array1::from(diagonal.offset.clone());
    if shape.len() == 3 {
        let mut weights = Array4::zeros((count, 1, 1, 1));
        weights
            .iter_mut()
            .zip(&diagonal.scale)
            .for_each(|(weight, &scale)| *weight = scale);
        return Operation::Conv2d {
            weights,
            bias,
            stride: [1, 1],
            padding: [0; 4],
            groups: count,
            quantisation: None,
        };
    }
    if count > MOST_DENSE {
        return Operation::Linear {
            map: element_wise(&diagonal.scale),
            bias: diagonal.offset.clone(),
            fixed: false,
        };
    }
    Operation::Dense {
        weights: Array2::from_diag(&Array1::from(diagonal.scale.clone())),
        bias,
        quantisation: None,
    }
}

fn is_pool(step: &Step) -> bool {
    let Stage::Operation(operation) = &step.stage else {
        return false;
    };
    matches!(
        operation,
        Operation::MaxPool { .. } | Operation::Largest { .. }
    )
}

fn activation(step: &Step) -> Option<&Function> {
    match &step.stage {
        Stage::Operation(Operation::Activation(function)) => Some(function),
        _ => None,
    }
}

/// Returns whether a max pool may read this value as it is.
fn is_ready(steps: &[Step], value: usize) -> bool {
    let mut maker = value.checked_sub(1).map(|index| &steps[index]);
    // Another shape holds the same numbers.
    while let Some(Stage::Operation(Operation::Reshape | Operation::Flatten)) =
        maker.map(|step| &step.stage)
    {
        let before = maker.and_then(|step| step.inputs[0].checked_sub(1));
        maker = before.map(|index| &steps[index]);
    }
    maker.is_some_and(|step| is_pool(step) || activation(step).is_some())
}

/// Returns whether a step copies elements and leaves none of them out, so that a function of each costs no
/// more before it than after; zeros between them stay what they are where `keeps_zero`.
fn is_copy(step: &Step, keeps_zero: bool) -> bool {
    let Stage::Operation(Operation::Linear {
        map,
        bias,
        fixed: true,
    }) = &step.stage
    else {
        return false;
    };
    let is_one = |block: &Block<f32>| {
        *block.weights == [1.0] && (keeps_zero || !block.inputs.contains(&PADDING))
    };
    map.input_count <= map.output_count
        && map.blocks.iter().all(is_one)
        && bias.iter().all(|&bias| bias == 0.0)
}

/// Swaps each copy of elements with the activation that alone reads it: what is enlarged is looked up
/// before.
fn put_copies_last(draft: &mut NetworkDraft) {
    let readers = draft.readers();
    for copy in (0..draft.steps.len()).rev() {
        let [reader] = readers[copy + 1][..] else {
            continue;
        };
        let Some(function) = activation(&draft.steps[reader]) else {
            continue;
        };
        if !is_copy(&draft.steps[copy], function.value(0.0) == 0.0) {
            continue;
        }
        let source = draft.steps[copy].inputs[0];
        draft.steps.swap(copy, reader);
        draft.steps[reader].inputs = vec![copy + 1];
        draft.steps[copy].inputs = vec![source];
        draft.steps[copy].shape = draft.shape(source).to_vec();
    }
}

/// Swaps each max pool that does not follow an activation with the monotone activation that reads
/// it: the largest element stays the largest.
fn put_activations_first(draft: &mut NetworkDraft) {
    let readers = draft.readers();
    for pool in 0..draft.steps.len() {
        let [reader] = readers[pool + 1][..] else {
            continue;
        };
        let source = draft.steps[pool].inputs[0];
        let is_swappable = is_pool(&draft.steps[pool])
            && !is_ready(&draft.steps, source)
            && activation(&draft.steps[reader]).is_some_and(Function::is_monotone);
        if !is_swappable {
            continue;
        }
        // Whoever read the activation reads the pool in its place.
        draft.steps.swap(pool, reader);
        draft.steps[reader].inputs = vec![pool + 1];
        draft.steps[pool].inputs = vec![source];
        draft.steps[pool].shape = draft.shape(source).to_vec();
        let name = draft.steps[pool]
            .name
            .clone()
            .unwrap_or_else(|| "an activation".into());
        let note = "was put before the max pool that it followed, which gives the same numbers";
        draft.notes.push(format!("Layer {name} {note}."));
    }
}

/// Puts an activation that does nothing before each max pool that follows none.
fn insert_identities(draft: &mut NetworkDraft) {
    let old = std::mem::take(&mut draft.steps);
    let mut places = vec![0; old.len() + 1];
    for (index, mut step) in old.into_iter().enumerate() {
        step.inputs
            .iter_mut()
            .for_each(|input| *input = places[*input]);
        if is_pool(&step) && !is_ready(&draft.steps, step.inputs[0]) {
            let shape = draft.shape(step.inputs[0]).to_vec();
            let name = step.name.clone().unwrap_or_else(|| "a max pool".into());
            draft.steps.push(Step {
                name: None,
                inputs: step.inputs,
                shape,
                is_pinned: false,
                stage: Stage::Operation(Operation::Activation(Function::Identity)),
            });
            step.inputs = vec![draft.steps.len()];
            let note = "has an activation before it that changes nothing but rounds to look-ups";
            draft.notes.push(format!("Layer {name} {note}."));
        }
        draft.steps.push(step);
        places[index + 1] = draft.steps.len();
    }
}

#[cfg(test)]
mod tests;

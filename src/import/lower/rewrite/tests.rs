//! Each pass on drafts of a few steps.

use super::*;
use crate::import::lower::fixture::{conv, dense, draft, max_pool, staged, step};
use ndarray::array;

/// Returns the weights and biases of a dense step.
fn numbers(step: &Step) -> (Array2<f32>, Array1<f32>) {
    match &step.stage {
        Stage::Operation(Operation::Dense { weights, bias, .. }) => (weights.clone(), bias.clone()),
        other => panic!("{other:?} is no dense layer"),
    }
}

fn relu() -> Operation {
    Operation::Activation(Function::Relu)
}

/// Returns a convolution of one channel that does nothing.
fn same() -> Operation {
    conv(Array4::ones((1, 1, 1, 1)), array![0.0], 0, 1)
}

#[test]
fn what_the_output_does_not_need_is_dropped() {
    let steps = vec![
        step(&[0], &[2], relu()),
        step(&[0], &[2], relu()),
        step(&[2], &[2], relu()),
        step(&[3], &[2], relu()),
    ];
    let done = rewrite(draft(&[2], steps), 3);
    let inputs: Vec<_> = done.steps.iter().map(|step| step.inputs.clone()).collect();
    assert_eq!(inputs, [[0], [1]]);
}

#[test]
fn a_pick_takes_rows_of_the_layer_before_it() {
    let weights = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
    let steps = vec![
        step(&[0], &[3], dense(weights, array![0.1, 0.2, 0.3])),
        staged(&[1], &[2], Stage::Pick(vec![2, 0])),
    ];
    let done = rewrite(draft(&[2], steps), 2);
    assert_eq!(done.steps.len(), 1);
    let expected = (array![[5.0, 6.0], [1.0, 2.0]], array![0.3, 0.1]);
    assert_eq!(numbers(&done.steps[0]), expected);
}

#[test]
fn a_pick_behind_a_function_takes_columns_of_the_layer_after_it() {
    let steps = vec![
        step(&[0], &[3], relu()),
        staged(&[1], &[2], Stage::Pick(vec![2, 0])),
        step(&[2], &[1], dense(array![[10.0, 20.0]], array![0.5])),
    ];
    let done = rewrite(draft(&[3], steps), 3);
    assert_eq!(done.steps.len(), 2);
    let expected = (array![[20.0, 0.0, 10.0]], array![0.5]);
    assert_eq!(numbers(&done.steps[1]), expected);
}

#[test]
fn a_pick_between_functions_is_a_layer() {
    let steps = vec![
        step(&[0], &[3], relu()),
        staged(&[1], &[2], Stage::Pick(vec![2, 0])),
        step(&[2], &[2], relu()),
    ];
    let done = rewrite(draft(&[3], steps), 3);
    let Stage::Operation(Operation::Linear {
        map, fixed: true, ..
    }) = &done.steps[1].stage
    else {
        panic!("{:?}", done.steps[1].stage);
    };
    assert_eq!(map.apply_to(&[1.0, 2.0, 3.0]), [3.0, 1.0]);
}

#[test]
fn picks_in_a_row_are_one_and_keep_zeros() {
    let steps = vec![
        step(&[0], &[3], relu()),
        staged(&[1], &[3], Stage::Pick(vec![2, PADDING, 0])),
        staged(&[2], &[2], Stage::Pick(vec![1, 0])),
    ];
    let done = rewrite(draft(&[3], steps), 3);
    assert_eq!(done.steps.len(), 2);
    let Stage::Operation(Operation::Linear { map, .. }) = &done.steps[1].stage else {
        panic!("{:?}", done.steps[1].stage);
    };
    assert_eq!(map.apply_to(&[1.0, 2.0, 3.0]), [0.0, 3.0]);
}

#[test]
fn a_diagonal_goes_into_the_layer_that_reads_it() {
    let diagonal = Diagonal {
        scale: vec![2.0, 3.0],
        offset: vec![1.0, -1.0],
    };
    let steps = vec![
        staged(&[0], &[2], Stage::Diagonal(diagonal)),
        step(&[1], &[1], dense(array![[1.0, 10.0]], array![0.5])),
    ];
    let done = rewrite(draft(&[2], steps), 2);
    assert_eq!(done.steps.len(), 1);
    // 1·(2a + 1) + 10·(3b - 1) + 0.5.
    let expected = (array![[2.0, 30.0]], array![-8.5]);
    assert_eq!(numbers(&done.steps[0]), expected);
}

#[test]
fn a_channel_stands_for_all_its_elements_in_a_flat_layer() {
    let diagonal = Diagonal {
        scale: vec![2.0, 3.0],
        offset: vec![0.0, 1.0],
    };
    let (mut weights, mut bias) = (array![[1.0, 2.0, 3.0, 4.0]], array![0.0]);
    scale_columns(&mut weights, &mut bias, &diagonal, 2);
    // The second channel adds 3 + 4.
    assert_eq!(
        (weights, bias),
        (array![[2.0, 4.0, 9.0, 12.0]], array![7.0])
    );
}

#[test]
fn an_offset_stays_before_padding() {
    for (offset, layers) in [(1.0, 2), (0.0, 1)] {
        let diagonal = Diagonal {
            scale: vec![2.0],
            offset: vec![offset],
        };
        let padded = conv(Array4::ones((1, 1, 3, 3)), array![0.0], 1, 1);
        let steps = vec![
            staged(&[0], &[1, 2, 2], Stage::Diagonal(diagonal)),
            step(&[1], &[1, 2, 2], padded),
        ];
        let done = rewrite(draft(&[1, 2, 2], steps), 2);
        assert_eq!(done.steps.len(), layers, "{offset}");
    }
}

#[test]
fn weights_that_are_integers_take_one_factor_alone() {
    let diagonal = |scale: [f32; 2]| Diagonal {
        scale: scale.to_vec(),
        offset: vec![0.0, 0.0],
    };
    assert!(keeps_integers(&diagonal([-2.0, -2.0])));
    assert!(!keeps_integers(&diagonal([2.0, 3.0])));
    assert!(!keeps_integers(&diagonal([0.0, 0.0])));
    let mut stage = Stage::Operation(Operation::Dense {
        weights: array![[1.0, 2.0]],
        bias: array![0.0],
        quantisation: Some(WeightQuantisation {
            bits: 3,
            scale: vec![0.5],
        }),
    });
    assert!(!merge(&diagonal([2.0, 3.0]), &mut stage, 1));
    assert!(merge(&diagonal([-2.0, -2.0]), &mut stage, 1));
    let Stage::Operation(Operation::Dense {
        weights,
        quantisation,
        ..
    }) = stage
    else {
        panic!("dense");
    };
    assert_eq!(weights, array![[-2.0, -4.0]]);
    assert_eq!(quantisation.unwrap().scale, [1.0]);
}

#[test]
fn a_max_pool_follows_an_activation() {
    let pooled = |behind: Vec<Step>| {
        let mut steps = vec![
            step(&[0], &[1, 4, 4], same()),
            step(&[1], &[1, 2, 2], max_pool()),
        ];
        steps.extend(behind);
        let output = steps.len();
        let done = rewrite(draft(&[1, 4, 4], steps), output);
        let kinds: Vec<bool> = done.steps.iter().map(is_pool).collect();
        let shapes: Vec<usize> = done.steps.iter().map(|step| step.shape[1]).collect();
        (kinds, shapes, done.notes.len())
    };
    // What reads the pool is put before it; where nothing does, an identity is.
    let expected = (vec![false, false, true], vec![4, 4, 2], 1);
    assert_eq!(pooled(vec![step(&[2], &[1, 2, 2], relu())]), expected);
    assert_eq!(pooled(vec![]), expected);
}

#[test]
fn what_is_enlarged_is_looked_up_before() {
    let kinds = |picks: Vec<u32>, function: Function| -> Vec<&'static str> {
        let steps = vec![
            step(
                &[0],
                &[2],
                dense(array![[1.0, 2.0], [3.0, 4.0]], array![0.0, 0.0]),
            ),
            staged(&[1], &[3, 1, 1], Stage::Pick(picks)),
            step(&[2], &[3, 1, 1], Operation::Activation(function)),
        ];
        let done = rewrite(draft(&[2], steps), 3);
        let kind = |step: &Step| match &step.stage {
            Stage::Operation(Operation::Activation(_)) => "function",
            Stage::Operation(Operation::Linear { .. }) => "copy",
            _ => "other",
        };
        assert_eq!(done.steps[2].shape, [3, 1, 1]);
        done.steps.iter().map(kind).collect()
    };
    let (before, after) = (["other", "function", "copy"], ["other", "copy", "function"]);
    assert_eq!(kinds(vec![0, 1, 1], Function::Sigmoid), before);
    // The sigmoid of a zero between is none.
    assert_eq!(kinds(vec![0, 1, PADDING], Function::Sigmoid), after);
    assert_eq!(kinds(vec![0, 1, PADDING], Function::Relu), before);
}

//! Combinations of small networks, worked out by hand or node by node.

use super::*;
use crate::circuit::analysis::analyst::fixture::{dense, input, linear as layer, network, relu};
use crate::model::layer::Add;
use proptest::prelude::*;

/// Returns weights column by column.
fn columns(weights: &Weights) -> Vec<Vec<f64>> {
    let count = weights.map.input_count;
    let unit = |one: usize| -> Vec<f64> {
        let entries = (0..count).map(|at| f64::from(u8::from(at == one)));
        entries.collect()
    };
    let columns = (0..count).map(|one| weights.map.apply_to(&unit(one)));
    columns.collect()
}

/// Returns what a value's combination comes to for an input of the segment.
fn value_of(linear: &Linearised<'_>, value: ValueId, input: &[f64]) -> Vec<f64> {
    let Some(made) = linear.get(value) else {
        return input.to_vec();
    };
    let mut sum = made.bias.clone();
    for term in &made.terms {
        let read = value_of(linear, term.value, input);
        let weighed = match &term.weights {
            None => read,
            Some(weights) => weights.map.apply_to(&read),
        };
        sum.iter_mut()
            .zip(weighed)
            .for_each(|(sum, more)| *sum += more);
    }
    sum
}

#[test]
fn layers_in_a_row_are_the_product_of_their_matrices() {
    let first = dense(&[&[1.0, 2.0], &[3.0, 4.0]], &[1.0, -1.0]);
    let second = dense(&[&[2.0, 0.0], &[1.0, 1.0]], &[10.0, 20.0]);
    let model = network(input(2, 1), vec![(vec![0], first), (vec![1], second)]);
    let linear = Linearised::of(&model, &(0..2)).expect("small");
    assert!(linear.get(ValueId::new(1)).is_none(), "nobody reads it");
    let made = linear.get(ValueId::new(2)).expect("the output");
    let (source, weights) = linear
        .weights_on_source(ValueId::new(2))
        .expect("one matrix");
    assert_eq!(
        (source, columns(weights)),
        (ValueId::INPUT, vec![vec![2.0, 4.0], vec![4.0, 6.0]])
    );
    // 2·1 + 10 and 1 - 1 + 20.
    assert_eq!(made.bias, [12.0, 20.0]);
    assert_eq!(made.composed, BTreeSet::from([NodeId::new(0)]));
}

#[test]
fn branches_on_one_value_add_up_and_a_skip_stays_as_it_is() {
    let branch = |weight: f32, bias: f32| dense(&[&[weight]], &[bias]);
    let add = || {
        Operation::Add(Add {
            range: vec![(-9.0, 9.0)],
        })
    };
    let nodes = vec![
        (vec![0], branch(2.0, 1.0)),
        (vec![0], branch(3.0, 5.0)),
        (vec![1, 2], add()),
    ];
    let model = network(input(1, 1), nodes);
    let linear = Linearised::of(&model, &(0..3)).expect("small");
    let (source, weights) = linear
        .weights_on_source(ValueId::new(3))
        .expect("one matrix");
    assert_eq!(
        (source, columns(weights)),
        (ValueId::INPUT, vec![vec![5.0]])
    );
    assert_eq!(linear.bias(ValueId::new(3)), [6.0]);
    assert_eq!(linear.reader_count(ValueId::new(0)), 1);
    let skip = vec![(vec![0], branch(2.0, 1.0)), (vec![1, 0], add())];
    let model = network(input(1, 1), skip);
    let linear = Linearised::of(&model, &(0..2)).expect("small");
    let terms = &linear.get(ValueId::new(2)).expect("the output").terms;
    let weighed: Vec<_> = terms
        .iter()
        .map(|term| (term.value, term.weights.is_some()))
        .collect();
    assert_eq!(weighed, [(ValueId::INPUT, true), (ValueId::INPUT, false)]);
    assert!(linear.weights_on_source(ValueId::new(2)).is_none());
}

#[test]
fn a_correction_counts_behind_look_ups_alone() {
    let corrected = || {
        Operation::Linear(Linear {
            correction: vec![0.5],
            ..layer(&[&[1.0]], &[1.0])
        })
    };
    let looked_up = (vec![0], Operation::Activation(relu(1.0, 3)));
    let fresh = network(input(1, 3), vec![(vec![0], corrected())]);
    let behind = network(input(1, 3), vec![looked_up, (vec![1], corrected())]);
    let bias = |model: &Model| {
        let count = model.nodes.len();
        let linear = Linearised::of(model, &(0..count)).expect("small");
        (
            linear.is_fresh(ValueId::new(count)),
            linear.bias(ValueId::new(count))[0],
        )
    };
    assert_eq!(bias(&fresh), (true, 1.0));
    assert_eq!(bias(&behind), (false, 1.5));
}

#[test]
fn few_exact_factors_stay_apart_and_rounded_ones_are_composed() {
    let ones = [1.0; 8];
    let column = || dense(&[&[1.0][..]; 8], &[0.0; 8]);
    let apart = |row: [f32; 8]| {
        let nodes = vec![(vec![0], dense(&[&row], &[0.0])), (vec![1], column())];
        let model = network(input(8, 1), nodes);
        let linear = Linearised::of(&model, &(0..2)).expect("small");
        (
            linear.get(ValueId::new(1)).is_some(),
            linear.reader_count(ValueId::new(1)),
            linear.factor_count(ValueId::new(2)),
        )
    };
    // Eight multiplications and eight more, or 64 at once.
    assert_eq!(apart(ones), (true, 1, 2));
    let mut rounded = ones;
    rounded[3] = 0.3;
    assert_eq!(apart(rounded), (false, 0, 1));
}

#[test]
fn no_more_than_two_factors_follow_each_other() {
    let row = || dense(&[&[1.0; 8]], &[0.0]);
    let column = dense(&[&[1.0][..]; 8], &[0.0; 8]);
    let nodes = vec![(vec![0], row()), (vec![1], column), (vec![2], row())];
    let model = network(input(8, 1), nodes);
    let linear = Linearised::of(&model, &(0..3)).expect("small");
    assert_eq!(linear.factor_count(ValueId::new(3)), MOST_FACTORS);
    // The last two are one number, on what the first makes.
    let [term] = &linear.get(ValueId::new(3)).expect("the output").terms[..] else {
        panic!("one term");
    };
    assert_eq!(term.value, ValueId::new(1));
    assert_eq!(term.weights.as_ref().map(columns), Some(vec![vec![8.0]]));
}

#[test]
fn products_of_few_integers_keep_a_scale_and_others_none() {
    let weights = |rows: &[&[f32]], scale: Option<&[f32]>| {
        Weights::of(&Linear {
            weight_scale: scale.map(<[f32]>::to_vec),
            ..layer(rows, &vec![0.0; rows.len()])
        })
    };
    let scale = |outer: &Weights, inner: &Weights| outer.after(inner).scale;
    let outer = weights(&[&[2.0, 1.0]], Some(&[1.0]));
    // 2·(1, 2)/4 + (3, -1)/4 is (5, 3)/4.
    let inner = weights(&[&[0.25, 0.5], &[0.75, -0.25]], Some(&[0.25, 0.25]));
    assert_eq!(scale(&outer, &inner), Some(vec![0.25]));
    let unlike = weights(&[&[0.25, 0.5], &[1.0, -0.5]], Some(&[0.25, 0.5]));
    assert_eq!(scale(&outer, &unlike), None);
    // 300 + 1 takes more than eight bits.
    let outer = weights(&[&[100.0, 1.0]], Some(&[1.0]));
    let inner = weights(&[&[3.0], &[1.0]], Some(&[1.0, 1.0]));
    assert_eq!(scale(&outer, &inner), None);
    // Equal weights are ones on any scale; thirds of others are no integers.
    let scales = |row: &[f32]| weights(&[row], None).integer_scales();
    let ones = scales(&[0.25, 0.25]).expect("exact");
    assert!((ones[0] - 0.25).abs() < 1e-12, "{ones:?}");
    assert_eq!(scales(&[1.0, 1.0 / 3.0]), None);
    assert_eq!(scales(&[0.0, 0.0]), Some(vec![f64::INFINITY]));
}

proptest! {
    #[test]
    fn combinations_equal_the_nodes_that_they_stand_for(
        numbers in prop::array::uniform16(-3i8..4), reals in prop::array::uniform2(-5i8..6),
    ) {
        let numbers = numbers.map(f32::from);
        let layer = |n: &[f32]| layer(&[&n[..2], &n[2..4]], &n[3..5]);
        let [a, b, c] = [0, 5, 10].map(|first| layer(&numbers[first..]));
        let add = Operation::Add(Add { range: vec![(-9.0, 9.0); 2] });
        // c · (a + b · a).
        let linear = |layer: &Linear| Operation::Linear(layer.clone());
        let nodes = vec![
            (vec![0], linear(&a)), (vec![1], linear(&b)), (vec![1, 2], add), (vec![3], linear(&c)),
        ];
        let model = network(input(2, 1), nodes);
        let linear = Linearised::of(&model, &(0..4)).expect("small");
        let apply = |layer: &Linear, input: &[f64]| -> Vec<f64> {
            let products = layer.map.apply_to(input).into_iter();
            products.zip(&layer.bias).map(|(sum, &bias)| sum + f64::from(bias)).collect()
        };
        let input = reals.map(f64::from);
        let first = apply(&a, &input);
        let second = apply(&b, &first);
        let sum: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
        prop_assert_eq!(value_of(&linear, ValueId::new(4), &input), apply(&c, &sum));
    }
}

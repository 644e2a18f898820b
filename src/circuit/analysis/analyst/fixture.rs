//! Small networks and analyses made by hand, for the tests of the files around.

use std::path::Path;
use std::sync::LazyLock;

use super::super::gain::Gain;
use super::super::planned::{PlannedAction, PlannedLinear, PlannedStep, PlannedUpload, Term};
use super::super::planned_look_up::{Channel, PlannedLookUp, Purpose};
use super::*;
use crate::circuit::schedule::last_reads;
use crate::core::linear_map::{LinearMap, Row};
use crate::model::layer::{Activation, Function, Geometry, Linear};
use crate::model::{Input, Node};

/// A network whose test images stay where its nodes are replaced.
static EMBEDDED: LazyLock<Model> =
    LazyLock::new(|| Model::load(Path::new("digits-mlp")).expect("embedded"));

/// A range that no value of a small network reaches, so that its worst case is the only limit.
const WIDE: (f32, f32) = (-100.0, 100.0);

/// Returns an input of so many elements: integers up to `max`, which stand for themselves.
pub(in crate::circuit::analysis) fn input(count: usize, max: u32) -> Input {
    Input {
        shape: vec![count],
        max,
        scale: vec![1.0; count],
        offset: vec![0.0; count],
    }
}

/// Returns a network of nodes `layer0`, `layer1`, … that read those values; each element is a
/// channel, each node a placeable layer.
pub(in crate::circuit::analysis) fn network(
    input: Input,
    operations: Vec<(Vec<usize>, Operation)>,
) -> Model {
    let mut counts = vec![input.shape.iter().product()];
    let nodes = operations.into_iter().enumerate();
    let nodes = nodes.map(|(index, (inputs, operation))| {
        let count = match &operation {
            Operation::Linear(linear) => linear.map.output_count,
            Operation::Add(_) | Operation::Activation(_) => counts[inputs[0]],
            Operation::MaxPool(pool) => pool.windows.len(),
            Operation::Pinned(pinned) => pinned.range.len(),
        };
        counts.push(count);
        Node {
            name: format!("layer{index}"),
            inputs: inputs.into_iter().map(ValueId::new).collect(),
            shape: vec![count],
            channel_size: 1,
            block: None,
            op: "by hand",
            parameter_count: 0,
            is_pinned: false,
            operation,
        }
    });
    let nodes = nodes.collect();
    Model {
        label_correction: Vec::new(),
        ..EMBEDDED.clone().with_nodes(input, nodes)
    }
}

/// Returns a dense layer of those rows of weights, of which range calibration says nothing.
pub(in crate::circuit::analysis) fn linear(rows: &[&[f32]], bias: &[f32]) -> Linear {
    Linear {
        map: LinearMap::dense(&rows.concat(), rows[0].len()),
        geometry: Geometry::Dense,
        bias: bias.to_vec(),
        correction: vec![0.0; bias.len()],
        weight_bits: 8,
        weight_scale: None,
        range: vec![WIDE; bias.len()],
    }
}

/// Returns [`linear`] as an operation.
pub(in crate::circuit::analysis) fn dense(rows: &[&[f32]], bias: &[f32]) -> Operation {
    Operation::Linear(linear(rows, bias))
}

/// Returns the dense layer that copies its elements.
pub(in crate::circuit::analysis) fn identity(count: usize) -> Operation {
    let row = |one: usize| {
        (0..count)
            .map(|at| f32::from(u8::from(at == one)))
            .collect()
    };
    let rows: Vec<Vec<f32>> = (0..count).map(row).collect();
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    dense(&rows, &vec![0.0; count])
}

/// Returns a ReLU that is rounded to the integers 0..=high of a scale.
pub(in crate::circuit::analysis) fn relu(scale: f64, high: i64) -> Activation {
    Activation {
        function: Function::Relu,
        output: QuantParams {
            scale,
            low: 0,
            high,
        },
    }
}

/// Returns the analyst of a whole network, after its uploads and so many of its nodes.
pub(in crate::circuit::analysis) fn walked(model: &Model, count: usize) -> Analyst<'_> {
    walked_in(OutputMode::default(), MOST_IDENTITY_BITS, model, count)
}

/// As [`walked`], where ends are otherwise than usual.
pub(in crate::circuit::analysis) fn walked_in(
    mode: OutputMode,
    identity_bits: u32,
    model: &Model,
    count: usize,
) -> Analyst<'_> {
    let (nodes, noise) = (0..model.nodes.len(), NoiseBound::default());
    let analyst = Analyst::of_uploads(model, &nodes, mode, identity_bits, noise);
    let mut analyst = analyst.expect("small");
    for node in NodeId::all(0..count) {
        analyst.node(node);
    }
    analyst
}

/// Returns a fresh value of slot 0 and group 0 whose elements have no offsets.
pub(in crate::circuit::analysis) fn value(scales: &[f64], range: &[(i64, i64)]) -> DraftValue {
    DraftValue {
        slot: 0,
        group: 0,
        scales: scales.to_vec(),
        offsets: vec![0.0; scales.len()],
        range: range.to_vec(),
        fresh: true,
        aligned: true,
    }
}

/// Returns an analysis of those uploads, each of so many elements, and of steps with the slots that
/// they read.
pub(in crate::circuit::analysis) fn analysis(
    uploads: &[usize],
    steps: Vec<(Vec<usize>, PlannedAction)>,
) -> Analysis {
    let integers = QuantParams {
        scale: 1.0,
        low: 0,
        high: 15,
    };
    let uploads = uploads.iter().map(|&count| PlannedUpload {
        value: ValueId::INPUT,
        quantisation: Quantisation::uniform(integers, count),
        step: 1,
    });
    let last_reads = last_reads(steps.iter().map(|(inputs, _)| inputs), std::iter::empty());
    let steps = steps.into_iter().zip(last_reads).enumerate();
    Analysis {
        nodes: 0..steps.len(),
        uploads: uploads.collect(),
        steps: steps
            .map(|(node, ((inputs, action), last_reads))| PlannedStep {
                node: NodeId::new(node),
                composed: Vec::new(),
                inputs,
                last_reads,
                action,
            })
            .collect(),
        downloads: Vec::new(),
    }
}

/// Returns integer weights, row by row, on an input of so many elements.
pub(in crate::circuit::analysis) fn matrix(weights: &[i64], inputs: usize) -> Term {
    let weights: Vec<u64> = weights.iter().map(|&weight| weight as u64).collect();
    Term::Matrix(LinearMap::dense(&weights, inputs))
}

/// Returns the sum of terms without a bias.
pub(in crate::circuit::analysis) fn sum(terms: Vec<Term>, outputs: usize) -> PlannedAction {
    PlannedAction::Linear(PlannedLinear {
        terms,
        bias: vec![0; outputs],
        geometry: Geometry::Other,
    })
}

/// Returns look-ups of so many elements of one channel, which is made for the integers from -10 to 10.
pub(in crate::circuit::analysis) fn looked_up(count: usize, output_step: i64) -> PlannedLookUp {
    let channel = Channel {
        scale: 1.0,
        low: -10.0,
        high: 10.0,
        foot: 0.0,
        top: 10.0,
        padding_bit: true,
        quantum: 1,
        step_width: 1.0,
        worst_gain: Gain::default(),
    };
    PlannedLookUp {
        name: "relu".into(),
        purpose: Purpose::Activation,
        activation: relu(1.0, 10),
        channels: vec![channel],
        elements_per_table: count,
        output_step,
        centre: 0,
        gains: vec![Gain::default(); count],
        log2_p_leave: None,
    }
}

/// Returns inputs as rows, each input one column.
pub(in crate::circuit::analysis) fn rows(inputs: &[Vec<i64>]) -> Vec<Row<u64>> {
    let of = |element: usize| inputs.iter().map(|input| input[element] as u64).collect();
    (0..inputs[0].len()).map(of).collect()
}

/// Returns the integers of the only download for each input of the only upload.
pub(in crate::circuit::analysis) fn answers(
    analysis: &Analysis,
    inputs: &[Vec<i64>],
) -> Vec<Vec<i64>> {
    let outputs = analysis.run(&[rows(inputs)], &mut |_, _, _| {});
    let of = |column: usize| outputs[0].iter().map(|row| row[column] as i64).collect();
    (0..inputs.len()).map(of).collect()
}

/// Returns all lists of so many integers 0..=max.
pub(in crate::circuit::analysis) fn all_inputs(count: u32, max: i64) -> Vec<Vec<i64>> {
    let base = max + 1;
    let digits = |number: i64| {
        (0..count)
            .map(|place| number / base.pow(place) % base)
            .collect()
    };
    (0..base.pow(count)).map(digits).collect()
}

//! Where generated networks lie on the turn, and what tables of finite size make of them.

use proptest::prelude::*;
use splitbench::Error;
use splitbench::circuit::analysis::{Analysis, Channel, HALF_TURN, PlannedAction, analyse};
use splitbench::circuit::compile::compile;
use splitbench::circuit::program::{Action, Program};
use splitbench::fhe::parameters::ParameterSet;
use splitbench::model::layer::{Function, Operation};
use splitbench::model::{Model, NodeId};

use super::naive::{self, Integers};
use super::network::{Builder, Precision, SAME};
use super::recipe::{Recipe, recipes};
use super::trivial::target;
use super::{COARSE, WHOLE, column, columns, config, inputs, segment};

/// Ranges that calibration does not narrow.
const UNCALIBRATED: Precision = Precision {
    widening: 1e4,
    ..COARSE
};
/// Widening of calibrated ranges at either end, as a fraction of their width.
const RANGE_MARGIN: f64 = 0.25;
/// What float arithmetic leaves of equal numbers.
const ROUNDING: f64 = 1e-9;

proptest! {
    #![proptest_config(config(48, 2))]

    #[test]
    fn channels_fill_half_a_turn_and_only_uncalibrated_values_leave_it(
        recipe in recipes(), ends in (0.0..1.0, 0.0..1.0), calibrated: bool, seed: u64,
    ) {
        let precision = if calibrated { COARSE } else { UNCALIBRATED };
        let model = recipe.build(precision).model();
        let analysis = analyse(&model, &segment(&model, ends)).unwrap();
        check_reach(&analysis)?;
        for input in inputs(&analysis, seed) {
            let slots = naive::run(&analysis, &input);
            check_look_up_ranges(&model, &analysis, &slots)?;
            check_download_ranges(&model, &analysis, &slots)?;
        }
    }

    #[test]
    fn tables_are_off_by_the_steps_of_a_cell_and_weights_carry_no_more(
        recipe in recipes(), seed: u64,
    ) {
        check_tables(&recipe, seed)?;
    }
}

/// Checks that no channel needs more than half a turn, nor a download more on either side but for
/// the step by which its range is rounded outwards.
fn check_reach(analysis: &Analysis) -> Result<(), TestCaseError> {
    let half_turn = HALF_TURN as f64 * (1.0 + ROUNDING);
    for look_up in analysis.look_ups() {
        for channel in &look_up.channels {
            let reach = reach(channel);
            prop_assert!(reach <= half_turn, "{}: {channel:?}", look_up.name);
        }
    }
    for download in &analysis.downloads {
        let ends = download
            .range
            .iter()
            .flat_map(|&(low, high)| [low.abs(), high.abs()]);
        let largest = ends.max().unwrap_or(0) as f64;
        prop_assert!(
            (largest - 1.0) * download.step as f64 <= half_turn,
            "{:?}",
            download.node
        );
    }
    Ok(())
}

/// Returns the integers in which half a turn counts: all that the channel is made for, or, where a
/// plateau at either end may be read in the other half, those from an end to the plateau opposite.
fn reach(channel: &Channel) -> f64 {
    if channel.padding_bit {
        channel.high - channel.low
    } else {
        (channel.top - channel.low).max(channel.high - channel.foot)
    }
}

/// Returns the calibrated range of each element of a node, widened; none where a node has none.
fn calibrated(model: &Model, node: NodeId) -> Option<Vec<(f64, f64)>> {
    let range = match &model.node(node).operation {
        Operation::Linear(linear) => &linear.range,
        Operation::Add(add) => &add.range,
        Operation::Activation(_) | Operation::MaxPool(_) | Operation::Pinned(_) => return None,
    };
    let widened = range.iter().map(|&(low, high)| {
        let margin = RANGE_MARGIN * f64::from(high - low);
        (f64::from(low) - margin, f64::from(high) + margin)
    });
    Some(widened.collect())
}

/// Checks that what a channel is not made for is nothing that calibration saw: what it reads is
/// outside of the calibrated range of the linear nodes before it, if there are any.
fn check_look_up_ranges(
    model: &Model,
    analysis: &Analysis,
    slots: &[Integers],
) -> Result<(), TestCaseError> {
    for step in &analysis.steps {
        let PlannedAction::LookUp(look_up) = &step.action else {
            continue;
        };
        let filled = &analysis.steps[step.inputs[0] - analysis.uploads.len()];
        let seen = calibrated(model, filled.node);
        for (element, &integer) in slots[step.inputs[0]].iter().enumerate() {
            let channel = &look_up.channels[element / look_up.elements_per_table];
            let (low, high) = (channel.low.floor(), channel.high.ceil());
            if (low..=high).contains(&(integer as f64)) {
                continue;
            }
            let real = integer as f64 * channel.scale;
            let unseen = seen.as_ref().is_some_and(|seen| {
                let (low, high) = seen[element];
                let slack = (high - low) * ROUNDING;
                real < low + slack || real > high - slack
            });
            prop_assert!(unseen, "{}: {real} leaves {channel:?}", look_up.name);
        }
    }
    Ok(())
}

/// Checks the same of the integers that the client decodes.
fn check_download_ranges(
    model: &Model,
    analysis: &Analysis,
    slots: &[Integers],
) -> Result<(), TestCaseError> {
    let integers = naive::downloads(analysis, slots);
    for (download, integers) in analysis.downloads.iter().zip(integers) {
        let seen = calibrated(model, download.node);
        for (element, integer) in integers.into_iter().enumerate() {
            let (low, high) = download.range[element];
            if (low..=high).contains(&integer) {
                continue;
            }
            let scale = download.scales[element];
            let unseen = seen.as_ref().is_some_and(|seen| {
                let (low, high) = seen[element];
                !(low..=high).contains(&(integer as f64 * scale))
            });
            let range = download.range[element];
            prop_assert!(unseen, "{:?}: {integer} leaves {range:?}", download.node);
        }
    }
    Ok(())
}

/// Compares a program under the accurate set with the integer network.
fn check_tables(recipe: &Recipe, seed: u64) -> Result<(), TestCaseError> {
    let model = recipe.build(COARSE).model();
    let analysis = analyse(&model, &segment(&model, WHOLE)).unwrap();
    let parameters = ParameterSet::accurate().unwrap();
    // Linear layers in a row may leave no room for the noise of what they add up.
    let program = match compile(&analysis, &parameters, &target(parameters)) {
        Ok(program) => program,
        Err(Error::Parameters(reason)) => return Err(TestCaseError::reject(reason)),
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    let inputs = inputs(&analysis, seed);
    let slots: Vec<Vec<Integers>> = inputs.iter().map(|i| naive::run(&analysis, i)).collect();
    // Of each input: what look-ups read, by slot.
    let mut found: Vec<Vec<Integers>> = slots.clone();
    let look_ups = analysis.steps.iter();
    let mut read_slots = look_ups
        .filter(|step| matches!(step.action, PlannedAction::LookUp(_)))
        .map(|step| step.inputs[0]);
    let run = program.observe_clear(&columns(&inputs), None, &mut |_, rows| {
        let slot = read_slots.next().unwrap();
        for (index, found) in found.iter_mut().enumerate() {
            let integers = column(rows, index).into_iter();
            found[slot] = integers.map(i128::from).collect();
        }
    });
    for (index, (slots, found)) in slots.iter().zip(&found).enumerate() {
        check_single_look_ups(&analysis, &program, found)?;
        let distances = naive::distances(&analysis, &program, slots, found);
        let expected = naive::downloads(&analysis, slots);
        for (place, download) in analysis.downloads.iter().enumerate() {
            let decoded = column(&run.outputs[place], index);
            for (element, (&found, &expected)) in decoded.iter().zip(&expected[place]).enumerate() {
                let distance = distances[download.slot][element];
                // Both are rounded to integers.
                let most = distance / i128::from(download.step) + i128::from(distance > 0);
                let wraps = slots[download.slot][element].abs() + distance >= HALF_TURN.into();
                let near = i128::from(found.abs_diff(expected)) <= most;
                prop_assert!(near || wraps, "{found} for {expected}, {most} allowed");
            }
        }
    }
    Ok(())
}

#[test]
fn a_plateau_is_read_rightly_where_the_function_goes_on_beyond_the_other_end() {
    let mut builder = Builder::new([1, 4, 4], COARSE, 5);
    builder.activation(0, Function::Relu, 5);
    let mut model = builder.model();
    // The image is made for integers beyond what its pixels reach.
    if let Operation::Activation(relu) = &mut model.nodes[0].operation {
        relu.output.high += 5;
    }
    let analysis = analyse(&model, &segment(&model, WHOLE)).unwrap();
    let parameters = ParameterSet::accurate().unwrap();
    let program = compile(&analysis, &parameters, &target(parameters)).unwrap();
    let input: Vec<i64> = (0..16).collect();
    let slots = naive::run(&analysis, std::slice::from_ref(&input));
    let run = program.run_clear(&columns(&[vec![input]]), None);
    let expected = naive::downloads(&analysis, &slots).swap_remove(0);
    assert_eq!(column(&run.outputs[0], 0), expected);
}

#[test]
fn worst_cases_are_those_of_the_weights_that_fill_the_turn() {
    let mut failures = Vec::new();
    for ratio in 1..20 {
        let mut builder = Builder::new([2, 4, 4], UNCALIBRATED, 5);
        let input = builder.conv(0, 2, SAME);
        let input = builder.activation(input, Function::Identity, 2);
        // The integers of the first channel have a common divisor, those of the second have none.
        let small = ratio as f32 / 20.0 + 0.013;
        let weights = vec![1.0, 0.6, 1.0, small];
        let conv = builder.point_conv(input, weights, &[0.0, 0.0]);
        builder.activation(conv, Function::Relu, 3);
        let model = builder.model();
        let analysis = analyse(&model, &segment(&model, WHOLE)).unwrap();
        for input in inputs(&analysis, 0) {
            let slots = naive::run(&analysis, &input);
            if let Err(error) = check_look_up_ranges(&model, &analysis, &slots) {
                failures.push(format!("1 and {small}: {error}"));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Checks that each look-up by itself reads its function to within one step, or as many as lie in a
/// cell of the table.
fn check_single_look_ups(
    analysis: &Analysis,
    program: &Program,
    found: &[Integers],
) -> Result<(), TestCaseError> {
    for (step, compiled) in analysis.steps.iter().zip(&program.steps) {
        let (PlannedAction::LookUp(look_up), Action::LookUp(compiled)) =
            (&step.action, &compiled.action)
        else {
            continue;
        };
        for (element, &integer) in found[step.inputs[0]].iter().enumerate() {
            let table = compiled.table(element);
            let integer = i64::try_from(integer).unwrap();
            if !(table.range.0..=table.range.1).contains(&integer) {
                continue;
            }
            let scale = look_up.channels[element / look_up.elements_per_table].scale;
            let real = integer as f64 * scale;
            let cell = naive::cell_width(program, table.values.len()) * scale;
            let slope = naive::steepest(&look_up.activation.function, real.abs() + cell);
            let most = (slope * cell / look_up.activation.output.scale) as u64 + 1;
            let exact = look_up.activation.quantised(real);
            let read = compiled.read_integer(element, integer);
            prop_assert!(
                read.abs_diff(exact) <= most,
                "{}: {read} for {exact} at {real}",
                look_up.name
            );
        }
    }
    Ok(())
}

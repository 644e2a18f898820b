//! Resident memory of stacks of equal convolutions and activations, all on the server: it must
//! follow the widest layer, not the number of layers.
//!
//! Each stack runs in a process of its own: this binary, called again with [`DEPTH`] set.

use std::process::Command;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::circuit::compile::{Choice, Target};
use splitbench::circuit::program::NoiseSeed;
use splitbench::core::linear_map::Row;
use splitbench::fhe::parameters::ParameterSet;
use splitbench::machine::memory::PeakMemory;
use splitbench::model::layer::{Activation, Conv2d, Function, Geometry, Image, Operation, Window};
use splitbench::model::output_mode::OutputMode;
use splitbench::model::quantise::QuantParams;
use splitbench::model::{Model, Node, ValueId};
use splitbench::oracle::agreement::within_error_model;
use splitbench::party::session::Session;
use splitbench::record::download::Download;
use splitbench::{Error, Result};

use super::inference::{all_server, image, linear, model};

/// Environment variable with the depth of the stack that this process is to run.
const DEPTH: &str = "SPLITBENCH_PARTS_STACK";
const DEPTHS: [usize; 2] = [4, 40];
const CHANNELS: usize = 4;
const SIZE: [usize; 2] = [8, 8];
const KERNEL: [usize; 2] = [3, 3];
/// Images that calibrate the ranges.
const CALIBRATION: usize = 16;

/// Returns the depth of the stack that this process is to run, if it is such a process.
pub fn requested_depth() -> Option<usize> {
    std::env::var(DEPTH).ok()?.parse().ok()
}

/// Prints the peaks of both stacks and their ratio.
///
/// # Errors
///
/// [`Error::Worker`] where a process fails.
pub fn print_stacks() -> Result<()> {
    let shallow = run(DEPTHS[0])?;
    let deep = run(DEPTHS[1])?;
    for (depth, peaks) in DEPTHS.iter().zip([shallow, deep]) {
        println!(
            "memory {depth} layers: peak {} B in one inference from {} B before it, {} B in set-up",
            peaks.inference, peaks.before, peaks.set_up
        );
    }
    println!(
        "ratio memory: {} layers / {} layers = {:.3} in one inference, {:.3} in set-up",
        DEPTHS[1],
        DEPTHS[0],
        deep.inference as f64 / shallow.inference as f64,
        deep.set_up as f64 / shallow.set_up as f64
    );
    Ok(())
}

/// Resident bytes of a process.
#[derive(Clone, Copy)]
struct Peaks {
    set_up: u64,
    before: u64,
    inference: u64,
}

/// Runs a stack in a process of its own.
fn run(depth: usize) -> Result<Peaks> {
    let failed = |reason: &str| Error::Worker(format!("stack of {depth} layers: {reason}"));
    let binary = std::env::current_exe().map_err(|error| failed(&error.to_string()))?;
    let output = Command::new(binary).env(DEPTH, depth.to_string()).output();
    let output = output.map_err(|error| failed(&error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text.split(' ').flat_map(|n| n.trim().parse()).collect();
    match numbers[..] {
        [set_up, before, inference] if output.status.success() => Ok(Peaks {
            set_up,
            before,
            inference,
        }),
        _ => Err(failed(&String::from_utf8_lossy(&output.stderr))),
    }
}

/// Runs a stack in this process and prints its peaks for [`run`].
///
/// # Errors
///
/// As [`Session::set_up`] and [`Session::infer`]; [`Error::Worker`] where the answer is wrong or
/// this system does not tell a process its memory.
pub fn report(depth: usize) -> Result<()> {
    let unknown = || Error::Worker("this system does not tell a process its memory".into());
    let model = stack(depth)?;
    let target = Target {
        parameters: Choice::Fixed(ParameterSet::fast()?),
        log2_p_fail_lookup: -64.0,
        download: Download::Plain,
        output_mode: OutputMode::default(),
        own_step_noise: Vec::new(),
    };
    let sampler = PeakMemory::start().ok_or_else(unknown)?;
    let session = Session::set_up(&model, &all_server(&model)?, &target)?;
    let set_up = sampler.stop();
    let sampler = PeakMemory::start().ok_or_else(unknown)?;
    let inference = session.infer(&image(element_count(), 0))?;
    let used = sampler.stop();
    let (program, exchange) = (&session.programs()[0], &inference.exchanges[0]);
    if !within_error_model(program, exchange, NoiseSeed(1)) {
        return Err(Error::Worker(
            "an answer lies outside the error model".into(),
        ));
    }
    println!(
        "{} {} {}",
        set_up.peak_bytes, used.start_bytes, used.peak_bytes
    );
    Ok(())
}

fn element_count() -> usize {
    CHANNELS * SIZE[0] * SIZE[1]
}

/// Returns `depth` convolutions with an activation each, calibrated on random images.
fn stack(depth: usize) -> Result<Model> {
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    let mut activation: Vec<Row<f32>> = (0..element_count())
        .map(|_| (0..CALIBRATION).map(|_| generator.random()).collect())
        .collect();
    let mut nodes = Vec::new();
    for index in 0..depth {
        let mut conv = convolution(index, &mut generator);
        activation = conv.operation.run_float(&[&activation]);
        let top = calibrate(&mut conv, &activation);
        let relu = Node {
            name: format!("relu{index}"),
            inputs: vec![ValueId::new(2 * index + 1)],
            op: "relu",
            parameter_count: 0,
            is_pinned: false,
            operation: Operation::Activation(Activation {
                function: Function::Relu,
                output: QuantParams::covering(0.0, top, 4),
            }),
            ..conv.clone()
        };
        activation = relu.operation.run_float(&[&activation]);
        nodes.extend([conv, relu]);
    }
    model(shape(), nodes)
}

fn shape() -> Vec<usize> {
    vec![CHANNELS, SIZE[0], SIZE[1]]
}

fn convolution(index: usize, generator: &mut ChaCha8Rng) -> Node {
    let window = Window {
        stride: [1, 1],
        padding: [1; 4],
    };
    let conv = Conv2d {
        weights: (0..CHANNELS * CHANNELS * KERNEL[0] * KERNEL[1])
            .map(|_| generator.random_range(-0.5..0.5))
            .collect(),
        out_channels: CHANNELS,
        in_channels: CHANNELS,
        groups: 1,
        kernel: KERNEL,
        window,
    };
    let geometry = Geometry::Convolution(Image {
        channels: CHANNELS,
        size: SIZE,
        kernel: KERNEL,
        window,
        output: SIZE,
    });
    Node {
        name: format!("conv{index}"),
        inputs: vec![ValueId::new(2 * index)],
        shape: shape(),
        channel_size: SIZE[0] * SIZE[1],
        block: None,
        op: "conv2d",
        parameter_count: conv.weights.len() + CHANNELS,
        is_pinned: false,
        operation: Operation::Linear(linear(conv.map(SIZE, SIZE), geometry, 4)),
    }
}

/// Sets each channel's range to what its outputs reach, and returns the largest of all.
fn calibrate(node: &mut Node, outputs: &[Row<f32>]) -> f64 {
    let Operation::Linear(linear) = &mut node.operation else {
        unreachable!("only convolutions are calibrated");
    };
    let area = SIZE[0] * SIZE[1];
    for (ranges, outputs) in linear.range.chunks_mut(area).zip(outputs.chunks(area)) {
        let values = || outputs.iter().flatten().copied();
        let low = values().fold(f32::INFINITY, f32::min);
        let high = values().fold(f32::NEG_INFINITY, f32::max);
        ranges.fill((low, high));
    }
    let tops = linear.range.iter().map(|range| f64::from(range.1));
    tops.fold(0.0, f64::max)
}

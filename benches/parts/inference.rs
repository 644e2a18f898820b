//! One inference of a dense layer of 8-bit weights on 8-bit activations, all on the server.

use std::path::Path;

use splitbench::Result;
use splitbench::circuit::compile::{Choice, Target};
use splitbench::circuit::program::Program;
use splitbench::circuit::select::Precision;
use splitbench::core::linear_map::{LinearMap, Row};
use splitbench::core::placement::Placement;
use splitbench::core::statistics::median;
use splitbench::model::layer::{Dense, Geometry, Linear, Operation};
use splitbench::model::output_mode::OutputMode;
use splitbench::model::{Input, Model, Node, ValueId};
use splitbench::party::inference::{Exchange, Inference};
use splitbench::party::session::Session;
use splitbench::record::cost_model::CostModel;
use splitbench::record::download::Download;

const INPUTS: usize = 784;
const OUTPUTS: usize = 128;
/// Inferences behind each median.
const INFERENCES: usize = 9;

/// Prints time, bytes and exactness of the layer for both kinds of download.
///
/// # Errors
///
/// As [`Session::set_up`] and [`Session::infer`].
pub fn print_dense() -> Result<()> {
    let model = dense_model()?;
    for (name, download) in [("plain", Download::Plain), ("packed", Download::Packed)] {
        let target = Target {
            parameters: Choice::Cheapest(Precision::StepNoise(1.0), CostModel::default()),
            log2_p_fail_lookup: -64.0,
            download,
            output_mode: OutputMode::default(),
            own_step_noise: Vec::new(),
        };
        let session = Session::set_up(&model, &all_server(&model)?, &target)?;
        let inferences = (0..INFERENCES).map(|index| session.infer(&image(INPUTS, index)));
        let inferences = inferences.collect::<Result<Vec<Inference>>>()?;
        let program = &session.programs()[0];
        let deviations = inferences.iter().flat_map(|inference| &inference.exchanges);
        let largest = deviations.map(|exchange| largest_deviation(program, exchange));
        let exact = match largest.max() {
            Some(0) => "yes".into(),
            Some(largest) => format!("no, off by up to {largest}"),
            None => "unknown".into(),
        };
        let seconds = |phase: fn(&Inference) -> f64| {
            median(inferences.iter().map(phase))
                .map_or_else(String::new, |seconds| format!("{seconds:.5} s"))
        };
        println!(
            "inference dense {INPUTS}x{OUTPUTS}, {name} download: encrypt {}, server {}, \
             decrypt {} (medians of {INFERENCES}); upload {} B, download {} B, keys {} B; \
             exact: {exact}",
            seconds(|inference| inference.times.encrypt_s),
            seconds(|inference| inference.times.server_compute_s),
            seconds(|inference| inference.times.decrypt_s),
            inferences[0].upload_bytes,
            inferences[0].download_bytes,
            session.set_up.evaluation_key_bytes,
        );
    }
    Ok(())
}

/// Returns how far a downloaded integer lies from the clear run at most.
fn largest_deviation(program: &Program, exchange: &Exchange) -> u64 {
    let uploaded = exchange.uploaded[0].iter();
    let input: Vec<Row<u64>> = uploaded.map(|&value| [value as u64].into()).collect();
    let clear = program.run_clear(&[input], None).outputs;
    let pairs = clear[0].iter().zip(&exchange.downloaded[0]);
    pairs
        .map(|(clear, &found)| found.abs_diff(clear[0] as i64))
        .max()
        .unwrap_or(0)
}

fn dense_model() -> Result<Model> {
    let weight = |index: usize| (index * 101 % 255) as f32 - 127.0;
    let dense = Dense {
        weights: (0..INPUTS * OUTPUTS).map(weight).collect(),
        outputs: OUTPUTS,
        inputs: INPUTS,
    };
    let linear = linear(dense.map(), Geometry::Dense, 8);
    let node = Node {
        name: "dense".into(),
        inputs: vec![ValueId::INPUT],
        shape: vec![OUTPUTS],
        channel_size: 1,
        block: None,
        op: "dense",
        parameter_count: (INPUTS + 1) * OUTPUTS,
        is_pinned: false,
        operation: Operation::Linear(linear),
    };
    model(vec![INPUTS], vec![node])
}

/// Returns a linear layer without bias that is not calibrated.
pub fn linear(map: LinearMap<f32>, geometry: Geometry, weight_bits: u32) -> Linear {
    Linear {
        bias: vec![0.0; map.output_count],
        correction: vec![0.0; map.output_count],
        range: vec![(0.0, 0.0); map.output_count],
        weight_bits,
        weight_scale: None,
        geometry,
        map,
    }
}

/// Returns a model of those nodes; its test images are another model's, and so is its digest.
///
/// # Errors
///
/// As [`Model::load`].
pub fn model(shape: Vec<usize>, nodes: Vec<Node>) -> Result<Model> {
    let count = shape.iter().product();
    let input = Input {
        shape,
        max: 255,
        scale: vec![1.0 / 255.0; count],
        offset: vec![0.0; count],
    };
    Ok(Model::load(Path::new("digits-mlp"))?.with_nodes(input, nodes))
}

/// Returns the placement of all layers on the server.
///
/// # Errors
///
/// [`splitbench::Error::Usage`] where the model has no layers.
pub fn all_server(model: &Model) -> Result<Placement> {
    "S".repeat(model.layer_count()).parse()
}

/// Returns an image of 8-bit pixels.
pub fn image(pixels: usize, index: usize) -> Vec<u8> {
    (0..pixels)
        .map(|pixel| ((pixel + 1) * (2 * index + 91) % 256) as u8)
        .collect()
}

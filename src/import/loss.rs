//! What integers and noise cost an imported network, and which layer costs most: found by giving one
//! layer after the other what it lacks.

use crate::accuracy::Accuracy;
use crate::compile::{Choice, Target, compile_placement};
use crate::cost::CostModel;
use crate::error::Result;
use crate::layer::Operation;
use crate::model::Model;
use crate::placement::{Party, Placement};
use crate::program::{Action, NoiseSeed, Program};
use crate::quantise::QuantParams;
use crate::reads::Reads;
use crate::select::Precision;
use crate::simulation::simulate;
use crate::step_noise::finder::Decision;
use crate::units;

use super::images::{Images, integer_labels};

/// The share of images whose loss a person is warned of.
const WARNED_LOSS: f64 = 0.01;
/// Bits of a layer that lacks none.
const ALL_BITS: u32 = 8;
/// Multiplications of all inferences with noise, about: some ten seconds of a core.
const MOST_WORK: usize = 20_000_000_000;
/// Inferences of each image, with noise and without.
const DRAWS: usize = 5;
/// Fewest and most test images.
const IMAGES: (usize, usize) = (100, 1000);
/// Images that a layer is judged on.
const JUDGED: usize = 500;

/// Accuracies of a network, all layers on the server, on the first so many test images.
#[derive(Debug, Clone)]
pub struct Losses {
    pub image_count: usize,
    pub float: f64,
    pub integers: f64,
    /// With the noise of the default parameters.
    pub noisy: f64,
    /// How much noise that is.
    pub step_noise: Decision,
    /// What was read with it.
    pub reads: Reads,
    /// One sentence each, with what to change.
    pub warnings: Vec<String>,
}

/// A layer that costs more than any other.
struct Costliest {
    name: String,
    /// The share of images that are right again once it lacks nothing.
    gain: f64,
    remedy: String,
}

/// Returns the target of a sweep that says nothing else but how much noise look-ups may have.
pub fn default_target(step_noise: f64) -> Target {
    Target {
        parameters: Choice::Cheapest(Precision::StepNoise(step_noise), CostModel::default()),
        ..Target::usual()
    }
}

impl Losses {
    /// Measures a model on its test images, under that step noise.
    ///
    /// # Errors
    ///
    /// As [`compile_placement`], where no parameters serve all layers on the server.
    pub fn of(model: &Model, step_noise: Decision) -> Result<Self> {
        let work = DRAWS * model.multiplication_count().max(1);
        let count = (MOST_WORK / work).clamp(IMAGES.0, IMAGES.1);
        let images: Vec<usize> = (0..model.test.len().min(count)).collect();
        let placement = Placement::uniform(Party::Server, model.layer_count());
        let target = default_target(step_noise.share);
        let programs = compile_placement(model, &placement, &target)?;
        let all_client = Placement::uniform(Party::Client, model.layer_count());
        let accuracy = Accuracy::of(model, &placement, &programs, &images, 0);
        let mut losses = Self {
            image_count: images.len(),
            float: simulate(model, &all_client, &[], &images, None).accuracy(model, &images),
            integers: accuracy.noiseless,
            noisy: accuracy.simulated,
            step_noise,
            reads: accuracy.noisy_reads.reads,
            warnings: Vec::new(),
        };
        let judged = &images[..images.len().min(JUDGED)];
        if losses.float - losses.integers > WARNED_LOSS {
            let what = format!(
                "integers lose {} points ({} of the float network, {} in integers)",
                points(losses.float - losses.integers),
                units::percent(losses.float),
                units::percent(losses.integers)
            );
            let costliest = costliest_in_bits(model, &Images::of_test(model).take(JUDGED))?;
            losses.warnings.push(warning(
                &what,
                costliest,
                "give --bits or --weight-bits more",
            ));
        }
        if losses.integers - losses.noisy > WARNED_LOSS {
            let what = format!(
                "noise at the default parameters loses {} points ({} without, {} with it)",
                points(losses.integers - losses.noisy),
                units::percent(losses.integers),
                units::percent(losses.noisy)
            );
            let costliest = programs
                .first()
                .and_then(|program| costliest_in_noise(model, program, judged));
            losses.warnings.push(warning(
                &what,
                costliest,
                "sweep with a smaller --step-noise",
            ));
        }
        Ok(losses)
    }

    /// Returns the larger of the shares of images that integers and noise lose.
    pub fn largest(&self) -> f64 {
        (self.float - self.integers).max(self.integers - self.noisy)
    }
}

fn points(share: f64) -> String {
    units::decimal(100.0 * share, 1)
}

fn warning(what: &str, costliest: Option<Costliest>, otherwise: &str) -> String {
    match costliest {
        Some(Costliest { name, gain, remedy }) => format!(
            "{what}, most of it in layer {name:?}, which alone costs {} points: {remedy}",
            points(gain)
        ),
        None => format!("{what}, in no layer alone: {otherwise}"),
    }
}

/// Returns the layer that gains most from having [`ALL_BITS`].
fn costliest_in_bits(model: &Model, images: &Images) -> Result<Option<Costliest>> {
    let accuracy = |model: &Model| -> Result<f64> {
        Ok(images.share_right(&integer_labels(model, images)?.0))
    };
    let before = accuracy(model)?;
    let mut costliest: Option<Costliest> = None;
    for (index, node) in model.nodes.iter().enumerate() {
        let mut finer = model.clone();
        let remedy = match &mut finer.nodes[index].operation {
            Operation::Activation(activation) => {
                let levels = activation.output.high - activation.output.low + 1;
                if levels >= 1 << ALL_BITS {
                    continue;
                }
                activation.output = finer_levels(activation.output);
                let bits = levels.ilog2() + 2;
                format!("give it more by --bits {}={bits}", node.name)
            }
            Operation::Linear(linear) if linear.weight_scale.is_none() => {
                if linear.weight_bits >= ALL_BITS || node.parameter_count == 0 {
                    continue;
                }
                let bits = linear.weight_bits + 1;
                linear.weight_bits = ALL_BITS;
                format!("give --weight-bits {bits}")
            }
            _ => continue,
        };
        let gain = accuracy(&finer)? - before;
        if gain > costliest.as_ref().map_or(0.0, |known| known.gain) {
            costliest = Some(Costliest {
                name: node.name.clone(),
                gain,
                remedy,
            });
        }
    }
    Ok(costliest)
}

/// Returns as many integers as [`ALL_BITS`] give over the same range.
fn finer_levels(output: QuantParams) -> QuantParams {
    let levels = (1i64 << ALL_BITS) - 1;
    let scale = output.scale * (output.high - output.low) as f64 / levels as f64;
    let low = (output.low as f64 * output.scale / scale).round() as i64;
    QuantParams {
        scale,
        low,
        high: low + levels,
    }
}

/// Returns the look-up that gains most from having no noise.
fn costliest_in_noise(model: &Model, program: &Program, images: &[usize]) -> Option<Costliest> {
    let placement = Placement::uniform(Party::Server, model.layer_count());
    let accuracy = |program: Program| {
        let programs = [program.into()];
        let noisy = simulate(model, &placement, &programs, images, Some(NoiseSeed(0)));
        noisy.accuracy(model, images)
    };
    let before = accuracy(program.clone());
    let quiet = program
        .steps
        .iter()
        .enumerate()
        .filter_map(|(index, step)| {
            let mut quiet = program.clone();
            let Action::LookUp(look_up) = &mut quiet.steps[index].action else {
                return None;
            };
            look_up.sigma.fill(0.0);
            Some(Costliest {
                name: model.nodes[step.node].name.clone(),
                gain: accuracy(quiet) - before,
                remedy: "sweep with a smaller --step-noise, or give it fewer --bits".into(),
            })
        });
    quiet
        .filter(|layer| layer.gain > 0.0)
        .max_by(|a, b| a.gain.total_cmp(&b.gain))
}

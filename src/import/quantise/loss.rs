//! What integers and noise cost an imported network, and which layer costs most: found by giving one
//! layer after the other what it lacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::circuit::analysis::DEFAULT_STEP_NOISE;
use crate::circuit::program::{Action, NoiseSeed, Program};
use crate::core::error::Result;
use crate::core::units;
use crate::model::layer::Operation;
use crate::model::quantise::QuantParams;
use crate::model::{Model, Node};
use crate::oracle::accuracy::Accuracy;
use crate::oracle::simulation::simulate;
use crate::oracle::step_noise::finder::Decision;
use crate::record::reads::Reads;

use super::all_server::{all_server, compile_all, integer_outputs};
use super::bits::DEFAULT_BITS;
use super::images::{Images, Outputs, by_image, float_outputs, relative_error};

/// The fraction of images whose loss a person is warned of.
const WARNED_LOSS: f64 = 0.01;
/// Bits of a layer that lacks none.
const ALL_BITS: u32 = 8;
/// Multiplications of all inferences with noise, about: some ten seconds of a core.
const MOST_WORK: usize = 20_000_000_000;
/// Inferences of each image, with noise and without.
const DRAWS: usize = 5;
/// Fewest and most test images.
const IMAGES: (usize, usize) = (100, 1000);
/// Images that a layer is judged on, at most, and their multiplications, about: a second of a core.
const MOST_JUDGED: usize = 500;
const MOST_JUDGING_WORK: usize = 2_000_000_000;

/// What integers and noise cost a network, all layers on the server.
#[derive(Debug, Clone)]
pub struct Losses {
    /// Accuracy over all test images: of the float network, and of the integers.
    pub float: f64,
    pub integers: f64,
    /// None where no parameters serve all layers on the server.
    pub noise: Option<Noise>,
    /// One sentence each, with what to change.
    pub warnings: Vec<String>,
}

/// What the noise of the default parameters costs, on the first so many test images.
#[derive(Debug, Clone)]
pub struct Noise {
    pub image_count: usize,
    /// Accuracy without noise, and with it.
    pub integers: f64,
    pub noisy: f64,
    pub step_noise: Decision,
    /// What was read with it.
    pub reads: Reads,
}

/// A layer that brings in more error than any other.
struct Costliest {
    name: String,
    /// How far the outputs lie from the right ones, as a fraction of their deviation: as things are, and
    /// once this layer lacks nothing.
    errors: (f64, f64),
    remedy: String,
}

impl Losses {
    /// Measures a model of which the accuracies over all test images are known, of the float network and
    /// in integers; `compiled` is what [`compile_all`] gives for that step noise.
    ///
    /// # Errors
    ///
    /// As [`crate::circuit::analysis::analyse`].
    pub fn of(
        model: &Model,
        compiled: &Result<Vec<Arc<Program>>>,
        (float, integers): (f64, f64),
        step_noise: Decision,
    ) -> Result<Self> {
        let mut warnings = Vec::new();
        if float - integers > WARNED_LOSS {
            let what = format!(
                "integers lose {} points ({} of the float network, {} in integers)",
                points(float - integers),
                units::percent(float),
                units::percent(integers)
            );
            let costliest = costliest_in_bits(model)?;
            let otherwise = "give --bits or --weight-bits more";
            warnings.push(warning(&what, costliest, otherwise));
        }
        // The estimate says why where no parameters serve.
        let programs = compiled.as_ref().ok();
        let noise = programs.map(|programs| Noise::of(model, programs, step_noise));
        if let Some((noise, programs)) = noise.as_ref().zip(programs)
            && noise.loss() > WARNED_LOSS
        {
            let what = format!(
                "noise at the default parameters loses {} points ({} without, {} with it)",
                points(noise.loss()),
                units::percent(noise.integers),
                units::percent(noise.noisy)
            );
            let costliest = costliest_in_noise(model, programs);
            let otherwise = "sweep with a smaller --step-noise";
            warnings.push(warning(&what, costliest, otherwise));
        }
        Ok(Self {
            float,
            integers,
            noise,
            warnings,
        })
    }

    /// Returns the larger of the fractions of images that integers and noise lose.
    pub fn largest(&self) -> f64 {
        let noise = self.noise.as_ref().map_or(0.0, Noise::loss);
        noise.max(self.float - self.integers)
    }
}

impl Noise {
    fn of(model: &Model, programs: &[Arc<Program>], step_noise: Decision) -> Self {
        let work = DRAWS * model.multiplication_count().max(1);
        let count = (MOST_WORK / work).clamp(IMAGES.0, IMAGES.1);
        let images: Vec<usize> = (0..model.test.len().min(count)).collect();
        let accuracy = Accuracy::of(model, &all_server(model), programs, &images, 0);
        Self {
            image_count: images.len(),
            integers: accuracy.noiseless,
            noisy: accuracy.simulated,
            step_noise,
            reads: accuracy.noisy_reads.reads,
        }
    }

    /// Returns the fraction of images that noise loses.
    pub fn loss(&self) -> f64 {
        self.integers - self.noisy
    }
}

fn points(fraction: f64) -> String {
    units::decimal(100.0 * fraction, 1)
}

fn warning(what: &str, costliest: Option<Costliest>, otherwise: &str) -> String {
    match costliest {
        Some(Costliest {
            name,
            errors: (with, without),
            remedy,
        }) => format!(
            "{what}, most of it in layer {name:?}, without which the outputs' error would be {} of their \
             deviation, not {}: {remedy}",
            units::percent(without),
            units::percent(with)
        ),
        None => format!("{what}, in no layer alone: {otherwise}"),
    }
}

/// Returns the layer whose having [`ALL_BITS`] leaves the least error.
///
/// Errors of outputs tell layers apart where the accuracies on a few hundred images are alike.
fn costliest_in_bits(model: &Model) -> Result<Option<Costliest>> {
    let images = Images::of_test(model).take(judged(model));
    let float = float_outputs(model, &images);
    let error = |model: &Model| -> Result<Option<f64>> {
        let compiled = compile_all(model, DEFAULT_STEP_NOISE);
        let (integer, _) = integer_outputs(model, &compiled, &images)?;
        Ok(relative_error(&float, &integer))
    };
    let Some(with) = error(model)? else {
        return Ok(None);
    };
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
                format!("give it more by --bits {}", more_bits(model, node))
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
        let least = costliest.as_ref().map_or(with, |known| known.errors.1);
        if let Some(without) = error(&finer)?.filter(|without| *without < least) {
            costliest = Some(Costliest {
                name: node.name.clone(),
                errors: (with, without),
                remedy,
            });
        }
    }
    Ok(costliest)
}

/// Returns the bits to ask for, so that an activation has one more and the others stay as they are.
fn more_bits(model: &Model, node: &Node) -> String {
    let bits = |node: &Node| match &node.operation {
        Operation::Activation(activation) => Some(bits_of(activation.output)),
        _ => None,
    };
    let more = bits(node).unwrap_or(DEFAULT_BITS) + 1;
    let mut counts = BTreeMap::new();
    for bits in model.nodes.iter().filter_map(bits) {
        *counts.entry(bits).or_insert(0) += 1;
    }
    let usual = counts.into_iter().max_by_key(|(_, count)| *count);
    match usual {
        Some((usual, _)) if usual != DEFAULT_BITS => format!("{usual},{}={more}", node.name),
        _ => format!("{}={more}", node.name),
    }
}

/// Returns how many bits hold an activation's integers.
fn bits_of(output: QuantParams) -> u32 {
    let levels = (output.high - output.low + 1).unsigned_abs();
    levels.next_power_of_two().ilog2()
}

/// Returns on how many images a layer is judged.
fn judged(model: &Model) -> usize {
    let work = model.multiplication_count().max(1);
    (MOST_JUDGING_WORK / work).clamp(IMAGES.0, MOST_JUDGED)
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

/// Returns the look-up whose having no noise leaves the least error.
fn costliest_in_noise(model: &Model, programs: &[Arc<Program>]) -> Option<Costliest> {
    let placement = all_server(model);
    let images: Vec<usize> = (0..judged(model).min(model.test.len())).collect();
    let outputs = |programs: &[Arc<Program>], noise: Option<NoiseSeed>| -> Outputs {
        by_image(&simulate(model, &placement, programs, &images, noise).logits)
    };
    let right = outputs(programs, None);
    let error =
        |programs: &[Arc<Program>]| relative_error(&right, &outputs(programs, Some(NoiseSeed(0))));
    let with = error(programs)?;
    let steps = programs.iter().enumerate().flat_map(|(segment, program)| {
        let steps = program.steps.iter().enumerate();
        steps.map(move |(index, step)| (segment, index, step.node))
    });
    steps
        .filter_map(|(segment, index, node)| {
            let mut quiet = Program::clone(&programs[segment]);
            let Action::LookUp(look_up) = &mut quiet.steps[index].action else {
                return None;
            };
            look_up.sigma.fill(0.0);
            let mut programs = programs.to_vec();
            programs[segment] = quiet.into();
            Some(Costliest {
                name: model.node(node).name.clone(),
                errors: (with, error(&programs)?),
                remedy: "sweep with a smaller --step-noise, or give it fewer --bits".into(),
            })
        })
        .filter(|layer| layer.errors.1 < with)
        .min_by(|a, b| a.errors.1.total_cmp(&b.errors.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::quantise::fixture::{draft, network, network_of, relu, same};

    fn output(scale: f64, low: i64, high: i64) -> QuantParams {
        QuantParams { scale, low, high }
    }

    #[test]
    fn an_activation_has_the_bits_that_hold_its_integers() {
        for (low, high, expected) in [(0, 1, 1), (-1, 1, 2), (0, 15, 4), (-8, 7, 4), (0, 16, 5)] {
            assert_eq!(bits_of(output(1.0, low, high)), expected, "{low} to {high}");
        }
    }

    #[test]
    fn finer_levels_cover_the_same_range() {
        // Fifteen steps of 17 are 255 steps of 1.
        let finer = finer_levels(output(17.0, 0, 15));
        assert_eq!(finer, output(1.0, 0, 255));
        let finer = finer_levels(output(17.0, -8, 7));
        assert_eq!(finer, output(1.0, -136, 119));
    }

    #[test]
    fn more_bits_of_one_activation_leave_those_of_the_others() {
        let network = network_of(vec![
            same("front", 0),
            relu("relu1", 1),
            same("mid1", 2),
            relu("relu2", 3),
            same("mid2", 4),
            relu("relu3", 5),
            same("back", 6),
        ]);
        let mut model = draft(network).model;
        for (bits, expected) in [
            ([3, 3, 2], "3,relu3=3"),
            ([3, 3, 3], "3,relu3=4"),
            // Nothing need be said of the usual bits.
            ([4, 4, 2], "relu3=3"),
        ] {
            for (index, bits) in bits.into_iter().enumerate() {
                let operation = &mut model.nodes[2 * index + 1].operation;
                let Operation::Activation(activation) = operation else {
                    panic!("an activation");
                };
                activation.output = output(1.0, 0, (1 << bits) - 1);
            }
            assert_eq!(more_bits(&model, &model.nodes[5]), expected, "{bits:?}");
        }
    }

    #[test]
    fn a_warning_says_what_to_change() {
        let alone = warning("integers lose 2.0 points", None, "give more");
        assert_eq!(
            alone,
            "integers lose 2.0 points, in no layer alone: give more"
        );
        let costliest = Costliest {
            name: "relu".into(),
            errors: (0.2, 0.05),
            remedy: "give it more".into(),
        };
        assert_eq!(
            warning("noise loses 2.0 points", Some(costliest), "no matter"),
            "noise loses 2.0 points, most of it in layer \"relu\", without which the outputs' error \
             would be 5.0 % of their deviation, not 20.0 %: give it more"
        );
    }

    #[test]
    fn the_largest_loss_is_of_integers_or_of_noise() {
        let losses = |noisy: Option<f64>| Losses {
            float: 1.0,
            integers: 0.75,
            noise: noisy.map(|noisy| Noise {
                image_count: 4,
                integers: 0.75,
                noisy,
                step_noise: Decision {
                    fraction: 1.0,
                    why: None,
                },
                reads: Reads::default(),
            }),
            warnings: Vec::new(),
        };
        assert_eq!(losses(None).largest(), 0.25);
        assert_eq!(losses(Some(0.75)).largest(), 0.25);
        assert_eq!(losses(Some(0.25)).largest(), 0.5);
    }

    #[test]
    fn small_networks_are_judged_on_the_most_images() {
        assert_eq!(judged(&draft(network()).model), MOST_JUDGED);
    }
}

//! Why a placement's parameters are what they are, in words and figures: `splitbench params`.

use std::sync::Arc;

use crate::cost::CostModel;
use crate::fhe::noise;
use crate::fhe::parameters::{ParameterSet, SECURITY_BITS};
use crate::linear_map::squared_norms;
use crate::model::Model;
use crate::program::{Form, LookUpStep, Program, Step};
use crate::simulation::Simulation;
use crate::units;

/// Returns the lines that explain the programs of a placement; `simulation` is the one without
/// noise over the test set.
pub fn explain(
    model: &Model,
    programs: &[Arc<Program>],
    simulation: &Simulation,
    cost: &CostModel,
) -> Vec<String> {
    if programs.is_empty() {
        return vec!["nothing is encrypted: no parameters".into()];
    }
    let mut lines = Vec::new();
    for program in programs {
        lines.extend(explain_program(model, program, simulation, cost));
        lines.push(String::new());
    }
    let all = noise::log2_sum(programs.iter().map(|program| program.log2_p_fail));
    lines.push(format!("log2_p_fail of an inference  {all:.1}"));
    lines
}

fn explain_program(
    model: &Model,
    program: &Program,
    simulation: &Simulation,
    cost: &CostModel,
) -> Vec<String> {
    let parameters = &program.parameters;
    let layers = &model.layers[program.layers.clone()];
    let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    let mut lines = vec![
        format!("segment {}", names.join(" ")),
        format!("  set        {parameters}, {SECURITY_BITS} bits"),
        format!("  noise      {}", noises(parameters)),
    ];
    let upload = &program.interface.upload;
    lines.push(format!(
        "  upload     integers {}..={}, {} of {} body coefficients at {} bytes",
        upload.quantisation.low,
        upload.quantisation.high,
        upload.layout.places.len(),
        upload.layout.lengths.iter().sum::<usize>(),
        upload.bytes
    ));
    let quantile = noise::two_sided_quantile(program.log2_p_fail_lookup.unwrap_or(-64.0));
    let mut maps = Vec::new();
    let mut fresh = true;
    for step in &program.steps {
        match step {
            Step::Linear(linear) => maps.push(&linear.map),
            Step::LookUp(step) => {
                let norms = squared_norms(&maps, step.sigma.len());
                let gain = norms.iter().copied().fold(0.0, f64::max).sqrt();
                lines.extend(explain_look_up(
                    model, parameters, step, gain, fresh, quantile,
                ));
                lines.extend(deviation_line(step, simulation));
                (maps, fresh) = (Vec::new(), false);
            }
        }
    }
    let bootstraps = program.bootstrap_count();
    if bootstraps > 0 {
        let core_s = cost.look_up_core_s(parameters);
        lines.push(format!(
            "  cost       {bootstraps} look-ups at {} of a core each, by the cost model",
            units::seconds(core_s)
        ));
    }
    lines.push(format!("  download   {}", download(program)));
    let worst = program
        .log2_p_fail_lookup
        .map_or("no look-ups".into(), |tail| format!("{tail:.1}"));
    lines.push(format!("  log2_p_fail_lookup  {worst}"));
    lines
}

/// Returns a standard deviation as a power of two of a turn.
fn turn(variance: f64) -> String {
    format!("2^{:.2}", variance.log2() / 2.0)
}

fn noises(parameters: &ParameterSet) -> String {
    format!(
        "fresh {}, bootstrap {}, keyswitch and modulus switch {} of a turn",
        turn(noise::fresh_variance(parameters)),
        turn(noise::bootstrap_variance(parameters)),
        turn(noise::look_up_variance(parameters)),
    )
}

fn explain_look_up(
    model: &Model,
    parameters: &ParameterSet,
    step: &LookUpStep,
    gain: f64,
    fresh: bool,
    quantile: f64,
) -> [String; 3] {
    let sigma = step.sigma.iter().copied().fold(0.0, f64::max);
    let input = if fresh {
        noise::fresh_variance(parameters)
    } else {
        noise::bootstrap_variance(parameters)
    };
    let encoding = if step.padding_bit {
        "padding bit"
    } else {
        "whole turn"
    };
    let low = step
        .tables
        .iter()
        .map(|table| table.range.0)
        .min()
        .unwrap_or(0);
    let high = step
        .tables
        .iter()
        .map(|table| table.range.1)
        .max()
        .unwrap_or(0);
    [
        format!(
            "  {:10} integers {low}..={high}, one is 2^{:.2} of a turn ({encoding})",
            model.layers[step.layer].name,
            (step.input_step as f64).log2() - 64.0,
        ),
        format!(
            "  {:10} guard bands of {quantile:.1} sigma, {} of a turn, at each end",
            "",
            turn((quantile * sigma).powi(2)),
        ),
        format!(
            "  {:10} noise {} = {gain:.1} x input {} and the look-up's own",
            "",
            turn(sigma * sigma),
            turn(input),
        ),
    ]
}

fn deviation_line(step: &LookUpStep, simulation: &Simulation) -> Option<String> {
    let mut layers = simulation.deviations.iter();
    let (_, tally) = layers.find(|(layer, _)| *layer == step.layer)?;
    let (one, two) = tally.rates()?;
    Some(format!(
        "  {:10} off by a step or more {}, by two or more {:.2e}",
        "",
        units::percent(one),
        two
    ))
}

fn download(program: &Program) -> String {
    let download = &program.interface.download;
    let sizes = download.ciphertext_sizes(&program.parameters);
    let form = match (&download.form, download.packing) {
        (Form::Lwe, _) => "LWE ciphertexts".into(),
        (Form::Glwe(_), None) => "GLWE products".into(),
        (Form::Glwe(_), Some(packing)) => {
            format!(
                "packed by a keyswitch 2^{} x {}",
                packing.base_log, packing.levels
            )
        }
    };
    let worst = download.noise_std.iter().copied().fold(0.0, f64::max);
    format!(
        "{} {form} at {} bytes a coefficient, {}; {}",
        sizes.len(),
        download.bytes,
        units::bytes((sizes.iter().sum::<usize>() * download.bytes) as u64),
        if download.exact {
            "exact".into()
        } else {
            format!("noise {worst:.1} integers")
        },
    )
}

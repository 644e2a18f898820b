//! Why a placement's parameters are what they are, in words and figures: `splitbench params`.

use std::sync::Arc;

use crate::circuit::analysis::Purpose;
use crate::circuit::interface::{DownloadEncoding, Form};
use crate::circuit::program::{LookUpStep, Program};
use crate::core::security::SECURITY_BITS;
use crate::core::statistics::log2_union;
use crate::core::torus::TURN;
use crate::core::units;
use crate::fhe::noise;
use crate::fhe::parameters::ParameterSet;
use crate::model::Model;
use crate::oracle::accuracy::Accuracy;
use crate::record::cost_model::CostModel;
use crate::record::deviations::Deviations;

/// Returns the lines that explain the programs of a placement.
pub fn explain(
    model: &Model,
    programs: &[Arc<Program>],
    accuracy: &Accuracy,
    cost: &CostModel,
) -> Vec<String> {
    if programs.is_empty() {
        return vec!["nothing is encrypted: no parameters".into()];
    }
    let mut lines = Vec::new();
    // One for each step of look-ups, in their order.
    let mut deviations = accuracy.deviations.iter().map(|(_, tally)| *tally);
    for program in programs {
        lines.extend(explain_program(model, program, &mut deviations, cost));
        lines.push(String::new());
    }
    lines.extend(failures(model, programs, accuracy));
    lines.push(if model.is_classifier() {
        format!(
            "accuracy over {} test images  {:.1} % without noise, {:.1} % with it",
            accuracy.image_count,
            100.0 * accuracy.noiseless,
            100.0 * accuracy.simulated,
        )
    } else {
        format!(
            "{} test images, whose outputs are no classes",
            accuracy.image_count
        )
    });
    lines
}

/// Returns the failure probability, what simulated inferences say of it, and where values left their
/// range.
fn failures(model: &Model, programs: &[Arc<Program>], accuracy: &Accuracy) -> Vec<String> {
    let computed = log2_union(programs.iter().map(|program| program.log2_p_fail));
    let seen = &accuracy.noisy_reads;
    let failure = seen.of_inference(computed);
    let told = if failure.is_observed {
        format!("observed; {computed:.1} is computed, which the simulation contradicts")
    } else {
        "computed".into()
    };
    let at_most = |log2: Option<f64>| log2.map_or("-".into(), |log2| format!("2^{log2:.1}"));
    let reads = seen.reads;
    let mut lines = vec![
        format!("log2_p_fail of an inference  {:.1}, {told}", failure.log2_p),
        format!(
            "out of range  {} of {} values in {} inferences with noise, at most {} of them; {} \
             without noise",
            reads.out_of_range,
            reads.count,
            seen.inferences,
            at_most(seen.log2_out_of_range_high()),
            accuracy.range_overflow_count,
        ),
        format!(
            "misread       {} values, in {} inferences, at most {} of them",
            reads.misread,
            seen.misread_inferences,
            at_most(seen.log2_misread_high()),
        ),
    ];
    let left = accuracy
        .step_reads
        .iter()
        .filter(|(_, reads)| reads.out_of_range > 0 || reads.misread > 0);
    lines.extend(left.map(|&(node, reads)| {
        let name = &model.node(node).name;
        let (out_of_range, misread) = (reads.out_of_range, reads.misread);
        let count = reads.count;
        format!("  {name:10}  {out_of_range} out of range and {misread} misread, of {count}")
    }));
    lines
}

fn explain_program(
    model: &Model,
    program: &Program,
    deviations: &mut dyn Iterator<Item = Deviations>,
    cost: &CostModel,
) -> Vec<String> {
    let parameters = &program.parameters;
    let nodes = &model.nodes[program.nodes.clone()];
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let mut lines = vec![
        format!("segment {}", names.join(" ")),
        format!("  set        {parameters}, {SECURITY_BITS} bits"),
        format!("  noise      {}", noises(parameters)),
    ];
    for upload in &program.interface.uploads {
        lines.push(format!(
            "  upload     integers {}..={}, {} of {} body coefficients at {} bytes",
            upload.quantisation.low,
            upload.quantisation.high,
            upload.layout.places.len(),
            upload.layout.lengths.iter().sum::<usize>(),
            upload.bytes
        ));
    }
    let quantile = noise::two_sided_quantile(program.log2_p_fail_lookup.unwrap_or(-64.0));
    for step in program.look_ups() {
        let mut name = model.node(step.node).name.as_str();
        if let Some(purpose) = purpose(step) {
            lines.push(format!("  {name:10} {purpose}"));
            name = "";
        }
        lines.extend(explain_look_up(name, parameters, step, quantile));
        lines.extend(deviations.next().and_then(deviation_line));
    }
    let bootstraps = program.bootstrap_count();
    if bootstraps > 0 {
        let core_s = cost.look_up_core_s(parameters);
        lines.push(format!(
            "  cost       {bootstraps} look-ups at {} of a core each, by the cost model",
            units::seconds(core_s)
        ));
    }
    for encoding in &program.interface.downloads {
        lines.push(format!("  download   {}", download(encoding, parameters)));
    }
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
    name: &str,
    parameters: &ParameterSet,
    step: &LookUpStep,
    quantile: f64,
) -> [String; 3] {
    let sigma = step.sigma.iter().copied().fold(0.0, f64::max);
    let own = noise::look_up_variance(parameters);
    let whole_turns = step
        .tables
        .iter()
        .filter(|table| !table.padding_bit)
        .count();
    let width = step
        .tables
        .iter()
        .map(|table| table.range.1 - table.range.0);
    let turns = |integers: i64| integers as f64 * step.unit as f64 / TURN;
    [
        format!(
            "  {name:10} channels fill {} to {} of a turn; {whole_turns} of {} without a padding bit",
            units::percent(turns(width.clone().min().unwrap_or(0))),
            units::percent(turns(width.max().unwrap_or(0))),
            step.tables.len(),
        ),
        format!(
            "  {:10} noise margins of {quantile:.1} sigma, {} of a turn, at each end",
            "",
            turn((quantile * sigma).powi(2)),
        ),
        format!(
            "  {:10} noise {}: from its input {}, the look-up's own {}",
            "",
            turn(sigma * sigma),
            turn((sigma * sigma - own).max(0.0)),
            turn(own),
        ),
    ]
}

/// Returns what a step of look-ups is for that the model does not have.
fn purpose(step: &LookUpStep) -> Option<String> {
    let sigma = step.sigma.iter().copied().fold(0.0, f64::max);
    let table = step.tables.first()?;
    let number = |integers: f64| units::decimal(integers * table.scale, 3);
    let noise = sigma * TURN / step.unit as f64;
    match step.purpose {
        Purpose::Activation => None,
        Purpose::Comparison => Some(format!(
            "{} comparisons of logits that differ by up to {}, with noise of {}",
            step.sigma.len(),
            number(table.range.0.abs().max(table.range.1) as f64),
            number(noise)
        )),
        Purpose::Conjunction => Some(format!("{} conjunctions of comparisons", step.sigma.len())),
        Purpose::Protection => Some(format!(
            "{} answers looked up in {} steps",
            step.sigma.len(),
            step.output_steps()
        )),
        Purpose::Gate => Some(format!(
            "{} uploaded values looked up, {} levels pass",
            step.sigma.len(),
            step.output_steps() + 1
        )),
    }
}

fn deviation_line(tally: Deviations) -> Option<String> {
    let (one, two) = tally.rates()?;
    Some(format!(
        "  {:10} off by a step or more {}, by two or more {:.2e}",
        "",
        units::percent(one),
        two
    ))
}

fn download(download: &DownloadEncoding, parameters: &ParameterSet) -> String {
    let sizes = download.ciphertext_sizes(parameters);
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
    let flooded = download.flooding.map_or_else(String::new, |flooding| {
        format!(
            "; flooded with 2^{:.2} of a turn, statistical distance 2^{:.1}",
            flooding.std.log2(),
            flooding.log2_distance
        )
    });
    format!(
        "{} {form} at {} bytes a coefficient, {}; {}{flooded}",
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

//! Criterion over the engine's parts: `cargo bench --bench parts`, `-- keyswitch` to select.
//!
//! Identifiers are made of the part, its form, its size and the parameter set. Every part is
//! checked before it is timed. Beside criterion's figures stand plain lines: the ratio to tfhe's
//! own bootstrap in interleaved pairs, one inference of a linear layer, and the memory of stacks
//! of layers. They come without flags, or with one name to select.

mod activation;
mod inference;
mod linear;
mod memory;
mod messages;
mod reference;

use std::time::{Duration, Instant};

use criterion::{Bencher, Criterion, SamplingMode};
use splitbench::Result;
use splitbench::cli::progress::tell;
use splitbench::core::linear_map::Row;
use splitbench::fhe::cipher;
use splitbench::fhe::keys::{EvaluationKey, SecretKey, SeededEvaluationKey};
use splitbench::fhe::packed::extract;
use splitbench::fhe::parameters::ParameterSet;

use reference::Reference;

/// A parameter set with keys for both sides of the comparison.
struct Set {
    name: &'static str,
    parameters: ParameterSet,
    secret: SecretKey,
    key: EvaluationKey,
    reference: Reference,
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(10))
        .measurement_time(Duration::from_millis(50))
        .configure_from_args();
    let result = match memory::requested_depth() {
        Some(depth) => memory::report(depth),
        None => bench_parts(&mut criterion),
    };
    if let Err(error) = result {
        tell(&format!("splitbench: {error}"));
        std::process::exit(error.exit_code().into());
    }
}

fn bench_parts(criterion: &mut Criterion) -> Result<()> {
    let sets = [
        Set::generate("fast", ParameterSet::fast()?)?,
        Set::generate("accurate", ParameterSet::accurate()?)?,
    ];
    for set in &sets {
        activation::bench_activations(criterion, set);
        linear::bench_layers(criterion, set);
        messages::bench_messages(criterion, set)?;
    }
    criterion.final_summary();
    for set in sets.iter().filter(|_| selected("activation")) {
        activation::print_ratio(set);
    }
    drop(sets);
    if selected("inference") {
        inference::print_dense()?;
    }
    if selected("memory") {
        memory::print_stacks()?;
    }
    Ok(())
}

impl Set {
    /// Generates keys; the evaluation key takes the way over the wire.
    fn generate(name: &'static str, parameters: ParameterSet) -> Result<Self> {
        let secret = SecretKey::generate(parameters);
        let message = secret.evaluation_key().to_bytes();
        let seeded = SeededEvaluationKey::from_bytes(&message, &parameters)?;
        Ok(Self {
            name,
            parameters,
            secret,
            key: EvaluationKey::expand(seeded, parameters),
            // After the engine has fixed its FFT plan, which tfhe then uses too.
            reference: Reference::generate(&parameters),
        })
    }

    /// Returns fresh LWE ciphertexts of the phases, which must fit one GLWE ciphertext.
    fn encrypt(&self, phases: &[u64]) -> Vec<Row<u64>> {
        let seeded = cipher::encrypt(&self.secret, &[phases.to_vec()]);
        let ciphertext = &cipher::expand(&self.parameters, &seeded)[0];
        (0..phases.len())
            .map(|coefficient| extract(&self.parameters, ciphertext, coefficient))
            .collect()
    }
}

/// Benchmarks `routine` as `group/id`, a fixed number of iterations a sample.
fn bench(
    criterion: &mut Criterion,
    group: &str,
    id: String,
    routine: impl FnMut(&mut Bencher<'_>),
) {
    let mut group = criterion.benchmark_group(group);
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function(id, routine);
    group.finish();
}

/// Returns whether the command line asks for the plain lines of that name.
fn selected(name: &str) -> bool {
    let mut arguments = std::env::args().skip(1);
    let bench = std::env::args().any(|argument| argument == "--bench");
    let filter = arguments.find(|argument| !argument.starts_with('-'));
    bench && filter.is_none_or(|filter| name.contains(&filter))
}

/// Times `work` on what `prepare` makes, outside the time; `count` items of work are one iteration
/// each.
fn time_items<T>(
    bencher: &mut Bencher<'_>,
    count: usize,
    mut prepare: impl FnMut() -> T,
    mut work: impl FnMut(&mut T),
) {
    bencher.iter_custom(|iterations| {
        let batches = (0..iterations).map(|_| time(&mut prepare, &mut work));
        batches.sum::<Duration>() / count as u32
    });
}

/// Returns the time of `work` alone.
fn time<T>(prepare: &mut impl FnMut() -> T, work: &mut impl FnMut(&mut T)) -> Duration {
    let mut prepared = prepare();
    let start = Instant::now();
    work(&mut prepared);
    start.elapsed()
}

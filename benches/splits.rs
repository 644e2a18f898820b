//! Criterion over every split of a split file: `cargo bench`, `cargo bench -- CSS` to select.
//!
//! `SPLITBENCH_SPLITS` names another split file than `splits/bench.json`. Each benchmark is the
//! online time of one inference on the first test image, keys exchanged beforehand, in process.

use std::path::PathBuf;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use splitbench::circuit::program::NoiseSeed;
use splitbench::cli::progress::tell;
use splitbench::oracle::agreement::within_error_model;
use splitbench::party::session::Session;
use splitbench::record::settings::Settings;
use splitbench::sweep::Overrides;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(1))
        .configure_from_args();
    if let Err(error) = bench_splits(&mut criterion) {
        tell(&format!("splitbench: {error}"));
        std::process::exit(error.exit_code().into());
    }
    criterion.final_summary();
}

fn bench_splits(criterion: &mut Criterion) -> splitbench::Result<()> {
    let file =
        std::env::var_os("SPLITBENCH_SPLITS").map_or("splits/bench.json".into(), PathBuf::from);
    let (settings, model) = Settings::resolve(
        Overrides {
            splits: Some(file),
            ..Overrides::default()
        },
        &tell,
    )?;
    let target = settings.target()?;
    let mut group = criterion.benchmark_group(&model.name);
    group.sampling_mode(SamplingMode::Flat);
    for placement in &settings.placements {
        let mut session = None;
        group.bench_function(placement.to_string(), |bencher| {
            // Keys are made only for the splits that the filter selects.
            let session = session.get_or_insert_with(|| {
                Session::set_up(&model, placement, &target)
                    .unwrap_or_else(|error| panic!("{error}"))
            });
            bencher.iter_custom(|iterations| {
                (0..iterations)
                    .map(|_| online_time(session, model.test.image(0)))
                    .sum()
            });
        });
    }
    group.finish();
    Ok(())
}

/// Returns the online time of one inference whose answer lies within the error model.
fn online_time(session: &Session, image: &[u8]) -> Duration {
    let inference = session
        .infer(image)
        .unwrap_or_else(|error| panic!("{error}"));
    for (program, exchange) in session.programs().iter().zip(&inference.exchanges) {
        assert!(
            within_error_model(program, exchange, NoiseSeed(1)),
            "an answer lies outside the error model"
        );
    }
    Duration::from_secs_f64(inference.times.online_s)
}

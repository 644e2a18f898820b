//! What a sweep will take on this machine, from one quick measurement and arithmetic.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

use crate::circuit::compile::Target;
use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::model::Model;
use crate::party::session::Session;
use crate::plan::memory_need::{COMPILED_PLACEMENTS, carried};
use crate::plan::overhead::{Runs, Speed};
use crate::record::settings::Settings;
use crate::record::visit::Visit;

/// Look-ups that the quick measurement runs.
const PROBE_BATCH: usize = 32;

/// The cost of a sweep, projected.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    pub inference_count: usize,
    pub bootstrap_count: usize,
    pub expected: Expected,
}

/// What visits are expected to take.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    speed: Speed,
    runs: Runs,
    /// Look-ups of each placement's inference.
    look_ups: HashMap<Placement, usize>,
    /// Seconds of studying each server segment.
    study_s: HashMap<Range<usize>, f64>,
}

impl Expected {
    /// Returns what is expected of the placements of a sweep on a machine of that speed.
    pub fn of(settings: &Settings, model: &Model, speed: Speed) -> Self {
        let output_mode = settings.output_mode();
        let count = |placement: &Placement| output_mode.bootstrap_count(model, placement);
        let placements = settings.placements.iter();
        let segments = placements.clone().flat_map(Placement::server_segments);
        let mut study_s = HashMap::new();
        for segment in segments {
            study_s.entry(segment.layers).or_insert_with_key(|layers| {
                speed.study_s(output_mode.segment_bootstrap_count(model, layers))
            });
        }
        Self {
            speed,
            runs: settings.runs(model),
            look_ups: placements
                .map(|placement| (placement.clone(), count(placement)))
                .collect(),
            study_s,
        }
    }

    /// Returns the expected seconds of visits that are made in that order: the first of all begins the
    /// sweep, and the first to reach a server segment also studies it.
    pub fn seconds<'a>(&self, visits: impl IntoIterator<Item = &'a Visit>) -> Vec<f64> {
        let mut left = self.study_s.clone();
        let mut begin_s = self.speed.begin_s();
        visits
            .into_iter()
            .map(|visit| {
                let count = self.look_ups.get(&visit.placement).copied().unwrap_or(0);
                let inference_s = count as f64 * self.speed.look_up_s;
                let runs = &self.runs;
                let visit_s = runs.visit_s(visit.repeat, count, inference_s, &self.speed);
                let segments = visit.placement.server_segments();
                let studies = segments.iter().filter_map(|of| left.remove(&of.layers));
                std::mem::take(&mut begin_s) + visit_s + studies.sum::<f64>()
            })
            .collect()
    }
}

/// Measures keys and look-ups once if any split needs them, and projects the whole sweep.
///
/// # Errors
///
/// [`Error::Interrupted`] where `stop` says so. Placements that no parameter set can carry are passed
/// over: their rows will tell.
pub fn project(settings: &Settings, model: &Model, stop: &dyn Fn() -> bool) -> Result<Projection> {
    let target = settings.target()?;
    let inferences_per_split = settings.images * settings.repeats;
    let output_mode = settings.output_mode();
    let bootstraps = |placement: &Placement| output_mode.bootstrap_count(model, placement);
    let probes = settings
        .placements
        .iter()
        .filter(|placement| bootstraps(placement) > 0);
    let mut measured = None;
    for placement in probes.take(COMPILED_PLACEMENTS) {
        if stop() {
            return Err(Error::Interrupted);
        }
        measured = carried(measure(model, placement, &target))?;
        if measured.is_some() {
            break;
        }
    }
    let bootstrap_counts = settings.placements.iter().map(bootstraps);
    Ok(Projection {
        inference_count: settings.placements.len() * inferences_per_split,
        bootstrap_count: inferences_per_split * bootstrap_counts.sum::<usize>(),
        expected: Expected::of(settings, model, measured.unwrap_or_default()),
    })
}

/// Measures keys and look-ups.
fn measure(model: &Model, placement: &Placement, target: &Target) -> Result<Speed> {
    let start = Instant::now();
    let session = Session::set_up(model, placement, target)?;
    let key_s = start.elapsed().as_secs_f64();
    let look_up_s = session.activation_s(PROBE_BATCH)?.unwrap_or_default();
    Ok(Speed { key_s, look_up_s })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::plan::remaining::Remaining;
    use crate::sweep::Overrides;

    /// A sweep: the model, the rounds, the seconds of keys and of a look-up, and what each visit took.
    type Recorded = (&'static str, usize, Speed, &'static [(&'static str, f64)]);

    /// Sweeps as they ran on two cores of an AMD EPYC of family 25 (AVX2).
    const RECORDED: [Recorded; 3] = [
        (
            "digits-cnn",
            1,
            Speed {
                key_s: 0.97,
                look_up_s: 0.0074,
            },
            &[
                ("SSCSS", 16.02),
                ("CSCCC", 9.80),
                ("SSCCS", 4.75),
                ("CCCSC", 4.49),
                ("CCSSS", 4.88),
                ("SCSSS", 3.75),
                ("SSSSS", 11.24),
                ("SCCSC", 3.90),
                ("SSCSC", 7.48),
                ("CCCCS", 0.46),
                ("SSSCS", 8.57),
                ("SCCCS", 0.53),
                ("CSSSC", 11.08),
                ("CSCCS", 5.72),
                ("SCSCS", 3.17),
                ("CCCSS", 3.93),
                ("CSCSC", 11.86),
                ("SCSCC", 0.96),
                ("CSSCC", 12.68),
                ("CCCCC", 0.20),
                ("SSSCC", 4.91),
                ("SCCSS", 4.00),
                ("SCSSC", 7.26),
                ("SSSSC", 12.01),
                ("CCSCS", 0.48),
                ("SSCCC", 4.63),
                ("CCSCC", 0.90),
                ("CSSSS", 11.95),
                ("SCCCC", 0.26),
                ("CCSSC", 3.70),
                ("CSSCS", 5.94),
                ("CSCSS", 7.22),
            ],
        ),
        (
            "digits-mlp",
            1,
            Speed {
                key_s: 0.92,
                look_up_s: 0.0075,
            },
            &[
                ("CSC", 6.46),
                ("CCC", 0.50),
                ("SSC", 6.86),
                ("CCS", 0.37),
                ("CSS", 3.80),
                ("SCS", 0.50),
                ("SSS", 3.59),
                ("SCC", 0.33),
            ],
        ),
        (
            "digits-deep",
            2,
            Speed {
                key_s: 1.73,
                look_up_s: 0.0128,
            },
            &[
                ("SSCCSSCC", 21.84),
                ("SSSSSSSS", 20.45),
                ("CCCCCCCC", 0.89),
                ("SSSSSSSS", 7.86),
                ("SSCCSSCC", 4.71),
                ("CCCCCCCC", 0.46),
            ],
        ),
    ];

    #[test]
    fn recorded_sweeps_took_what_was_expected_and_less_was_left_as_told() {
        for (model, repeats, speed, recorded) in RECORDED {
            let mut seen: HashMap<&str, usize> = HashMap::new();
            let visits: Vec<Visit> = recorded
                .iter()
                .map(|(placement, _)| {
                    let repeat = seen.entry(placement).or_default();
                    *repeat += 1;
                    Visit {
                        placement: placement.parse().expect("letters"),
                        repeat: *repeat - 1,
                    }
                })
                .collect();
            let first = visits.iter().filter(|visit| visit.repeat == 0);
            let overrides = Overrides {
                model: Some(PathBuf::from(model)),
                placements: first.map(|visit| visit.placement.clone()).collect(),
                repeats: Some(repeats),
                ..Overrides::default()
            };
            let (settings, loaded) = Settings::resolve(overrides, &|_| ()).expect("settings");
            let expected = Expected::of(&settings, &loaded, speed).seconds(&visits);
            let total: f64 = recorded.iter().map(|(_, seconds)| seconds).sum();
            let ratio = expected.iter().sum::<f64>() / total;
            assert!((0.7..1.3).contains(&ratio), "{model}: {ratio}");
            let mut remaining = Remaining::of(expected);
            let mut behind_s = 0.0;
            for (placement, seconds) in recorded {
                remaining.end(*seconds);
                behind_s += seconds;
                let (told, left) = (remaining.seconds(0.0), total - behind_s);
                // The last seconds nobody plans by.
                let is_right = (told - left).abs() <= 0.3 * left + 3.0;
                assert!(
                    behind_s < 0.1 * total || is_right,
                    "{model}, after {placement}: {told} told, {left} left"
                );
            }
            assert!(remaining.seconds(1.0) < 1e-9, "nothing is left");
        }
    }
}

//! Sweeps made up: splits that scatter, on a machine that changes, of which it is known what differs.

use std::path::Path;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use splitbench::record::compare::{Measured, compare};
use splitbench::record::row::{SampleRow, SplitRow};

/// How the logarithm of one visit's time strays.
#[derive(Debug, Clone)]
pub enum Scatter {
    Normal(f64),
    /// One of these.
    Recorded(Vec<f64>),
}

impl Scatter {
    pub fn draw(&self, random: &mut ChaCha8Rng) -> f64 {
        match self {
            Self::Normal(deviation) => Normal::new(0.0, *deviation).unwrap().sample(random),
            Self::Recorded(strays) => *strays.choose(random).unwrap(),
        }
    }
}

/// What the machine does to all times, calibrations among them, over the visits of both sweeps.
#[derive(Debug, Clone, Copy)]
pub enum Drift {
    None,
    /// All of the second sweep is slower or faster by a tenth.
    Common,
    /// From some visit of either sweep on.
    Step,
    /// Little by little over the second sweep.
    Ramp,
}

pub const DRIFTS: [Drift; 4] = [Drift::None, Drift::Common, Drift::Step, Drift::Ramp];

/// A pair of sweeps to be made up.
#[derive(Debug, Clone)]
pub struct Trial {
    pub splits: usize,
    pub visits: usize,
    pub scatter: Scatter,
    /// Of calibrations.
    pub machine: Scatter,
    pub drift: Drift,
    /// By what factor the first split of the second sweep is slower.
    pub slower: f64,
}

impl Trial {
    /// Returns for each split whether a difference was said to be shown.
    pub fn run(&self, random: &mut ChaCha8Rng) -> Vec<bool> {
        let both = 2 * self.visits * self.splits;
        let size = if random.random() {
            1.1f64.ln()
        } else {
            -1.1f64.ln()
        };
        let begin = random.random_range(0..both);
        let drift = |sweep: usize, at: usize| {
            let so_far = at as f64 / (self.visits * self.splits) as f64;
            match self.drift {
                Drift::None => 0.0,
                Drift::Common => size * sweep as f64,
                Drift::Step if sweep * both / 2 + at >= begin => size,
                Drift::Step => 0.0,
                Drift::Ramp => size * so_far * sweep as f64,
            }
        };
        let sweeps = [0, 1].map(|sweep| {
            let mut samples = Vec::new();
            for repeat in 0..self.visits {
                for split in 0..self.splits {
                    let drift = drift(sweep, repeat * self.splits + split);
                    let slower = if sweep == 1 && split == 0 {
                        self.slower.ln()
                    } else {
                        0.0
                    };
                    let online = 0.1f64.ln() + drift + slower + self.scatter.draw(random);
                    let calibration = 1e-3f64.ln() + drift + self.machine.draw(random);
                    samples.push(SampleRow {
                        placement: split.to_string(),
                        repeat,
                        online_s: online.exp(),
                        calibration_s: Some(calibration.exp()),
                        ..SampleRow::default()
                    });
                }
            }
            let splits = (0..self.splits).map(|split| SplitRow {
                placement: split.to_string(),
                host: Some("one".into()),
                online_s_median: Some(0.1),
                ..SplitRow::default()
            });
            Measured::of(splits.collect(), samples)
        });
        let comparison = compare(&sweeps[0], &sweeps[1]);
        let splits = comparison.splits.iter();
        splits.map(|split| split.differs == Some(true)).collect()
    }

    /// Returns the fraction of runs in which any split, or the first, is said to differ.
    pub fn fractions(&self, runs: usize, seed: u64) -> (f64, f64) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut any, mut first) = (0, 0);
        for _ in 0..runs {
            let found = self.run(&mut random);
            any += usize::from(found.contains(&true));
            first += usize::from(found[0]);
        }
        (any as f64 / runs as f64, first as f64 / runs as f64)
    }
}

/// Returns how recorded times stray within the splits of the committed example, and how its
/// calibrations do.
pub fn recorded() -> (Vec<f64>, Vec<f64>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/example-digits-cnn/samples.csv");
    let mut reader = csv::Reader::from_path(path).unwrap();
    let samples: Vec<SampleRow> = reader.deserialize().collect::<Result<_, _>>().unwrap();
    let mut strays = Vec::new();
    for of_split in samples.chunk_by(|a, b| a.placement == b.placement) {
        strays.extend(centred(of_split.iter().map(|sample| sample.online_s)));
    }
    let calibrations = samples.iter().filter_map(|sample| sample.calibration_s);
    (strays, centred(calibrations))
}

/// Returns logarithms less their mean, as wide as those of more values would be.
fn centred(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    let n = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / n;
    let wider = (n / (n - 1.0)).sqrt();
    logs.iter().map(|log| (log - mean) * wider).collect()
}

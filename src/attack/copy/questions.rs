//! What the client asks a server segment, and what it is answered.

use std::ops::ControlFlow;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::affine::Batch;
use crate::circuit::interface::DownloadEncoding;
use crate::circuit::program::{NoiseSeed, Program};
use crate::core::linear_map::Row;
use crate::core::placement::Placement;
use crate::model::Model;
use crate::oracle::simulation::observe_uploads;

/// Inferences that run before anyone is asked whether to stop: seconds of wide networks.
pub const AT_ONCE: usize = 50;

/// Integers of all uploads, one value after the other, of each question.
pub type Questions = Vec<Vec<i64>>;

/// Returns what ordinary inferences of a model's images upload to a segment that stands `alone` on the
/// server; `None` where `stop` says so before the end.
pub fn ordinary(
    model: &Model,
    alone: &Placement,
    program: &Arc<Program>,
    images: &[usize],
    stop: &dyn Fn() -> bool,
) -> Option<Questions> {
    let mut questions = Vec::with_capacity(images.len());
    for portion in images.chunks(AT_ONCE) {
        if stop() {
            return None;
        }
        let programs = [Arc::clone(program)];
        observe_uploads(model, alone, &programs, portion, &mut |_, uploads| {
            let elements: Vec<&Row<u64>> = uploads.iter().flatten().collect();
            questions.extend(
                (0..portion.len())
                    .map(|column| elements.iter().map(|row| row[column] as i64).collect()),
            );
            ControlFlow::Break(())
        });
    }
    Some(questions)
}

/// How much of a range an ordinary value is moved by, at most.
const MOST_SHIFT: f64 = 0.25;

/// How an input is made up.
#[derive(Debug, Clone, Copy)]
enum Made {
    /// Each element is that of one of two ordinary inputs.
    Crossed,
    /// A weighted mean of two.
    Mixed,
    /// An ordinary one, each element shifted.
    Shifted,
}

/// Returns inputs that are made up of ordinary ones, within what the segment was calibrated for. Of what was tried
/// (uniformly random elements and extrapolations too), these kinds taught most.
pub fn made_up(
    model: &Model,
    program: &Program,
    ordinary: &Questions,
    count: usize,
    seed: u64,
) -> Questions {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let ends = ends(model, program);
    let kinds = [Made::Crossed, Made::Mixed, Made::Shifted];
    let kinds = kinds.into_iter().cycle().take(count);
    kinds
        .map(|kind| kind.question(ordinary, &ends, &mut generator))
        .collect()
}

impl Made {
    fn question(
        self,
        ordinary: &Questions,
        ends: &[(i64, i64)],
        generator: &mut ChaCha8Rng,
    ) -> Vec<i64> {
        let mut draw = || &ordinary[generator.random_range(0..ordinary.len())];
        let (one, other) = (draw(), draw());
        let share: f64 = generator.random_range(0.0..1.0);
        let mut element = |one: f64, other: f64, width: f64| match self {
            Self::Crossed if generator.random_range(0.0..1.0) < share => one,
            Self::Crossed => other,
            Self::Mixed => one * share + other * (1.0 - share),
            Self::Shifted => {
                let normal: f64 = StandardNormal.sample(generator);
                one + normal * share * MOST_SHIFT * width
            }
        };
        let values = one.iter().zip(other).zip(ends);
        let values = values.map(|((&one, &other), &(low, high))| {
            let value = element(one as f64, other as f64, (high - low) as f64);
            (value.round() as i64).clamp(low, high)
        });
        values.collect()
    }
}

/// Returns the smallest and the largest integer that each element was calibrated for: beyond them values may
/// wrap around inside the segment, which teaches nothing of what it does to others.
fn ends(model: &Model, program: &Program) -> Vec<(i64, i64)> {
    let uploads = program.interface.uploads.iter();
    let ends = uploads.flat_map(|upload| {
        let ranges = model.range(upload.value).into_iter().enumerate();
        ranges.map(|(element, (low, high))| {
            let integer = |real: f32| upload.quantisation.quantise(element, f64::from(real));
            (integer(low), integer(high))
        })
    });
    ends.collect()
}

/// Returns what questions stand for: `[elements, questions]` of each upload.
pub fn reals(program: &Program, questions: &[Vec<i64>]) -> Vec<Batch> {
    let mut first = 0;
    let uploads = program.interface.uploads.iter().map(|upload| {
        let (quantisation, start) = (&upload.quantisation, first);
        let count = upload.layout.places.len();
        first += count;
        Batch::from_shape_fn((count, questions.len()), |(element, question)| {
            let integer = questions[question][start + element] as f64;
            (integer * quantisation.scales[element] + quantisation.offsets[element]) as f32
        })
    });
    uploads.collect()
}

/// Returns the server's answers, with its noise: `[elements, questions]` of each download; `None` where `stop`
/// says so before the end.
pub fn answers(
    program: &Program,
    questions: &[Vec<i64>],
    seed: u64,
    stop: &dyn Fn() -> bool,
) -> Option<Vec<Batch>> {
    let downloads = &program.interface.downloads;
    let mut all: Vec<Vec<Vec<f32>>> = downloads
        .iter()
        .map(|d| vec![Vec::new(); d.scales.len()])
        .collect();
    for (index, portion) in questions.chunks(AT_ONCE).enumerate() {
        if stop() {
            return None;
        }
        let noise = NoiseSeed(seed.wrapping_add((index as u64) << 40));
        let outputs = program
            .run_clear(&by_upload(program, portion), Some(noise))
            .outputs;
        for ((all, rows), download) in all.iter_mut().zip(outputs).zip(downloads) {
            decode(all, &rows, download);
        }
    }
    let batch = |rows: Vec<Vec<f32>>| {
        let shape = (rows.len(), questions.len());
        Batch::from_shape_vec(shape, rows.concat()).expect("an answer to each question")
    };
    Some(all.into_iter().map(batch).collect())
}

fn decode(all: &mut [Vec<f32>], rows: &[Row<u64>], download: &DownloadEncoding) {
    for ((all, row), scale) in all.iter_mut().zip(rows).zip(&download.scales) {
        all.extend(
            row.iter()
                .map(|&integer| (integer as i64 as f64 * scale) as f32),
        );
    }
}

/// Returns questions as the program reads them: `[elements, questions]` of each upload.
pub fn by_upload(program: &Program, questions: &[Vec<i64>]) -> Vec<Vec<Row<u64>>> {
    let mut first = 0;
    let uploads = program.interface.uploads.iter().map(|upload| {
        let elements = first..first + upload.layout.places.len();
        first = elements.end;
        let row = |element: usize| questions.iter().map(|q| q[element] as u64).collect();
        elements.map(row).collect()
    });
    uploads.collect()
}

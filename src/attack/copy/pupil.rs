//! A server segment that is copied: what is asked, what is answered, and what is learnt from it.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::affine::{Batch, Tensors};
use super::ground::Ground;
use super::learn::{Pace, learn};
use super::least_squares::solve;
use super::lesson::{Goal, Lesson, columns};
use super::network::Network;
use super::questions::{self, Questions};
use super::start::Start;
use crate::circuit::program::Program;
use crate::core::placement::{Placement, Segment};
use crate::model::output_mode::Added;
use crate::oracle::simulation::label_of;

/// How long all copies learn; what is gained by longer is less than their spread over seeds.
pub const PACE: Pace = Pace {
    steps: 6000,
    batch: 64,
    rate: 0.08,
};
/// Ordinary inputs that the weights at the start are scaled by.
const MOST_SCALING: usize = 256;
/// Tell the streams of a seed apart: of questions, and of the server's noise.
const STREAMS: [u64; 2] = [0x5155_4553, 0x4e4f_4953];

/// A server segment, and what ordinary inferences upload to it.
pub struct Pupil {
    pub layers: Range<usize>,
    pub program: Arc<Program>,
    pub network: Network,
    /// Of each image to ask with; found where they are first asked for.
    ordinary: OnceLock<Questions>,
    /// Whether its answers are labels.
    is_label: bool,
}

/// A copy of a segment.
#[derive(Debug, Clone)]
pub struct Copied {
    pub start: Start,
    pub tensors: Vec<Tensors>,
}

impl Pupil {
    /// Returns the pupil of a segment.
    pub fn new(ground: &Ground, segment: &Segment, program: &Arc<Program>) -> Self {
        let model = &ground.asked;
        let downloads = program.interface.downloads.iter();
        let mode = ground.target.output_mode;
        let mut added = downloads.map(|download| mode.added(model, download.node));
        Self {
            layers: segment.layers.clone(),
            program: Arc::clone(program),
            network: Network::of_segment(model, program),
            ordinary: OnceLock::new(),
            is_label: added.any(|added| added == Some(Added::Label)),
        }
    }

    /// Returns what ordinary inferences of each image to ask with upload; `None` where `stop` says so before it
    /// is found.
    pub fn ordinary(&self, ground: &Ground, stop: &dyn Fn() -> bool) -> Option<&Questions> {
        if self.ordinary.get().is_none() {
            let model = &ground.asked;
            let alone = Placement::with_server(self.layers.clone(), &model.pins());
            let images: Vec<usize> = (0..model.test.len()).collect();
            let found = questions::ordinary(model, &alone, &self.program, &images, stop)?;
            // Whoever found the same meanwhile is not contradicted.
            let _ = self.ordinary.set(found);
        }
        self.ordinary.get()
    }

    /// Returns the questions of so many queries: half of them ordinary, if there are as many, and these first;
    /// `None` where `stop` says so.
    pub fn questions(
        &self,
        ground: &Ground,
        queries: usize,
        seed: u64,
        stop: &dyn Fn() -> bool,
    ) -> Option<Questions> {
        let ordinary = self.ordinary(ground, stop)?;
        let images = images(ordinary.len(), queries, seed);
        let mut all: Questions = images
            .iter()
            .map(|&image| ordinary[image].clone())
            .collect();
        let made = queries - all.len();
        let seed = seed ^ STREAMS[0];
        all.extend(questions::made_up(
            &ground.model,
            &self.program,
            &all,
            made,
            seed,
        ));
        Some(all)
    }

    /// Returns what is taught by so many queries; `None` where `stop` says so before the end.
    pub fn lesson(
        &self,
        ground: &Ground,
        queries: usize,
        seed: u64,
        stop: &dyn Fn() -> bool,
    ) -> Option<Lesson> {
        let questions = self.questions(ground, queries, seed, stop)?;
        let answers = questions::answers(&self.program, &questions, seed ^ STREAMS[1], stop)?;
        Some(Lesson {
            inputs: questions::reals(&self.program, &questions),
            goal: if self.is_label {
                Goal::Classes(marked(&answers[0]))
            } else {
                Goal::Values(answers)
            },
        })
    }

    /// Returns the weights that a copy starts from.
    pub fn start(&self, ground: &Ground, lesson: &Lesson, seed: u64) -> Start {
        let ordinary = lesson.len().div_ceil(2).min(ground.asked.test.len());
        let first: Vec<usize> = (0..ordinary.min(MOST_SCALING)).collect();
        let inputs = lesson.inputs.iter().map(|all| columns(all, &first));
        Start::draw(&ground.model, &self.network, inputs.collect(), seed)
    }

    /// Returns what a lesson teaches; `None` where `stop` says so before the end.
    pub fn learn(
        &self,
        start: Start,
        lesson: &Lesson,
        seed: u64,
        stop: &dyn Fn() -> bool,
    ) -> Option<Copied> {
        let solved = solve(&self.network, &start.tensors, lesson);
        let tensors = match solved {
            Some(tensors) => tensors,
            None => learn(&self.network, &start, lesson, PACE, seed, stop)?,
        };
        Some(Copied { start, tensors })
    }

    /// Returns the bytes of the inputs and answers of so many queries.
    pub fn lesson_bytes(&self, queries: usize) -> usize {
        let Program { interface, .. } = &*self.program;
        let uploads = interface
            .uploads
            .iter()
            .map(|upload| upload.layout.places.len());
        let downloads = interface
            .downloads
            .iter()
            .map(|download| download.scales.len());
        // Integers, once as they are asked and once as they are answered, and reals.
        queries * (uploads.sum::<usize>() * 20 + downloads.sum::<usize>() * 12)
    }
}

/// Returns the images of the ordinary half of so many queries, of `count` that there are.
pub fn images(count: usize, queries: usize, seed: u64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    all.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    all.truncate(queries.div_ceil(2));
    all
}

/// Returns which element of each answer is marked.
fn marked(answers: &Batch) -> Vec<u32> {
    let columns = answers.columns().into_iter();
    columns
        .map(|column| label_of(column.iter().copied()) as u32)
        .collect()
}

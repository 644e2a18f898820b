//! What copies are learnt on and judged by: a network under its settings, images to ask with, and images
//! that none was asked with.

use std::collections::HashSet;

use crate::circuit::compile::Target;
use crate::core::error::{Error, Result};
use crate::model::{Model, TestSet, ValueId};

use super::affine::Batch;

/// Images that copies are judged on, at most.
const MOST_JUDGED: usize = 1000;
/// Images to ask with, at most.
const MOST_ASKED: usize = 5000;

/// A network under its settings, with images.
#[derive(Debug)]
pub struct Ground {
    /// Its test images are those that copies are judged on.
    pub model: Model,
    /// The same with the images to ask with in their place.
    pub asked: Model,
    pub target: Target,
}

impl Ground {
    /// Returns the ground for a model: it is asked with its `training` images, else its calibration images, those
    /// aside that it is judged on; without any, with half of its test images.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where there are too few images.
    pub fn new(model: Model, training: Option<TestSet>, target: Target) -> Result<Self> {
        let judged = model.test.part(0..model.test.len().min(MOST_JUDGED));
        let others = training.or_else(|| model.calibration.clone());
        let (asked, judged) = match others.and_then(|others| unlike(&others, &judged)) {
            Some(asked) => (asked, judged),
            None if judged.len() < 2 => {
                let reason = "one test image, and no training images: there is nothing to ask with";
                return Err(Error::Unsupported {
                    place: model.name,
                    reason: reason.into(),
                });
            }
            None => {
                let half = judged.len() / 2;
                (judged.part(0..half), judged.part(half..judged.len()))
            }
        };
        let with = |test: TestSet| Model {
            test,
            ..model.clone()
        };
        Ok(Self {
            asked: with(asked.part(0..asked.len().min(MOST_ASKED))),
            model: with(judged),
            target,
        })
    }

    /// Returns the images that copies are judged on, as the network reads them.
    pub fn judged(&self) -> Batch {
        pixels(&self.model, &(0..self.model.test.len()).collect::<Vec<_>>())
    }
}

/// Returns images of a model's test set as the network reads them: `[elements, images]`.
pub fn pixels(model: &Model, images: &[usize]) -> Batch {
    let shape = (model.element_count(ValueId::INPUT), images.len());
    Batch::from_shape_fn(shape, |(element, image)| {
        model
            .input
            .real(element, model.test.image(images[image])[element])
    })
}

/// Returns those of a set's images that are not among others; `None` where all are.
fn unlike(set: &TestSet, others: &TestSet) -> Option<TestSet> {
    let known: HashSet<&[u8]> = (0..others.len()).map(|index| others.image(index)).collect();
    let kept = (0..set.len()).filter(|&index| !known.contains(set.image(index)));
    let kept = set.select(&kept.collect::<Vec<_>>());
    (!kept.is_empty()).then_some(kept)
}

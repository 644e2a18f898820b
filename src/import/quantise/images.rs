//! Images run through a network in portions that fit in memory.

use std::sync::Arc;

use rayon::prelude::*;

use crate::circuit::analysis::{
    Analysis, BeforeLookUp, MOST_IDENTITY_BITS, NoiseBound, analyse, analyse_to_end,
};
use crate::circuit::compile::{Target, compile_placement};
use crate::circuit::program::Program;
use crate::core::error::Result;
use crate::core::linear_map::Row;
use crate::core::placement::{Party, Placement, Segment};
use crate::import::data::FittedSet;
use crate::model::answer::Answer;
use crate::model::output_mode::OutputMode;
use crate::model::{Model, ValueId};
use crate::oracle::simulation::{PORTION, label_of, simulate_on};

/// Images as the integers that the client starts from.
pub struct Images<'a> {
    pub pixels: &'a [u8],
    pub labels: Option<&'a [u32]>,
    /// Pixels of an image.
    pub element_count: usize,
}

impl<'a> Images<'a> {
    /// Returns all images of a set.
    pub fn all(set: &'a FittedSet) -> Self {
        Self::first(set, set.count)
    }

    /// Returns the first images of a set, or all where there are fewer.
    pub fn first(set: &'a FittedSet, count: usize) -> Self {
        let element_count = set.images.len() / set.count.max(1);
        let count = count.min(set.count);
        Self {
            pixels: &set.images[..count * element_count],
            labels: set.labels.as_deref().map(|labels| &labels[..count]),
            element_count,
        }
    }

    /// Returns a model's test images.
    pub fn of_test(model: &'a Model) -> Self {
        Self {
            pixels: model.test.pixels(),
            labels: Some(model.test.labels()),
            element_count: model.element_count(ValueId::INPUT),
        }
    }

    /// Returns the first of these images, or all where there are fewer.
    pub fn take(&self, count: usize) -> Self {
        let count = count.min(self.count());
        Self {
            pixels: &self.pixels[..count * self.element_count],
            labels: self.labels.map(|labels| &labels[..count]),
            element_count: self.element_count,
        }
    }

    /// Returns the number of images.
    pub fn count(&self) -> usize {
        self.pixels.len() / self.element_count
    }

    /// Returns the images in portions.
    pub fn portions(&self) -> impl Iterator<Item = &'a [u8]> {
        self.pixels.chunks(PORTION * self.element_count)
    }

    /// Returns the fraction of images whose label is the given one; of all images where there are no
    /// labels.
    pub fn fraction_right(&self, found: &[usize]) -> f64 {
        let Some(labels) = self.labels else {
            return 1.0;
        };
        let right = labels
            .iter()
            .zip(found)
            .filter(|(label, found)| **label as usize == **found)
            .count();
        right as f64 / labels.len().max(1) as f64
    }
}

/// Returns images as integers, `[elements, images]`.
pub fn integer_rows(portion: &[u8], element_count: usize) -> Vec<Row<u64>> {
    let pixels = |element| portion.iter().skip(element).step_by(element_count);
    (0..element_count)
        .into_par_iter()
        .map(|element| pixels(element).map(|&pixel| u64::from(pixel)).collect())
        .collect()
}

/// Returns images as the network's float input, `[elements, images]`.
pub fn real_rows(model: &Model, portion: &[u8]) -> Vec<Row<f32>> {
    let element_count = model.element_count(ValueId::INPUT);
    let pixels = |element| portion.iter().skip(element).step_by(element_count);
    (0..element_count)
        .into_par_iter()
        .map(|element| {
            let real = |&pixel| model.input.real(element, pixel);
            pixels(element).map(real).collect()
        })
        .collect()
}

/// Outputs of a network, `[outputs]` for each image.
pub type Outputs = Vec<Vec<f32>>;

/// Returns what the float network gives for images as the client has them, in integers.
pub fn float_outputs(model: &Model, images: &Images) -> Outputs {
    outputs_of(
        model,
        images.portions().map(|portion| real_rows(model, portion)),
    )
}

/// Returns what the float network gives for images before their values were rounded to integers.
pub fn untouched_outputs(model: &Model, set: &FittedSet) -> Outputs {
    let Some(reals) = &set.reals else {
        return float_outputs(model, &Images::all(set));
    };
    let element_count = model.element_count(ValueId::INPUT);
    let portions = reals.chunks(PORTION * element_count).map(|portion| {
        let elements = (0..element_count).into_par_iter();
        let row = |element| portion.iter().skip(element).step_by(element_count).copied();
        elements.map(|element| row(element).collect()).collect()
    });
    outputs_of(model, portions)
}

/// Returns what the float network gives for portions of images, each `[elements, images]`.
fn outputs_of(model: &Model, portions: impl Iterator<Item = Vec<Row<f32>>>) -> Outputs {
    let all_client = Placement::uniform(Party::Client, &model.pins());
    portions
        .flat_map(|input| by_image(&simulate_on(model, &all_client, &[], input, None).logits))
        .collect()
}

/// Returns the outputs of each image, of `[outputs, images]`.
pub fn by_image(logits: &[Row<f32>]) -> Outputs {
    let images = logits.first().map_or(0, |row| row.len());
    let of_image = |image: usize| logits.iter().map(|row| row[image]).collect();
    (0..images).map(of_image).collect()
}

/// Returns the label of each image.
pub fn labels_of(outputs: &[Vec<f32>]) -> Vec<usize> {
    let logits = outputs.iter().map(|outputs| outputs.iter().copied());
    logits.map(label_of).collect()
}

/// Returns the labels that the float network gives.
pub fn float_labels(model: &Model, images: &Images) -> Vec<usize> {
    labels_of(&float_outputs(model, images))
}

/// Returns how far outputs lie from the right ones: the root of the mean squared distance, as a
/// fraction of the right ones' deviation from their mean over the images; none where they do not
/// deviate.
pub fn relative_error(right: &[Vec<f32>], found: &[Vec<f32>]) -> Option<f64> {
    let count = right.len().max(1) as f64;
    let outputs = right.first().map_or(0, Vec::len);
    let (mut distance, mut deviation) = (0.0, 0.0);
    for output in 0..outputs {
        let mean = right
            .iter()
            .map(|image| f64::from(image[output]))
            .sum::<f64>()
            / count;
        for (right, found) in right.iter().zip(found) {
            let (right, found) = (f64::from(right[output]), f64::from(found[output]));
            distance += (right - found).powi(2);
            deviation += (right - mean).powi(2);
        }
    }
    (deviation > 0.0).then(|| (distance / deviation).sqrt())
}

/// Returns the segment of all layers, on the server.
fn whole(model: &Model) -> Segment {
    Segment {
        party: Party::Server,
        layers: 0..model.layer_count(),
    }
}

/// Returns the analysis of the whole network as one server segment.
///
/// # Errors
///
/// As [`analyse`].
pub fn analyse_all(model: &Model) -> Result<Analysis> {
    analyse(model, &whole(model))
}

/// As [`analyse_all`], of the network whose answer is the label.
///
/// # Errors
///
/// As [`analyse`].
pub fn analyse_all_to_labels(model: &Model) -> Result<Analysis> {
    let output_mode = OutputMode {
        answer: Answer::Label,
        ..OutputMode::default()
    };
    let noise = NoiseBound::default();
    analyse_to_end(model, &whole(model), output_mode, MOST_IDENTITY_BITS, noise)
}

/// Returns the program of the whole network as one server segment, under the set that a step noise
/// asks for.
///
/// # Errors
///
/// As [`compile_placement`].
pub fn compile_all(model: &Model, step_noise: f64) -> Result<Arc<Program>> {
    let placement = Placement::uniform(Party::Server, &model.pins());
    let programs = compile_placement(model, &placement, &Target::cheapest(step_noise))?;
    let [program] = &programs[..] else {
        unreachable!("all layers on the server are one segment");
    };
    Ok(program.clone())
}

/// Returns what the server computes without noise, all layers on it, and how many values left the range
/// of a look-up; where [`compile_all`] found no parameters, what the integers give with such values
/// clipped.
///
/// # Errors
///
/// As [`analyse`].
pub fn integer_outputs(
    model: &Model,
    compiled: &Result<Arc<Program>>,
    images: &Images,
) -> Result<(Outputs, u64)> {
    match compiled {
        Ok(program) => Ok(program_outputs(program, images)),
        Err(_) => analysis_outputs(model, images),
    }
}

fn program_outputs(program: &Program, images: &Images) -> (Outputs, u64) {
    let mut all = Vec::with_capacity(images.count());
    let mut overflows = 0;
    let scales = &program.interface.downloads[0].scales;
    for portion in images.portions() {
        let run = program.run_clear(&[integer_rows(portion, images.element_count)], None);
        let reads = run.reads.iter().map(|(_, reads)| reads.out_of_range);
        overflows += reads.sum::<u64>();
        all.extend(reals_by_image(&run.outputs[0], scales));
    }
    (all, overflows)
}

fn analysis_outputs(model: &Model, images: &Images) -> Result<(Outputs, u64)> {
    let analysis = analyse_all(model)?;
    let mut all = Vec::with_capacity(images.count());
    let mut overflows = 0;
    for portion in images.portions() {
        let input = integer_rows(portion, images.element_count);
        let mut count: Box<BeforeLookUp> = Box::new(|_, look_up, rows| {
            overflows += look_up.overflow_count(rows);
        });
        let outputs = analysis.run(&[input], &mut *count);
        all.extend(reals_by_image(&outputs[0], &analysis.downloads[0].scales));
    }
    Ok((all, overflows))
}

/// Returns integers `[outputs, images]` as the real outputs of each image.
fn reals_by_image(rows: &[Row<u64>], scales: &[f64]) -> Outputs {
    let real = |(row, scale): (&Row<u64>, &f64)| -> Row<f32> {
        row.iter()
            .map(|&integer| (integer as i64 as f64 * scale) as f32)
            .collect()
    };
    let reals: Vec<Row<f32>> = rows.iter().zip(scales).map(real).collect();
    by_image(&reals)
}

/// Returns the labels of [`integer_outputs`] under the set that a step noise asks for.
///
/// # Errors
///
/// As [`analyse`].
pub fn integer_labels(model: &Model, images: &Images, step_noise: f64) -> Result<Vec<usize>> {
    let compiled = compile_all(model, step_noise);
    Ok(labels_of(&integer_outputs(model, &compiled, images)?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_errors_are_fractions_of_the_deviation() {
        let right = [vec![1.0, 5.0], vec![3.0, 5.0]];
        let found = [vec![1.0, 5.0], vec![3.0, 6.0]];
        // One of distance 1², deviations of 1² and 1² from the mean 2.
        assert_eq!(relative_error(&right, &found), Some(0.5f64.sqrt()));
        assert_eq!(relative_error(&right, &right), Some(0.0));
        assert_eq!(relative_error(&right[..1], &found[..1]), None);
    }
}

//! Calibration images whose values run away: polynomial activations have no bounds, and one image
//! in a hundred can reach values many powers of ten above all others. A range that held them would
//! leave nothing for the rest.

use rayon::prelude::*;

use super::calibration::observe;
use super::images::Images;
use crate::core::linear_map::Row;
use crate::core::statistics::median;
use crate::import::data::FittedSet;
use crate::model::Model;

/// An image runs away where a value exceeds the median image's largest by this factor.
const FACTOR: f32 = 4.0;
/// Where more than this fraction of the images would run away, none is said to.
const MOST_FRACTION: f64 = 0.05;

/// Returns the first `count` images of a set without those that run away, and how many those are.
pub fn without_runaways(model: &Model, set: &FittedSet, count: usize) -> (FittedSet, usize) {
    let images = Images::first(set, count);
    let mut runs_away = vec![false; images.count()];
    let mut largest: Vec<Vec<f32>> = vec![Vec::new(); model.nodes.len()];
    observe(model, &images, &mut |node, rows| {
        largest[node.index()].extend(largest_of_each(rows));
    });
    for largest in largest {
        let middle = median(largest.iter().map(|&value| f64::from(value)));
        let most = middle.unwrap_or(0.0) as f32 * FACTOR;
        for (away, value) in runs_away.iter_mut().zip(largest) {
            *away |= value > most;
        }
    }
    let away = runs_away.iter().filter(|away| **away).count();
    let few = away as f64 <= MOST_FRACTION * images.count() as f64;
    let keep = |index: &usize| !(few && runs_away[*index]);
    let kept: Vec<usize> = (0..images.count()).filter(keep).collect();
    let pixels = kept.iter().flat_map(|&index| {
        let start = index * images.element_count;
        &images.pixels[start..start + images.element_count]
    });
    let labels = images.labels;
    let set = FittedSet {
        images: pixels.copied().collect(),
        count: kept.len(),
        labels: labels.map(|labels| kept.iter().map(|&index| labels[index]).collect()),
        ..set.clone()
    };
    (set, if few { away } else { 0 })
}

/// Returns the largest magnitude of each image.
fn largest_of_each(rows: &[Row<f32>]) -> Vec<f32> {
    let images = rows.first().map_or(0, |row| row.len());
    let larger = |mut largest: Vec<f32>, row: &Row<f32>| {
        for (largest, value) in largest.iter_mut().zip(row) {
            *largest = largest.max(value.abs());
        }
        largest
    };
    let join = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(b).map(|(a, b)| a.max(b)).collect();
    let parts = rows.par_iter().fold(|| vec![0.0; images], larger);
    parts.reduce(|| vec![0.0; images], join)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_magnitude_of_each_image_is_found() {
        let rows: Vec<Row<f32>> = vec![vec![1.0, -5.0].into(), vec![-2.0, 3.0].into()];
        assert_eq!(largest_of_each(&rows), [2.0, 5.0]);
    }
}

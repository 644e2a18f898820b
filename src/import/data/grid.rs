//! Grids: which reals the integers 0..=255 of an element, or of a channel of an image, stand for.
//!
//! Values that lie on few equal steps, as pixels, counts and yes or no do, keep them exactly. All
//! others are rounded: over their whole range, unless a few of them lie so far out that the rest
//! would share hardly any levels.

use rayon::prelude::*;

/// The largest level, as a byte holds it.
pub const MAX_LEVEL: u32 = 255;

/// How far a value may lie from a step, as a fraction of the range, and still lie on it: what float32
/// leaves.
const EXACT: f64 = 1e-6;
/// The fraction of the values at either end that may count as far from all others.
const TAIL_FRACTION: f64 = 0.01;
/// Levels to a deviation of the values between the tails, below which a tail is clipped.
const FEWEST_LEVELS: f64 = 8.0;
/// Fewer values have no tails.
const FEWEST_WITH_TAILS: usize = 20;
/// How often the way from a tail's inner end to its outer end is halved in search of a grid's end.
const HALVINGS: i32 = 40;

/// `real = scale · integer + offset`, for the integers 0..=255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    pub scale: f64,
    pub offset: f64,
}

/// How the values of a set are grouped: image by image, group by group, `plane` values at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Groups {
    pub count: usize,
    /// Values of a group in one image.
    pub plane: usize,
}

impl Groups {
    /// Returns the values of one group, over all images.
    pub fn values<'a, T: Copy>(
        &self,
        values: &'a [T],
        group: usize,
    ) -> impl Iterator<Item = T> + 'a {
        let Self { count, plane } = *self;
        values
            .chunks_exact(count * plane)
            .flat_map(move |image| image[group * plane..][..plane].iter().copied())
    }
}

/// Returns the grid of each group.
///
/// With `may_share`, groups that are alike, as the pixels of a flat image are, get one grid where
/// that rounds nothing.
pub(super) fn grids(values: &[f32], groups: Groups, may_share: bool) -> Vec<Grid> {
    let ends: Vec<(f64, f64)> = (0..groups.count)
        .into_par_iter()
        .map(|group| ends(groups.values(values, group)))
        .collect();
    if may_share && let Some(grid) = shared(values, &ends) {
        return vec![grid; groups.count];
    }
    let own: Vec<Option<Grid>> = ends
        .par_iter()
        .enumerate()
        .map(|(group, &ends)| own(|| groups.values(values, group), ends))
        .collect();
    // What never changes tells nothing of its steps. The finest of the others' cannot drown them,
    // whatever weight meets it.
    let scales = own.iter().flatten().map(|grid| grid.scale);
    let finest = scales.min_by(f64::total_cmp).unwrap_or(1.0);
    let constant = |least: f64| Grid {
        scale: finest,
        offset: least,
    };
    own.into_iter()
        .zip(ends)
        .map(|(grid, (least, _))| grid.unwrap_or_else(|| constant(least)))
        .collect()
}

/// Returns the least and the largest value.
fn ends(values: impl Iterator<Item = f32>) -> (f64, f64) {
    let none = (f32::INFINITY, f32::NEG_INFINITY);
    let (least, largest) = values.fold(none, |(least, largest), value| {
        (least.min(value), largest.max(value))
    });
    (least.into(), largest.into())
}

/// Returns one grid that holds all values exactly, where more than half of the groups that change
/// reach over half of it: weights on a group that fills less of it would lose bits.
fn shared(values: &[f32], ends: &[(f64, f64)]) -> Option<Grid> {
    let all = ends
        .iter()
        .copied()
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    let widths = ends.iter().map(|(least, largest)| largest - least);
    let changing: Vec<f64> = widths.filter(|&width| width > 0.0).collect();
    let wide = changing
        .iter()
        .filter(|&&width| width >= (all.1 - all.0) / 2.0);
    if changing.is_empty() || 2 * wide.count() <= changing.len() {
        return None;
    }
    exact(|| values.iter().copied(), all)
}

/// Returns the grid of values between two ends, or `None` where they do not differ.
fn own<I: Iterator<Item = f32>>(values: impl Fn() -> I, ends: (f64, f64)) -> Option<Grid> {
    if ends.0 == ends.1 {
        return None;
    }
    let grid = exact(&values, ends);
    grid.or_else(|| Some(spanning(without_tails(values().collect(), ends))))
}

/// Returns the grid whose first and last level are the ends.
fn spanning((least, largest): (f64, f64)) -> Grid {
    Grid {
        scale: (largest - least) / f64::from(MAX_LEVEL),
        offset: least,
    }
}

/// Returns the grid that holds all values exactly and of which they fill at least half, if there
/// is one.
fn exact<I: Iterator<Item = f32>>(
    values: impl Fn() -> I,
    (least, largest): (f64, f64),
) -> Option<Grid> {
    let range = largest - least;
    let tolerance = range * EXACT;
    // No step of such a grid is finer. What is much less is what float32 has rounded off.
    let finest = range / f64::from(MAX_LEVEL) - tolerance;
    let rounded_off = finest / 4.0;
    let away = |distance: f64, step: f64| (distance - step * (distance / step).round()).abs();
    let mut step = range;
    for value in values() {
        let mut rest = away(f64::from(value) - least, step);
        // Euclid's algorithm.
        while rest > rounded_off {
            (step, rest) = (rest, away(step, rest));
            if step < finest {
                return None;
            }
        }
        step = range / (range / step).round();
    }
    let count = (range / step).round();
    if !values().all(|value| away(f64::from(value) - least, step) <= tolerance) {
        return None;
    }
    Some(Grid {
        scale: step / (f64::from(MAX_LEVEL) / count).floor(),
        offset: least,
    })
}

/// Returns the ends of a grid for values between `ends`, which are not on equal steps: `ends`, unless
/// they leave too few levels to most values.
///
/// Then, of all ends between a tail's inner and its outer one those are taken at which the mean of
/// min(error ÷ σ, 1)² is least, σ being the deviation of the values between the tails: a value that
/// is clipped far away costs as much as an error of σ, however far it lies.
fn without_tails(mut values: Vec<f32>, ends: (f64, f64)) -> (f64, f64) {
    let count = values.len();
    if count < FEWEST_WITH_TAILS {
        return ends;
    }
    let in_tail = ((count as f64 * TAIL_FRACTION) as usize).max(1);
    let inner_low = f64::from(*values.select_nth_unstable_by(in_tail, f32::total_cmp).1);
    let last = count - 1 - in_tail;
    let others = &mut values[in_tail..];
    let inner_high = f64::from(
        *others
            .select_nth_unstable_by(last - in_tail, f32::total_cmp)
            .1,
    );
    let deviation = deviation(&values[in_tail..=last]);
    let levels = deviation / (ends.1 - ends.0) * f64::from(MAX_LEVEL);
    if deviation == 0.0 || levels >= FEWEST_LEVELS {
        return ends;
    }
    let low = candidates(&values[..in_tail], inner_low, ends.0, deviation);
    let high = candidates(&values[last + 1..], inner_high, ends.1, deviation);
    let cost = |low: &(f64, f64), high: &(f64, f64)| {
        let step = (high.0 - low.0) / f64::from(MAX_LEVEL) / deviation;
        (step * step / 12.0).min(1.0) + (low.1 + high.1) / count as f64
    };
    let best = low
        .iter()
        .flat_map(|low| high.iter().map(move |high| (low, high)))
        .min_by(|a, b| cost(a.0, a.1).total_cmp(&cost(b.0, b.1)));
    best.map_or(ends, |(low, high)| (low.0, high.0))
}

/// Returns candidates for one end of a grid, the outermost first, each with what clipping a tail
/// there costs.
fn candidates(tail: &[f32], inner: f64, outer: f64, deviation: f64) -> Vec<(f64, f64)> {
    let outwards = (outer - inner).signum();
    let ends = (0..HALVINGS).map(|halvings| inner + (outer - inner) * 0.5f64.powi(halvings));
    let cost = |end: f64| -> f64 {
        tail.iter()
            .map(|&value| (f64::from(value) - end) * outwards)
            .filter(|&distance| distance > 0.0)
            .map(|distance| (distance / deviation).min(1.0).powi(2))
            .sum()
    };
    ends.map(|end| (end, cost(end))).collect()
}

/// Returns the standard deviation.
fn deviation(values: &[f32]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares = values
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2));
    (squares.sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Groups = Groups { count: 2, plane: 1 };

    /// Returns the grid of one group.
    fn grid(values: &[f32]) -> Grid {
        grids(values, Groups { count: 1, plane: 1 }, false)[0]
    }

    /// Returns the largest distance from the nearest level.
    fn largest_error(grid: Grid, values: &[f32]) -> f64 {
        let error = |&value: &f32| {
            let level = ((f64::from(value) - grid.offset) / grid.scale).round();
            (grid.scale * level.clamp(0.0, 255.0) + grid.offset - f64::from(value)).abs()
        };
        values.iter().map(error).fold(0.0, f64::max)
    }

    #[test]
    fn values_on_equal_steps_keep_them() {
        let pixels: Vec<f32> = (0..=255)
            .map(|pixel| (pixel as f32 / 255.0 - 0.5) / 0.25)
            .collect();
        let table: [&[f32]; 7] = [
            &[0.0, 1.0, 1.0],
            &[17.0, 90.0, 42.0, 44.0],
            &[0.0, 2.0, 5.0],
            &[-0.3, 0.1, 0.6],
            &[5.1, 4.3, 7.9, 5.4, 6.6, 4.8, 5.9, 7.0],
            &[0.0, 16.0, 3.0, 254.0],
            &pixels,
        ];
        for values in table {
            let grid = grid(values);
            let range = values.iter().fold(f32::MIN, |a, b| a.max(*b))
                - values.iter().fold(f32::MAX, |a, b| a.min(*b));
            assert!(
                largest_error(grid, values) <= 1e-6 * f64::from(range),
                "{values:?}: {grid:?}"
            );
            // At least half of the levels are filled, so that weights keep their bits.
            assert!(
                grid.scale * 256.0 <= 2.0 * f64::from(range) + 1e-9,
                "{values:?}: {grid:?}"
            );
        }
    }

    #[test]
    fn other_values_span_the_levels() {
        let values = [0.0f32, 0.1234, 0.777, 1.0];
        assert_eq!(grid(&values), spanning((0.0, 1.0)));
    }

    #[test]
    fn an_outlier_does_not_take_the_levels_of_all_others() {
        let mut values: Vec<f32> = (0..1000)
            .map(|i| ((i * i * 37) % 1009) as f32 * 0.00123)
            .collect();
        let bulk = largest_error(grid(&values), &values);
        values.push(1e6);
        let (last, others) = values.split_last().unwrap();
        assert!(largest_error(grid(&values), others) < 2.0 * bulk, "{bulk}");
        assert!(largest_error(grid(&values), &[*last]) > 9e5);
        // A tail that belongs to the values stays.
        let long: Vec<f32> = (1..1000).map(|i| -(i as f32 / 1000.0).ln() * 3.0).collect();
        assert!(largest_error(grid(&long), &long) < 0.05);
    }

    #[test]
    fn each_group_has_its_own_grid_and_a_constant_the_finest() {
        let values = [0.123f32, 5.0, 1000.0, 5.0, 777.7, 5.0];
        let grids = grids(&values, TWO, true);
        assert_eq!(
            (grids[0].offset, grids[1].offset),
            (f64::from(0.123f32), 5.0)
        );
        assert_eq!(grids[0].scale, grids[1].scale);
        assert_eq!(
            grid(&[3.0, 3.0]),
            Grid {
                scale: 1.0,
                offset: 3.0
            }
        );
    }

    #[test]
    fn alike_groups_share_a_grid_that_rounds_nothing() {
        let pixels = [0.0f32, 255.0, 128.0, 0.0, 250.0, 200.0];
        assert_eq!(grids(&pixels, TWO, true), [spanning((0.0, 255.0)); 2]);
        // An age and a flag are not alike.
        let unlike = [17.0f32, 0.0, 90.0, 1.0, 44.0, 1.0];
        let grids = grids(&unlike, TWO, true);
        assert_eq!((grids[0].scale, grids[1].scale), (1.0 / 3.0, 1.0 / 255.0));
    }
}

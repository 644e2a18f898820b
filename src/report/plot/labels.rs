//! Places for labels beside their points such that no two texts overlap.

use super::scene::Area;

/// Distances between a point and its label that are tried, nearest first.
const DISTANCES: [f64; 7] = [12.0, 20.0, 30.0, 42.0, 58.0, 78.0, 102.0];
/// Directions that are tried; half of them suffice for most labels.
const DIRECTIONS: usize = 16;
/// A label farther away than this is joined to its point by a line.
const LEADER_FROM: f64 = 14.0;
/// White space around a label.
const PADDING: f64 = 2.0;

/// A straight line from a point to the edge of its label.
pub(crate) type Leader = ((f64, f64), (f64, f64));

/// A place for a label.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub(crate) area: Area,
    /// The line from the point to the label, where it is far away.
    pub(crate) leader: Option<Leader>,
}

/// Returns a place for each label or `None` where the frame has no room left.
///
/// `points[i]` is the point of the label whose width and height are `sizes[i]`. A label never covers
/// another label, a leader or one of the points; it covers as few of `avoided` as it can.
pub(crate) fn place(
    points: &[(f64, f64)],
    sizes: &[(f64, f64)],
    avoided: &[(f64, f64)],
    frame: Area,
) -> Vec<Option<Placed>> {
    let mut placed: Vec<Option<Placed>> = Vec::new();
    for (&point, &size) in points.iter().zip(sizes) {
        let taken: Vec<&Placed> = placed.iter().flatten().collect();
        let free = candidates(point, size).into_iter().filter(|candidate| {
            frame.contains(&candidate.area) && is_free(candidate, point, &taken, points)
        });
        // Ties keep the first candidate, which is the nearest in the best direction.
        let covered = |candidate: &Placed| {
            avoided
                .iter()
                .filter(|&&other| padded(candidate.area).holds(other))
                .count()
        };
        let best = free
            .enumerate()
            .min_by_key(|(rank, candidate)| (covered(candidate) * DIRECTIONS + rank, *rank));
        placed.push(best.map(|(_, candidate)| candidate));
    }
    placed
}

/// Places around a point from the best to the worst: near first, lower left first, for there lies
/// nothing on the side of a Pareto front where both coordinates are better.
fn candidates(point: (f64, f64), (width, height): (f64, f64)) -> Vec<Placed> {
    let turn = std::f64::consts::TAU / DIRECTIONS as f64;
    let lower_left = std::f64::consts::TAU * 0.375;
    let offsets = (0..DIRECTIONS).map(|index| {
        let steps = index.div_ceil(2) as f64;
        if index % 2 == 0 { steps } else { -steps }
    });
    let angles: Vec<f64> = offsets.map(|steps| lower_left + steps * turn).collect();
    let at = |distance: f64, angle: f64| {
        let (toward_x, toward_y) = (angle.cos(), angle.sin());
        // The label's nearest edge or corner, not its middle, keeps the distance.
        let reach = toward_x.abs().max(toward_y.abs());
        let centre_x = point.0 + toward_x * (distance + width / 2.0 / reach);
        let centre_y = point.1 + toward_y * (distance + height / 2.0 / reach);
        let area = Area {
            left: centre_x - width / 2.0,
            top: centre_y - height / 2.0,
            right: centre_x + width / 2.0,
            bottom: centre_y + height / 2.0,
        };
        let end = (
            point.0.clamp(area.left, area.right),
            point.1.clamp(area.top, area.bottom),
        );
        Placed {
            area,
            leader: (distance > LEADER_FROM).then_some((point, end)),
        }
    };
    DISTANCES
        .iter()
        .flat_map(|&distance| angles.iter().map(move |&angle| at(distance, angle)))
        .collect()
}

fn is_free(candidate: &Placed, own: (f64, f64), taken: &[&Placed], points: &[(f64, f64)]) -> bool {
    let area = padded(candidate.area);
    let clear_of_labels = taken.iter().all(|other| {
        !area.overlaps(&other.area)
            && !along(&other.leader).any(|point| area.holds(point))
            && !along(&candidate.leader).any(|point| padded(other.area).holds(point))
    });
    let clear_of_points = points.iter().all(|&point| {
        let disc = Area {
            left: point.0 - 6.0,
            top: point.1 - 6.0,
            right: point.0 + 6.0,
            bottom: point.1 + 6.0,
        };
        !area.overlaps(&disc)
            && (point == own || !along(&candidate.leader).any(|on_line| disc.holds(on_line)))
    });
    clear_of_labels && clear_of_points
}

/// Points along a leader, closer together than any label is high.
fn along(leader: &Option<Leader>) -> impl Iterator<Item = (f64, f64)> {
    leader.iter().flat_map(|&((x0, y0), (x1, y1))| {
        let steps = ((x1 - x0).hypot(y1 - y0) / 2.0).ceil().max(1.0);
        (0..=steps as usize).map(move |step| {
            let fraction = step as f64 / steps;
            (x0 + fraction * (x1 - x0), y0 + fraction * (y1 - y0))
        })
    })
}

fn padded(area: Area) -> Area {
    Area {
        left: area.left - PADDING,
        top: area.top - PADDING,
        right: area.right + PADDING,
        bottom: area.bottom + PADDING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Area = Area {
        left: 0.0,
        top: 0.0,
        right: 400.0,
        bottom: 300.0,
    };
    const SIZE: (f64, f64) = (50.0, 12.0);

    #[test]
    fn a_lone_label_goes_to_the_lower_left_without_a_leader() {
        let placed = place(&[(200.0, 150.0)], &[SIZE], &[], FRAME);
        let only = placed[0].as_ref().unwrap();
        assert!(only.area.right < 200.0 && only.area.top > 150.0, "{only:?}");
        assert_eq!(only.leader, None);
    }

    #[test]
    fn labels_of_crowded_points_do_not_overlap_and_stay_in_the_frame() {
        let points: Vec<(f64, f64)> = (0..12)
            .map(|index| {
                (
                    150.0 + 9.0 * f64::from(index),
                    100.0 + 7.0 * f64::from(index),
                )
            })
            .collect();
        let placed = place(&points, &[SIZE; 12], &[], FRAME);
        let areas: Vec<Area> = placed.iter().flatten().map(|placed| placed.area).collect();
        assert!(areas.len() >= 10, "{}", areas.len());
        for (index, area) in areas.iter().enumerate() {
            assert!(FRAME.contains(area));
            assert!(areas[index + 1..].iter().all(|other| !area.overlaps(other)));
            assert!(points.iter().all(|&point| !area.holds(point)));
        }
    }

    #[test]
    fn labels_prefer_places_that_cover_nothing() {
        let point = (200.0, 150.0);
        let alone = place(&[point], &[SIZE], &[], FRAME)[0].clone().unwrap();
        let middle = (
            (alone.area.left + alone.area.right) / 2.0,
            (alone.area.top + alone.area.bottom) / 2.0,
        );
        let moved = place(&[point], &[SIZE], &[middle], FRAME)[0]
            .clone()
            .unwrap();
        assert!(!moved.area.holds(middle));
    }

    #[test]
    fn a_label_without_room_is_left_out() {
        let tiny = Area {
            left: 0.0,
            top: 0.0,
            right: 30.0,
            bottom: 30.0,
        };
        assert_eq!(place(&[(15.0, 15.0)], &[SIZE], &[], tiny), [None]);
    }
}

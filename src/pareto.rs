//! Pareto fronts of points whose coordinates are all to be small: two of them, or any number.

/// Returns whether a point is no larger than another in every coordinate and smaller in one. A
/// coordinate that is not a number compares with none.
pub fn dominates(left: &[f64], right: &[f64]) -> bool {
    let mut pairs = left.iter().zip(right);
    left != right && pairs.all(|(left, right)| left <= right)
}

/// Returns the indices of the points that no other one dominates, in their order. The coordinates,
/// the same number for every point, may be infinite, or no number where they compare with none.
pub fn front_of(points: &[impl AsRef<[f64]>]) -> Vec<usize> {
    let dominators = dominators(points).into_iter().enumerate();
    let front = dominators.filter(|(_, dominator)| dominator.is_none());
    front.map(|(index, _)| index).collect()
}

/// Returns the indices of the points that no other point dominates, by rising first coordinate.
///
/// A point dominates another when it is no larger in both coordinates and smaller in one. Equal
/// points do not dominate each other, so all copies of a point on the front are on it. Points
/// with a coordinate that is not a number are left out.
///
/// # Example
///
/// ```
/// use splitbench::pareto::front;
///
/// // The third point is slower and larger than the second.
/// assert_eq!(front(&[(3.0, 1.0), (1.0, 2.0), (2.0, 4.0)]), [1, 0]);
/// ```
pub fn front(points: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len())
        .filter(|&index| !points[index].0.is_nan() && !points[index].1.is_nan())
        .collect();
    order.sort_by(|&left, &right| {
        let ((left_x, left_y), (right_x, right_y)) = (points[left], points[right]);
        left_x.total_cmp(&right_x).then(left_y.total_cmp(&right_y))
    });
    let mut front: Vec<usize> = Vec::new();
    for index in order {
        let joins = front
            .last()
            .is_none_or(|&last| points[index].1 < points[last].1 || points[index] == points[last]);
        if joins {
            front.push(index);
        }
    }
    front
}

/// Returns for each point the index of one that dominates it and is itself on the front; `None` for
/// points on the front. The coordinates are the same number for every point.
///
/// Points are taken in lexicographic order, in which no point comes before one that dominates it;
/// domination is transitive, so that each needs comparing with the front so far alone.
pub fn dominators(points: &[impl AsRef<[f64]>]) -> Vec<Option<usize>> {
    let points: Vec<&[f64]> = points.iter().map(AsRef::as_ref).collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&left, &right| {
        let pairs = points[left].iter().zip(points[right]);
        let mut unequal = pairs.map(|(a, b)| a.total_cmp(b));
        unequal
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let (mut front, mut found) = (Vec::new(), vec![None; points.len()]);
    for index in order {
        let mut front_points = front.iter().copied();
        found[index] = front_points.find(|&other| dominates(points[other], points[index]));
        if found[index].is_none() {
            front.push(index);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dominators_are_on_the_front_and_dominate(
            points in prop::collection::vec(prop::array::uniform4(0..6_u8), 0..60)
        ) {
            let points: Vec<[f64; 4]> = points.iter().map(|point| point.map(f64::from)).collect();
            let found = dominators(&points);
            for (index, dominator) in found.iter().enumerate() {
                let mut all = points.iter();
                let is_dominated = all.any(|other| dominates(other, &points[index]));
                prop_assert_eq!(is_dominated, dominator.is_some());
                if let Some(other) = *dominator {
                    prop_assert!(dominates(&points[other], &points[index]));
                    prop_assert_eq!(found[other], None);
                }
            }
            let front = (0..points.len()).filter(|&index| found[index].is_none());
            prop_assert_eq!(front_of(&points), front.collect::<Vec<_>>());
        }
    }

    /// Points on a coarse grid, so that ties and copies are common.
    fn scattered(seed: u64, count: usize) -> Vec<(f64, f64)> {
        let mut state = seed;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % 12) as f64
        };
        (0..count).map(|_| (draw(), draw())).collect()
    }

    #[test]
    fn no_points_have_no_front() {
        assert!(front(&[]).is_empty());
    }

    #[test]
    fn one_point_is_the_front() {
        assert_eq!(front(&[(2.0, 5.0)]), [0]);
    }

    #[test]
    fn a_tie_in_one_coordinate_keeps_the_smaller_other_one() {
        assert_eq!(front(&[(1.0, 3.0), (1.0, 2.0)]), [1]);
        assert_eq!(front(&[(2.0, 1.0), (1.0, 1.0)]), [1]);
    }

    #[test]
    fn copies_stay_together() {
        assert_eq!(front(&[(1.0, 1.0), (2.0, 2.0), (1.0, 1.0)]), [0, 2]);
    }

    #[test]
    fn points_that_are_not_numbers_are_left_out() {
        assert_eq!(front(&[(f64::NAN, 0.0), (1.0, 1.0), (0.0, f64::NAN)]), [1]);
    }

    #[test]
    fn front_is_exactly_the_points_that_nothing_dominates() {
        for seed in 0..200 {
            let points = scattered(seed, 1 + seed as usize % 40);
            let mut found = front(&points);
            found.sort_unstable();
            let points: Vec<Vec<f64>> = points.iter().map(|&(x, y)| vec![x, y]).collect();
            assert_eq!(found, front_of(&points), "seed {seed}: {points:?}");
        }
    }

    #[test]
    fn a_point_dominates_by_being_smaller_somewhere_and_larger_nowhere() {
        assert!(dominates(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0]));
        assert!(!dominates(&[1.0, 2.0], &[1.0, 2.0]));
        assert!(!dominates(&[1.0, 3.0], &[2.0, 2.0]));
        assert!(dominates(&[1.0, f64::INFINITY], &[2.0, f64::INFINITY]));
    }

    #[test]
    fn front_rises_in_the_first_and_falls_in_the_second_coordinate() {
        for seed in 0..200 {
            let points = scattered(seed, 30);
            for pair in front(&points).windows(2) {
                let (left, right) = (points[pair[0]], points[pair[1]]);
                assert!(
                    left.0 <= right.0 && left.1 >= right.1,
                    "seed {seed}: {left:?} {right:?}"
                );
            }
        }
    }
}

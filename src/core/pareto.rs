//! Pareto fronts of points whose coordinates are all to be small.

use std::cmp::Ordering;

/// Returns whether a point is no larger than another in every coordinate and smaller in one. A
/// coordinate that is not a number compares with none.
pub fn dominates(left: &[f64], right: &[f64]) -> bool {
    left != right && left.iter().zip(right).all(|(left, right)| left <= right)
}

/// Returns which of two points comes first in lexicographic order, number by number as
/// [`f64::total_cmp`] has it: `f64::NAN` comes last.
pub fn lexicographic(left: &[f64], right: &[f64]) -> Ordering {
    left.iter()
        .zip(right)
        .map(|(left, right)| left.total_cmp(right))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Returns the indices of the points that no other one dominates, in their order. The coordinates,
/// the same number for every point, may be infinite, or no number where they compare with none.
pub fn front_of(points: &[impl AsRef<[f64]>]) -> Vec<usize> {
    dominators(points)
        .into_iter()
        .enumerate()
        .filter(|(_, dominator)| dominator.is_none())
        .map(|(index, _)| index)
        .collect()
}

/// Returns for each point the index of the first in lexicographic order that dominates it, which is
/// itself on the front; `None` for points on the front. The coordinates are the same number for every point.
///
/// Points are taken in lexicographic order, in which no point comes before one that dominates it;
/// domination is transitive, so that each needs comparing with the front so far alone.
pub fn dominators(points: &[impl AsRef<[f64]>]) -> Vec<Option<usize>> {
    let points: Vec<&[f64]> = points.iter().map(AsRef::as_ref).collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&left, &right| lexicographic(points[left], points[right]));
    let (mut front, mut found) = (Vec::new(), vec![None; points.len()]);
    for index in order {
        found[index] = front
            .iter()
            .copied()
            .find(|&other| dominates(points[other], points[index]));
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
                let is_dominated = points.iter().any(|other| dominates(other, &points[index]));
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

    #[test]
    fn a_point_dominates_by_being_smaller_somewhere_and_larger_nowhere() {
        assert!(dominates(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0]));
        assert!(!dominates(&[1.0, 2.0], &[1.0, 2.0]));
        assert!(!dominates(&[1.0, 3.0], &[2.0, 2.0]));
        assert!(dominates(&[1.0, f64::INFINITY], &[2.0, f64::INFINITY]));
        assert!(!dominates(&[1.0, f64::NAN], &[2.0, 3.0]));
        assert!(!dominates(&[1.0, 3.0], &[2.0, f64::NAN]));
    }
}

//! Groups of sources that share a step, and the bounds that settle how large it is.

use super::grid::HALF_TURN;

/// The least factor on an operand whose step cannot be chosen for it alone: rounding it errs by half
/// of one part in so many at most.
const LEAST_FACTOR: f64 = 64.0;

/// A bound on a group's step.
pub(super) struct Limit {
    pub group: usize,
    /// The group whose step the bound is in proportion to; none for the grid itself.
    pub base: Option<usize>,
    pub most: f64,
    /// Whether a whole multiple of the step must give the bound.
    pub divides: bool,
}

/// The groups of a segment.
#[derive(Default)]
pub(super) struct Groups {
    /// The group that a group was joined to, or itself.
    joined: Vec<usize>,
    limits: Vec<Limit>,
}

impl Groups {
    /// Adds a group and returns its number.
    pub fn add(&mut self) -> usize {
        self.joined.push(self.joined.len());
        self.joined.len() - 1
    }

    /// Returns the group that stands for a group and all that were joined to it.
    fn root(&self, mut group: usize) -> usize {
        while self.joined[group] != group {
            group = self.joined[group];
        }
        group
    }

    /// Gives two groups one step.
    pub fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        self.joined[left.min(right)] = left.max(right);
    }

    /// Keeps the step of a group at most so large.
    pub fn limit(&mut self, group: usize, most: f64) {
        self.limits.push(Limit {
            group,
            base: None,
            most,
            divides: false,
        });
    }

    /// Keeps steps within bounds.
    pub fn limit_all(&mut self, limits: impl IntoIterator<Item = Limit>) {
        self.limits.extend(limits);
    }

    /// Returns the step of each group.
    pub fn steps(&self) -> Vec<i64> {
        let mut settled = vec![None; self.joined.len()];
        let groups = 0..self.joined.len();
        groups
            .map(|group| self.settle(self.root(group), &mut settled))
            .collect()
    }

    /// Returns the step of a group that stands for itself, after those that its bounds refer to.
    fn settle(&self, root: usize, settled: &mut [Option<i64>]) -> i64 {
        if let Some(step) = settled[root] {
            return step;
        }
        // No step is in proportion to itself.
        settled[root] = Some(0);
        let is_own = |limit: &&Limit| self.root(limit.group) == root;
        let own = self.limits.iter().filter(is_own);
        let bounds = own.map(|limit| {
            let base = limit.base.map(|base| self.settle(self.root(base), settled));
            let of_base = base.map_or(1.0, |step| step as f64);
            (limit.most * of_base, limit.divides)
        });
        let bounds: Vec<(f64, bool)> = bounds.collect();
        let bound_mosts = bounds.iter().map(|(most, _)| *most);
        let most = bound_mosts.fold(HALF_TURN as f64, f64::min);
        // Where a single bound must be a whole multiple, the step is the largest that divides it,
        // `bound / ⌈bound / most⌉`; several cannot all be met, but by steps so small that their factors
        // hardly err.
        let mut multiples = bounds.iter().filter(|(_, divides)| *divides);
        let step = match (multiples.next(), multiples.next()) {
            (None, _) => most,
            (Some((bound, _)), None) => bound / (bound / most).ceil(),
            (Some(_), Some(_)) => most / LEAST_FACTOR,
        };
        // Even, because tables count in halves of an output step.
        let step = (step as i64) & !1;
        settled[root] = Some(step);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bound_may_refer_to_an_earlier_group() {
        let mut groups = Groups::default();
        let (value, sum, pool) = (groups.add(), groups.add(), groups.add());
        groups.limit(sum, 1024.0);
        groups.limit_all([Limit {
            group: value,
            base: Some(sum),
            most: 0.5,
            divides: false,
        }]);
        // A pool of the value has its step.
        groups.join(value, pool);
        assert_eq!(groups.steps(), [512, 1024, 512]);
    }

    /// Returns the step of the last of so many groups under limits: group, base, most, divides.
    fn last_step(count: usize, limits: &[(usize, Option<usize>, f64, bool)]) -> i64 {
        let mut groups = Groups::default();
        for _ in 0..count {
            groups.add();
        }
        let limits = limits.iter();
        groups.limit_all(limits.map(|&(group, base, most, divides)| Limit {
            group,
            base,
            most,
            divides,
        }));
        groups.steps()[count - 1]
    }

    #[test]
    fn steps_are_the_largest_even_ones_within_all_bounds() {
        let on_grid = |mosts: &[f64]| {
            let limits: Vec<_> = mosts.iter().map(|&most| (0, None, most, false)).collect();
            last_step(1, &limits)
        };
        assert_eq!(on_grid(&[]), HALF_TURN);
        assert_eq!(on_grid(&[1e12]), HALF_TURN);
        assert_eq!(on_grid(&[100.0, 7.9, 8.5]), 6);
        assert_eq!(on_grid(&[1.9]), 0, "nothing even is left");
    }

    #[test]
    fn a_step_divides_one_bound_and_is_a_64th_of_what_several_leave() {
        let base = (0, None, 1024.0, false);
        let dividing = |fraction| (1, Some(0), fraction, true);
        // 768 itself; with at most 200, the fourth part of 768.
        assert_eq!(last_step(2, &[base, dividing(0.75)]), 768);
        let narrow = (1, None, 200.0, false);
        assert_eq!(last_step(2, &[base, dividing(0.75), narrow]), 192);
        // Two bounds, of 768 and 512: a 64th of the smaller.
        assert_eq!(last_step(2, &[base, dividing(0.75), dividing(0.5)]), 8);
    }

    #[test]
    fn joined_groups_keep_to_the_bounds_of_all() {
        let mut groups = Groups::default();
        let [first, second, third] = [(); 3].map(|()| groups.add());
        groups.limit(first, 64.0);
        groups.limit(third, 100.0);
        groups.join(first, second);
        groups.join(third, first);
        assert_eq!(groups.steps(), [64, 64, 64]);
    }

    #[test]
    fn a_step_in_proportion_to_itself_is_none() {
        assert_eq!(last_step(1, &[(0, Some(0), 0.5, false)]), 0);
        let circle = [(0, Some(1), 0.5, false), (1, Some(0), 2.0, false)];
        assert_eq!(last_step(2, &circle), 0);
    }

    proptest! {
        #[test]
        fn no_step_exceeds_a_bound(
            limits in prop::collection::vec(
                (0usize..4, prop::option::of(0usize..4), 0.1f64..1e4, any::<bool>()), 0..8,
            ),
        ) {
            let mut groups = Groups::default();
            for _ in 0..4 {
                groups.add();
            }
            groups.limit_all(limits.iter().map(|&(group, base, most, divides)| Limit {
                group, base, most, divides,
            }));
            let steps = groups.steps();
            prop_assert!(steps.iter().all(|step| step % 2 == 0 && (0..=HALF_TURN).contains(step)));
            for (group, base, most, _) in limits {
                let of_base = base.map_or(1.0, |base| steps[base] as f64);
                prop_assert!(steps[group] as f64 <= most * of_base * (1.0 + 1e-12));
            }
        }
    }
}

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
}

//! How long a sweep will still take: as projected, at the pace of what is behind.

/// Fraction of the whole that the projection weighs, beside what is behind, so that the first visits do
/// not tell all.
const PRIOR: f64 = 0.2;

/// The visits of a sweep that are ahead and behind.
#[derive(Debug, Clone, Default)]
pub struct Remaining {
    /// Of all visits, in their order.
    expected_s: Vec<f64>,
    ended: usize,
    /// Of those that ended.
    taken_s: f64,
}

impl Remaining {
    /// Returns visits of which none has ended.
    pub fn of(expected_s: Vec<f64>) -> Self {
        Self {
            expected_s,
            ended: 0,
            taken_s: 0.0,
        }
    }

    /// The next visit has ended, after so many seconds.
    pub fn end(&mut self, taken_s: f64) {
        self.ended = (self.ended + 1).min(self.expected_s.len());
        self.taken_s += taken_s;
    }

    /// Returns the seconds that are left where the visit that runs has taken so many.
    pub fn seconds(&self, running_s: f64) -> f64 {
        let (behind, ahead) = self.expected_s.split_at(self.ended);
        let prior_s = PRIOR * self.expected_s.iter().sum::<f64>();
        let behind_s: f64 = behind.iter().sum();
        let pace = (self.taken_s + prior_s) / (behind_s + prior_s);
        let Some((running, later)) = ahead.split_first() else {
            return 0.0;
        };
        let left_s = (pace * running - running_s).max(0.0);
        left_s + pace * later.iter().sum::<f64>()
    }
}

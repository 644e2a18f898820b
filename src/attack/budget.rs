//! The time that attacks on a segment may take.

use std::time::{Duration, Instant};

use crate::core::units;

/// A span of time that has begun.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    start: Instant,
    span: Duration,
}

impl Budget {
    /// Starts so many seconds; more than a clock can hold are as many as it can.
    pub fn start(seconds: f64) -> Self {
        Self {
            start: Instant::now(),
            span: Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
        }
    }

    /// Returns the seconds that have passed.
    pub fn used_s(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Returns the seconds that are left; none where it is over.
    pub fn left_s(&self) -> f64 {
        self.span.saturating_sub(self.start.elapsed()).as_secs_f64()
    }

    /// Returns whether nothing of it is left.
    pub fn is_over(&self) -> bool {
        self.start.elapsed() >= self.span
    }

    /// Returns why an attack was stopped by it.
    pub fn reason(&self) -> String {
        let span = units::seconds(self.span.as_secs_f64());
        format!("stopped after the {span} of --attack-budget")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_over_at_once_and_endless_time_never() {
        assert!(Budget::start(0.0).is_over());
        for endless in [1e30, f64::INFINITY] {
            let budget = Budget::start(endless);
            assert!(!budget.is_over());
            assert!(budget.left_s() > 1e9);
        }
    }
}

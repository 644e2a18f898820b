//! How far the machine strayed from its pace while a split was measured, as the reference
//! batches around its visits tell.

use std::collections::BTreeMap;

use crate::core::statistics::median;
use crate::record::history::Visited;

/// The drift from which a split is called noisy.
pub const NOISY: f64 = 0.1;

/// The pace of each host: the median of all its reference batches in a sweep.
pub struct Pace(BTreeMap<String, f64>);

impl Pace {
    /// Returns the pace of the hosts that visits ran on.
    pub fn of<'a>(visits: impl IntoIterator<Item = &'a Visited<'a>>) -> Self {
        let mut hosts: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for visit in visits {
            let calibrations = visit.end.calibration_s.into_iter().flatten();
            hosts.entry(host(visit)).or_default().extend(calibrations);
        }
        let pace = |(host, times): (String, Vec<f64>)| Some((host, median(times)?));
        Self(hosts.into_iter().filter_map(pace).collect())
    }

    /// Returns by what fraction reference batches around the visits of a split strayed at most: from their
    /// host's pace, or within one visit. None where nothing is known.
    pub fn drift(&self, visits: &[Visited<'_>]) -> Option<f64> {
        let of_visit = |visit: &Visited<'_>| {
            let [before, after] = visit.end.calibration_s?;
            let pace = self.0.get(&host(visit))?;
            let ratios = [before / pace, after / pace, after / before];
            ratios
                .map(|ratio| (ratio - 1.0).abs())
                .into_iter()
                .reduce(f64::max)
        };
        visits.iter().filter_map(of_visit).reduce(f64::max)
    }
}

fn host(visit: &Visited<'_>) -> String {
    let host = visit.environment.map(|environment| environment.host());
    host.unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::environment::Environment;
    use crate::record::log::VisitEnd;
    use crate::record::row::Status;
    use crate::record::visit::Visit;

    fn end(calibration_s: Option<[f64; 2]>) -> VisitEnd {
        VisitEnd {
            visit: Visit {
                placement: "CS".parse().expect("letters"),
                repeat: 0,
            },
            status: Status::Ok,
            reason: None,
            calibration_s,
            stages: Vec::new(),
            finished: None,
        }
    }

    #[test]
    fn a_drift_is_from_the_pace_of_the_own_host_or_within_the_visit() {
        let mut slow = Environment::default();
        slow.machine.threads_used = 1;
        let fast = Environment::default();
        let ends = [[1.0, 1.0], [1.0, 1.05], [4.0, 4.0], [4.0, 4.0]].map(|pair| end(Some(pair)));
        let visit = |index: usize, environment| Visited {
            environment: Some(environment),
            samples: Vec::new(),
            end: &ends[index],
        };
        let visits = [
            visit(0, &fast),
            visit(1, &fast),
            visit(2, &slow),
            visit(3, &slow),
        ];
        let pace = Pace::of(&visits);
        let drift = |range| pace.drift(&visits[range]).expect("calibrated");
        assert_eq!(drift(0..1), 0.0);
        assert!((drift(0..2) - 0.05).abs() < 1e-12);
        assert_eq!(drift(2..4), 0.0);
        let unknown = end(None);
        let unknown = Visited {
            end: &unknown,
            ..visit(0, &fast)
        };
        assert_eq!(pace.drift(&[unknown]), None);
    }
}

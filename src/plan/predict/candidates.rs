//! The placements that unit costs are fitted to, chosen before anything is measured.

use std::collections::{BTreeMap, BTreeSet};

use super::counter::Counter;
use super::fit::Fit;
use super::seconds::online;
use crate::core::error::Result;
use crate::core::placement::{Party, Placement};

/// Placements that each kind of work is measured in.
const TIMES_MEASURED: usize = 2;
/// The most placements that are measured for machine calibration.
const MOST_CALIBRATED: usize = 24;

/// Returns the placements to measure so that every kind of work among the candidates is measured
/// twice where half of them are enough for that: greedily what adds the most for its time, after
/// everything at the client and everything at the server.
///
/// # Errors
///
/// What compiling gives, but for placements that no parameter set carries.
pub fn calibration_placements(
    counter: &Counter<'_>,
    candidates: &[Placement],
) -> Result<Vec<Placement>> {
    let mut open: Vec<Candidate> = Vec::new();
    for placement in candidates {
        if let Ok(done) = counter.count(placement)? {
            let names = done.work.values().flat_map(|work| work.0.keys().cloned());
            open.push(Candidate {
                seconds: online(&Fit::default(), &done),
                placement: placement.clone(),
                names: names.collect(),
            });
        }
    }
    let names = open.iter().flat_map(|candidate| &candidate.names);
    let mut wanted: BTreeMap<String, usize> =
        names.map(|name| (name.clone(), TIMES_MEASURED)).collect();
    let pins = counter.model().pins();
    let ends = [Party::Client, Party::Server].map(|party| Placement::uniform(party, &pins));
    let mut chosen: Vec<Placement> = Vec::new();
    // Measuring nearly all would predict nothing.
    let most = MOST_CALIBRATED.min(open.len().div_ceil(2));
    while chosen.len() < most {
        let gain = |candidate: &Candidate| {
            // What was never measured counts most.
            let wanted = candidate.names.iter().map(|name| wanted[name].pow(2));
            // Start and keys take about a second whatever the placement.
            wanted.sum::<usize>() as f64 / (1.0 + candidate.seconds)
        };
        let end = open.iter().position(|c| ends.contains(&c.placement));
        let best = end.or_else(|| {
            open.iter()
                .map(gain)
                .enumerate()
                .max_by(|(_, a), (_, b)| a.total_cmp(b))
                .filter(|(_, gain)| *gain > 0.0)
                .map(|(index, _)| index)
        });
        let Some(best) = best else { break };
        let candidate = open.swap_remove(best);
        for name in candidate.names {
            wanted
                .entry(name)
                .and_modify(|times| *times = times.saturating_sub(1));
        }
        chosen.push(candidate.placement);
    }
    chosen.sort_by_key(Placement::to_string);
    Ok(chosen)
}

/// A placement that may be measured for machine calibration.
struct Candidate {
    /// Of an inference, by prior unit costs.
    seconds: f64,
    placement: Placement,
    /// The kinds of its work.
    names: BTreeSet<String>,
}

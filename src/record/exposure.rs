//! How much of the server's model a split gives away: handed over with the client's layers, or
//! recovered by an attack that was run, or in a linear segment, which any client can solve.
//!
//! What no attack here recovers is not thereby safe.

pub mod closed;

use crate::core::statistics::log2_union;
use crate::core::units;
use crate::record::row::{ExposureRow, SplitRow};
use crate::record::segment_exposure::{Bound, Outcome, SegmentExposure};

/// What stands behind a split's exposure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knowledge {
    /// Every server segment with weights is linear, and solved by algebra; or there is none.
    ClosedForm,
    /// Attacks were run to their end where no closed form tells.
    AttackEnded,
    /// One was stopped: what it had found is no measure of what it would have.
    AttackStopped,
    /// None was mounted on a segment that no closed form tells of.
    NotMounted,
}

impl Knowledge {
    /// Returns the word in the tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::ClosedForm => "closed form",
            Self::AttackEnded => "attack ended",
            Self::AttackStopped => "attack stopped",
            Self::NotMounted => "not mounted",
        }
    }
}

/// Returns the fraction of all weights that the client ends up with; `None` where it is not known: only
/// closed forms and attacks that ended tell, and whoever has all can get no more.
pub fn fraction(row: &SplitRow) -> Option<f64> {
    let all = least_told(row).filter(|least| *least >= 1.0);
    row.exposed_weight_share.or(all)
}

/// Returns the fraction of all weights that the client has at least, known or not: handed over, solved by
/// closed forms, and found by attacks.
pub fn least_fraction(row: &SplitRow) -> Option<f64> {
    fraction(row).or(least_told(row))
}

/// Returns what a row tells of the least; of earlier builds' rows, what is handed over.
fn least_told(row: &SplitRow) -> Option<f64> {
    row.exposed_weight_share_least.or(row.client_weight_share)
}

/// Returns whether a split is known to give the whole model away.
pub fn gives_all_away(row: &SplitRow) -> bool {
    fraction(row).is_some_and(|fraction| fraction >= 1.0)
}

/// Returns why the exposure of a row is not known.
pub fn why_unknown(row: &SplitRow) -> &'static str {
    match row.exposure_is.as_str() {
        "attack stopped" => "an attack on a segment of it was stopped",
        "not mounted" => "no attack was mounted on a segment of it",
        _ => "the row does not tell",
    }
}

/// Returns an unknown exposure as it stands in a sentence: `unknown (at least 12.5 %)`.
pub fn unknown_words(row: &SplitRow) -> String {
    match least_fraction(row) {
        Some(least) => format!("unknown (at least {})", units::percent(least)),
        None => "unknown".into(),
    }
}

/// Returns an unknown exposure as a table tells it: `≥ 12.5 %, unknown`.
pub fn unknown_fraction_words(row: &SplitRow) -> String {
    match least_fraction(row) {
        Some(least) => format!("≥ {}, unknown", units::percent(least)),
        None => "unknown".into(),
    }
}

/// The exposure of a split, over all its server segments.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Most over the segments, each of whose answers the client sees.
    pub honest_queries: Option<usize>,
    pub honest_queries_are: Bound,
    pub malicious_queries: Option<usize>,
    pub malicious_queries_are: Bound,
    pub information_floor_queries: Option<usize>,
    /// Fractions of the server's weights after 1, 10 and all queries.
    pub chosen: [Option<f64>; 3],
    pub mask: [Option<f64>; 3],
    pub mask_full: [Option<f64>; 3],
    pub attack_s: Option<f64>,
    pub exposed_weight_share: Option<f64>,
    /// Handed over, solved by closed forms, and found by attacks, ended or not.
    pub exposed_weight_share_least: Option<f64>,
    pub knowledge: Option<Knowledge>,
    pub log2_flooding_distance: Option<f64>,
}

impl Totals {
    /// Returns the totals of a split whose client holds that fraction of all weights.
    pub fn of(segments: &[SegmentExposure], client_weight_share: Option<f64>) -> Self {
        let weighty: Vec<&SegmentExposure> = segments
            .iter()
            .filter(|segment| segment.queries.weights > 0)
            .collect();
        let fractions = |of: fn(&SegmentExposure) -> &Outcome| {
            [0, 1, 2].map(|mark| weighted(&weighty, |segment| of(segment).fractions[mark]))
        };
        let queries = || weighty.iter().map(|segment| &segment.queries);
        let honest = worst(queries().map(|queries| (queries.honest, queries.honest_are)));
        let malicious = worst(queries().map(|queries| (queries.malicious, queries.malicious_are)));
        let floors: Option<Vec<usize>> =
            queries().map(|queries| queries.information_floor).collect();
        let recovered = weighted(&weighty, SegmentExposure::fraction);
        let server = if weighty.is_empty() {
            Some(0.0)
        } else {
            recovered
        };
        let found = weighted(&weighty, |segment| Some(segment.least_fraction()));
        let in_all =
            |server: f64| client_weight_share.map(|client| client + (1.0 - client) * server);
        let knowledge = weighty.iter().map(|segment| segment.knowledge()).max();
        let seconds = segments.iter().map(SegmentExposure::seconds);
        let flooding = segments
            .iter()
            .filter_map(|segment| segment.log2_flooding_distance);
        Self {
            honest_queries: honest.0,
            honest_queries_are: honest.1,
            malicious_queries: malicious.0,
            malicious_queries_are: malicious.1,
            information_floor_queries: floors.and_then(|floors| floors.into_iter().max()),
            chosen: fractions(|segment| &segment.chosen),
            mask: fractions(|segment| &segment.mask),
            mask_full: fractions(|segment| &segment.mask_full),
            attack_s: (!weighty.is_empty()).then(|| seconds.sum()),
            exposed_weight_share: server.and_then(in_all),
            exposed_weight_share_least: in_all(found.unwrap_or(0.0)),
            knowledge: Some(knowledge.unwrap_or(Knowledge::ClosedForm)),
            log2_flooding_distance: total_distance(flooding),
        }
    }
}

/// Returns the count of the segment that takes most, and what it says: `Never` where that is true of
/// one of them, and otherwise nothing where one has no count.
fn worst(counts: impl Iterator<Item = (Option<usize>, Bound)>) -> (Option<usize>, Bound) {
    let counts: Vec<(Option<usize>, Bound)> = counts.collect();
    if counts.iter().any(|(_, bound)| *bound == Bound::Never) {
        return (None, Bound::Never);
    }
    let known = counts.iter().all(|(count, _)| count.is_some());
    counts
        .into_iter()
        .max()
        .filter(|_| known)
        .unwrap_or_default()
}

/// Returns the mean of a fraction over segments, weighted by their weights; none where one is unknown.
fn weighted(
    segments: &[&SegmentExposure],
    fraction: impl Fn(&SegmentExposure) -> Option<f64>,
) -> Option<f64> {
    let weights: usize = segments.iter().map(|segment| segment.queries.weights).sum();
    let fractions = segments
        .iter()
        .map(|segment| fraction(segment).map(|fraction| fraction * segment.queries.weights as f64));
    let sum = fractions.sum::<Option<f64>>()?;
    (weights > 0).then(|| sum / weights as f64)
}

impl SegmentExposure {
    /// Returns the fraction of its weights that a client can have: all of them where a closed form says
    /// so; otherwise what attacks recovered, where one recovered all or none was left unfinished.
    pub fn fraction(&self) -> Option<f64> {
        let recovered = [self.chosen.fractions[2], self.mask.fractions[2]];
        let most = recovered.into_iter().flatten().reduce(f64::max);
        match self.queries.kind {
            kind if kind.is_solvable() => Some(1.0),
            // Masks behind a look-up are the client's no longer: that attack is a negative test.
            _ if self.chosen.fractions[2].is_some() => most,
            _ => most.filter(|fraction| *fraction == 1.0),
        }
    }

    /// Returns the fraction of its weights that a client has at least: also what attacks had found when they
    /// were stopped.
    pub fn least_fraction(&self) -> f64 {
        let attacks = [&self.chosen, &self.mask];
        let fractions = attacks
            .into_iter()
            .flat_map(|of| [of.fractions[2], of.found]);
        let found = fractions.flatten().fold(0.0, f64::max);
        self.fraction().unwrap_or(0.0).max(found)
    }

    /// Returns what stands behind its fraction.
    pub fn knowledge(&self) -> Knowledge {
        match self.fraction() {
            _ if self.queries.kind.is_solvable() => Knowledge::ClosedForm,
            Some(_) => Knowledge::AttackEnded,
            None if self.chosen.found.is_some() => Knowledge::AttackStopped,
            None => Knowledge::NotMounted,
        }
    }

    fn seconds(&self) -> f64 {
        self.chosen.seconds + self.mask.seconds + self.mask_full.seconds
    }

    /// Returns the segment's line of the table, without the names of split and layers.
    pub fn row(&self) -> ExposureRow {
        let queries = &self.queries;
        let outcomes = [
            ("chosen inputs", &self.chosen),
            ("masks", &self.mask),
            ("full masks", &self.mask_full),
        ];
        let reasons: Vec<String> = outcomes
            .into_iter()
            .filter_map(|(attack, outcome)| {
                let reason = outcome.reason.as_ref()?;
                Some(format!("{attack}: {reason}"))
            })
            .collect();
        ExposureRow {
            kind: queries.kind.word().into(),
            weights: queries.weights,
            weight_bits: queries.weight_bits,
            revealed_activations: queries.revealed_activations,
            unknowns_per_output: queries.unknowns,
            equations_per_query: queries.equations,
            honest_queries: queries.honest,
            honest_queries_are: queries.honest_are.word().into(),
            honest_rank_share: queries.honest_rank_share,
            malicious_queries: queries.malicious,
            malicious_queries_are: queries.malicious_are.word().into(),
            information_floor_queries: queries.information_floor,
            mask_inferences: queries.mask,
            chosen_input_queries: self.chosen.all_queries,
            chosen_input_recovered_share_1: self.chosen.fractions[0],
            chosen_input_recovered_share_10: self.chosen.fractions[1],
            chosen_input_recovered_share_all: self.chosen.fractions[2],
            chosen_input_method: self.chosen.method.clone(),
            chosen_input_s: seconds(&self.chosen),
            mask_queries: self.mask.all_queries,
            mask_recovered_share_1: self.mask.fractions[0],
            mask_recovered_share_10: self.mask.fractions[1],
            mask_recovered_share_all: self.mask.fractions[2],
            mask_method: self.mask.method.clone(),
            mask_s: seconds(&self.mask),
            mask_full_recovered_share_1: self.mask_full.fractions[0],
            mask_full_recovered_share_10: self.mask_full.fractions[1],
            mask_full_recovered_share_all: self.mask_full.fractions[2],
            mask_full_method: self.mask_full.method.clone(),
            mask_full_s: seconds(&self.mask_full),
            log2_flooding_distance: self.log2_flooding_distance,
            attack_reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
            ..ExposureRow::default()
        }
    }
}

/// Returns the time of an attack that was mounted.
fn seconds(outcome: &Outcome) -> Option<f64> {
    (!outcome.method.is_empty()).then_some(outcome.seconds)
}

/// Returns log2 of the sum of statistical distances, which is no more than one; none of none.
pub fn total_distance(log2_distances: impl Iterator<Item = f64>) -> Option<f64> {
    let mut distances = log2_distances.peekable();
    distances.peek()?;
    Some(log2_union(distances))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::segment_exposure::{Kind, Queries};

    fn segment(weights: usize, chosen: Option<f64>, mask: Option<f64>) -> SegmentExposure {
        let outcome = |fraction| Outcome {
            fractions: [fraction; 3],
            ..Outcome::default()
        };
        SegmentExposure {
            queries: Queries {
                kind: Kind::AffineThenActivation,
                weights,
                ..Queries::default()
            },
            chosen: outcome(chosen),
            mask: outcome(mask),
            ..SegmentExposure::default()
        }
    }

    #[test]
    fn the_stronger_attack_counts_for_each_segment() {
        let segments = [
            segment(30, Some(0.0), Some(1.0)),
            segment(10, Some(0.5), None),
            segment(0, None, None),
        ];
        let totals = Totals::of(&segments, Some(0.6));
        // 30 and 5 of 40 server weights, which are 0.4 of all.
        let exposed = totals.exposed_weight_share.expect("known");
        assert!(
            (exposed - (0.6 + 0.4 * 35.0 / 40.0)).abs() < 1e-12,
            "{exposed}"
        );
        assert_eq!(totals.chosen[0], Some(5.0 / 40.0));
        assert_eq!(totals.mask[0], None);
    }

    #[test]
    fn what_a_closed_form_solves_counts_whole() {
        let mut solvable = segment(10, None, Some(0.0));
        solvable.queries.kind = Kind::Affine;
        assert_eq!(solvable.fraction(), Some(1.0));
        let found_by_masks = segment(10, None, Some(1.0));
        assert_eq!(found_by_masks.fraction(), Some(1.0));
    }

    #[test]
    fn counts_of_a_split_are_of_its_worst_segment() {
        let mut segments = [segment(1, None, None), segment(1, None, None)];
        segments[0].queries.malicious = Some(3);
        segments[0].queries.malicious_are = Bound::Enough;
        segments[0].queries.honest_are = Bound::Never;
        let totals = Totals::of(&segments, Some(0.5));
        assert_eq!(totals.malicious_queries, None);
        assert_eq!(totals.malicious_queries_are, Bound::Unknown);
        assert_eq!(totals.honest_queries_are, Bound::Never);
        segments[1].queries.malicious = Some(33);
        segments[1].queries.malicious_are = Bound::Enough;
        segments[0].queries.malicious_are = Bound::Measured;
        let totals = Totals::of(&segments, Some(0.5));
        assert_eq!(totals.malicious_queries, Some(33));
        assert_eq!(totals.malicious_queries_are, Bound::Enough);
    }

    #[test]
    fn what_is_unknown_is_no_number() {
        for unknown in [segment(10, None, None), segment(10, None, Some(0.0))] {
            assert_eq!(Totals::of(&[unknown], Some(0.5)).exposed_weight_share, None);
        }
        let all_handed_over = Totals::of(&[], Some(1.0));
        assert_eq!(all_handed_over.exposed_weight_share, Some(1.0));
        assert_eq!(all_handed_over.attack_s, None);
    }
}

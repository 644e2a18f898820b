//! Conditions, and what a judge says of a table under them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use splitbench::choose::scenario::Scenario;
use splitbench::choose::{Caveat, Limit, Limits, Reason, choose};
use splitbench::core::objective::Objective;
use splitbench::record::row::SplitRow;

/// What a person asks for; the fastest split is the best.
#[derive(Debug, Clone)]
pub struct Conditions {
    pub scenario: Scenario,
    pub limits: Limits,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            scenario: Scenario::default(),
            limits: unlimited(),
        }
    }
}

/// Returns no limits, under the rule for copies that `splitbench choose` and the page have.
pub fn unlimited() -> Limits {
    Limits {
        counts_whole_copies: true,
        ..Limits::default()
    }
}

impl Conditions {
    /// Returns what the report's form makes of the same wishes.
    pub fn of_form(&self) -> Value {
        let network = self.scenario.network.as_ref().map(|network| {
            json!({
                "up": network.up_bits_per_s,
                "down": network.down_bits_per_s,
                "round_trip": network.round_trip_s,
            })
        });
        json!({
            "network": network,
            "factor": self.scenario.client_slowdown,
            "inferences": self.scenario.inferences,
            "memory": self.limits.max_client_memory,
            "exposure": self.limits.max_exposure,
            "accuracy": self.limits.min_accuracy,
            "copies": self.limits.max_copy_agreement,
            "withUnknown": self.limits.counts_handed_over,
            "countsWholeCopies": self.limits.counts_whole_copies,
        })
    }
}

/// What a judge says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Within the limits, best first.
    pub ranked: Vec<String>,
    /// The limits that each of the others breaks.
    pub rejected: BTreeMap<String, Vec<String>>,
    /// What to know of the best one: kind and split.
    pub caveats: Vec<String>,
    /// What breaks limits least.
    pub nearest: Option<String>,
}

impl Verdict {
    /// Returns what `splitbench choose` says.
    pub fn of_choose(rows: &[SplitRow], conditions: &Conditions) -> Self {
        let choice = choose(
            rows,
            &conditions.scenario,
            &conditions.limits,
            Objective::Time,
        );
        let best = choice
            .ranked
            .first()
            .map(|best| best.row.placement.as_str());
        let caveats = choice.caveats().into_iter().map(|caveat| {
            let (kind, split) = match &caveat {
                Caveat::Noisy => ("noisy", best.unwrap()),
                Caveat::Single => ("single", best.unwrap()),
                Caveat::Unknown(best) => ("unknown", best.row.placement.as_str()),
                Caveat::WholeCopies(_) => ("whole copies", best.unwrap()),
                Caveat::Close(next, _) => ("close", next.row.placement.as_str()),
                Caveat::OthersUnknown(_) => unreachable!("the fastest is asked for"),
                Caveat::KeptOut(other, _) => ("kept out", other.row.placement.as_str()),
            };
            format!("{kind} {split}")
        });
        let rejected = choice.rejected.iter().filter_map(|(row, reason)| {
            let words = match reason {
                Reason::Dominated { .. } => return None,
                Reason::GivesAllAway => vec!["all away".to_owned()],
                Reason::WholeCopies(_) => vec!["whole copies".to_owned()],
                Reason::Limits(broken) => broken
                    .iter()
                    .map(|broken| {
                        let is_unknown = broken.excess.is_infinite();
                        let word = match broken.limit {
                            Limit::ClientMemory => "memory",
                            Limit::ServerMemory => "server memory",
                            Limit::Exposure if is_unknown => "unknown",
                            Limit::Exposure => "exposure",
                            Limit::Accuracy => "accuracy",
                            Limit::CopyAgreement => "copies",
                        };
                        word.to_owned()
                    })
                    .collect(),
            };
            Some((row.placement.clone(), words))
        });
        Self {
            caveats: caveats.collect(),
            rejected: rejected.collect(),
            nearest: choice.nearest().map(|(row, _)| row.placement.clone()),
            ranked: choice
                .ranked
                .iter()
                .map(|c| c.row.placement.clone())
                .collect(),
        }
    }
}

//! The mask attack: an honest client that reads the masks of its answers.
//!
//! The client made the masks of what it sent. A server that answers with linear combinations of
//! those ciphertexts combines their masks with the same integer weights, so that every mask
//! coefficient of an answer is a linear equation in the weights: k·N of them for each ciphertext of
//! each inference. Whole coefficients of exact products are solved by elimination modulo 2^64;
//! rounded ones, and those of floating-point products, by lattice reduction where the unknowns are
//! few.
//!
//! The attacker knows the architecture, the interface and the bits of the weights.

mod attempt;
mod system;

use super::QUERIES;
use super::budget::Budget;
use crate::core::error::Result;
use crate::core::placement::SegmentIndex;
use crate::party::session::{Session, Transcript};
use crate::record::segment_exposure::Outcome;
use attempt::Attempt;
use system::groups;

/// Look-ups that an inference of the attack may take: some seconds.
const MOST_LOOK_UPS: usize = 6000;

/// Mounts the attack on a segment with ordinary inferences on the integers of one; `whole` as if
/// answers travelled without being rounded. What was exchanged is added to `transcripts`, and what
/// is there already is used. The budget tells when to stop.
///
/// # Errors
///
/// As [`Session::exchange`].
pub fn attack(
    session: &Session,
    segment: SegmentIndex,
    integers: &[Vec<i64>],
    whole: bool,
    transcripts: &mut Vec<Transcript>,
    budget: Budget,
) -> Result<Outcome> {
    let program = &session.programs()[segment.index()];
    if program.bootstrap_count() > MOST_LOOK_UPS {
        let reason = format!("an inference takes more than {MOST_LOOK_UPS} look-ups");
        return Ok(Outcome::untried(reason));
    }
    let groups = match groups(program) {
        Ok(groups) => groups,
        Err(reason) => return Ok(Outcome::untried(reason)),
    };
    let unknowns = groups.iter().map(|group| group.unknowns.len()).max();
    let all = unknowns.unwrap_or(0) + 1;
    let mut outcome = Outcome::default();
    for (index, queries) in QUERIES.into_iter().chain([all]).enumerate() {
        while transcripts.len() < queries && !budget.is_over() {
            transcripts.push(session.exchange(segment, integers)?);
        }
        let begun_s = budget.used_s();
        let attempt = Attempt {
            program,
            transcripts: &transcripts[..queries.min(transcripts.len())],
            whole,
            budget,
        };
        let found = attempt.solve(&groups);
        outcome.seconds += budget.used_s() - begun_s;
        outcome.method = found.methods.join("+");
        let fraction = found.fraction();
        outcome.all_queries = fraction.map(|_| queries);
        // More of the same helps where equations are lacking, and only there.
        if found.lacks_equations {
            outcome.fractions[index] = fraction;
            continue;
        }
        outcome.fractions[index..].fill(fraction);
        outcome.reason = found.reason;
        break;
    }
    Ok(outcome)
}

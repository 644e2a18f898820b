//! Attacks on the server's model, mounted by a client of a split.
//!
//! Each reads one server segment and says what it recovered. What it did not recover is not thereby
//! safe: there are attacks that are not here. Chosen inputs ask a simulation of the server, whose
//! answers are distributed as the real one's, and send it a real message to confirm what was found;
//! masks are read from real messages.

pub mod affine;
pub mod attacker;
pub mod budget;
pub mod capacity;
pub mod chosen;
pub mod composition;
pub mod found;
pub mod lattice;
pub mod likelihood;
pub mod mask;
pub mod plan;
pub mod response;
pub mod two_adic;

use serde::{Deserialize, Serialize};

/// Numbers of queries after which an attack's success is told, besides all that it needs.
pub const QUERIES: [usize; 2] = [1, 10];

/// What an attack on a segment recovered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Share of the segment's weights found exactly, as the server's integers, after 1, 10 and all
    /// queries; unknown where the attack was not mounted to its end.
    pub shares: [Option<f64>; 3],
    /// What `all` stands for.
    pub all_queries: Option<usize>,
    /// Solving, and for chosen inputs the queries too.
    pub seconds: f64,
    pub method: String,
    /// Share that was found when the attack was stopped, which is none of those.
    #[serde(default)]
    pub found: Option<f64>,
    /// Why a share is unknown.
    pub reason: Option<String>,
}

impl Outcome {
    /// Notes that the attack ended after so many queries, with that share found and that word on how
    /// it was checked.
    pub fn end(&mut self, queries: usize, share: f64, word: &str) {
        self.all_queries = Some(queries);
        self.method += ", ";
        self.method += word;
        for known in &mut self.shares {
            *known = known.or(Some(share));
        }
    }

    /// Returns the outcome of an attack that was not mounted.
    pub fn untried(reason: String) -> Self {
        Self {
            reason: Some(reason),
            ..Self::default()
        }
    }
}

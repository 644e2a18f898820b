//! What the lines of a log hold.

use serde::{Deserialize, Serialize};

use super::line::Chain;
use crate::core::error::{Error, Result};
use crate::record::copy::{CopyPoint, Replay};
use crate::record::environment::Environment;
use crate::record::finished::{Finished, Sample};
use crate::record::row::Status;
use crate::record::settings::Settings;
use crate::record::stage::Stage;
use crate::record::visit::Visit;

/// What a line holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first line.
    Settings(Settings),
    /// What the visits from here on run in.
    Environment(Environment),
    /// A visit begins; what an earlier try left of it no longer counts.
    Start(Visit),
    Sample(Sample),
    /// A visit has ended.
    End(VisitEnd),
    /// What copies of a split are worth, learnt when a sweep had ended.
    Copy(CopyPoint),
    /// Queries of theirs that were put to the real server.
    Replay(Replay),
}

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisitEnd {
    #[serde(flatten)]
    pub visit: Visit,
    pub status: Status,
    /// Why, where the status is not `ok`.
    pub reason: Option<String>,
    /// Seconds per look-up of the reference batch just before and just after.
    pub calibration_s: Option<[f64; 2]>,
    /// Seconds of each stage of the visit, which share all of its time; none in earlier logs.
    #[serde(default)]
    pub stages: Vec<(Stage, f64)>,
    /// What the worker of a first round reported last; `None` where it did not get that far.
    pub finished: Option<Finished>,
}

/// Returns a record as the next line of a log.
pub(super) fn line_of(record: &Record, chain: &mut Chain) -> Result<String> {
    let json = serde_json::to_string(record)
        .map_err(|error| Error::Worker(format!("unwritable record: {error}")))?;
    Ok(chain.seal(&json))
}

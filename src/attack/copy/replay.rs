//! Questions of copies put to the real server too: whether it answers as the simulation says.

use std::sync::Arc;

use super::ground::Ground;
use super::pupil::Pupil;
use crate::circuit::program::NoiseSeed;
use crate::core::error::Result;
use crate::core::placement::{Placement, SegmentIndex};
use crate::oracle::agreement::within_error_model;
use crate::party::inference::Exchange;
use crate::party::session::Session;
use crate::record::copy::Replay;

/// Puts so many of a segment's questions to a real server, or fewer where `stop` says so, and holds the answers
/// against the error model.
///
/// # Errors
///
/// As [`Session::of_programs`] and [`Session::exchange`].
pub fn replay(
    ground: &Ground,
    pupil: &Pupil,
    queries: usize,
    seed: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Replay> {
    let (model, program) = (&ground.model, &pupil.program);
    let alone = Placement::with_server(pupil.layers.clone(), &model.pins());
    let session = Session::of_programs(model, &alone, vec![Arc::clone(program)])?;
    let (mut asked, mut within) = (0, 0);
    for question in pupil
        .questions(ground, queries, seed, stop)
        .unwrap_or_default()
    {
        if stop() {
            break;
        }
        let uploaded = by_upload(pupil, &question);
        let transcript = session.exchange(SegmentIndex::FIRST, &uploaded)?;
        let exchange = Exchange {
            uploaded,
            downloaded: transcript.integers,
        };
        asked += 1;
        within += usize::from(within_error_model(program, &exchange, NoiseSeed(seed)));
    }
    Ok(Replay {
        layers: (pupil.layers.start, pupil.layers.end),
        parameters: program.parameters.to_string(),
        queries: asked,
        within,
    })
}

/// Returns a question's integers by upload.
fn by_upload(pupil: &Pupil, question: &[i64]) -> Vec<Vec<i64>> {
    let mut rest = question;
    let uploads = pupil.program.interface.uploads.iter().map(|upload| {
        let (own, after) = rest.split_at(upload.layout.places.len());
        rest = after;
        own.to_vec()
    });
    uploads.collect()
}

//! One placement's prediction, from its counted work and fitted unit costs.

use super::counter::Counter;
use super::fit::Fit;
use super::row::PredictionRow;
use super::seconds::{online, server};
use super::work::Figure;
use crate::core::error::Result;
use crate::core::placement::Placement;
use crate::record::exposure::Knowledge;
use crate::record::exposure::closed::Closed;

/// Returns the predicted row of a placement.
///
/// # Errors
///
/// What compiling it gives; where no parameter set carries it, the row says so.
pub fn predict(counter: &Counter<'_>, fit: &Fit, placement: &Placement) -> Result<PredictionRow> {
    let model = counter.model();
    let closed = Closed::of(model, placement, counter.target().output_mode);
    let row = PredictionRow {
        model: model.name.clone(),
        placement: placement.to_string(),
        rounds: placement.server_segments().len(),
        bootstrap_count: counter
            .target()
            .output_mode
            .bootstrap_count(model, placement),
        client_weight_share: model.client_weight_share(placement),
        exposed_weight_share: closed
            .filter(|closed| closed.is_all)
            .map(|closed| closed.least),
        exposed_weight_share_least: closed.map(|closed| closed.least),
        exposure_is: match closed {
            Some(closed) if closed.is_all => Knowledge::ClosedForm.word().into(),
            Some(_) => Knowledge::NotMounted.word().into(),
            None => String::new(),
        },
        ..PredictionRow::default()
    };
    let done = match counter.count(placement)? {
        Ok(done) => done,
        Err(reason) => {
            return Ok(PredictionRow {
                reason: Some(reason),
                ..row
            });
        }
    };
    let of = |figure: Figure| done.work.get(&figure).map(|work| fit.predict(work));
    let phase = |figure: Figure| Some(of(figure).unwrap_or(0.0));
    let bytes = |figure: Figure| of(figure).map(|bytes| bytes.round() as u64);
    let sets: Vec<String> = done
        .parameter_sets
        .iter()
        .map(ToString::to_string)
        .collect();
    Ok(PredictionRow {
        parameter_set: sets.join("+"),
        online_s: Some(online(fit, &done)),
        client_compute_s: phase(Figure::ClientCompute),
        encrypt_s: phase(Figure::Encrypt),
        serialise_s: phase(Figure::Serialise),
        server_compute_s: Some(server(fit, &done)),
        deserialise_s: phase(Figure::Deserialise),
        decrypt_s: phase(Figure::Decrypt),
        key_generation_s: of(Figure::KeyGeneration),
        key_transfer_s: of(Figure::KeyTransfer),
        upload_bytes: Some(done.upload_bytes),
        download_bytes: Some(done.download_bytes),
        evaluation_key_bytes: Some(done.evaluation_key_bytes),
        client_peak_rss_bytes: bytes(Figure::ClientMemory),
        server_peak_rss_bytes: bytes(Figure::ServerMemory),
        ..row
    })
}

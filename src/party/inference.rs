//! One inference from image to logits, in the messages that client and server exchange.

use std::ops::Range;
use std::time::Instant;

use crate::circuit::program::Program;
use crate::core::error::Result;
use crate::core::placement::{Party, Placement, Segment, SegmentIndex};
use crate::model::values::{Values, Wiring};
use crate::model::{Model, NodeId, ValueId};
use crate::party::client::Client;
use crate::party::server::{Extent, OnLookUps, Server, StepTime};
use crate::party::wire::{self, Expected};

/// What an inference passes through: all that the client needs to know of the whole network.
pub struct Route {
    wiring: Wiring,
    /// The nodes of each segment and who runs them.
    segments: Vec<(Party, Range<usize>)>,
}

impl Route {
    /// Returns the route of a placement.
    pub fn of(model: &Model, placement: &Placement) -> Self {
        let of_segment = |segment: &Segment| (segment.party, model.nodes_of(segment));
        Self {
            wiring: Wiring::of(model),
            segments: placement.segments().iter().map(of_segment).collect(),
        }
    }
}

/// The outcome of one inference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inference {
    pub logits: Vec<f32>,
    /// One per server segment.
    pub exchanges: Vec<Exchange>,
    pub times: PhaseTimes,
    pub step_times: Vec<StepTime>,
    pub upload_bytes: u64,
    pub download_bytes: u64,
}

/// The integers that a server segment was given and those that the client decrypted from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exchange {
    /// One list per upload.
    pub uploaded: Vec<Vec<i64>>,
    /// One list per download.
    pub downloaded: Vec<Vec<i64>>,
}

/// Seconds of each phase of an inference; `online_s` is the wall time of them all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PhaseTimes {
    pub client_compute_s: f64,
    pub encrypt_s: f64,
    pub serialise_s: f64,
    pub server_compute_s: f64,
    pub deserialise_s: f64,
    pub decrypt_s: f64,
    pub online_s: f64,
}

/// Sends the uploads of a server segment and returns its downloads, both as bytes.
pub type Exchanged<'a> = dyn FnMut(SegmentIndex, Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> + 'a;

/// Runs one image at the client, which has each server segment run by `exchange`. The times are the
/// client's, but for `online_s`, which is the wall time of all.
///
/// # Errors
///
/// [`crate::Error::Message`] where an answer does not conform, and what `exchange` returns.
pub fn infer(
    client: &Client,
    route: &Route,
    image: &[u8],
    exchange: &mut Exchanged<'_>,
) -> Result<Inference> {
    let start = Instant::now();
    let mut inference = Inference::default();
    let times = &mut inference.times;
    let mut values = Values::default();
    let input = timed(&mut times.client_compute_s, || client.read_image(image));
    values.insert(ValueId::INPUT, input);
    for (party, nodes) in &route.segments {
        match party {
            Party::Client => timed(&mut times.client_compute_s, || {
                for node in NodeId::all(nodes.clone()) {
                    let value = client.run_node(node, &values)?;
                    values.insert(node.value(), value);
                    values.forget(&route.wiring, node.index() + 1);
                }
                Ok(())
            })?,
            // client → wire → server → wire → client
            Party::Server => {
                let segment = SegmentIndex::new(inference.exchanges.len());
                let (uploaded, uploads) = send(client, segment, &values, times);
                inference.upload_bytes += byte_count(&uploads);
                let downloads = exchange(segment, uploads)?;
                inference.download_bytes += byte_count(&downloads);
                let downloaded = receive(client, segment, &downloads, &mut values, times)?;
                inference.exchanges.push(Exchange {
                    uploaded,
                    downloaded,
                });
            }
        }
        values.forget(&route.wiring, nodes.end);
    }
    times.online_s = start.elapsed().as_secs_f64();
    let logits = values.into_output(&route.wiring);
    inference.logits = logits.iter().map(|row| row[0]).collect();
    Ok(inference)
}

fn byte_count(messages: &[Vec<u8>]) -> u64 {
    messages.iter().map(|message| message.len() as u64).sum()
}

/// Quantises, encrypts and serialises what a server segment reads; returns the integers, and the
/// messages.
fn send(
    client: &Client,
    segment: SegmentIndex,
    values: &Values,
    times: &mut PhaseTimes,
) -> (Vec<Vec<i64>>, Vec<Vec<u8>>) {
    let uploads = client.interface(segment).uploads.iter().enumerate();
    let sent = uploads.map(|(index, upload)| {
        let integers = timed(&mut times.encrypt_s, || {
            client.quantise(segment, index, values.get(upload.value))
        });
        let ciphertexts = timed(&mut times.encrypt_s, || {
            client.encrypt(segment, index, &integers)
        });
        let message = timed(&mut times.serialise_s, || {
            wire::write_upload(&ciphertexts, upload.bytes)
        });
        (integers, message)
    });
    sent.unzip()
}

/// What a server made of a segment's uploads.
pub struct Served {
    pub downloads: Vec<Vec<u8>>,
    pub step_times: Vec<StepTime>,
}

/// Runs a server segment from messages to messages.
///
/// # Errors
///
/// [`crate::Error::Message`] where an upload does not conform or a key is missing.
pub fn serve(
    server: &Server,
    segment: SegmentIndex,
    program: &Program,
    uploads: &[Vec<u8>],
    times: &mut PhaseTimes,
    extent: Extent,
    advance: &OnLookUps<'_>,
) -> Result<Served> {
    let encodings = &program.interface.uploads;
    if uploads.len() != encodings.len() {
        return Err(crate::Error::Message(format!(
            "{} uploads where {} belong",
            uploads.len(),
            encodings.len()
        )));
    }
    let received = uploads
        .iter()
        .zip(encodings)
        .map(|(message, upload)| {
            timed(&mut times.deserialise_s, || {
                wire::read_upload(message, &Expected::of_upload(upload))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let (answers, step_times) = timed(&mut times.server_compute_s, || {
        server.run(segment, &received, extent, advance)
    })?;
    let downloads = answers
        .into_iter()
        .zip(&program.interface.downloads)
        .map(|(answer, download)| {
            timed(&mut times.serialise_s, || {
                wire::write_download(&answer, download.bytes)
            })
        })
        .collect();
    Ok(Served {
        downloads,
        step_times,
    })
}

/// Deserialises, decrypts and dequantises a server segment's answers into values; returns the
/// integers.
fn receive(
    client: &Client,
    segment: SegmentIndex,
    downloads: &[Vec<u8>],
    values: &mut Values,
    times: &mut PhaseTimes,
) -> Result<Vec<Vec<i64>>> {
    let encodings = &client.interface(segment).downloads;
    if downloads.len() != encodings.len() {
        return Err(crate::Error::Message(format!(
            "{} downloads where {} belong",
            downloads.len(),
            encodings.len()
        )));
    }
    downloads
        .iter()
        .zip(encodings)
        .enumerate()
        .map(|(index, (message, download))| {
            let expected = Expected::of_download(download, client.parameters(segment));
            let rows = timed(&mut times.deserialise_s, || {
                wire::read_download(message, &expected)
            })?;
            let integers = timed(&mut times.decrypt_s, || {
                client.decrypt(segment, index, &rows)
            });
            let value = timed(&mut times.decrypt_s, || {
                client.dequantise(segment, index, &integers)
            });
            values.insert(download.node.value(), value);
            Ok(integers)
        })
        .collect()
}

impl PhaseTimes {
    /// Adds another party's times; `online_s` stays.
    pub(crate) fn add(&mut self, other: &Self) {
        self.serialise_s += other.serialise_s;
        self.server_compute_s += other.server_compute_s;
        self.deserialise_s += other.deserialise_s;
    }
}

/// Runs `work` and adds its wall time to `seconds`.
pub(crate) fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *seconds += start.elapsed().as_secs_f64();
    result
}

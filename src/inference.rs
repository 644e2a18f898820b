//! One inference from image to logits: the only file where client and server meet.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::client::Client;
use crate::compile::{Target, compile_placement};
use crate::error::Result;
use crate::fhe::bootstrap::look_up;
use crate::fhe::cipher;
use crate::fhe::keys::EvaluationKey;
use crate::fhe::packed::extract;
use crate::interface::Interface;
use crate::linear_map::Row;
use crate::model::Model;
use crate::model::values::{Values, Wiring};
use crate::placement::{Party, Placement};
use crate::program::{Program, key_parameters, packings, zero_parameters};
use crate::server::{Advance, Answers, BeforeLookUp, Server, StepTime};
use crate::wire::{self, Expected};

/// A client and a server that have exchanged keys for one placement.
pub struct Session {
    programs: Vec<Arc<Program>>,
    route: Route,
    client: Client,
    server: Server,
    pub set_up: SetUp,
}

/// What an inference passes through: all that the client needs to know of the whole network.
pub struct Route {
    wiring: Wiring,
    /// The nodes of each segment and who runs them.
    segments: Vec<(Party, Range<usize>)>,
}

impl Route {
    /// Returns the route of a placement.
    pub fn of(model: &Model, placement: &Placement) -> Self {
        let segments = placement.segments();
        let segments = segments
            .iter()
            .map(|segment| (segment.party, model.nodes_of(segment)));
        Self {
            wiring: Wiring::of(model),
            segments: segments.collect(),
        }
    }
}

/// What it took to exchange keys.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SetUp {
    /// Secret and evaluation key, at the client.
    pub key_generation_s: f64,
    /// Serialising, deserialising and expanding the evaluation key; no network.
    pub key_transfer_s: f64,
    /// Of all keys that the server holds.
    pub evaluation_key_bytes: u64,
    /// Of those, the ones that pack answers.
    pub packing_key_bytes: u64,
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

/// What one run of a server segment shows the client, and what rounding keeps from it.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// The GLWE ciphertexts of each upload, whose masks the client made.
    pub uploads: Answers,
    /// The ciphertexts of each download before they are rounded.
    pub whole: Answers,
    /// The same as they arrive.
    pub received: Answers,
    /// What they decrypt to.
    pub integers: Vec<Vec<i64>>,
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

impl Session {
    /// Compiles the placement, generates keys and hands the evaluation key over.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Parameters`] where the noise leaves no room for a layer.
    pub fn set_up(model: &Model, placement: &Placement, target: &Target) -> Result<Self> {
        let programs = compile_placement(model, placement, target)?;
        let interfaces = programs.iter().map(|p| (p.interface.clone(), p.parameters));
        let mut server = Server::new(&programs);
        let mut set_up = SetUp::default();
        let client = timed(&mut set_up.key_generation_s, || {
            Client::new(model, placement, interfaces.collect())
        });
        for parameters in key_parameters(&programs) {
            let key = timed(&mut set_up.key_generation_s, || {
                client.evaluation_key(&parameters)
            })?;
            let message = timed(&mut set_up.key_transfer_s, || key.to_bytes());
            drop(key);
            timed(&mut set_up.key_transfer_s, || {
                server.receive_key(&message, &parameters)
            })?;
            set_up.evaluation_key_bytes += message.len() as u64;
        }
        for (parameters, packing) in packings(&programs) {
            let key = timed(&mut set_up.key_generation_s, || {
                client.packing_key(&parameters, packing)
            })?;
            let message = timed(&mut set_up.key_transfer_s, || key.to_bytes());
            drop(key);
            timed(&mut set_up.key_transfer_s, || {
                server.receive_packing_key(&message, &parameters, packing)
            })?;
            set_up.evaluation_key_bytes += message.len() as u64;
            set_up.packing_key_bytes += message.len() as u64;
        }
        for parameters in zero_parameters(&programs) {
            let message = timed(&mut set_up.key_generation_s, || {
                client.public_zeros(&parameters)
            })?;
            timed(&mut set_up.key_transfer_s, || {
                server.receive_zeros(&message, &parameters)
            })?;
            set_up.evaluation_key_bytes += message.len() as u64;
        }
        Ok(Self {
            route: Route::of(model, placement),
            programs,
            client,
            server,
            set_up,
        })
    }

    /// Returns the programs of the server's segments.
    pub fn programs(&self) -> &[Arc<Program>] {
        &self.programs
    }

    /// Lets go of keys and layers.
    pub fn into_programs(self) -> Vec<Arc<Program>> {
        self.programs
    }

    /// Lets ciphertexts that wait for a later layer spill to a file where more than so many bytes of
    /// them would be alive at once.
    pub fn spill_above(&mut self, bytes: Option<u64>) {
        self.server.spill_above(bytes);
    }

    /// Runs one image through all segments.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Message`] where a message does not conform; [`crate::Error::Write`] and
    /// [`crate::Error::Read`] where ciphertexts cannot wait in a file.
    pub fn infer(&self, image: &[u8]) -> Result<Inference> {
        self.infer_telling(image, &|_, _| ())
    }

    /// As [`Self::infer`]; `advance` hears of look-ups as they are done.
    ///
    /// # Errors
    ///
    /// As [`Self::infer`].
    pub fn infer_telling(&self, image: &[u8], advance: &Advance<'_>) -> Result<Inference> {
        let mut server_times = PhaseTimes::default();
        let mut step_times = Vec::new();
        let mut serve = |segment: usize, uploads: Vec<Vec<u8>>| {
            let program = &self.programs[segment];
            let served = serve(
                &self.server,
                segment,
                program,
                &uploads,
                &mut server_times,
                advance,
            )?;
            step_times.extend(served.step_times);
            Ok(served.downloads)
        };
        let mut inference = infer(&self.client, &self.route, image, &mut serve)?;
        inference.times.add(&server_times);
        inference.step_times = step_times;
        Ok(inference)
    }

    /// Encrypts integers for a server segment anew and runs it; `before_look_up` as in
    /// [`Server::observe`].
    ///
    /// # Errors
    ///
    /// As [`Server::observe`].
    pub fn observe(
        &self,
        segment: usize,
        uploads: &[Vec<i64>],
        before_look_up: &mut BeforeLookUp<'_>,
    ) -> Result<()> {
        let parameters = &self.programs[segment].parameters;
        let uploads = uploads.iter().enumerate().map(|(index, integers)| {
            cipher::expand(parameters, &self.client.encrypt(segment, index, integers))
        });
        self.server
            .observe(segment, uploads.collect(), before_look_up)?;
        Ok(())
    }

    /// Runs one server segment on integers from message to message, and keeps all that the client
    /// gets to see.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Message`] where a message does not conform.
    pub fn exchange(&self, segment: usize, integers: &[Vec<i64>]) -> Result<Transcript> {
        let Interface { uploads, downloads } = &self.programs[segment].interface;
        let parameters = &self.programs[segment].parameters;
        let sent = uploads.iter().zip(integers).enumerate();
        let sent = sent.map(|(index, (upload, integers))| {
            let ciphertexts = self.client.encrypt(segment, index, integers);
            let sizes = &upload.layout.lengths;
            let expected = Expected {
                sizes,
                bytes: upload.bytes,
            };
            wire::read_upload(&wire::write_upload(&ciphertexts, upload.bytes), expected)
        });
        let sent = sent.collect::<Result<Vec<_>>>()?;
        let (whole, _) = self.server.run(segment, &sent, &|_, _| ())?;
        let received = whole.iter().zip(downloads).map(|(answer, download)| {
            let sizes = &download.ciphertext_sizes(parameters);
            let expected = Expected {
                sizes,
                bytes: download.bytes,
            };
            wire::read_download(&wire::write_download(answer, download.bytes), expected)
        });
        let received = received.collect::<Result<Answers>>()?;
        let integers = received.iter().enumerate();
        let integers = integers.map(|(index, rows)| self.client.decrypt(segment, index, rows));
        Ok(Transcript {
            integers: integers.collect(),
            uploads: sent
                .iter()
                .map(|upload| cipher::expand(parameters, upload))
                .collect(),
            whole,
            received,
        })
    }

    /// Returns the server's evaluation key for a segment.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Message`] where the segment has none.
    pub fn server_key(&self, segment: usize) -> Result<&EvaluationKey> {
        self.server.key(&self.programs[segment].parameters)
    }

    /// Returns the phases of LWE ciphertexts under a segment's key, noise included.
    pub fn decrypt_phases(&self, segment: usize, rows: &[Row<u64>]) -> Vec<u64> {
        self.client.decrypt_phases(segment, rows)
    }

    /// Returns the seconds per activation of a batch of `count` look-ups on fresh ciphertexts, on
    /// all cores, for the first segment that has look-ups; `None` where none has.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Message`] where that segment's key is missing.
    pub fn activation_s(&self, count: usize) -> Result<Option<f64>> {
        let mut programs = self.programs.iter().enumerate();
        let Some((segment, program)) = programs.find(|(_, p)| p.bootstrap_count() > 0) else {
            return Ok(None);
        };
        let Program {
            parameters,
            interface,
            ..
        } = program.as_ref();
        let zeros = vec![0; interface.uploads[0].layout.places.len()];
        let ciphertexts = cipher::expand(parameters, &self.client.encrypt(segment, 0, &zeros));
        let mut rows: Vec<Row<u64>> = (0..count)
            .map(|index| {
                extract(
                    parameters,
                    &ciphertexts[0],
                    index % parameters.literal().polynomial_size,
                )
            })
            .collect();
        let table = vec![0; parameters.literal().polynomial_size];
        let key = self.server.key(parameters)?;
        let mut seconds = 0.0;
        timed(&mut seconds, || {
            look_up(key, &mut rows, |_| &table, &|_| ())
        });
        Ok(Some(seconds / count as f64))
    }
}

/// Sends the uploads of a server segment and returns its downloads, both as bytes.
pub type Exchanged<'a> = dyn FnMut(usize, Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> + 'a;

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
    values.insert(0, input);
    for (party, nodes) in &route.segments {
        match party {
            Party::Client => timed(&mut times.client_compute_s, || {
                for node in nodes.clone() {
                    let value = client.run_node(node, &values);
                    values.insert(node + 1, value);
                    values.forget(&route.wiring, node + 1);
                }
            }),
            // client → wire → server → wire → client
            Party::Server => {
                let segment = inference.exchanges.len();
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
    segment: usize,
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
    segment: usize,
    program: &Program,
    uploads: &[Vec<u8>],
    times: &mut PhaseTimes,
    advance: &Advance<'_>,
) -> Result<Served> {
    let encodings = &program.interface.uploads;
    if uploads.len() != encodings.len() {
        return Err(crate::Error::Message(format!(
            "{} uploads where {} belong",
            uploads.len(),
            encodings.len()
        )));
    }
    let received = uploads.iter().zip(encodings).map(|(message, upload)| {
        let expected = Expected {
            sizes: &upload.layout.lengths,
            bytes: upload.bytes,
        };
        timed(&mut times.deserialise_s, || {
            wire::read_upload(message, expected)
        })
    });
    let received = received.collect::<Result<Vec<_>>>()?;
    let (answers, step_times) = timed(&mut times.server_compute_s, || {
        server.run(segment, &received, advance)
    })?;
    let downloads = answers.into_iter().zip(&program.interface.downloads);
    let downloads = downloads.map(|(answer, download)| {
        timed(&mut times.serialise_s, || {
            wire::write_download(&answer, download.bytes)
        })
    });
    Ok(Served {
        downloads: downloads.collect(),
        step_times,
    })
}

/// Deserialises, decrypts and dequantises a server segment's answers into values; returns the
/// integers.
fn receive(
    client: &Client,
    segment: usize,
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
    let received = downloads.iter().zip(encodings).enumerate();
    received
        .map(|(index, (message, download))| {
            let sizes = download.ciphertext_sizes(client.parameters(segment));
            let expected = Expected {
                sizes: &sizes,
                bytes: download.bytes,
            };
            let rows = timed(&mut times.deserialise_s, || {
                wire::read_download(message, expected)
            })?;
            let integers = timed(&mut times.decrypt_s, || {
                client.decrypt(segment, index, &rows)
            });
            let value = timed(&mut times.decrypt_s, || {
                client.dequantise(segment, index, &integers)
            });
            values.insert(download.value, value);
            Ok(integers)
        })
        .collect()
}

impl PhaseTimes {
    /// Adds another party's times; `online_s` stays.
    fn add(&mut self, other: &Self) {
        self.serialise_s += other.serialise_s;
        self.server_compute_s += other.server_compute_s;
        self.deserialise_s += other.deserialise_s;
    }
}

/// Runs `work` and adds its wall time to `seconds`.
fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *seconds += start.elapsed().as_secs_f64();
    result
}

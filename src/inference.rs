//! One inference from image to logits: the only file where client and server meet.

use std::sync::Arc;
use std::time::Instant;

use crate::client::Client;
use crate::compile::{Target, compile_placement};
use crate::error::Result;
use crate::fhe::bootstrap::look_up;
use crate::fhe::cipher;
use crate::fhe::keys::EvaluationKey;
use crate::fhe::pack::PackingDecomposition;
use crate::fhe::packed::extract;
use crate::fhe::parameters::ParameterSet;
use crate::linear_map::Row;
use crate::model::Model;
use crate::placement::{Party, Placement, Segment};
use crate::program::{Interface, Program};
use crate::server::{BeforeLookUp, LayerTime, Server};
use crate::wire::{self, Expected};

/// A client and a server that have exchanged keys for one placement.
pub struct Session {
    segments: Vec<Segment>,
    programs: Vec<Arc<Program>>,
    client: Client,
    server: Server,
    pub set_up: SetUp,
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
#[derive(Debug, Clone, PartialEq)]
pub struct Inference {
    pub logits: Vec<f32>,
    /// One per server segment.
    pub exchanges: Vec<Exchange>,
    pub times: PhaseTimes,
    pub layer_times: Vec<LayerTime>,
    pub upload_bytes: u64,
    pub download_bytes: u64,
}

/// The integers that a server segment was given and those that the client decrypted from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    pub uploaded: Vec<i64>,
    pub downloaded: Vec<i64>,
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
        Ok(Self {
            segments: placement.segments(),
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

    /// Runs one image through all segments.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Message`] where a message does not conform.
    pub fn infer(&self, image: &[u8]) -> Result<Inference> {
        let start = Instant::now();
        let mut times = PhaseTimes::default();
        let mut outcome = Inference {
            logits: Vec::new(),
            exchanges: Vec::new(),
            times,
            layer_times: Vec::new(),
            upload_bytes: 0,
            download_bytes: 0,
        };
        let mut activation = timed(&mut times.client_compute_s, || {
            self.client.read_image(image)
        });
        for segment in &self.segments {
            activation = match segment.party {
                Party::Client => timed(&mut times.client_compute_s, || {
                    segment
                        .layers
                        .clone()
                        .fold(activation, |activation, layer| {
                            self.client.run_layer(layer, activation)
                        })
                }),
                Party::Server => self.round_trip(&activation, &mut times, &mut outcome)?,
            };
        }
        times.online_s = start.elapsed().as_secs_f64();
        outcome.logits = activation.iter().map(|row| row[0]).collect();
        outcome.times = times;
        Ok(outcome)
    }

    /// client → wire → server → wire → client, for the next server segment.
    fn round_trip(
        &self,
        activation: &[Row<f32>],
        times: &mut PhaseTimes,
        outcome: &mut Inference,
    ) -> Result<Vec<Row<f32>>> {
        let (client, server) = (&self.client, &self.server);
        let segment = outcome.exchanges.len();
        let program = &self.programs[segment];
        let Interface { upload, download } = &program.interface;

        let uploaded = timed(&mut times.encrypt_s, || {
            client.quantise(segment, activation)
        });
        let ciphertexts = timed(&mut times.encrypt_s, || client.encrypt(segment, &uploaded));
        let message = timed(&mut times.serialise_s, || {
            wire::write_upload(&ciphertexts, upload.bytes)
        });
        outcome.upload_bytes += message.len() as u64;

        let expected = Expected {
            sizes: &upload.layout.lengths,
            bytes: upload.bytes,
        };
        let received = timed(&mut times.deserialise_s, || {
            wire::read_upload(&message, expected)
        })?;
        let (answer, layer_times) = timed(&mut times.server_compute_s, || {
            server.run(segment, &received)
        })?;
        outcome.layer_times.extend(layer_times);
        let message = timed(&mut times.serialise_s, || {
            wire::write_download(&answer, download.bytes)
        });
        outcome.download_bytes += message.len() as u64;
        drop(answer);

        let sizes = download.ciphertext_sizes(&program.parameters);
        let expected = Expected {
            sizes: &sizes,
            bytes: download.bytes,
        };
        let received = timed(&mut times.deserialise_s, || {
            wire::read_download(&message, expected)
        })?;
        let downloaded = timed(&mut times.decrypt_s, || client.decrypt(segment, &received));
        let activation = timed(&mut times.decrypt_s, || {
            client.dequantise(segment, &downloaded)
        });
        outcome.exchanges.push(Exchange {
            uploaded,
            downloaded,
        });
        Ok(activation)
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
        integers: &[i64],
        before_look_up: &mut BeforeLookUp<'_>,
    ) -> Result<()> {
        let parameters = &self.programs[segment].parameters;
        let input = cipher::expand(parameters, &self.client.encrypt(segment, integers));
        self.server.observe(segment, input, before_look_up)?;
        Ok(())
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
        let zeros = vec![0; interface.upload.layout.places.len()];
        let ciphertexts = cipher::expand(parameters, &self.client.encrypt(segment, &zeros));
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
        timed(&mut seconds, || look_up(key, &mut rows, |_| &table));
        Ok(Some(seconds / count as f64))
    }
}

/// Returns the parameter sets that need an evaluation key, each once.
pub fn key_parameters(programs: &[Arc<Program>]) -> Vec<ParameterSet> {
    let mut sets: Vec<ParameterSet> = Vec::new();
    for program in programs
        .iter()
        .filter(|program| program.bootstrap_count() > 0)
    {
        if !sets.contains(&program.parameters) {
            sets.push(program.parameters);
        }
    }
    sets
}

/// Returns the packings of answers that need a key, each once.
fn packings(programs: &[Arc<Program>]) -> Vec<(ParameterSet, PackingDecomposition)> {
    let mut needed = Vec::new();
    for program in programs {
        if let Some(packing) = program.interface.download.packing
            && !needed.contains(&(program.parameters, packing))
        {
            needed.push((program.parameters, packing));
        }
    }
    needed
}

/// Runs `work` and adds its wall time to `seconds`.
fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *seconds += start.elapsed().as_secs_f64();
    result
}

//! A client and a server in one process, with keys exchanged for one placement.

use std::sync::Arc;

use crate::circuit::compile::{Target, compile_placement};
use crate::circuit::interface::Interface;
use crate::circuit::key_kind::KeyKind;
use crate::circuit::program::Program;
use crate::core::error::Result;
use crate::core::placement::{Placement, SegmentIndex};
use crate::core::statistics::measure_until_steady;
use crate::fhe::bootstrap::look_up;
use crate::fhe::cipher;
use crate::fhe::keys::EvaluationKey;
use crate::fhe::packed::extract;
use crate::model::Model;
use crate::party::ciphertext::{GlweCiphertext, LweCiphertext};
use crate::party::client::Client;
use crate::party::inference::{Inference, PhaseTimes, Route, infer, serve, timed};
use crate::party::server::{Answers, BeforeLookUp, Extent, OnLookUps, Server};
use crate::party::wire::{self, Expected};

/// Look-ups of each step that warm a session up.
const WARM_UP_BATCH: usize = 16;

/// A client and a server that have exchanged keys for one placement.
pub struct Session {
    programs: Vec<Arc<Program>>,
    route: Route,
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

/// What one run of a server segment shows the client, and what rounding keeps from it.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// The GLWE ciphertexts of each upload, whose masks the client made.
    pub uploads: Vec<Vec<GlweCiphertext>>,
    /// The ciphertexts of each download before they are rounded.
    pub whole: Answers,
    /// The same as they arrive.
    pub received: Answers,
    /// What they decrypt to.
    pub integers: Vec<Vec<i64>>,
}

impl Session {
    /// Compiles the placement, generates keys and hands the evaluation key over.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Parameters`] where the noise leaves no room for a layer.
    pub fn set_up(model: &Model, placement: &Placement, target: &Target) -> Result<Self> {
        let programs = compile_placement(model, placement, target)?;
        Self::of_programs(model, placement, programs)
    }

    /// Generates keys for the programs of a placement and hands the evaluation key over.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Message`] where a key does not conform.
    pub fn of_programs(
        model: &Model,
        placement: &Placement,
        programs: Vec<Arc<Program>>,
    ) -> Result<Self> {
        let interfaces = programs.iter().map(|p| (p.interface.clone(), p.parameters));
        let mut server = Server::new(&programs);
        let mut set_up = SetUp::default();
        let client = timed(&mut set_up.key_generation_s, || {
            Client::new(model, placement, interfaces.collect())
        });
        for kind in KeyKind::needed(&programs) {
            let key = timed(&mut set_up.key_generation_s, || client.make(&kind))?;
            let message = timed(&mut set_up.key_transfer_s, || key.to_bytes());
            drop(key);
            timed(&mut set_up.key_transfer_s, || {
                server.receive(&kind, &message)
            })?;
            set_up.evaluation_key_bytes += message.len() as u64;
            if let KeyKind::Packing(..) = kind {
                set_up.packing_key_bytes += message.len() as u64;
            }
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
    pub fn infer_telling(&self, image: &[u8], advance: &OnLookUps<'_>) -> Result<Inference> {
        self.infer_to(image, Extent::Whole, advance)
    }

    /// Runs one image through all segments, but of each look-up step no more than a batch: what runs
    /// after that finds caches, pages and cores as it will find them from then on.
    ///
    /// # Errors
    ///
    /// As [`Self::infer`].
    pub fn warm_up(&self, image: &[u8]) -> Result<()> {
        self.infer_to(image, Extent::Batch(WARM_UP_BATCH), &|_, _| ())
            .map(drop)
    }

    fn infer_to(&self, image: &[u8], extent: Extent, advance: &OnLookUps<'_>) -> Result<Inference> {
        let mut server_times = PhaseTimes::default();
        let mut step_times = Vec::new();
        let mut serve = |segment: SegmentIndex, uploads: Vec<Vec<u8>>| {
            let program = &self.programs[segment.index()];
            let served = serve(
                &self.server,
                segment,
                program,
                &uploads,
                &mut server_times,
                extent,
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

    /// Runs one server segment on integers from message to message, and keeps all that the client
    /// gets to see.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Message`] where a message does not conform.
    pub fn exchange(&self, segment: SegmentIndex, integers: &[Vec<i64>]) -> Result<Transcript> {
        self.observe(segment, integers, &mut |_, _, _| Ok(()))
    }

    /// As [`Self::exchange`]; `before_look_up` sees the server at work, as in [`Server::observe`].
    ///
    /// # Errors
    ///
    /// As [`Self::exchange`], and what `before_look_up` returns.
    pub fn observe(
        &self,
        segment: SegmentIndex,
        integers: &[Vec<i64>],
        before_look_up: &mut BeforeLookUp<'_>,
    ) -> Result<Transcript> {
        let Interface { uploads, downloads } = &self.programs[segment.index()].interface;
        let parameters = &self.programs[segment.index()].parameters;
        let sent = uploads
            .iter()
            .zip(integers)
            .enumerate()
            .map(|(index, (upload, integers))| {
                let ciphertexts = self.client.encrypt(segment, index, integers);
                let message = wire::write_upload(&ciphertexts, upload.bytes);
                wire::read_upload(&message, &Expected::of_upload(upload))
            })
            .collect::<Result<Vec<_>>>()?;
        let expanded: Vec<_> = sent
            .iter()
            .map(|upload| cipher::expand(parameters, upload))
            .collect();
        let uploads = expanded.clone();
        let (whole, _) = self.server.observe(segment, uploads, before_look_up)?;
        let received = whole
            .iter()
            .zip(downloads)
            .map(|(answer, download)| {
                let message = wire::write_download(answer, download.bytes);
                wire::read_download(&message, &Expected::of_download(download, parameters))
            })
            .collect::<Result<Answers>>()?;
        let integers = received
            .iter()
            .enumerate()
            .map(|(index, rows)| self.client.decrypt(segment, index, rows))
            .collect();
        Ok(Transcript {
            integers,
            uploads: expanded,
            whole,
            received,
        })
    }

    /// Returns the server's evaluation key for a segment.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Message`] where the segment has none.
    pub fn server_key(&self, segment: SegmentIndex) -> Result<&EvaluationKey> {
        self.server.key(&self.programs[segment.index()].parameters)
    }

    /// Returns the phases of LWE ciphertexts under a segment's key, noise included.
    pub fn decrypt_phases(&self, segment: SegmentIndex, rows: &[LweCiphertext]) -> Vec<u64> {
        self.client.decrypt_phases(segment, rows)
    }

    /// Returns the seconds per activation of batches of `count` look-ups, on all cores, for the first
    /// segment that has look-ups; `None` where none has.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Message`] where that segment's key is missing.
    pub fn activation_s(&self, count: usize) -> Result<Option<f64>> {
        let looks_up = |(_, program): &(usize, &Arc<Program>)| program.bootstrap_count() > 0;
        let Some((index, program)) = self.programs.iter().enumerate().find(looks_up) else {
            return Ok(None);
        };
        let segment = SegmentIndex::new(index);
        let Program {
            parameters,
            interface,
            ..
        } = program.as_ref();
        let zeros = vec![0; interface.uploads[0].layout.places.len()];
        let ciphertexts = cipher::expand(parameters, &self.client.encrypt(segment, 0, &zeros));
        let rows: Vec<LweCiphertext> = (0..count)
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
        let measured = measure_until_steady(None, || -> Result<f64> {
            // What a table of zeros gives has no mask, and is rotated in no time.
            let mut rows = rows.clone();
            let mut seconds = 0.0;
            timed(&mut seconds, || {
                look_up(key, &mut rows, |_| &table, &|_| ())
            });
            Ok(seconds / count as f64)
        })?;
        Ok(Some(measured.median))
    }
}

//! The memory that a sweep is expected to need, beside what it may take.

use std::fmt;
use std::sync::Arc;

use crate::circuit::compile::PlacementCompiler;
use crate::circuit::key_kind::key_parameters;
use crate::circuit::program::Program;
use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::core::units;
use crate::fhe::parameters::ParameterSet;
use crate::machine::allowance::{self, Allowance, Bound};
use crate::model::Model;
use crate::record::settings::Settings;

/// Placements whose memory is projected, the heaviest among them: compiling thousands of a large
/// network takes longer than their look-ups' answer is worth.
pub const COMPILED_PLACEMENTS: usize = 16;
/// Resident bytes of a worker before any key, besides its model: code, thread stacks.
const BASE_BYTES: u64 = 20 << 20;
/// Resident bytes of the process that leads a sweep, with the keys of its reference batches, and what
/// it takes to make these, before the first visit.
const LEADER_BYTES: u64 = 150 << 20;
const LEADER_SET_UP_BYTES: u64 = 50 << 20;
/// Bytes of a weight: a float, and an integer of eight bytes in a program.
const WEIGHT_BYTES: usize = 12;
/// Bytes that it keeps of each sample, in the log's record and in the tables, and more for each layer:
/// 3.4 kB of a network of three.
const SAMPLE_BYTES: usize = 3000;
const SAMPLE_LAYER_BYTES: usize = 130;

/// Resident bytes that a sweep is expected to need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryNeed {
    /// Of the process that leads it: its model, the keys of its reference batches, what it has heard of
    /// samples, tables.
    leader: u64,
    /// Of the worker of the worst split.
    worker: u64,
    /// Of that worker with both parties of the worst split in processes of their own.
    parties: u64,
}

impl MemoryNeed {
    /// Projects what a sweep needs, from the programs of its heaviest placements.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] where `stop` says so. Placements that no parameter set can carry are passed
    /// over: their rows will tell.
    pub fn of(settings: &Settings, model: &Model, stop: &dyn Fn() -> bool) -> Result<Self> {
        let compiler = PlacementCompiler::new(model, settings.target()?);
        let output_mode = settings.output_mode();
        let bootstraps = |placement: &Placement| output_mode.bootstrap_count(model, placement);
        let own = model_bytes(model);
        let mut need = Self {
            leader: own + leader_bytes(settings, model),
            ..Self::default()
        };
        for placement in sampled(&settings.placements, &bootstraps) {
            if stop() {
                return Err(Error::Interrupted);
            }
            if let Some(programs) = carried(compiler.compile(placement))? {
                need.worker = need.worker.max(own + peak_bytes(&programs));
                if !settings.skip_party_memory {
                    need.parties = need.parties.max(3 * own + parties_bytes(&programs));
                }
            }
        }
        Ok(need)
    }

    /// Returns the same where visits are made in the process that leads.
    pub fn in_process(self) -> Self {
        Self {
            leader: self.leader + self.worker,
            worker: 0,
            ..self
        }
    }

    /// Returns the most of all processes at once.
    pub fn together(&self) -> u64 {
        self.leader + self.worker.max(self.parties)
    }

    /// Returns what is weighed against what may be taken, a worker's part of it by `limit` too.
    pub fn weighed(&self, limit: Option<u64>) -> Vec<Weighed> {
        let limit = limit.map(|bytes| Allowance {
            bytes,
            bound: Bound::MemoryLimit,
        });
        let (leader, worker) = (self.leader + LEADER_SET_UP_BYTES, self.worker);
        let each = allowance::each();
        let heaviest = "the worker of the heaviest split";
        let weights = [
            (heaviest, worker, limit),
            ("the sweep's own process", leader, each),
            (heaviest, worker, each),
            ("all its processes", self.together(), allowance::together()),
        ];
        weights
            .into_iter()
            .filter_map(|(what, bytes, allowance)| {
                Some(Weighed {
                    what,
                    bytes,
                    allowance: allowance?,
                })
            })
            .collect()
    }
}

/// What is needed beside what may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weighed {
    /// What needs it.
    what: &'static str,
    bytes: u64,
    pub allowance: Allowance,
}

impl Weighed {
    /// Returns whether more is needed.
    pub fn is_too_much(&self) -> bool {
        self.bytes > self.allowance.bytes
    }
}

impl fmt::Display for Weighed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            bytes,
            allowance:
                Allowance {
                    bytes: allowed,
                    bound,
                },
        } = self;
        let (bytes_text, allowed) = (units::bytes(*bytes), units::bytes(*allowed));
        let relation = if self.is_too_much() {
            "more than"
        } else {
            "of"
        };
        write!(
            formatter,
            "projected to take {bytes_text} ({what}), {relation} the {allowed} that {bound}"
        )?;
        match bound {
            Bound::AddressSpace { untouched } if self.is_too_much() => {
                let least = (bytes + untouched).div_ceil(1 << 10);
                write!(formatter, ": ulimit -v must be {least} or more")
            }
            _ => Ok(()),
        }
    }
}

/// Returns `None` where no parameter set carries a placement.
pub fn carried<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Parameters(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the placement with the most bootstraps and some of the others, evenly spaced.
fn sampled<'a>(
    placements: &'a [Placement],
    bootstraps: &dyn Fn(&Placement) -> usize,
) -> impl Iterator<Item = &'a Placement> {
    let heaviest = placements
        .iter()
        .max_by_key(|placement| bootstraps(placement));
    let step = placements.len().div_ceil(COMPILED_PLACEMENTS).max(1);
    heaviest.into_iter().chain(placements.iter().step_by(step))
}

/// Returns the resident bytes of an expanded evaluation key.
pub fn key_bytes_at_rest(parameters: &ParameterSet) -> usize {
    let (bootstrap, keyswitch) = key_parts(parameters);
    3 * keyswitch + bootstrap
}

/// Returns the bytes of the transformed bootstrap key, and the elements of the keyswitch key.
fn key_parts(parameters: &ParameterSet) -> (usize, usize) {
    let literal = parameters.literal();
    let polynomials = (literal.glwe_dimension + 1).pow(2) * literal.bootstrap_levels;
    let bootstrap = 8 * literal.lwe_dimension * polynomials * literal.polynomial_size;
    let keyswitch =
        parameters.big_dimension() * literal.keyswitch_levels * (literal.lwe_dimension + 1);
    (bootstrap, keyswitch)
}

/// Returns the projected peak of a split: that of a process and of what its server holds.
pub fn peak_bytes(programs: &[Arc<Program>]) -> u64 {
    BASE_BYTES + held_bytes(programs)
}

/// Returns the projected peak of a worker and both parties of its split: its keys are gone by then.
fn parties_bytes(programs: &[Arc<Program>]) -> u64 {
    let sets = key_parameters(programs);
    let largest = sets.iter().map(ParameterSet::evaluation_key_bytes).max();
    // A client holds a key and the message that carries it.
    let client = 2 * largest.unwrap_or(0);
    3 * BASE_BYTES + client + held_bytes(programs)
}

/// Returns what a process holds of a model: test images, and weights as floats and as integers.
fn model_bytes(model: &Model) -> u64 {
    let parameters = model.layers.iter().map(|layer| layer.parameter_count);
    let weights = WEIGHT_BYTES * parameters.sum::<usize>();
    (model.test.bytes() + weights) as u64
}

/// Returns the projected peak of the process that leads a sweep.
fn leader_bytes(settings: &Settings, model: &Model) -> u64 {
    let samples = settings.placements.len() * settings.images * settings.repeats;
    let each = SAMPLE_BYTES + model.layer_count() * SAMPLE_LAYER_BYTES;
    LEADER_BYTES + (samples * each) as u64
}

/// Returns what a server holds at its peak: evaluation keys, each expanded beside those before it at
/// rest, or all of them at rest with the most ciphertexts that it holds at once.
pub fn held_bytes(programs: &[Arc<Program>]) -> u64 {
    let (mut at_rest, mut expanding) = (0, 0);
    for parameters in key_parameters(programs) {
        let (bootstrap, keyswitch) = key_parts(&parameters);
        // Packing holds the standard key of eight bytes an element, its rounded copy of four and
        // the packed one of three; then comes the bootstrap key in both domains.
        let this = (15 * keyswitch).max(3 * keyswitch + 2 * bootstrap);
        expanding = expanding.max(at_rest + this);
        at_rest += key_bytes_at_rest(&parameters);
    }
    let ciphertexts = programs.iter().map(|p| p.most_ciphertext_bytes());
    let working = ciphertexts.max().unwrap_or(0);
    (expanding as u64).max(at_rest as u64 + working)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::sweep::Overrides;

    #[test]
    fn all_processes_count_together_and_each_for_itself() {
        let need = MemoryNeed {
            leader: 5,
            worker: 7,
            parties: 3,
        };
        assert_eq!(need.together(), 12);
        assert_eq!(MemoryNeed { parties: 9, ..need }.together(), 14);
        assert_eq!(need.in_process().together(), 15);
        let weighed = need.weighed(Some(6));
        let [limit, .., together] = weighed.as_slice() else {
            panic!("{weighed:?}");
        };
        assert!(limit.is_too_much() && !together.is_too_much());
        let words = limit.to_string();
        assert!(
            words.contains("more than the 6 B that --memory-limit allows"),
            "{words}"
        );
        let bound = Bound::AddressSpace { untouched: 100 };
        let allowance = Allowance { bytes: 6, bound };
        let words = Weighed {
            allowance,
            ..*limit
        }
        .to_string();
        assert!(words.ends_with("ulimit -v must be 1 or more"), "{words}");
    }

    #[test]
    fn test_images_count_in_every_process() {
        let overrides = Overrides {
            model: Some(PathBuf::from("digits-mlp")),
            placements: vec!["SCS".parse().expect("letters")],
            ..Overrides::default()
        };
        let (settings, model) = Settings::resolve(overrides, &|_| ()).expect("settings");
        let own = model_bytes(&model);
        assert!(own > (model.test.len() * 64) as u64);
        let need = MemoryNeed::of(&settings, &model, &|| false).expect("a need");
        assert!(need.worker > own && need.parties > 3 * own && need.leader > own);
    }
}

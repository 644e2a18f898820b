//! The keys that a server needs of its client, and the order in which they travel.

use std::sync::Arc;

use super::program::Program;
use crate::fhe::pack::PackingDecomposition;
use crate::fhe::parameters::ParameterSet;

/// What a key is for, and all that its form depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KeyKind {
    /// An evaluation key: look-ups.
    Evaluation(ParameterSet),
    /// A packing key: answers under a shared mask.
    Packing(ParameterSet, PackingDecomposition),
    /// Encryptions of zero: answers that are rerandomised.
    Zeros(ParameterSet),
}

impl KeyKind {
    /// Returns the keys that programs need, each once, in the order in which the client sends them:
    /// evaluation keys, packing keys, encryptions of zero, each as the programs come to need them.
    pub fn needed(programs: &[Arc<Program>]) -> Vec<Self> {
        let mut needed = Vec::new();
        let mut add = |key: Self| {
            if !needed.contains(&key) {
                needed.push(key);
            }
        };
        for parameters in key_parameters(programs) {
            add(Self::Evaluation(parameters));
        }
        for program in programs {
            for packing in program.interface.downloads.iter().filter_map(|d| d.packing) {
                add(Self::Packing(program.parameters, packing));
            }
        }
        for program in programs {
            if program
                .interface
                .downloads
                .iter()
                .any(|d| d.flooding.is_some())
            {
                add(Self::Zeros(program.parameters));
            }
        }
        needed
    }
}

/// Returns the parameter sets that need an evaluation key, each once.
pub fn key_parameters(programs: &[Arc<Program>]) -> Vec<ParameterSet> {
    let mut sets = Vec::new();
    for program in programs {
        if program.bootstrap_count() > 0 && !sets.contains(&program.parameters) {
            sets.push(program.parameters);
        }
    }
    sets
}

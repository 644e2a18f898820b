//! Where the figures of a results folder come from, as its `environment.json` says.

use std::path::Path;

use serde_json::Value;

use crate::core::error::{Error, Result};
use crate::core::text::from_json;
use crate::core::units;
use crate::machine::file::{self, MOST_TEXT_BYTES};
use crate::record::results;

/// Letters of a commit that tell it apart.
const COMMIT_LETTERS: usize = 12;

/// Machines, builds and commands behind a results folder; several where it was resumed or merged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// In words, each once.
    pub machines: Vec<String>,
    /// `splitbench 0.1.0, commit 0123456789ab`, each once.
    pub builds: Vec<String>,
    pub commands: Vec<String>,
}

/// Reads the description of a results folder.
///
/// # Errors
///
/// [`Error::Read`]; [`Error::Invalid`] where it is no JSON.
pub fn read_environment(folder: &Path) -> Result<Value> {
    let path = folder.join(results::ENVIRONMENT);
    let bytes = file::read(&path, MOST_TEXT_BYTES)?;
    from_json(&bytes).map_err(|error| {
        let reason = format!("no description of a sweep: {error}; copy the folder again");
        Error::invalid(path.display().to_string(), reason)
    })
}

impl Provenance {
    /// Returns what a description says of the environments that its rows were measured in.
    pub fn of(description: &Value) -> Self {
        let mut found = Self::default();
        for environment in description["environments"].as_array().into_iter().flatten() {
            push(&mut found.machines, machine(&environment["machine"]));
            push(&mut found.builds, build(environment));
            let command = environment["command"].as_str();
            found.commands.extend(command.map(str::to_owned));
        }
        found
    }
}

fn push(list: &mut Vec<String>, words: String) {
    if !words.is_empty() && !list.contains(&words) {
        list.push(words);
    }
}

fn machine(machine: &Value) -> String {
    let threads = machine["threads_used"].as_u64();
    let parts = [
        machine["cpu"].as_str().map(str::to_owned),
        threads.map(|count| format!("{count} thread{}", if count == 1 { "" } else { "s" })),
        machine["simd"].as_str().map(str::to_owned),
        machine["memory_bytes"]
            .as_u64()
            .map(|bytes| format!("{} of memory", units::bytes(bytes))),
        machine["os"].as_str().map(str::to_owned),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn build(environment: &Value) -> String {
    let version = environment["splitbench_version"]
        .as_str()
        .map(|version| format!("splitbench {version}"));
    let commit = environment["commit"].as_str().map(|commit| {
        let commit: String = commit.chars().take(COMMIT_LETTERS).collect();
        match environment["dirty"].as_bool() {
            Some(true) => format!("commit {commit} with local changes"),
            _ => format!("commit {commit}"),
        }
    });
    let parts = [version, commit];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn described(cpu: &str) -> Value {
        json!({
            "splitbench_version": "0.1.0",
            "commit": "0123456789abcdef",
            "dirty": false,
            "command": "splitbench sweep",
            "machine": { "cpu": cpu, "threads_used": 2, "simd": "avx2", "memory_bytes": 8_u64 << 30 },
        })
    }

    #[test]
    fn one_sweep_has_one_machine() {
        let found = Provenance::of(&json!({ "environments": [described("Epyc")] }));
        assert_eq!(
            found.machines,
            ["Epyc, 2 threads, avx2, 8.00 GiB of memory"]
        );
        assert_eq!(found.builds, ["splitbench 0.1.0, commit 0123456789ab"]);
        assert_eq!(found.commands, ["splitbench sweep"]);
    }

    #[test]
    fn merged_sweeps_name_each_machine_once() {
        let environments = ["Epyc", "Epyc", "Xeon"].map(described);
        let found = Provenance::of(&json!({ "environments": environments }));
        assert_eq!(found.machines.len(), 2);
        assert_eq!(found.builds.len(), 1);
        assert_eq!(found.commands.len(), 3);
    }

    #[test]
    fn a_description_that_says_nothing_gives_nothing() {
        assert_eq!(Provenance::of(&json!(17)), Provenance::default());
    }
}

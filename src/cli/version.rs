//! `splitbench --version`.

use crate::core::simd::Path;
use crate::fhe::{keyswitch, rotation};
use crate::record::environment::Environment;

/// Prints the version; for a path also how this was built, and what hot loops run on here.
pub fn print(path: Option<Path>) {
    println!("splitbench {}", env!("CARGO_PKG_VERSION"));
    let Some(path) = path else {
        return;
    };
    let environment = Environment::probe();
    let has: Vec<&str> = Path::available().map(Path::name).collect();
    let (build, machine) = (environment.build, environment.machine);
    let changed = if environment.dirty { ", changed" } else { "" };
    let lines = [
        ("commit", format!("{}{changed}", environment.commit)),
        ("compiled by", build.rustc),
        ("compiled for", build.target),
        ("with features", build.target_features),
        ("tfhe", build.tfhe),
        ("CPU", machine.cpu.unwrap_or_else(|| "unknown".into())),
        ("paths", has.join(", ")),
        ("path", path.to_string()),
        ("keyswitch", keyswitch::instructions(path).into()),
        ("blind rotation", rotation::instructions(path).into()),
    ];
    for (name, value) in lines {
        println!("{name:15}{value}");
    }
}

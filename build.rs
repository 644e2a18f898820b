//! Records how this binary was built, for `environment.json` and the check at start.

use std::env;
use std::fs;
use std::process::Command;

fn main() {
    for path in [
        "build.rs",
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "assets",
        "models",
        "splits",
    ] {
        println!("cargo::rerun-if-changed={path}");
    }
    for path in commit_files() {
        println!("cargo::rerun-if-changed={path}");
    }
    let set = |name: &str, value: &str| println!("cargo::rustc-env=SPLITBENCH_{name}={value}");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    set("RUSTC", &output(&rustc, &["--version"]));
    set("TARGET", &env::var("TARGET").unwrap_or_default());
    set("PROFILE", &env::var("PROFILE").unwrap_or_default());
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    set("RUSTFLAGS", &flags.replace('\x1f', " "));
    set(
        "TARGET_FEATURES",
        &env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default(),
    );
    set("COMMIT", &output("git", &["rev-parse", "HEAD"]));
    let changed = [
        "--no-optional-locks",
        "status",
        "--porcelain",
        "--untracked-files=no",
    ];
    let changed = output("git", &changed);
    set("DIRTY", if changed.is_empty() { "false" } else { "true" });
    for name in ["tfhe", "tfhe-fft", "rayon"] {
        let variable = format!("VERSION_{}", name.replace('-', "_").to_uppercase());
        set(&variable, &locked_version(name));
    }
}

/// Returns the files that change with the commit. The index is none of them: `git status` writes it
/// too, and each of its changes would build everything again. What is not there is left out, for
/// cargo takes a missing file for a changed one.
fn commit_files() -> Vec<String> {
    let branch = output("git", &["symbolic-ref", "--quiet", "HEAD"]);
    let names = ["HEAD", "packed-refs", &branch];
    let names = names.into_iter().filter(|name| !name.is_empty());
    let paths = names.map(|name| output("git", &["rev-parse", "--git-path", name]));
    paths.filter(|path| fs::metadata(path).is_ok()).collect()
}

/// Returns what a command prints, on one line; empty where it fails.
fn output(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            text.trim().replace('\n', "; ")
        }
        _ => String::new(),
    }
}

/// Returns the version of a package in Cargo.lock.
fn locked_version(name: &str) -> String {
    let lock = fs::read_to_string("Cargo.lock").unwrap_or_default();
    let mut lines = lock.lines();
    let wanted = format!("name = \"{name}\"");
    if !lines.any(|line| line == wanted) {
        return String::new();
    }
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix("version = "));
    version.unwrap_or_default().trim_matches('"').to_owned()
}

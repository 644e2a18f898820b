//! The `splitbench` program.

use std::process::ExitCode;

use splitbench::cli;
use splitbench::cli::progress::tell;
use splitbench::machine::cpu;

fn main() -> ExitCode {
    // First of all: on another CPU the next vectorised loop would be an illegal instruction.
    match cpu::check().and_then(|()| cli::run(cli::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("splitbench: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

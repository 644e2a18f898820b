//! `splitbench calibrate`.

use std::path::PathBuf;

use clap::Args;

use super::print::print;
use crate::core::error::Result;
use crate::core::units;
use crate::fhe::parameters::ParameterSet;
use crate::machine::whole_file::write_json;
use crate::record::cost_model::Figures;
use crate::sweep::calibrate::{calibrate, client_s};

/// What a person says of a machine calibration.
#[derive(Debug, Args)]
pub struct CalibrateArguments {
    /// Where the figures go
    #[arg(long, value_name = "FILE", default_value = "calibration.json")]
    out: PathBuf,
}

/// Measures, writes the figures and prints how well they predict.
pub fn run(arguments: &CalibrateArguments) -> Result<()> {
    let path = &arguments.out;
    let [fast, accurate] = [ParameterSet::fast()?, ParameterSet::accurate()?];
    let fast = calibrate(fast);
    let accurate = calibrate(accurate);
    let cost = fast.cost.rounded();
    let client_s = client_s()?;
    let figures = Figures {
        rotation_ns: cost.rotation_ns,
        keyswitch_ns: cost.keyswitch_ns,
        client_s: Some(client_s),
    };
    write_json(path, &figures)?;
    let lines = [fast, accurate].map(|found| {
        let modelled = fast.cost.look_up_core_s(&found.parameters);
        let cores = rayon::current_num_threads() as f64;
        format!(
            "{}  activation {} ({} to {}), the model says {}; keyswitch {} of a core; keys {}",
            found.parameters,
            units::seconds(found.activation_s.median),
            units::seconds(found.activation_s.min),
            units::seconds(found.activation_s.max),
            units::seconds(modelled / cores),
            units::seconds(found.keyswitch_core_s.median),
            units::seconds(found.key_generation_s),
        )
    });
    print(lines.into_iter().chain([
        format!("a small client's phases  {}", units::seconds(client_s)),
        format!("figures  {}", path.display()),
    ]))
}

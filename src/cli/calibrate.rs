//! `splitbench calibrate`.

use std::path::PathBuf;

use clap::Args;

use super::print::print;
use crate::core::error::Result;
use crate::core::{simd, units};
use crate::fhe::parameters::ParameterSet;
use crate::machine::whole_file::write_json;
use crate::plan::many_cores::on_cores;
use crate::record::cost_model::Figures;
use crate::sweep::calibrate::{calibrate, client_s};

/// Cores that others have, to tell what look-ups would take there.
const MANY_CORES: [usize; 2] = [16, 64];

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
    let many = MANY_CORES.map(|cores| {
        let look_up_core_s = fast.cost.look_up_core_s(&fast.parameters);
        let found = on_cores(cores, &fast.parameters, look_up_core_s);
        format!(
            "{cores} cores, a model and no measurement: {} a look-up of the first set, where memory brings {}/s of keys",
            units::seconds(found.look_up_s),
            units::bytes(found.key_bytes_per_s as u64),
        )
    });
    let own = [
        format!("path {}", simd::path()),
        format!("a small client's phases  {}", units::seconds(client_s)),
        format!("figures  {}", path.display()),
    ];
    print(lines.into_iter().chain(many).chain(own))
}

//! `splitbench audit`.

use std::collections::BTreeMap;

use clap::Args;

use super::one_split::SplitArguments;
use super::print::print;
use crate::core::error::{Error, Result};
use crate::core::units;
use crate::oracle::audit::audit;
use crate::party::session::Session;
use crate::record::deviations::Deviations;

/// What a person says of an audit.
#[derive(Debug, Args)]
pub struct AuditArguments {
    #[command(flatten)]
    split: SplitArguments,
    /// The first N test images
    #[arg(long, value_name = "N", default_value_t = 6)]
    images: usize,
}

/// Infers images with real keys, compares look-ups and prints a line for each layer.
pub fn run(arguments: AuditArguments) -> Result<()> {
    let image_count = arguments.images;
    let (settings, model, placement) = arguments.split.resolve()?;
    if image_count == 0 || image_count > model.test.len() {
        let most = model.test.len();
        return Err(Error::Usage(format!(
            "--images {image_count}: give 1 to {most}"
        )));
    }
    let session = Session::set_up(&model, &placement, &settings.target()?)?;
    let mut layers: BTreeMap<usize, (Deviations, Deviations)> = BTreeMap::new();
    for image in 0..image_count {
        let exchanges = session.infer(model.test.image(image))?.exchanges;
        let uploads: Vec<_> = exchanges.into_iter().map(|e| e.uploaded).collect();
        for found in audit(&session, &uploads)? {
            let (predicted, measured) = layers.entry(model.layer_of(found.node)).or_default();
            *predicted = predicted.plus(found.predicted);
            *measured = measured.plus(found.measured);
        }
    }
    let header =
        "layer       look-ups  >=1 step predicted  measured  >=2 steps predicted  measured";
    let lines = layers.into_iter().map(|(layer, (predicted, measured))| {
        let rates = |tally: Deviations| tally.rates().unwrap_or_default();
        format!(
            "{:10}  {:>8}  {:>17}  {:>8}  {:>18.4} %  {:>6.4} %",
            model.layers[layer].name,
            measured.look_ups,
            units::percent(rates(predicted).0),
            units::percent(rates(measured).0),
            100.0 * rates(predicted).1,
            100.0 * rates(measured).1,
        )
    });
    print(std::iter::once(header.to_owned()).chain(lines))
}

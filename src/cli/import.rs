//! `splitbench import`.

use std::path::PathBuf;

use clap::Args;

use super::interrupt::not_listening;
use super::print::print;
use super::typed::fraction;
use crate::cli::progress::tell;
use crate::core::error::{Error, Result};
use crate::core::units;
use crate::import::data::Preprocessing;
use crate::import::onnx::GivenShape;
use crate::import::quantise::bits::Bits;
use crate::import::quantise::calibration::RangeMethod;
use crate::import::report::report;
use crate::import::{ImportRequest, folder, import};

/// What a person says of an import.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The network, as an ONNX file
    onnx: PathBuf,
    /// Calibration images: .npy, .npz, MNIST IDX, CIFAR-10 binary (gz too), or a folder of PNG
    /// images with labels.csv
    #[arg(long, value_name = "FILE")]
    calibrate: PathBuf,
    /// Their labels, where the file has none
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Test images, which go into the model folder [default: the calibration images]
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Their labels, where the file has none
    #[arg(long, value_name = "FILE", requires = "test")]
    test_labels: Option<PathBuf>,
    /// Calibrate on the first N images
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = at_least_one)]
    calibration_images: usize,
    /// Bits of activations: a number, layers such as 4,relu1=3, or auto for the fewest that keep
    /// the accuracy [default: 4, or what a quantised network says]
    #[arg(long)]
    bits: Option<String>,
    /// Bits of weights [default: 5, or what a quantised network says; 8 where a layer reads the
    /// input]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(2..=8))]
    weight_bits: Option<u32>,
    /// How the range of an activation is chosen
    #[arg(long, value_enum, default_value = "mse")]
    range: RangeMethod,
    /// With --bits auto: the fraction of the calibration images that may be lost, such as 1% or 0.01
    #[arg(long, value_name = "FRACTION", value_parser = fraction, default_value = "1%")]
    max_loss: f64,
    /// Fail, with exit code 3, where integers or noise lose more than this fraction of the test images,
    /// such as 1% or 0.01; the folder is written all the same [default: warn above 1%]
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    fail_above: Option<f64>,
    /// What stored pixels are multiplied by: 1/255, 0.0039 [default: 1]
    #[arg(long, value_name = "FACTOR")]
    scale: Option<String>,
    /// Then subtracted: one number, or one for each channel [default: 0]
    #[arg(long, value_name = "NUMBERS", allow_hyphen_values = true)]
    mean: Option<String>,
    /// Then divided by: one number, or one for each channel [default: 1]
    #[arg(long, value_name = "NUMBERS")]
    std: Option<String>,
    /// How the data files order their pixels, whatever the network's file takes: chw or hwc
    /// [default: chw]
    #[arg(long, value_name = "ORDER")]
    layout: Option<String>,
    /// The shape of an input that the file leaves open, the batch first: name=1x16; once for each such
    /// input
    #[arg(long = "shape", value_name = "NAME=SIZES")]
    shapes: Vec<GivenShape>,
    /// The new model folder
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("range calibration takes at least one image".into()),
        Ok(count) => Ok(count),
        Err(_) => Err("give a number of images".into()),
    }
}

/// Lets Ctrl-C and termination signals end the program, but never in the middle of a folder.
fn listen() -> Result<()> {
    let handler = || {
        let _nothing_half_written = folder::hold();
        tell("splitbench: interrupted");
        std::process::exit(i32::from(Error::Interrupted.exit_code()));
    };
    ctrlc::set_handler(handler).map_err(|error| not_listening(&error))
}

/// Imports a network and prints the report.
pub fn run(arguments: ImportArguments) -> Result<()> {
    listen()?;
    let preprocessing = Preprocessing::parse(
        arguments.scale.as_deref(),
        arguments.mean.as_deref(),
        arguments.std.as_deref(),
        arguments.layout.as_deref(),
    )?;
    let request = ImportRequest {
        onnx: arguments.onnx,
        shapes: arguments.shapes,
        calibrate: arguments.calibrate,
        labels: arguments.labels,
        test: arguments.test,
        test_labels: arguments.test_labels,
        calibration_images: arguments.calibration_images,
        preprocessing,
        bits: arguments
            .bits
            .map(|text| text.parse::<Bits>())
            .transpose()?,
        weight_bits: arguments.weight_bits,
        range: arguments.range,
        most_loss: arguments.max_loss,
        out: arguments.out,
    };
    let imported = import(&request, &|stage| tell(stage))?;
    print(report(&imported, &request)?)?;
    let Some(most) = arguments.fail_above else {
        return Ok(());
    };
    let place = || request.onnx.display().to_string();
    let Some(losses) = imported.losses.as_ref().filter(|of| of.noise.is_some()) else {
        let reason = "what integers and noise lose is unknown, so that --fail-above cannot hold";
        return Err(Error::invalid(place(), reason));
    };
    if losses.largest() > most {
        let (lost, most) = (units::percent(losses.largest()), units::percent(most));
        let reason =
            format!("integers or noise lose {lost} of the images, --fail-above allows {most}");
        return Err(Error::invalid(place(), reason));
    }
    Ok(())
}

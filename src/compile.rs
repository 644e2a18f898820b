//! Compiles a server segment: integer weights, torus steps, tables and guard bands.
//!
//! A segment is cut into *stretches*: linear layers up to and including the next look-up, or up to
//! the download. Within a stretch one torus step holds. It is as large as the calibrated range
//! allows once a guard band of z·sigma is left at each end, where sigma is the noise predicted by
//! tfhe's formulas and z the Gaussian quantile of the wanted failure probability.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::fhe::noise;
use crate::fhe::parameters::ParameterSet;
use crate::layer::{Layer, Linear, Operation, Relu};
use crate::linear_map::squared_norms;
use crate::model::Model;
use crate::placement::{Placement, Segment};
use crate::program::{
    DownloadEncoding, Interface, LinearStep, LookUpStep, Program, Step, Table, UploadEncoding,
    torus,
};
use crate::quantise::{QuantParams, quantise_map, worst_case_range};

/// Bits of an uploaded integer, and of the weights that meet uploads: fresh ciphertexts have so
/// little noise that these bits are free.
const UPLOAD_BITS: u32 = 8;
/// Widening of each calibrated range at either end, as a share of its width: inputs outside the
/// calibration data reach a little further.
const RANGE_MARGIN: f64 = 0.25;
/// The most variance that rounding a message may add, as a share of the noise that is there.
const ROUNDING_SHARE: f64 = 1.0 / 64.0;

/// What a program is compiled for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    pub parameters: ParameterSet,
    /// log2 of the failure probability that no single look-up may exceed.
    pub log2_p_fail_lookup: f64,
}

/// Returns the program of every server segment of a placement.
///
/// # Errors
///
/// [`Error::Parameters`] where the noise leaves no room for a layer's range.
pub fn compile_placement(
    model: &Model,
    placement: &Placement,
    target: &Target,
) -> Result<Vec<Program>> {
    placement
        .server_segments()
        .iter()
        .map(|segment| compile_segment(model, segment, target))
        .collect()
}

/// One linear layer in integers.
struct QuantisedLinear {
    layer: usize,
    map: crate::linear_map::LinearMap<u64>,
    bias: Vec<i64>,
}

/// A stretch of a segment, before its step is known to its predecessor.
struct Stretch {
    linears: Vec<QuantisedLinear>,
    /// Phase of the integer 1.
    step: u64,
    end: End,
}

enum End {
    LookUp(LookUpStep),
    Download(DownloadEncoding),
}

/// What arrives at a stretch, and what is known of the values along it.
struct Flow {
    /// Whether the ciphertexts come from the client and not out of a look-up.
    fresh: bool,
    /// Per element: `real = scale · integer`.
    scales: Vec<f64>,
    /// Per element: integers that can occur.
    range: Vec<(i64, i64)>,
}

struct Compiler<'a> {
    model: &'a Model,
    parameters: ParameterSet,
    /// Guard band in standard deviations.
    quantile: f64,
    log2_p_fail: Vec<f64>,
    log2_p_fail_lookup: Vec<f64>,
}

fn compile_segment(model: &Model, segment: &Segment, target: &Target) -> Result<Program> {
    let mut compiler = Compiler {
        model,
        parameters: target.parameters,
        quantile: noise::two_sided_quantile(target.log2_p_fail_lookup),
        log2_p_fail: Vec::new(),
        log2_p_fail_lookup: Vec::new(),
    };
    compiler.segment(segment.layers.clone())
}

impl Compiler<'_> {
    fn segment(&mut self, layers: Range<usize>) -> Result<Program> {
        let quantisation = upload_quantisation(self.model, layers.start);
        let element_count: usize = self.model.layers[layers.start].input_shape.iter().product();
        let mut flow = Flow {
            fresh: true,
            scales: vec![quantisation.scale; element_count],
            range: vec![(quantisation.low, quantisation.high); element_count],
        };
        let mut upload_bytes = None;
        let mut stretches = Vec::new();
        let mut next = layers.start;
        loop {
            let linear_end = (next..layers.end)
                .find(|&layer| matches!(self.model.layers[layer].operation, Operation::Relu(_)))
                .unwrap_or(layers.end);
            let linears = self.quantise_linears(next..linear_end, &mut flow);
            let norms = squared_norms(
                &linears.iter().map(|linear| &linear.map).collect::<Vec<_>>(),
                flow.scales.len(),
            );
            let activation = (linear_end < layers.end).then_some(linear_end);
            let (bytes, stretch) = match activation {
                Some(layer) => self.look_up_stretch(layer, linears, &norms, &mut flow)?,
                None => self.download_stretch(next..layers.end, linears, &norms, &flow)?,
            };
            upload_bytes.get_or_insert(bytes);
            stretches.push(stretch);
            match activation {
                Some(layer) => next = layer + 1,
                None => break,
            }
        }
        let upload = UploadEncoding {
            element_count,
            quantisation,
            step: stretches[0].step,
            bytes: upload_bytes.unwrap_or(8),
        };
        Ok(self.link(layers, upload, stretches))
    }

    /// Joins the stretches: each look-up writes on the step of the next stretch.
    fn link(
        &self,
        layers: Range<usize>,
        upload: UploadEncoding,
        stretches: Vec<Stretch>,
    ) -> Program {
        let following: Vec<u64> = stretches
            .iter()
            .skip(1)
            .map(|stretch| stretch.step)
            .collect();
        let mut following = following.into_iter();
        let mut steps = Vec::new();
        let mut download = None;
        for stretch in stretches {
            let step = stretch.step;
            steps.extend(stretch.linears.into_iter().map(|linear| {
                Step::Linear(LinearStep {
                    layer: linear.layer,
                    map: linear.map,
                    bias: linear.bias,
                    step,
                })
            }));
            match stretch.end {
                End::LookUp(look_up) => steps.push(Step::LookUp(LookUpStep {
                    output_step: following.next().unwrap_or_default(),
                    ..look_up
                })),
                End::Download(encoding) => download = Some(encoding),
            }
        }
        let Some(download) = download else {
            unreachable!("the last stretch ends in a download");
        };
        Program {
            layers,
            interface: Interface { upload, download },
            steps,
            log2_p_fail_lookup: self.log2_p_fail_lookup.iter().copied().reduce(f64::max),
            log2_p_fail: noise::log2_sum(self.log2_p_fail.iter().copied()),
        }
    }

    /// Quantises consecutive linear layers and carries scales and ranges across them.
    fn quantise_linears(&self, layers: Range<usize>, flow: &mut Flow) -> Vec<QuantisedLinear> {
        layers
            .filter_map(|index| match &self.model.layers[index].operation {
                Operation::Linear(linear) => Some((index, linear)),
                Operation::Relu(_) => None,
            })
            .map(|(layer, linear)| {
                let bits = if flow.fresh {
                    UPLOAD_BITS
                } else {
                    linear.weight_bits
                };
                let (map, scales) = quantise_map(&linear.map, bits, &flow.scales);
                let bias: Vec<i64> = linear
                    .bias
                    .iter()
                    .zip(&scales)
                    .map(|(&bias, scale)| (f64::from(bias) / scale).round() as i64)
                    .collect();
                flow.range = worst_case_range(&map, &bias, &flow.range);
                flow.scales = scales;
                QuantisedLinear { layer, map, bias }
            })
            .collect()
    }

    /// Narrows the worst-case range to what calibration saw, widened by the margin.
    fn calibrate(&self, last_linear: Option<usize>, flow: &mut Flow) {
        let Some(Operation::Linear(linear)) =
            last_linear.map(|layer| &self.model.layers[layer].operation)
        else {
            return;
        };
        let calibrated = calibrated_range(linear);
        for ((range, scale), (low, high)) in flow.range.iter_mut().zip(&flow.scales).zip(calibrated)
        {
            let low = ((low / scale).floor() as i64).max(range.0);
            let high = ((high / scale).ceil() as i64).min(range.1);
            *range = (low.min(high), high);
        }
    }

    /// Returns the variance of the phases at the end of a stretch, and the bytes of a body
    /// coefficient of the upload that keep rounding below its share of `floor` + noise.
    fn variances(&self, flow: &Flow, norms: &[f64], floor: f64) -> (Vec<f64>, usize) {
        let (input, bytes) = if flow.fresh {
            let fresh = noise::fresh_variance(&self.parameters);
            let largest = norms.iter().copied().fold(0.0, f64::max);
            let room = ROUNDING_SHARE * (largest * fresh + floor);
            let bytes =
                (3..8).find(|&bytes| largest * noise::body_rounding_variance(bytes) <= room);
            let bytes = bytes.unwrap_or(8);
            (fresh + noise::body_rounding_variance(bytes), bytes)
        } else {
            (noise::bootstrap_variance(&self.parameters), 8)
        };
        (norms.iter().map(|norm| norm * input).collect(), bytes)
    }

    fn look_up_stretch(
        &mut self,
        layer: usize,
        linears: Vec<QuantisedLinear>,
        norms: &[f64],
        flow: &mut Flow,
    ) -> Result<(usize, Stretch)> {
        let Layer {
            name,
            input_shape,
            operation: Operation::Relu(relu),
            ..
        } = &self.model.layers[layer]
        else {
            unreachable!("a look-up stretch ends in an activation");
        };
        self.calibrate(linears.last().map(|linear| linear.layer), flow);
        let look_up_variance = noise::look_up_variance(&self.parameters);
        let (variances, bytes) = self.variances(flow, norms, look_up_variance);
        let sigma: Vec<f64> = variances
            .iter()
            .map(|v| (v + look_up_variance).sqrt())
            .collect();
        let elements_per_table = match input_shape.as_slice() {
            [_, height, width] => height * width,
            _ => 1,
        };
        let channels: Vec<Channel> = (0..flow.scales.len())
            .step_by(elements_per_table)
            .map(|first| Channel::new(flow, &sigma, first..first + elements_per_table, relu))
            .collect();
        let (padding_bit, share) = widest_encoding(&channels, self.quantile);
        if share <= 0.0 {
            return Err(Error::Parameters(format!(
                "{}: the guard bands of layer {name:?} leave no room: noise 2^{:.2} at {:.1} \
                 standard deviations; choose a more accurate set or a larger failure probability",
                self.parameters.literal().name,
                channels.iter().map(|c| c.sigma).fold(0.0, f64::max).log2(),
                self.quantile
            )));
        }
        let step = even_step(share);
        let size = self.parameters.literal().polynomial_size;
        let centre = if padding_bit { 0 } else { relu.largest() };
        let tables: Vec<Table> = channels
            .iter()
            .map(|channel| channel.table(padding_bit, step, size, relu, centre))
            .collect();
        for (element, sigma) in sigma.iter().enumerate() {
            let channel = &channels[element / elements_per_table];
            let tail = noise::log2_two_sided_tail(channel.guard(padding_bit, step) / sigma);
            self.log2_p_fail.push(tail);
            self.log2_p_fail_lookup.push(tail);
        }
        *flow = Flow {
            fresh: false,
            scales: vec![relu.scale(); sigma.len()],
            range: vec![(0, relu.largest()); sigma.len()],
        };
        let look_up = LookUpStep {
            layer,
            tables,
            elements_per_table,
            sigma,
            padding_bit,
            input_step: step,
            output_step: 0,
            centre,
        };
        let end = End::LookUp(look_up);
        Ok((bytes, Stretch { linears, step, end }))
    }

    fn download_stretch(
        &mut self,
        layers: Range<usize>,
        linears: Vec<QuantisedLinear>,
        norms: &[f64],
        flow: &Flow,
    ) -> Result<(usize, Stretch)> {
        let mut flow = Flow {
            fresh: flow.fresh,
            scales: flow.scales.clone(),
            range: flow.range.clone(),
        };
        // A fresh stretch has precision to spare, so that no input at all can overflow it.
        if !flow.fresh {
            self.calibrate(linears.last().map(|linear| linear.layer), &mut flow);
        }
        let largest = flow
            .range
            .iter()
            .map(|(low, high)| low.abs().max(high.abs()).max(1));
        let largest: Vec<f64> = largest.map(|largest| largest as f64).collect();
        // Half a unit at most is lost to noise where decoding is to be exact.
        let peak = largest.iter().copied().fold(1.0, f64::max);
        let floor = (0.25 / (peak + 0.5) / self.quantile).powi(2);
        let (variances, upload_bytes) = self.variances(&flow, norms, floor);
        let share = largest
            .iter()
            .zip(&variances)
            .map(|(largest, variance)| (0.5 - self.quantile * variance.sqrt()) / (largest + 0.5))
            .fold(f64::INFINITY, f64::min);
        if share <= 0.0 {
            let last = &self.model.layers[layers.end - 1].name;
            return Err(Error::Parameters(format!(
                "{}: noise fills the torus after layer {last:?}: give it fewer weight bits",
                self.parameters.literal().name
            )));
        }
        let step = even_step(share);
        let share = step as f64 / 2f64.powi(64);
        let noisiest = variances.iter().copied().fold(0.0, f64::max);
        let bytes = self.download_bytes(share, noisiest);
        let rounding = noise::rounding_variance(&self.parameters, bytes);
        let total: Vec<f64> = variances.iter().map(|v| (v + rounding).sqrt()).collect();
        let exact = total
            .iter()
            .all(|sigma| self.quantile * sigma <= share / 2.0);
        for (sigma, largest) in total.iter().zip(&largest) {
            let room = if exact {
                share / 2.0
            } else {
                0.5 - largest * share
            };
            self.log2_p_fail
                .push(noise::log2_two_sided_tail(room / sigma));
        }
        let download = DownloadEncoding {
            noise_std: total.iter().map(|sigma| sigma / share).collect(),
            scales: flow.scales,
            range: flow.range,
            step,
            bytes,
            exact,
        };
        let end = End::Download(download);
        Ok((upload_bytes, Stretch { linears, step, end }))
    }

    /// Returns the fewest bytes of a coefficient that keep an exact download exact, or else that
    /// keep the rounding below its share of the noise.
    fn download_bytes(&self, share: f64, variance: f64) -> usize {
        let exact_variance = (share / 2.0 / self.quantile).powi(2);
        let room = if variance < exact_variance / 2.0 {
            exact_variance - variance
        } else {
            ROUNDING_SHARE * variance
        };
        let rounding = |bytes| noise::rounding_variance(&self.parameters, bytes);
        (2..8).find(|&bytes| rounding(bytes) <= room).unwrap_or(8)
    }
}

/// What a look-up of one channel must cover.
struct Channel {
    scale: f64,
    range: (f64, f64),
    /// Input integers from the ramp's foot at zero to its top.
    ramp: f64,
    sigma: f64,
}

impl Channel {
    fn new(flow: &Flow, sigma: &[f64], elements: Range<usize>, relu: &Relu) -> Self {
        let scale = flow.scales[elements.start];
        let ranges = &flow.range[elements.clone()];
        Self {
            scale,
            range: (
                ranges.iter().map(|range| range.0).min().unwrap_or(0) as f64,
                ranges.iter().map(|range| range.1).max().unwrap_or(0) as f64,
            ),
            ramp: relu.clip / scale,
            sigma: sigma[elements].iter().copied().fold(0.0, f64::max),
        }
    }

    /// Returns the largest share of the torus that the integer 1 may take.
    ///
    /// With a padding bit the range fills [0, 1/2). Without, it fills the whole turn: a clipped
    /// ReLU less half its plateau satisfies g(x + 1/2) = -g(x) but for the mirror image of its
    /// ramp, so that phases from -(1/2 - ramp) to 1/2 are read rightly.
    fn step_share(&self, padding_bit: bool, quantile: f64) -> f64 {
        let (low, high) = self.range;
        let guard = quantile * self.sigma;
        if padding_bit {
            (0.5 - 2.0 * guard) / (high - low).max(1.0)
        } else {
            let reach = (self.ramp - low.min(0.0)).max(high).max(1.0);
            (0.5 - guard) / reach
        }
    }

    /// Returns the offset, as a share of the torus, that centres the range.
    fn offset(&self, padding_bit: bool, share: f64) -> f64 {
        match padding_bit {
            true => 0.25 - (self.range.0 + self.range.1) / 2.0 * share,
            false => 0.0,
        }
    }

    /// Returns the distance from either end of the range to the end of the valid phases.
    fn guard(&self, padding_bit: bool, step: u64) -> f64 {
        let share = step as f64 / 2f64.powi(64);
        let (low, high) = self.range;
        if padding_bit {
            (0.5 - (high - low) * share) / 2.0
        } else {
            0.5 - (self.ramp - low.min(0.0)).max(high) * share
        }
    }

    fn table(&self, padding_bit: bool, step: u64, size: usize, relu: &Relu, centre: i64) -> Table {
        let share = step as f64 / 2f64.powi(64);
        let offset = self.offset(padding_bit, share);
        let values = (0..size)
            .map(|cell| {
                let phase = (cell as f64 + 0.5) / (2 * size) as f64;
                let real = (phase - offset) / share * self.scale;
                2 * relu.quantised(real) - centre
            })
            .collect();
        Table {
            values,
            offset: torus(offset),
            range: (self.range.0 as i64, self.range.1 as i64),
        }
    }
}

/// Returns whether the encoding with a padding bit leaves the larger step, and the step's share.
fn widest_encoding(channels: &[Channel], quantile: f64) -> (bool, f64) {
    let share = |padding_bit| {
        let shares = channels.iter().map(|c| c.step_share(padding_bit, quantile));
        shares.fold(f64::INFINITY, f64::min)
    };
    let (with, without) = (share(true), share(false));
    (with >= without, with.max(without))
}

/// Returns the largest even torus element not above `share` of a turn.
fn even_step(share: f64) -> u64 {
    ((share * 2f64.powi(64)) as u64).min(1 << 63) & !1
}

/// Returns the calibrated range of each output of a linear layer, widened by the margin.
fn calibrated_range(linear: &Linear) -> impl Iterator<Item = (f64, f64)> + '_ {
    linear.range.iter().map(|&(low, high)| {
        let margin = RANGE_MARGIN * f64::from(high - low);
        (f64::from(low) - margin, f64::from(high) + margin)
    })
}

/// Returns how the client quantises the input of layer `layer`.
fn upload_quantisation(model: &Model, layer: usize) -> QuantParams {
    let mut rectified = false;
    for before in model.layers[..layer].iter().rev() {
        match &before.operation {
            Operation::Relu(_) => rectified = true,
            Operation::Linear(linear) => {
                let (low, high) = calibrated_range(linear)
                    .reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
                    .unwrap_or((0.0, 0.0));
                let low = if rectified { 0.0 } else { low };
                return QuantParams::covering(low, high.max(0.0), UPLOAD_BITS);
            }
        }
    }
    QuantParams {
        scale: model.input.scale,
        low: 0,
        high: i64::from(model.input.max),
    }
}

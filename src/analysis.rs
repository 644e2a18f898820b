//! What a server segment needs, before any encryption parameters are chosen: integer weights,
//! ranges and noise gains.
//!
//! A segment is cut into *stretches*: linear layers up to and including the next look-up, or up to
//! the download.

use std::ops::Range;

use crate::layer::{Geometry, Linear, Operation, Relu};
use crate::linear_map::{LinearMap, squared_norms};
use crate::model::Model;
use crate::placement::Segment;
use crate::quantise::{QuantParams, quantise_map, worst_case_range};

/// Bits of an uploaded integer, and of the weights that meet uploads: fresh ciphertexts have so
/// little noise that these bits are free.
const UPLOAD_BITS: u32 = 8;
/// Widening of each calibrated range at either end, as a share of its width: inputs outside the
/// calibration data reach further.
const RANGE_MARGIN: f64 = 0.25;

/// A server segment in integers.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// Indices of its layers.
    pub layers: Range<usize>,
    /// How the client quantises its input.
    pub upload: QuantParams,
    pub element_count: usize,
    /// At least one; the last ends in the download.
    pub stretches: Vec<Stretch>,
}

impl Analysis {
    /// Returns the look-ups of one inference.
    pub fn look_up_count(&self) -> usize {
        let stretches = self.stretches.iter();
        stretches
            .filter(|stretch| matches!(stretch.end, End::LookUp(_)))
            .map(|stretch| stretch.scales.len())
            .sum()
    }
}

/// Linear layers and what follows them.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Whether its ciphertexts come from the client and not out of a look-up.
    pub fresh: bool,
    pub linears: Vec<QuantisedLinear>,
    /// Per element at its end: squared norm of the weights on the stretch's input.
    pub squared_norms: Vec<f64>,
    /// Per element at its end: `real = scale · integer`.
    pub scales: Vec<f64>,
    /// Per element at its end: integers that it is made for.
    pub range: Vec<(i64, i64)>,
    pub end: End,
}

/// What a stretch ends in.
#[derive(Debug, Clone)]
pub enum End {
    LookUp(Activation),
    Download,
}

/// An activation layer that becomes look-ups.
#[derive(Debug, Clone)]
pub struct Activation {
    /// Index of the layer in the model.
    pub layer: usize,
    pub name: String,
    pub relu: Relu,
    /// Elements of a channel, which share a table.
    pub elements_per_table: usize,
}

/// One linear layer in integers.
#[derive(Debug, Clone)]
pub struct QuantisedLinear {
    /// Index of the layer in the model.
    pub layer: usize,
    pub map: LinearMap<u64>,
    pub bias: Vec<i64>,
    pub geometry: Geometry,
}

/// What is known of the values between layers.
struct Flow {
    fresh: bool,
    scales: Vec<f64>,
    range: Vec<(i64, i64)>,
}

/// Returns the analysis of a server segment.
pub fn analyse(model: &Model, segment: &Segment) -> Analysis {
    let layers = segment.layers.clone();
    let upload = upload_quantisation(model, layers.start);
    let element_count: usize = model.layers[layers.start].input_shape.iter().product();
    let mut flow = Flow {
        fresh: true,
        scales: vec![upload.scale; element_count],
        range: vec![(upload.low, upload.high); element_count],
    };
    let mut stretches = Vec::new();
    let mut next = layers.start;
    loop {
        let activation = (next..layers.end).find_map(|layer| activation(model, layer));
        let end = activation
            .as_ref()
            .map_or(layers.end, |activation| activation.layer);
        stretches.push(analyse_stretch(
            model,
            next..end,
            activation.clone(),
            &mut flow,
        ));
        match activation {
            Some(_) => next = end + 1,
            None => break,
        }
    }
    Analysis {
        layers,
        upload,
        element_count,
        stretches,
    }
}

/// Returns the activation that a layer is, if it is one.
fn activation(model: &Model, index: usize) -> Option<Activation> {
    let layer = &model.layers[index];
    let Operation::Relu(relu) = layer.operation else {
        return None;
    };
    Some(Activation {
        layer: index,
        name: layer.name.clone(),
        relu,
        elements_per_table: match layer.input_shape.as_slice() {
            [_, height, width] => height * width,
            _ => 1,
        },
    })
}

fn analyse_stretch(
    model: &Model,
    layers: Range<usize>,
    activation: Option<Activation>,
    flow: &mut Flow,
) -> Stretch {
    let fresh = flow.fresh;
    let input_count = flow.scales.len();
    let linears: Vec<QuantisedLinear> = layers
        .clone()
        .filter_map(|layer| match &model.layers[layer].operation {
            Operation::Linear(linear) => Some(quantise_linear(layer, linear, flow)),
            Operation::Relu(_) => None,
        })
        .collect();
    let maps: Vec<&LinearMap<u64>> = linears.iter().map(|linear| &linear.map).collect();
    let squared_norms = squared_norms(&maps, input_count);
    // A fresh stretch without a look-up has precision to spare, so that its worst-case range is
    // kept and no input at all can overflow it.
    if (activation.is_some() || !fresh)
        && let Some(Operation::Linear(linear)) =
            layers.last().map(|layer| &model.layers[layer].operation)
    {
        narrow(flow, linear);
    }
    let (scales, range) = (flow.scales.clone(), flow.range.clone());
    let end = match activation {
        None => End::Download,
        Some(activation) => {
            let relu = activation.relu;
            *flow = Flow {
                fresh: false,
                scales: vec![relu.scale(); scales.len()],
                range: vec![(0, relu.largest()); scales.len()],
            };
            End::LookUp(activation)
        }
    };
    Stretch {
        fresh,
        linears,
        squared_norms,
        scales,
        range,
        end,
    }
}

/// Quantises a linear layer and carries scales and ranges across it.
fn quantise_linear(layer: usize, linear: &Linear, flow: &mut Flow) -> QuantisedLinear {
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
    QuantisedLinear {
        layer,
        map,
        bias,
        geometry: linear.geometry,
    }
}

/// Narrows the worst-case range to what calibration saw, widened by the margin.
fn narrow(flow: &mut Flow, linear: &Linear) {
    let calibrated = calibrated_range(linear);
    for ((range, scale), (low, high)) in flow.range.iter_mut().zip(&flow.scales).zip(calibrated) {
        let low = ((low / scale).floor() as i64).max(range.0);
        let high = ((high / scale).ceil() as i64).min(range.1);
        *range = (low.min(high), high);
    }
}

/// Returns the calibrated range of each output of a linear layer, widened by the margin.
fn calibrated_range(linear: &Linear) -> impl Iterator<Item = (f64, f64)> + '_ {
    linear.range.iter().map(|&(low, high)| {
        let margin = RANGE_MARGIN * f64::from(high - low);
        (f64::from(low) - margin, f64::from(high) + margin)
    })
}

/// Returns how the client quantises the input of a layer.
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

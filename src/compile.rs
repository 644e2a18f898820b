//! Compiles an analysed segment for a parameter set: torus steps, tables, guard bands, messages.
//!
//! Within a stretch one torus step holds. It is as large as the calibrated range allows once a
//! guard band of z·sigma is left at each end, where sigma is the noise predicted by tfhe's
//! formulas and z the Gaussian quantile of the wanted failure probability.

use std::sync::Arc;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::analysis::{Activation, Analysis, End, QuantisedLinear, Stretch, analyse};
use crate::cost::CostModel;
use crate::encoding::{Channel, channels, even_step, widest_encoding};
use crate::error::{Error, Result};
use crate::fhe::noise;
use crate::fhe::pack::PackingDecomposition;
use crate::fhe::packed::SparsePolynomial;
use crate::fhe::parameters::ParameterSet;
use crate::layer::Geometry;
use crate::linear_map::squared_norms;
use crate::model::Model;
use crate::packing::{Layout, Packing, most_rows_per_product, pack};
use crate::placement::Placement;
use crate::program::{
    DownloadEncoding, Form, Interface, LinearStep, LookUpStep, Program, Step, UploadEncoding,
};
use crate::select::{Precision, select_all};

/// The most variance that rounding a message may add, as a share of the noise that is there.
const ROUNDING_SHARE: f64 = 1.0 / 64.0;
/// Inputs from which a dense layer before a look-up is faster as polynomial products than as LWE
/// rows: a product costs as much as about that many rows.
const PACKED_FROM_INPUTS: usize = 64;

/// What programs are compiled for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    pub parameters: Choice,
    /// log2 of the failure probability that no single look-up may exceed.
    pub log2_p_fail_lookup: f64,
    pub download: Download,
}

/// How answers travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Download {
    /// As the last layer leaves them: no further key, no further time, no further noise.
    Plain,
    /// Under a shared mask, by a packing keyswitch with a key of its own.
    Packed,
}

impl Download {
    /// Returns the word in split files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Packed => "packed",
        }
    }
}

/// Which parameter set a segment gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// The cheapest that is precise enough.
    Cheapest(Precision, CostModel),
    Fixed(ParameterSet),
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
) -> Result<Vec<Arc<Program>>> {
    let segments = placement.server_segments();
    let analyses: Vec<Analysis> = segments
        .iter()
        .map(|segment| analyse(model, segment))
        .collect();
    let sets = match target.parameters {
        Choice::Fixed(parameters) => vec![parameters; analyses.len()],
        Choice::Cheapest(precision, cost) => {
            select_all(&analyses, target.log2_p_fail_lookup, precision, &cost)?
        }
    };
    let programs = analyses.iter().zip(&sets);
    programs
        .map(|(analysis, parameters)| compile(analysis, parameters, target).map(Arc::new))
        .collect()
}

/// Returns the program of a segment under a parameter set.
///
/// # Errors
///
/// As [`compile_placement`].
pub fn compile(analysis: &Analysis, parameters: &ParameterSet, target: &Target) -> Result<Program> {
    let mut compiler = Compiler {
        parameters,
        download: target.download,
        quantile: noise::two_sided_quantile(target.log2_p_fail_lookup),
        log2_p_fail: Vec::new(),
        log2_p_fail_lookup: None,
    };
    compiler.segment(analysis)
}

struct Compiler<'a> {
    parameters: &'a ParameterSet,
    download: Download,
    /// Guard band in standard deviations.
    quantile: f64,
    log2_p_fail: Vec<f64>,
    log2_p_fail_lookup: Option<f64>,
}

/// What a stretch is compiled to, before its predecessor's output step is known.
struct Compiled {
    /// Phase of the integer 1.
    step: u64,
    /// Leading bytes of a body coefficient of the upload; 8 where the stretch is not fresh.
    upload_bytes: usize,
    end: CompiledEnd,
}

enum CompiledEnd {
    LookUp(LookUpStep),
    Download(DownloadEncoding),
}

impl Compiler<'_> {
    fn segment(&mut self, analysis: &Analysis) -> Result<Program> {
        let first = &analysis.stretches[0];
        let mut packed = self.pack_first(first);
        let layout = match &packed {
            Some((layout, _)) => layout.clone(),
            None => Layout::consecutive(analysis.element_count, self.polynomial_size()),
        };
        let mut steps = Vec::new();
        let mut upload = None;
        let mut download = None;
        for stretch in &analysis.stretches {
            let compiled = match &stretch.end {
                End::LookUp(activation) => {
                    let packing = packed.as_ref().map(|(_, packing)| packing);
                    self.look_up_stretch(stretch, activation, packing)?
                }
                End::Download => self.download_stretch(stretch, packed.as_ref())?,
            };
            upload.get_or_insert((compiled.step, compiled.upload_bytes));
            // The look-up before writes on the step of this stretch.
            if let Some(Step::LookUp(before)) = steps.last_mut() {
                before.output_step = compiled.step;
            }
            steps.extend(stretch.linears.iter().map(|linear| {
                Step::Linear(LinearStep {
                    layer: linear.layer,
                    map: linear.map.clone(),
                    bias: linear.bias.clone(),
                    step: compiled.step,
                    packing: packed.take().map(|(_, packing)| packing),
                })
            }));
            match compiled.end {
                CompiledEnd::LookUp(look_up) => steps.push(Step::LookUp(look_up)),
                CompiledEnd::Download(encoding) => download = Some(encoding),
            }
        }
        let (Some((step, bytes)), Some(download)) = (upload, download) else {
            unreachable!("a segment has at least one stretch, and the last ends in a download");
        };
        let upload = UploadEncoding {
            layout,
            quantisation: analysis.upload,
            step,
            bytes,
        };
        Ok(Program {
            layers: analysis.layers.clone(),
            parameters: *self.parameters,
            interface: Interface { upload, download },
            steps,
            log2_p_fail_lookup: self.log2_p_fail_lookup,
            log2_p_fail: noise::log2_sum(self.log2_p_fail.iter().copied()),
        })
    }

    fn polynomial_size(&self) -> usize {
        self.parameters.literal().polynomial_size
    }

    /// Packs the first linear layer of the segment where that pays.
    fn pack_first(&self, stretch: &Stretch) -> Option<(Layout, Packing)> {
        let QuantisedLinear { map, geometry, .. } = stretch.linears.first()?;
        let answers_packed = stretch.linears.len() == 1 && matches!(stretch.end, End::Download);
        let dense = *geometry == Geometry::Dense;
        if dense && !answers_packed && map.input_count < PACKED_FROM_INPUTS {
            return None;
        }
        let rows = if dense && answers_packed {
            self.cheapest_rows_per_product(map.input_count, map.output_count)
        } else {
            1
        };
        pack(map, geometry, self.polynomial_size(), rows)
    }

    /// Returns how many outputs of a dense layer should share a product so that upload and packed
    /// answer have the fewest coefficients together.
    fn cheapest_rows_per_product(&self, inputs: usize, outputs: usize) -> usize {
        let coefficients = |rows: &usize| {
            let upload = if *rows > 1 {
                self.polynomial_size()
            } else {
                inputs
            };
            upload + outputs.div_ceil(*rows) * self.parameters.big_dimension()
        };
        let most = most_rows_per_product(inputs, self.polynomial_size()).min(outputs);
        (1..=most).min_by_key(coefficients).unwrap_or(1)
    }

    /// Returns the variance of each phase at the end of a stretch, and the bytes of a body
    /// coefficient of the upload that keep rounding below its share of that noise and `floor`.
    fn variances(
        &self,
        stretch: &Stretch,
        packing: Option<&Packing>,
        floor: f64,
    ) -> (Vec<f64>, usize) {
        if !stretch.fresh {
            let input = noise::bootstrap_variance(self.parameters);
            let norms = stretch.squared_norms.iter();
            return (norms.map(|norm| norm * input).collect(), 8);
        }
        let norms = packed_norms(stretch, packing);
        let own = |norm: f64| {
            norm * noise::fresh_variance(self.parameters)
                + noise::product_variance(self.parameters, norm)
        };
        let largest = norms.iter().copied().fold(0.0, f64::max);
        let room = ROUNDING_SHARE * (own(largest) + floor);
        let fits = |bytes: &usize| largest * noise::body_rounding_variance(*bytes) <= room;
        let bytes = (2..8).find(fits).unwrap_or(8);
        let rounding = noise::body_rounding_variance(bytes);
        let variances = norms.iter().map(|norm| own(*norm) + norm * rounding);
        (variances.collect(), bytes)
    }

    fn look_up_stretch(
        &mut self,
        stretch: &Stretch,
        activation: &Activation,
        packing: Option<&Packing>,
    ) -> Result<Compiled> {
        let added = noise::look_up_variance(self.parameters);
        let (variances, upload_bytes) = self.variances(stretch, packing, added);
        let sigma: Vec<f64> = variances.iter().map(|v| (v + added).sqrt()).collect();
        let relu = &activation.relu;
        let channels = channels(stretch, &sigma, activation);
        let (padding_bit, share) = widest_encoding(&channels, self.quantile);
        if share <= 0.0 {
            let noisiest = channels.iter().map(|c| c.sigma).fold(0.0, f64::max);
            return Err(Error::Parameters(format!(
                "{}: the guard bands of layer {:?} leave no room: noise 2^{:.2} at {:.1} standard \
                 deviations; choose a more accurate set or a larger failure probability",
                self.parameters,
                activation.name,
                noisiest.log2(),
                self.quantile
            )));
        }
        let step = even_step(share).max(2);
        let centre = if padding_bit { 0 } else { relu.largest() };
        let size = self.polynomial_size();
        let table = |channel: &Channel| channel.table(padding_bit, step, size, relu, centre);
        for (element, sigma) in sigma.iter().enumerate() {
            let channel = &channels[element / activation.elements_per_table];
            let tail = noise::log2_two_sided_tail(channel.guard(padding_bit, step) / sigma);
            self.log2_p_fail.push(tail);
            let worst = self.log2_p_fail_lookup.get_or_insert(tail);
            *worst = worst.max(tail);
        }
        let look_up = LookUpStep {
            layer: activation.layer,
            tables: channels.iter().map(table).collect(),
            elements_per_table: activation.elements_per_table,
            sigma,
            padding_bit,
            input_step: step,
            // Known once the next stretch is compiled.
            output_step: 0,
            centre,
        };
        Ok(Compiled {
            step,
            upload_bytes,
            end: CompiledEnd::LookUp(look_up),
        })
    }

    fn download_stretch(
        &mut self,
        stretch: &Stretch,
        packed: Option<&(Layout, Packing)>,
    ) -> Result<Compiled> {
        let largest = stretch
            .range
            .iter()
            .map(|(low, high)| low.abs().max(high.abs()).max(1));
        let largest: Vec<f64> = largest.map(|largest| largest as f64).collect();
        // Half a unit at most is lost to noise where decoding is to be exact.
        let peak = largest.iter().copied().fold(1.0, f64::max);
        let floor = (0.25 / (peak + 0.5) / self.quantile).powi(2);
        let (variances, upload_bytes) =
            self.variances(stretch, packed.map(|(_, packing)| packing), floor);
        let share = largest
            .iter()
            .zip(&variances)
            .map(|(largest, variance)| (0.5 - self.quantile * variance.sqrt()) / (largest + 0.5))
            .fold(f64::INFINITY, f64::min);
        let step = even_step(share.max(0.0));
        if step == 0 {
            return Err(Error::Parameters(format!(
                "{}: noise or range fills the torus at the end of a segment: put fewer linear \
                 layers in a row on the server, or give them fewer weight bits",
                self.parameters
            )));
        }
        let share = step as f64 / 2f64.powi(64);
        let noisiest = variances.iter().copied().fold(0.0, f64::max);
        let exact_variance = (share / 2.0 / self.quantile).powi(2);
        let room = if noisiest < exact_variance / 2.0 {
            exact_variance - noisiest
        } else {
            ROUNDING_SHARE * noisiest
        };
        // Packing and rounding share the room.
        let packing = match self.download {
            Download::Plain => None,
            Download::Packed => self.cheapest_packing(largest.len(), room / 2.0),
        };
        let added = packing.map_or(0.0, |packing| {
            self.packing_variance(&packing, largest.len())
        });
        let bytes = self.download_bytes(room - added.min(room / 2.0));
        let added = added + noise::rounding_variance(self.parameters, bytes);
        let total: Vec<f64> = variances.iter().map(|v| (v + added).sqrt()).collect();
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
        let form = match (packed, packing) {
            (_, Some(_)) => Form::consecutive(largest.len(), self.polynomial_size()),
            (Some((_, packing)), None) if stretch.linears.len() == 1 => Form::packed(packing),
            _ => Form::Lwe,
        };
        let download = DownloadEncoding {
            noise_std: total.iter().map(|sigma| sigma / share).collect(),
            scales: stretch.scales.clone(),
            range: stretch.range.clone(),
            step,
            bytes,
            exact,
            form,
            packing,
        };
        Ok(Compiled {
            step,
            upload_bytes,
            end: CompiledEnd::Download(download),
        })
    }

    /// Returns the packing with the fewest levels whose noise fits, or else the most precise.
    fn cheapest_packing(&self, count: usize, room: f64) -> Option<PackingDecomposition> {
        let candidates: Vec<_> = PackingDecomposition::candidates(self.parameters, count).collect();
        let mut fitting = candidates.iter();
        let found = fitting.find(|of| self.packing_variance(of, count) <= room);
        found.or(candidates.last()).copied()
    }

    fn packing_variance(&self, packing: &PackingDecomposition, count: usize) -> f64 {
        noise::packing_variance(self.parameters, packing, count.min(self.polynomial_size()))
    }

    /// Returns the fewest bytes of a coefficient whose rounding fits.
    fn download_bytes(&self, room: f64) -> usize {
        let rounding = |bytes| noise::rounding_variance(self.parameters, bytes);
        (2..8).find(|&bytes| rounding(bytes) <= room).unwrap_or(8)
    }
}

/// Returns the squared norms of the weights that carry noise to each element at the end of a fresh
/// stretch. In a packed layer every weight of a product does, those of other rows and of padding
/// too, because they meet encryptions of zero.
fn packed_norms(stretch: &Stretch, packing: Option<&Packing>) -> Vec<f64> {
    let Some(packing) = packing else {
        return stretch.squared_norms.clone();
    };
    let of_product = |product: &Vec<SparsePolynomial>| -> f64 {
        let weights = product.iter().flatten();
        weights.map(|&(_, weight)| (weight as f64).powi(2)).sum()
    };
    let products: Vec<f64> = packing.products.iter().map(of_product).collect();
    let norms = packing
        .outputs
        .iter()
        .map(|place| products[place.ciphertext as usize]);
    if stretch.linears.len() == 1 {
        return norms.collect();
    }
    // Further layers follow: the worst growth of the first bounds that of the whole.
    let own = squared_norms(
        &[&stretch.linears[0].map],
        stretch.linears[0].map.input_count,
    );
    let growth = norms.zip(own).map(|(packed, own)| packed / own.max(1.0));
    let growth = growth.fold(1.0, f64::max);
    stretch
        .squared_norms
        .iter()
        .map(|norm| norm * growth)
        .collect()
}

//! The linear equations between the masks that a client sent and those of its answers.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::attack::affine::Affine;
use crate::attack::capacity::weight_bits;
use crate::circuit::analysis::UPLOAD_BITS;
use crate::circuit::interface::Form;
use crate::circuit::program::{Action, Program};
use crate::fhe::packed::SparsePolynomial;

/// Output rows that are solved for at most, evenly spread.
const MOST_ROWS: usize = 64;
/// Output rows of a segment with look-ups that are tried.
const TRIED_ROWS: usize = 4;

/// One weight as the client's masks meet it: coefficient t of mask polynomial i is multiplied with
/// the coefficient of the uploaded ciphertext's polynomial i at `shift` plus or minus t, counted
/// modulo X^N + 1.
pub(super) type Unknown = (usize, u32, i64);

/// Equations with the same coefficients.
#[derive(Debug)]
pub(super) struct Group {
    pub unknowns: Vec<Unknown>,
    /// Whether indices grow with t, as in polynomial products, or fall, as in extracted samples.
    pub grows: bool,
    /// Bits that an unknown has at most, its sign among them.
    pub bits: u32,
    pub targets: Vec<Target>,
}

/// The right-hand side of a group, and the weights behind it.
#[derive(Debug)]
pub(super) struct Target {
    pub download: usize,
    pub ciphertext: usize,
    /// The integers to be found; none where no such integers are known to be.
    pub truth: Option<Vec<i64>>,
    /// How many weights no other target has.
    pub new: usize,
}

/// Targets by their coefficients: whether indices grow, and the unknowns.
type Targets = BTreeMap<(bool, Vec<Unknown>), Vec<Target>>;

/// A download that travels as LWE ciphertexts, and its outputs among those of all downloads.
type LweDownload = (usize, Range<usize>);

/// Returns the systems of a program, or why there is none.
pub(super) fn groups(program: &Program) -> Result<Vec<Group>, String> {
    let affine = Affine::of(program).filter(|affine| affine.leading.is_none());
    let bits = affine.as_ref().map_or(UPLOAD_BITS, weight_bits);
    let mut targets = Targets::new();
    let lwe_downloads = add_products(program, &mut targets)?;
    let places = places(program);
    match affine {
        Some(affine) => add_rows(&affine, &lwe_downloads, &places, &mut targets),
        None => add_trials(&lwe_downloads, &places, &mut targets),
    }
    let group = |((grows, unknowns), targets)| Group {
        unknowns,
        grows,
        bits,
        targets,
    };
    Ok(targets.into_iter().map(group).collect())
}

/// Adds the products of packed answers, and returns the other downloads.
fn add_products(program: &Program, targets: &mut Targets) -> Result<Vec<LweDownload>, String> {
    let mut lwe_downloads = Vec::new();
    let mut first_output = 0;
    for (index, download) in program.interface.downloads.iter().enumerate() {
        let outputs = first_output..first_output + download.scales.len();
        first_output = outputs.end;
        if download.packing.is_some() {
            return Err(
                "the packing keyswitch leaves no linear relation that this attack reads".into(),
            );
        }
        match &download.form {
            Form::Lwe => lwe_downloads.push((index, outputs)),
            Form::Glwe(_) => {
                for (unknowns, target) in products(program, index) {
                    targets.entry((true, unknowns)).or_default().push(target);
                }
            }
        }
    }
    Ok(lwe_downloads)
}

/// Adds rows of an affine map, evenly spread.
fn add_rows(
    affine: &Affine<'_>,
    lwe_downloads: &[LweDownload],
    places: &[Unknown],
    targets: &mut Targets,
) {
    let download_of = |output: usize| {
        let found = lwe_downloads
            .iter()
            .find(|(_, outputs)| outputs.contains(&output))?;
        Some((found.0, output - found.1.start))
    };
    let rows = affine.rows();
    for row in rows.iter().step_by(rows.len().div_ceil(MOST_ROWS).max(1)) {
        let Some((download, ciphertext)) = download_of(row.output) else {
            continue;
        };
        let unknowns = row.inputs.iter().map(|&input| places[input as usize]);
        let target = Target {
            download,
            ciphertext,
            truth: Some(row.weights.clone()),
            new: row.new.iter().filter(|new| **new).count(),
        };
        let key = (false, unknowns.collect());
        targets.entry(key).or_default().push(target);
    }
}

/// Adds any linear relation at all between the masks sent and those of a few answers.
fn add_trials(lwe_downloads: &[LweDownload], places: &[Unknown], targets: &mut Targets) {
    for (download, outputs) in lwe_downloads {
        let target = |ciphertext| Target {
            download: *download,
            ciphertext,
            truth: None,
            new: 1,
        };
        let tried = (0..outputs.len()).take(TRIED_ROWS).map(target);
        let key = (false, places.to_vec());
        targets.entry(key).or_default().extend(tried);
    }
}

/// Returns where each element of the uploads lies, one upload after the other.
fn places(program: &Program) -> Vec<Unknown> {
    program
        .interface
        .uploads
        .iter()
        .enumerate()
        .flat_map(|(index, upload)| {
            let places = upload.layout.places.iter();
            places.map(move |place| (index, place.ciphertext, i64::from(place.coefficient)))
        })
        .collect()
}

/// Returns the unknowns and the target of each product of a packed answer.
fn products(program: &Program, download: usize) -> Vec<(Vec<Unknown>, Target)> {
    let step = program.download_slots[download] - program.interface.uploads.len();
    let step = &program.steps[step];
    let Action::Linear(linear) = &step.action else {
        unreachable!("packed answers are products");
    };
    let products = linear.packing.iter().flat_map(|packing| &packing.products);
    let system = |(ciphertext, polynomials): (usize, &Vec<SparsePolynomial>)| {
        let (unknowns, truth): (Vec<Unknown>, Vec<i64>) = polynomials
            .iter()
            .enumerate()
            .flat_map(|(index, polynomial)| polynomial.iter().map(move |term| (index as u32, term)))
            .map(|(index, &(exponent, weight))| {
                ((step.inputs[0], index, -i64::from(exponent)), weight)
            })
            .unzip();
        let target = Target {
            download,
            ciphertext,
            new: truth.len(),
            truth: Some(truth),
        };
        (unknowns, target)
    };
    products.enumerate().map(system).collect()
}

//! The mask attack: an honest client that reads the masks of its answers.
//!
//! The client made the masks of what it sent. A server that answers with linear combinations of
//! those ciphertexts combines their masks with the same integer weights, so that every mask
//! coefficient of an answer is a linear equation in the weights: k·N of them for each ciphertext of
//! each inference. Whole coefficients of exact products are solved by elimination modulo 2^64;
//! rounded ones, and those of floating-point products, by lattice reduction where the unknowns are
//! few.
//!
//! The attacker knows the architecture, the interface and the bits of the weights.

use std::collections::BTreeMap;

use super::QUERIES;
use super::affine::Affine;
use super::budget::Budget;
use super::capacity::weight_bits;
use super::lattice::Noisy;
use super::two_adic::{self, Solution};
use crate::circuit::analysis::UPLOAD_BITS;
use crate::circuit::interface::Form;
use crate::circuit::program::{Action, Program};
use crate::core::error::Result;
use crate::fhe::noise;
use crate::party::session::{Session, Transcript};
use crate::record::segment_exposure::Outcome;

/// Unknowns of a system up to which it is solved by elimination.
const MOST_UNKNOWNS: usize = 1100;
/// Dimension up to which lattices are reduced.
const MOST_DIMENSION: usize = 128;
/// Equations beyond the unknowns: some may depend on others, the rest check the solution.
const CHECKS: usize = 24;
/// Look-ups that an inference of the attack may take: some seconds.
const MOST_LOOK_UPS: usize = 6000;
/// Output rows that are solved for at most, evenly spread.
const MOST_ROWS: usize = 64;
/// Output rows of a segment with look-ups that are tried.
const TRIED_ROWS: usize = 4;
/// Standard deviations of the error of floating-point products that the solver reckons with.
const PRODUCT_QUANTILE: f64 = 8.0;

/// One weight as the client's masks meet it: coefficient t of mask polynomial i is multiplied with
/// the coefficient of the uploaded ciphertext's polynomial i at `shift` plus or minus t, counted
/// modulo X^N + 1.
type Unknown = (usize, u32, i64);

/// Equations with the same coefficients.
#[derive(Debug)]
struct Group {
    unknowns: Vec<Unknown>,
    /// Whether indices grow with t, as in polynomial products, or fall, as in extracted samples.
    grows: bool,
    /// Bits that an unknown has at most, its sign among them.
    bits: u32,
    targets: Vec<Target>,
}

/// The right-hand side of a group, and the weights behind it.
#[derive(Debug)]
struct Target {
    download: usize,
    ciphertext: usize,
    /// The integers to be found; none where no such integers are known to be.
    truth: Option<Vec<i64>>,
    /// How many weights no other target has.
    new: usize,
}

/// Mounts the attack on a segment with ordinary inferences on the integers of one; `whole` as if
/// answers travelled without being rounded. What was exchanged is added to `transcripts`, and what
/// is there already is used. The budget tells when to stop.
///
/// # Errors
///
/// As [`Session::exchange`].
pub fn attack(
    session: &Session,
    segment: usize,
    integers: &[Vec<i64>],
    whole: bool,
    transcripts: &mut Vec<Transcript>,
    budget: Budget,
) -> Result<Outcome> {
    let program = &session.programs()[segment];
    if program.bootstrap_count() > MOST_LOOK_UPS {
        let reason = format!("an inference takes more than {MOST_LOOK_UPS} look-ups");
        return Ok(Outcome::untried(reason));
    }
    let groups = match groups(program) {
        Ok(groups) => groups,
        Err(reason) => return Ok(Outcome::untried(reason)),
    };
    let unknowns = groups.iter().map(|group| group.unknowns.len()).max();
    let all = unknowns.unwrap_or(0) + 1;
    let mut outcome = Outcome::default();
    for (index, queries) in QUERIES.into_iter().chain([all]).enumerate() {
        while transcripts.len() < queries && !budget.is_over() {
            transcripts.push(session.exchange(segment, integers)?);
        }
        let begun_s = budget.used_s();
        let attempt = Attempt {
            program,
            transcripts: &transcripts[..queries.min(transcripts.len())],
            whole,
            budget,
        };
        let found = attempt.solve(&groups);
        outcome.seconds += budget.used_s() - begun_s;
        outcome.method = found.methods.join("+");
        let share = found.share();
        outcome.all_queries = share.map(|_| queries);
        // More of the same helps where equations are lacking, and only there.
        if found.lacks_equations {
            outcome.shares[index] = share;
            continue;
        }
        outcome.shares[index..].fill(share);
        outcome.reason = found.reason;
        break;
    }
    Ok(outcome)
}

/// Returns the systems of a program, or why there is none.
fn groups(program: &Program) -> std::result::Result<Vec<Group>, String> {
    let affine = Affine::of(program).filter(|affine| affine.leading.is_none());
    let bits = affine.as_ref().map_or(UPLOAD_BITS, weight_bits);
    let mut groups: BTreeMap<(bool, Vec<Unknown>), Vec<Target>> = BTreeMap::new();
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
                    groups.entry((true, unknowns)).or_default().push(target);
                }
            }
        }
    }
    let place_of = places(program);
    let download_of = |output: usize| {
        let mut downloads = lwe_downloads.iter();
        let found = downloads.find(|(_, outputs)| outputs.contains(&output))?;
        Some((found.0, output - found.1.start))
    };
    match affine {
        Some(affine) => {
            let rows = affine.rows();
            for row in rows.iter().step_by(rows.len().div_ceil(MOST_ROWS).max(1)) {
                let Some((download, ciphertext)) = download_of(row.output) else {
                    continue;
                };
                let unknowns = row.inputs.iter().map(|&input| place_of[input as usize]);
                let target = Target {
                    download,
                    ciphertext,
                    truth: Some(row.weights.clone()),
                    new: row.new.iter().filter(|new| **new).count(),
                };
                groups
                    .entry((false, unknowns.collect()))
                    .or_default()
                    .push(target);
            }
        }
        // Any linear relation at all between the masks sent and those of a few answers.
        None => {
            for (download, outputs) in &lwe_downloads {
                let tried = (0..outputs.len())
                    .take(TRIED_ROWS)
                    .map(|ciphertext| Target {
                        download: *download,
                        ciphertext,
                        truth: None,
                        new: 1,
                    });
                groups
                    .entry((false, place_of.clone()))
                    .or_default()
                    .extend(tried);
            }
        }
    }
    let groups = groups
        .into_iter()
        .map(|((grows, unknowns), targets)| Group {
            unknowns,
            grows,
            bits,
            targets,
        });
    Ok(groups.collect())
}

/// Returns where each element of the uploads lies, one upload after the other.
fn places(program: &Program) -> Vec<Unknown> {
    let uploads = program.interface.uploads.iter().enumerate();
    let places = uploads.flat_map(|(index, upload)| {
        let places = upload.layout.places.iter();
        places.map(move |place| (index, place.ciphertext, i64::from(place.coefficient)))
    });
    places.collect()
}

/// Returns the unknowns and the target of each product of a packed answer.
fn products(program: &Program, download: usize) -> Vec<(Vec<Unknown>, Target)> {
    let step = program.download_slots[download] - program.interface.uploads.len();
    let step = &program.steps[step];
    let Action::Linear(linear) = &step.action else {
        unreachable!("packed answers are products");
    };
    let products = linear.packing.iter().flat_map(|packing| &packing.products);
    let products = products.enumerate().map(|(ciphertext, polynomials)| {
        let terms = polynomials
            .iter()
            .enumerate()
            .flat_map(|(index, polynomial)| {
                polynomial.iter().map(move |term| (index as u32, term))
            });
        let (unknowns, truth): (Vec<Unknown>, Vec<i64>) = terms
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
    });
    products.collect()
}

/// What the client has to solve from.
struct Attempt<'a> {
    program: &'a Program,
    transcripts: &'a [Transcript],
    whole: bool,
    budget: Budget,
}

/// What an attempt found.
#[derive(Default)]
struct Found {
    recovered: usize,
    tried: usize,
    untried: usize,
    lacks_equations: bool,
    methods: Vec<&'static str>,
    reason: Option<String>,
}

impl Found {
    /// Returns the share of the weights; none where any was beyond the attack's means.
    fn share(&self) -> Option<f64> {
        (self.untried == 0 && self.tried > 0).then(|| self.recovered as f64 / self.tried as f64)
    }

    fn score(&mut self, group: &Group, solutions: &[Option<Vec<i64>>], method: &'static str) {
        if !self.methods.contains(&method) {
            self.methods.push(method);
        }
        for (target, solution) in group.targets.iter().zip(solutions) {
            let found = match (&target.truth, solution) {
                (Some(truth), Some(solution)) => truth == solution,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            self.tried += target.new;
            self.recovered += if found { target.new } else { 0 };
        }
    }
}

impl Attempt<'_> {
    fn solve(&self, groups: &[Group]) -> Found {
        let mut found = Found::default();
        for group in groups {
            if self.budget.is_over() {
                found.untried += group.targets.len();
                found.reason = Some(self.budget.reason());
                return found;
            }
            self.solve_group(group, &mut found);
        }
        found
    }

    fn solve_group(&self, group: &Group, found: &mut Found) {
        let unknowns = group.unknowns.len();
        let error = self.most_error(group);
        let linear = group.targets.iter().all(|target| target.truth.is_some());
        // A relation that whole answers do not obey is not to be found in rounded ones.
        if error == 0.0 || !linear {
            return self.eliminate(group, self.whole || !linear, found);
        }
        let noisy = Noisy {
            unknowns,
            most_unknown: f64::from(group.bits - 1).exp2(),
            most_error: error,
        };
        let Some(shape) = noisy.shape(MOST_DIMENSION) else {
            found.untried += group.targets.len();
            found.reason = Some(format!(
                "{unknowns} unknowns with errors of 2^{:.0} need a lattice of more than {MOST_DIMENSION} dimensions",
                error.log2()
            ));
            return;
        };
        let equations = self.equations(group, shape.equations + CHECKS, self.whole);
        found.score(group, &noisy.solve(&equations, shape), "lattice");
    }

    fn eliminate(&self, group: &Group, whole: bool, found: &mut Found) {
        let unknowns = group.unknowns.len();
        if unknowns > MOST_UNKNOWNS {
            found.untried += group.targets.len();
            found.reason = Some(format!("{unknowns} unknowns are more than {MOST_UNKNOWNS}"));
            return;
        }
        match two_adic::solve(self.equations(group, unknowns + CHECKS, whole), unknowns) {
            Solution::Determined(solutions) => found.score(group, &solutions, "elimination"),
            Solution::Underdetermined => {
                found.lacks_equations = true;
                found.score(group, &vec![None; group.targets.len()], "elimination");
            }
        }
    }

    /// Returns the bound on the errors of a group's answers: half a unit of the bytes that travel, and
    /// what floating-point products add.
    fn most_error(&self, group: &Group) -> f64 {
        let downloads = &self.program.interface.downloads;
        let bytes = group
            .targets
            .iter()
            .map(|target| downloads[target.download].bytes);
        let bytes = if self.whole {
            8
        } else {
            bytes.min().unwrap_or(8)
        };
        let rounding = match bytes {
            8 => 0.0,
            bytes => (63.0 - 8.0 * bytes as f64).exp2(),
        };
        let steps = self.program.steps.iter();
        let packed = steps.filter_map(|step| match &step.action {
            Action::Linear(linear) => linear.packing.as_ref(),
            Action::LookUp(_) => None,
        });
        let squares = packed.flat_map(|packing| &packing.products).map(|product| {
            let weights = product.iter().flatten();
            weights
                .map(|(_, weight)| (*weight as f64).powi(2))
                .sum::<f64>()
        });
        let square = squares.fold(0.0, f64::max);
        let product = noise::product_variance(&self.program.parameters, square).sqrt();
        rounding + PRODUCT_QUANTILE * product * 2f64.powi(64)
    }

    /// Returns up to `count` equations, spread over the coefficients of all inferences.
    fn equations(&self, group: &Group, count: usize, whole: bool) -> Vec<Vec<u64>> {
        let mask = self.program.parameters.big_dimension();
        let size = self.program.parameters.literal().polynomial_size;
        let all = mask * self.transcripts.len();
        let stride = (all / count).max(1) | 1;
        let places = (0..count.min(all)).map(|index| index * stride % all);
        let equation = |place: usize| -> Vec<u64> {
            let (transcript, place) = (&self.transcripts[place / mask], place % mask);
            let (polynomial, t) = (place / size, (place % size) as i64);
            let coefficients = group.unknowns.iter().map(|&(upload, ciphertext, shift)| {
                let ciphertext = &transcript.uploads[upload][ciphertext as usize];
                let index = if group.grows { shift + t } else { shift - t };
                negacyclic(&ciphertext[polynomial * size..][..size], index)
            });
            let answers = if whole {
                &transcript.whole
            } else {
                &transcript.received
            };
            let targets = group.targets.iter();
            let answers = targets.map(|target| answers[target.download][target.ciphertext][place]);
            coefficients.chain(answers).collect()
        };
        places.map(equation).collect()
    }
}

/// Returns the coefficient at an index modulo X^N + 1.
fn negacyclic(polynomial: &[u64], index: i64) -> u64 {
    let size = polynomial.len();
    let index = index.rem_euclid(2 * size as i64) as usize;
    match index.checked_sub(size) {
        None => polynomial[index],
        Some(wrapped) => polynomial[wrapped].wrapping_neg(),
    }
}

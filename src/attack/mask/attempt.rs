//! What a client solves of its equations, and what it finds.

use super::system::Group;
use crate::attack::budget::Budget;
use crate::attack::lattice::Noisy;
use crate::attack::two_adic::{self, Solution};
use crate::circuit::program::{Action, Program};
use crate::core::torus::TURN;
use crate::fhe::noise;
use crate::party::session::Transcript;

/// Unknowns of a system up to which it is solved by elimination.
const MOST_UNKNOWNS: usize = 1100;
/// Dimension up to which lattices are reduced.
const MOST_DIMENSION: usize = 128;
/// Equations beyond the unknowns: some may depend on others, the rest check the solution.
const CHECKS: usize = 24;
/// Standard deviations of the error of floating-point products that the solver reckons with.
const PRODUCT_QUANTILE: f64 = 8.0;

/// What the client has to solve from.
pub(super) struct Attempt<'a> {
    pub program: &'a Program,
    pub transcripts: &'a [Transcript],
    pub whole: bool,
    pub budget: Budget,
}

/// What an attempt found.
#[derive(Default)]
pub(super) struct Found {
    pub recovered: usize,
    pub tried: usize,
    pub untried: usize,
    pub lacks_equations: bool,
    pub methods: Vec<&'static str>,
    pub reason: Option<String>,
}

impl Found {
    /// Returns the fraction of the weights; none where any was beyond the attack's means.
    pub fn fraction(&self) -> Option<f64> {
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
    pub fn solve(&self, groups: &[Group]) -> Found {
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
        let travelling = group
            .targets
            .iter()
            .map(|target| downloads[target.download].bytes);
        let bytes = if self.whole {
            8
        } else {
            travelling.min().unwrap_or(8)
        };
        let rounding = match bytes {
            8 => 0.0,
            bytes => (63.0 - 8.0 * bytes as f64).exp2(),
        };
        let square = self
            .program
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Linear(linear) => linear.packing.as_ref(),
                Action::LookUp(_) => None,
            })
            .flat_map(|packing| &packing.products)
            .map(|product| {
                product
                    .iter()
                    .flatten()
                    .map(|(_, weight)| (*weight as f64).powi(2))
                    .sum::<f64>()
            })
            .fold(0.0, f64::max);
        let product = noise::product_variance(&self.program.parameters, square).sqrt();
        rounding + PRODUCT_QUANTILE * product * TURN
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
            let answers = group
                .targets
                .iter()
                .map(|target| answers[target.download][target.ciphertext][place]);
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

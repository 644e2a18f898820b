//! Closed forms: how many queries it takes to solve a server segment for its weights.
//!
//! Honest clients take what the network gives them: an affine map is determined by as many images as
//! it takes until the rows [x, 1] of all positions have full rank, if ever (counted as equations are by
//! Tramèr, Zhang, Juels, Reiter and Ristenpart, USENIX Security 2016, section 4.1). Clients that choose
//! their inputs raise elements one by one, or several as the digits of one number where answers have
//! room ([`crate::attack::capacity`]). With activations behind, what is left is the information floor.

use std::collections::BTreeMap;

use super::ordinary::Rank;
use crate::attack::affine::{Affine, LookedUp};
use crate::attack::capacity::{Capacity, look_up_repeats};
use crate::attack::plan::{MOST_PLANNING, plan, plan_cost};
use crate::circuit::analysis::{Purpose, UPLOAD_BITS};
use crate::circuit::program::{Action, Program};
use crate::model::{Model, Node, NodeId, ValueId};
use crate::record::exposure::closed::trained_bits;
use crate::record::segment_exposure::{Bound, Kind, Outcome, Queries};

impl Kind {
    fn of(program: &Program, affine: Option<&Affine<'_>>) -> Self {
        match affine {
            Some(affine) if affine.leading.is_some() => Self::ActivationThenAffine,
            Some(_) => Self::Affine,
            // Too large to compose.
            None if program.bootstrap_count() == 0 => Self::Affine,
            None if Affine::is_led(program) => Self::ActivationThenAffine,
            None if ends_alone(program) => Self::AffineThenActivation,
            None => Self::Deep,
        }
    }
}

impl Queries {
    /// Returns the counts of a compiled segment, before any attack.
    pub fn of(model: &Model, program: &Program) -> Self {
        let nodes = &model.nodes[program.nodes.clone()];
        let weights = nodes.iter().map(|node| node.parameter_count).sum();
        let weight_bits = nodes.iter().map(|node| computed_bits(node, program)).sum();
        let downloads = program.interface.downloads.iter();
        let revealed_activations = downloads.map(|download| download.scales.len()).sum();
        let known = Self {
            weights,
            weight_bits,
            revealed_activations,
            ..Self::default()
        };
        if weights == 0 {
            return known;
        }
        let affine = Affine::of(program);
        let kind = Kind::of(program, affine.as_ref());
        let looked_up = match kind {
            Kind::AffineThenActivation => LookedUp::of(program),
            _ => None,
        };
        let map = affine
            .as_ref()
            .or(looked_up.as_ref().map(|looked_up| &looked_up.affine));
        let widest = map.map(widest);
        let floor = (weight_bits as f64 / answer_bits(program)).ceil() as usize;
        let malicious = affine
            .as_ref()
            .and_then(|affine| malicious(program, affine));
        let behind = !kind.is_solvable();
        Self {
            kind,
            composed: map.is_some_and(|map| map.composed),
            unknowns: widest.map(|(fan_in, _)| fan_in + 1),
            equations: widest.map(|(_, positions)| positions),
            honest: behind.then_some(floor),
            honest_are: if behind { Bound::Least } else { Bound::Unknown },
            malicious,
            malicious_are: malicious.map_or(Bound::Unknown, |_| Bound::Enough),
            information_floor: Some(floor),
            mask: widest
                .filter(|_| kind == Kind::Affine && shows_masks(program))
                .map(|(fan_in, _)| fan_in.div_ceil(program.parameters.big_dimension())),
            ..known
        }
    }

    /// Returns the counts with what ordinary inputs determine.
    pub fn with_rank(self, rank: Option<Rank>) -> Self {
        let Some(rank) = rank else {
            return self;
        };
        Self {
            honest: rank.images,
            honest_are: rank.images.map_or(Bound::Never, |_| Bound::Enough),
            honest_rank_share: Some(rank.fraction),
            ..self
        }
    }

    /// Returns the counts with what attacks showed: a client that reads masks needs no rank, and what
    /// did with fewer queries than the floor refutes it.
    pub fn with_attacks(mut self, chosen: &Outcome, mask: &Outcome) -> Self {
        let needed = self.mask.filter(|_| mask.fractions[2] == Some(1.0));
        if let Some(needed) = needed.filter(|needed| self.honest.is_none_or(|n| *needed < n)) {
            self.honest = Some(needed);
            self.honest_are = Bound::Masks;
        }
        if self.kind == Kind::AffineThenActivation && chosen.fractions[2].is_some() {
            self.malicious = chosen.all_queries;
            self.malicious_are = Bound::Measured;
        }
        let beats = |outcome: &Outcome, floor: usize| {
            let fraction = outcome.fractions[2].zip(outcome.all_queries);
            fraction.is_some_and(|(fraction, queries)| (queries as f64) < fraction * floor as f64)
        };
        let beaten = |floor: &usize| beats(chosen, *floor) || beats(mask, *floor);
        self.information_floor = self.information_floor.filter(|floor| !beaten(floor));
        self
    }
}

/// Returns the queries that solve an affine map for a client that chooses its inputs.
fn malicious(program: &Program, affine: &Affine<'_>) -> Option<usize> {
    let blocks = &affine.map.blocks;
    if plan_cost(blocks) > MOST_PLANNING {
        return None;
    }
    let length = plan(blocks, affine.map.input_count).len();
    let Some(leading) = &affine.leading else {
        return Some(Capacity::of(program, affine).queries(length));
    };
    let (least, most) = leading.extremes(program);
    let read = |integers: Vec<i64>| {
        let grid = integers.iter().zip(program.element_steps());
        leading.read(
            &grid
                .map(|(integer, step)| integer * step)
                .collect::<Vec<i64>>(),
        )
    };
    let swings = read(most).into_iter().zip(read(least));
    let swings = swings.map(|(most, least)| most - least);
    // Elements whose look-up is constant show nothing to anyone.
    let swing = swings.filter(|swing| *swing > 0).min()?;
    Some((length + 1) * look_up_repeats(program, swing) as usize)
}

/// Returns whether answers travel with the masks that the linear layers made.
fn shows_masks(program: &Program) -> bool {
    let mut downloads = program.interface.downloads.iter();
    downloads.all(|download| download.flooding.is_none() && download.packing.is_none())
}

/// Returns the bits of a node's trained numbers as the segment computes with them.
fn computed_bits(node: &Node, program: &Program) -> usize {
    let is_upload = |value: &ValueId| {
        let mut uploads = program.interface.uploads.iter();
        uploads.any(|upload| upload.value == *value)
    };
    // Behind a gate they are those of any look-up.
    let is_gated = program.look_ups().any(|of| of.purpose == Purpose::Gate);
    if !is_gated && node.inputs.iter().all(is_upload) {
        node.parameter_count * UPLOAD_BITS as usize
    } else {
        trained_bits(node)
    }
}

/// Returns the bits that one answer can hold: log2 of the integers in each element's range, or of the
/// classes where a label is all that returns.
fn answer_bits(program: &Program) -> f64 {
    let tells_label = |node: NodeId| {
        program
            .look_ups()
            .any(|look_up| look_up.purpose == Purpose::Conjunction && look_up.node == node)
    };
    program
        .interface
        .downloads
        .iter()
        .map(|download| {
            if tells_label(download.node) {
                (download.scales.len() as f64).log2()
            } else {
                download
                    .range
                    .iter()
                    .map(|(low, high)| ((high - low).max(1) as f64 + 1.0).log2())
                    .sum::<f64>()
            }
        })
        .sum::<f64>()
        .max(1.0)
}

/// Returns whether all look-ups are last: none reads what another gave, and nothing reads theirs.
fn ends_alone(program: &Program) -> bool {
    let uploads = program.interface.uploads.len();
    let steps = program.steps.iter().enumerate();
    let mut look_ups = steps.filter(|(_, step)| matches!(step.action, Action::LookUp(_)));
    look_ups.all(|(index, _)| {
        !program.steps[index + 1..]
            .iter()
            .any(|step| step.inputs.contains(&(uploads + index)))
    })
}

/// Returns the most weights of a row, and how many outputs share them.
fn widest(affine: &Affine<'_>) -> (usize, usize) {
    let mut fan_ins: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for row in affine.rows() {
        *fan_ins.entry(row.place).or_default() += row.new.iter().filter(|new| **new).count();
    }
    let fan_in = fan_ins.values().copied().max().unwrap_or(0);
    (
        fan_in,
        (affine.map.output_count / fan_ins.len().max(1)).max(1),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::circuit::compile::{Choice, Target, compile_placement};
    use crate::core::placement::Placement;
    use crate::fhe::parameters::ParameterSet;
    use crate::model::output_mode::OutputMode;
    use crate::model::protection::Protection;
    use crate::record::download::Download;
    use crate::record::exposure::closed::is_solvable;

    fn queries(placement: &str) -> Vec<Queries> {
        let model = Model::load(Path::new("digits-cnn")).expect("embedded");
        let target = Target {
            parameters: Choice::Fixed(ParameterSet::accurate().expect("secure")),
            log2_p_fail_lookup: -64.0,
            download: Download::Plain,
            output_mode: OutputMode::default(),
            own_step_noise: Vec::new(),
        };
        let placement = placement.parse().expect("letters");
        let programs = compile_placement(&model, &placement, &target).expect("compiles");
        programs
            .iter()
            .map(|program| Queries::of(&model, program))
            .collect()
    }

    #[test]
    fn closed_forms_are_those_of_the_programs() {
        for name in ["digits-mlp", "digits-cnn"] {
            let model = Model::load(Path::new(name)).expect("embedded");
            for protect in [Protection::None, Protection::Bootstrap, Protection::Gate] {
                let output_mode = OutputMode {
                    protect,
                    ..OutputMode::default()
                };
                let target = Target {
                    output_mode,
                    ..Target::usual()
                };
                for placement in Placement::all(&model.pins()) {
                    let programs = compile_placement(&model, &placement, &target);
                    let programs = programs.expect("parameters serve");
                    for (segment, program) in placement.server_segments().iter().zip(&programs) {
                        let kind = Queries::of(&model, program).kind;
                        let solvable = is_solvable(&model, segment, output_mode);
                        assert_eq!(solvable, kind.is_solvable(), "{name} {placement} {kind:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn affine_segments_take_as_many_queries_as_their_unknowns() {
        let found = queries("SCSCS");
        let counts: Vec<_> = found
            .iter()
            .map(|queries| {
                (
                    queries.kind,
                    queries.unknowns,
                    queries.equations,
                    queries.malicious,
                )
            })
            .collect();
        // 3 x 3 taps at 6 x 6 positions; 8 channels of them at 2 x 2; 64 inputs. Two weights an answer.
        let expected = [
            (Kind::Affine, Some(10), Some(36), Some(2)),
            (Kind::Affine, Some(73), Some(4), Some(10)),
            (Kind::Affine, Some(65), Some(1), Some(33)),
        ];
        assert_eq!(counts, expected);
        assert!(
            found
                .iter()
                .all(|queries| queries.malicious_are == Bound::Enough && queries.mask == Some(1))
        );
    }

    #[test]
    fn activations_behind_leave_the_information_floor() {
        let found = queries("SSCSS");
        let [first, second] = found.as_slice() else {
            panic!("two segments")
        };
        assert_eq!(
            (first.kind, first.honest_are, first.malicious),
            (Kind::AffineThenActivation, Bound::Least, None)
        );
        assert_eq!(second.kind, Kind::ActivationThenAffine);
        assert!(second.malicious >= Some(65), "{second:?}");
        // 288 answers of 4 bits against 80 numbers of 8 bits.
        assert_eq!(first.information_floor, Some(1));
        assert_eq!(queries("SSSSS")[0].kind, Kind::Deep);
        assert_eq!(queries("CSCCC")[0].kind, Kind::Weightless);
    }

    #[test]
    fn what_did_with_fewer_queries_refutes_the_floor() {
        let outcome = |queries, fraction| Outcome {
            fractions: [Some(fraction); 3],
            all_queries: Some(queries),
            ..Outcome::default()
        };
        let floor = |chosen: Outcome| {
            let queries = Queries {
                information_floor: Some(28),
                ..Queries::default()
            };
            let settled = queries.with_attacks(&chosen, &Outcome::default());
            settled.information_floor
        };
        assert_eq!(floor(outcome(10, 1.0)), None);
        assert_eq!(floor(outcome(10, 0.3)), Some(28));
        assert_eq!(floor(outcome(30, 1.0)), Some(28));
    }
}

//! What attacks recover of the server's weights, with real keys.

#![cfg(feature = "engine")]

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::attack::budget::Budget;
use splitbench::attack::segment::{Mounting, Subject};
use splitbench::attack::{chosen, mask};
use splitbench::circuit::compile::{Choice, Target};
use splitbench::circuit::program::NoiseSeed;
use splitbench::core::linear_map::Row;
use splitbench::core::placement::{Placement, SegmentIndex};
use splitbench::fhe::parameters::ParameterSet;
use splitbench::model::Model;
use splitbench::model::output_mode::OutputMode;
use splitbench::model::protection::Protection;
use splitbench::oracle::agreement::within_error_model;
use splitbench::party::session::Session;
use splitbench::record::download::Download;
use splitbench::record::exposure::Knowledge;
use splitbench::record::segment_exposure::{Bound, Kind, Outcome, Queries, SegmentExposure};

/// The linear segments of digits-cnn: two convolutions and a dense layer.
const LINEAR: [&str; 3] = ["SCCCC", "CCSCC", "CCCCS"];

fn target(download: Download, protection: Protection) -> Target {
    Target {
        parameters: Choice::Fixed(ParameterSet::fast().expect("secure")),
        log2_p_fail_lookup: -64.0,
        download,
        output_mode: OutputMode {
            protect: protection,
            ..OutputMode::default()
        },
        own_step_noise: Vec::new(),
    }
}

/// More than any attack takes that ends.
const BUDGET_S: f64 = 600.0;

/// A session of one server segment, and the integers of an ordinary inference.
struct Fixture {
    model: Model,
    placement: Placement,
    target: Target,
    session: Session,
    uploads: Vec<Vec<Vec<i64>>>,
    agrees: bool,
}

impl Fixture {
    fn new(model: &str, placement: &str, download: Download, protection: Protection) -> Self {
        let model = Model::load(Path::new(model)).expect("embedded");
        let placement: Placement = placement.parse().expect("letters");
        let target = target(download, protection);
        let session = Session::set_up(&model, &placement, &target).expect("set up");
        let inference = session.infer(model.test.image(0)).expect("runs");
        let exchange = &inference.exchanges[0];
        Self {
            agrees: within_error_model(&session.programs()[0], exchange, NoiseSeed(0)),
            uploads: vec![exchange.uploaded.clone()],
            model,
            placement,
            target,
            session,
        }
    }

    fn chosen(&self) -> Outcome {
        self.chosen_within(BUDGET_S)
    }

    fn chosen_within(&self, seconds: f64) -> Outcome {
        let budget = Budget::start(seconds);
        chosen::attack(
            &self.session,
            SegmentIndex::FIRST,
            0,
            &self.uploads[0],
            &[],
            budget,
        )
        .expect("runs")
    }

    fn masks(&self) -> Outcome {
        let (budget, uploads) = (Budget::start(BUDGET_S), &self.uploads[0]);
        mask::attack(
            &self.session,
            SegmentIndex::FIRST,
            uploads,
            false,
            &mut Vec::new(),
            budget,
        )
        .expect("runs")
    }
}

#[test]
fn whole_answers_give_linear_segments_away_to_an_honest_client() {
    for placement in LINEAR {
        let fixture = Fixture::new("digits-cnn", placement, Download::Full, Protection::None);
        let found = fixture.masks();
        assert_eq!(found.fractions, [Some(1.0); 3], "{placement}: {found:?}");
        assert_eq!(found.method, "elimination");
    }
}

#[test]
fn rounded_answers_give_small_linear_segments_away() {
    for (placement, unknowns) in [("SCCCC", 9), ("CCSCC", 72)] {
        let fixture = Fixture::new("digits-cnn", placement, Download::Plain, Protection::None);
        let bytes = fixture.session.programs()[0].interface.downloads[0].bytes;
        assert!(bytes < 8, "rounded");
        let found = fixture.masks();
        assert_eq!(
            found.fractions,
            [Some(1.0); 3],
            "{unknowns} unknowns: {found:?}"
        );
        assert_eq!(found.method, "lattice");
    }
}

#[test]
fn a_lattice_beyond_the_means_is_not_tried_and_told() {
    for protection in [Protection::None, Protection::Rerandomise] {
        let found = Fixture::new("digits-cnn", "CCCCS", Download::Plain, protection).masks();
        assert_eq!(found.fractions, [None; 3]);
        assert_eq!(found.all_queries, None);
        let reason = found.reason.expect("told");
        assert!(reason.contains("640 unknowns"), "{reason}");
    }
}

#[test]
fn chosen_inputs_solve_linear_segments_in_as_many_queries_as_the_closed_form_says() {
    for (placement, queries) in LINEAR.into_iter().zip([2, 10, 33]) {
        let fixture = Fixture::new("digits-cnn", placement, Download::Plain, Protection::None);
        let found = fixture.chosen();
        assert_eq!(found.fractions[2], Some(1.0), "{placement}: {found:?}");
        assert_eq!(found.all_queries, Some(queries));
        let program = &fixture.session.programs()[0];
        let closed = Queries::of(&fixture.model, program);
        assert_eq!(closed.malicious, Some(queries), "{closed:?}");
    }
}

#[test]
fn responses_beyond_the_encoding_give_away_what_lies_in_front_of_a_look_up() {
    for (placement, protection, least) in [
        ("SSCCC", Protection::None, 0.95),
        ("CCCCS", Protection::Bootstrap, 0.95),
    ] {
        let fixture = Fixture::new("digits-cnn", placement, Download::Plain, protection);
        let found = fixture.chosen();
        println!("{placement} {}: {found:?}", protection.word());
        assert_eq!(found.method, "response, confirmed");
        assert!(found.fractions[2] > Some(least), "{placement}: {found:?}");
        let floor = Queries::of(&fixture.model, &fixture.session.programs()[0]);
        let settled = floor.with_attacks(&found, &Outcome::default());
        assert_eq!(settled.malicious, found.all_queries);
    }
}

#[test]
fn rerandomised_answers_show_nothing_in_their_masks_and_are_right() {
    for download in [Download::Full, Download::Plain, Download::Packed] {
        for placement in LINEAR {
            let fixture = Fixture::new("digits-cnn", placement, download, Protection::Rerandomise);
            assert!(fixture.agrees, "{placement} {download:?}");
            let encoding = &fixture.session.programs()[0].interface.downloads[0];
            assert!(encoding.exact);
            let flooding = encoding.flooding.expect("protected");
            assert!(flooding.log2_distance < 0.0, "{flooding:?}");
            let is_within_means = download == Download::Full || placement != "CCCCS";
            if download != Download::Packed && is_within_means {
                let found = fixture.masks();
                assert_eq!(
                    found.fractions,
                    [Some(0.0); 3],
                    "{placement} {download:?}: {found:?}"
                );
            }
        }
    }
}

/// What is learnt of a fixture's segment.
fn exposure_of(fixture: &Fixture, budget_s: Option<f64>) -> SegmentExposure {
    let Fixture {
        model,
        placement,
        session,
        target,
        uploads,
        ..
    } = fixture;
    let segment = &placement.server_segments()[0];
    let subject = Subject::new(model, session, SegmentIndex::FIRST, segment, target);
    assert_eq!(subject.ordinary, uploads[0]);
    let mounting = Mounting {
        seed: 0,
        budget_s,
        hear: &|_| (),
    };
    subject.expose(mounting, Vec::new()).expect("runs")
}

#[test]
fn what_no_attack_was_mounted_on_is_unknown() {
    let fixture = Fixture::new("digits-cnn", "SSSSS", Download::Plain, Protection::None);
    let segment = exposure_of(&fixture, Some(BUDGET_S));
    assert_eq!(segment.chosen.fractions, [None; 3]);
    assert!(segment.chosen.reason.is_some());
    // Of masks: there is no relation to find.
    assert_eq!(segment.mask.fractions, [Some(0.0); 3]);
    assert_eq!(segment.fraction(), None);
    assert_eq!(segment.queries.honest_are, Bound::Least);
    assert_eq!(segment.queries.malicious, None);
}

#[test]
fn weights_on_both_sides_of_a_look_up_are_read() {
    let fixture = Fixture::new("digits-mlp", "SSS", Download::Plain, Protection::None);
    let segment = exposure_of(&fixture, Some(BUDGET_S));
    let chosen = &segment.chosen;
    assert_eq!(chosen.method, "peel, confirmed", "{chosen:?}");
    assert_eq!(chosen.fractions[..2], [Some(0.0); 2]);
    let found = chosen.fractions[2].expect("ended");
    assert!(found > 0.9, "{chosen:?}");
    assert_eq!(segment.knowledge(), Knowledge::AttackEnded);
    assert_eq!(segment.fraction(), Some(found));
}

#[test]
fn chosen_inputs_solve_linear_layers_behind_a_gate_and_masks_do_not() {
    for placement in ["SCCCC", "CCSCC", "CCCCS"] {
        let fixture = Fixture::new("digits-cnn", placement, Download::Plain, Protection::Gate);
        assert!(fixture.agrees, "{placement}");
        let segment = exposure_of(&fixture, Some(BUDGET_S));
        let (queries, chosen) = (&segment.queries, &segment.chosen);
        println!("{placement}: {chosen:?}");
        assert_eq!(queries.kind, Kind::ActivationThenAffine, "{placement}");
        assert_eq!(queries.malicious_are, Bound::Enough, "{placement}");
        assert_eq!(queries.mask, None, "{placement}");
        assert_eq!(chosen.fractions[2], Some(1.0), "{placement}: {chosen:?}");
        assert!(
            chosen.method.ends_with("confirmed"),
            "{placement}: {chosen:?}"
        );
        assert_eq!(segment.fraction(), Some(1.0), "{placement}");
        let masks = fixture.masks();
        assert_eq!(masks.fractions[2], Some(0.0), "{placement}: {masks:?}");
    }
}

#[test]
fn behind_a_gate_no_attack_here_reads_what_is_looked_up() {
    for (model, placement) in [("digits-mlp", "SSS"), ("digits-cnn", "SSCCC")] {
        let plain = Fixture::new(model, placement, Download::Plain, Protection::None);
        let found = exposure_of(&plain, Some(BUDGET_S)).fraction();
        assert!(found > Some(0.8), "{placement}: {found:?}");
        let gated = Fixture::new(model, placement, Download::Plain, Protection::Gate);
        let segment = exposure_of(&gated, Some(BUDGET_S));
        // Unknown, and not nothing.
        assert_eq!(segment.queries.kind, Kind::Deep, "{placement}");
        assert_eq!(segment.fraction(), None, "{placement}");
        assert_eq!(segment.knowledge(), Knowledge::NotMounted, "{placement}");
        let reason = segment.chosen.reason.expect("told");
        assert!(reason.contains("gate"), "{placement}: {reason}");
    }
}

#[test]
fn attacks_that_are_left_out_or_stopped_leave_the_exposure_unknown() {
    let fixture = Fixture::new("digits-mlp", "SSC", Download::Plain, Protection::None);
    for (budget_s, knowledge, reason) in [
        (None, Knowledge::NotMounted, "left out"),
        (Some(0.0), Knowledge::AttackStopped, "--attack-budget"),
    ] {
        let segment = exposure_of(&fixture, budget_s);
        assert_eq!((segment.fraction(), segment.knowledge()), (None, knowledge));
        let told = segment.chosen.reason.expect("told");
        assert!(told.contains(reason), "{told}");
    }
    let segment = exposure_of(&fixture, Some(BUDGET_S));
    assert_eq!(segment.knowledge(), Knowledge::AttackEnded);
    // Stopped before lines are found, or while they are.
    let fixture = Fixture::new("digits-mlp", "SSS", Download::Plain, Protection::None);
    for budget_s in [0.0, 0.1, 0.5] {
        let segment = exposure_of(&fixture, Some(budget_s));
        assert_eq!(segment.fraction(), None, "{:?}", segment.chosen);
        assert_eq!(segment.knowledge(), Knowledge::AttackStopped);
    }
    assert!(segment.fraction() > Some(0.8), "{segment:?}");
}

#[test]
fn the_simulated_server_answers_questions_beyond_the_encoding_with_the_real_ones_noise() {
    const MESSAGES: u64 = 6;
    const WIDEST: i64 = 1 << 40;
    let fixture = Fixture::new("digits-cnn", "SSCCC", Download::Plain, Protection::None);
    let program = &fixture.session.programs()[0];
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    let question: Vec<i64> = fixture.uploads[0][0]
        .iter()
        .map(|_| generator.random_range(-WIDEST..=WIDEST))
        .collect();
    let rows: Vec<Row<u64>> = question.iter().map(|&v| vec![v as u64].into()).collect();
    let clear = |noise| {
        let outputs = program
            .run_clear(std::slice::from_ref(&rows), noise)
            .outputs;
        let outputs = outputs.into_iter().flatten();
        outputs.map(|row| row[0] as i64).collect::<Vec<i64>>()
    };
    let noiseless = clear(None);
    // How many answers noise moves, and how far.
    let moved = |answers: Vec<i64>| {
        let pairs = answers.into_iter().zip(&noiseless);
        let moves = pairs.map(|(answer, clear)| (answer - clear).unsigned_abs());
        moves.filter(|steps| *steps > 0).count()
    };
    let real = (0..MESSAGES).map(|_| {
        let exchange = fixture
            .session
            .exchange(SegmentIndex::FIRST, std::slice::from_ref(&question));
        moved(exchange.expect("runs").integers.concat())
    });
    let real: usize = real.sum();
    let simulated: usize = (0..MESSAGES)
        .map(|seed| moved(clear(Some(NoiseSeed(seed)))))
        .sum();
    assert!(simulated > 0, "noise moves some answer");
    // Both are counts of rare events: their difference has the variance of their sum.
    let bound = 6.0 * ((real + simulated) as f64).sqrt();
    assert!(
        (real as f64 - simulated as f64).abs() <= bound,
        "{real} and {simulated}"
    );
}

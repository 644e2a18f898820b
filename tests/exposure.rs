//! What attacks recover of the server's weights, with real keys.

use std::path::Path;

use splitbench::agreement::within_error_model;
use splitbench::attack::{Outcome, chosen, mask};
use splitbench::compile::{Choice, Download, Target};
use splitbench::ending::Ending;
use splitbench::exposure::segment::expose;
use splitbench::fhe::parameters::ParameterSet;
use splitbench::inference::Session;
use splitbench::model::Model;
use splitbench::placement::Placement;
use splitbench::program::NoiseSeed;
use splitbench::protection::Protection;

/// The linear segments of digits-cnn: two convolutions and a dense layer.
const LINEAR: [&str; 3] = ["SCCCC", "CCSCC", "CCCCS"];

fn target(download: Download, protection: Protection) -> Target {
    Target {
        parameters: Choice::Fixed(ParameterSet::fast().expect("secure")),
        log2_p_fail_lookup: -64.0,
        download,
        ending: Ending {
            protect: protection,
            ..Ending::default()
        },
    }
}

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

    fn masks(&self) -> Outcome {
        mask::attack(&self.session, 0, &self.uploads[0], false, &mut Vec::new()).expect("runs")
    }
}

#[test]
fn whole_answers_give_linear_segments_away_to_an_honest_client() {
    for placement in LINEAR {
        let fixture = Fixture::new("digits-cnn", placement, Download::Full, Protection::None);
        let found = fixture.masks();
        assert_eq!(found.shares, [Some(1.0); 3], "{placement}: {found:?}");
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
            found.shares,
            [Some(1.0); 3],
            "{unknowns} unknowns: {found:?}"
        );
        assert_eq!(found.method, "lattice");
    }
}

#[test]
fn a_lattice_beyond_the_means_is_told_and_not_called_safe() {
    let found = Fixture::new("digits-cnn", "CCCCS", Download::Plain, Protection::None).masks();
    assert_eq!(found.shares, [Some(0.0); 3]);
    let reason = found.reason.expect("told");
    assert!(reason.contains("640 unknowns"), "{reason}");
}

#[test]
fn chosen_inputs_solve_linear_segments() {
    for (placement, queries) in LINEAR.into_iter().zip([2, 19, 65]) {
        let fixture = Fixture::new("digits-cnn", placement, Download::Plain, Protection::None);
        let found = chosen::attack(&fixture.session, 0, 0).expect("runs");
        assert_eq!(found.shares[2], Some(1.0), "{placement}: {found:?}");
        assert_eq!(found.all_queries, Some(queries));
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
            if download != Download::Packed {
                let found = fixture.masks();
                assert_eq!(
                    found.shares,
                    [Some(0.0); 3],
                    "{placement} {download:?}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn segments_with_an_activation_behind_are_not_solved_by_these_attacks() {
    let fixture = Fixture::new("digits-mlp", "SSC", Download::Plain, Protection::None);
    let Fixture {
        model,
        placement,
        session,
        target,
        uploads,
        ..
    } = &fixture;
    let exposure = expose(model, placement, session, target, uploads, 0).expect("runs");
    let [segment] = exposure.as_slice() else {
        panic!("one segment")
    };
    assert_eq!(segment.chosen.shares, [Some(0.0); 3]);
    assert_eq!(segment.mask.shares, [Some(0.0); 3]);
    assert!(!segment.queries.enough && segment.queries.malicious >= Some(65));
}

//! What attacks recover of the server's weights, with real keys.

use std::path::Path;

use splitbench::attack::{chosen, mask};
use splitbench::compile::{Choice, Download, Target};
use splitbench::cost::CostModel;
use splitbench::inference::Session;
use splitbench::model::Model;
use splitbench::protection::Protection;
use splitbench::select::Precision;

fn target(download: Download) -> Target {
    Target {
        parameters: Choice::Cheapest(Precision::StepNoise(0.5), CostModel::default()),
        log2_p_fail_lookup: -64.0,
        download,
        protection: Protection::None,
    }
}

#[test]
fn explore() {
    let model = Model::load(Path::new("digits-cnn")).expect("embedded");
    for download in [Download::Full, Download::Plain] {
        for placement in ["CCSCC", "CSSCC", "CCCSS", "SSSSS"] {
            if download == Download::Full && placement.contains("SS") {
                continue;
            }
            let placement = placement.parse().expect("letters");
            let session = Session::set_up(&model, &placement, &target(download)).expect("set up");
            let inference = session.infer(model.test.image(0)).expect("runs");
            let integers = &inference.exchanges[0].uploaded;
            let found = mask::attack(&session, 0, integers, false).expect("runs");
            println!("{placement} {download:?} mask {found:?}");
            let found = chosen::attack(&session, 0, 0).expect("runs");
            println!("{placement} {download:?} chosen {found:?}");
        }
    }
}

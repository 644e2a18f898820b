//! Choosing a split: what a person reads, and what is refused.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use temporary_folder::TemporaryFolder;

/// Placement, status, seconds, client memory, bytes up and down, keys, client weights, accuracy.
type Figures = (
    &'static str,
    &'static str,
    f64,
    u64,
    u64,
    u64,
    u64,
    f64,
    f64,
);

const ROWS: [Figures; 7] = [
    ("CCCC", "ok", 0.001, 8_000_000, 0, 0, 0, 1.0, 0.99),
    ("CCCS", "ok", 0.002, 9_000_000, 10_000, 8_000, 0, 0.6, 0.99),
    (
        "CCSS", "ok", 0.1, 40_000_000, 500, 40_000, 16_000_000, 0.3, 0.97,
    ),
    (
        "CSSC",
        "ok",
        0.3,
        3_100_000_000,
        900,
        90_000,
        16_000_000,
        0.3,
        0.98,
    ),
    ("SCCS", "ok", 0.01, 9_500_000, 10_000, 80_000, 0, 0.6, 0.99),
    ("SSSC", "timeout", 0.0, 0, 0, 0, 0, 0.1, 0.0),
    (
        "SSSS", "ok", 0.5, 42_000_000, 300, 40_000, 16_000_000, 0.0, 0.94,
    ),
];

fn with_rows() -> TemporaryFolder {
    with_rows_of_which(|_| true)
}

/// Returns a folder with the rows, of which the exposure of some is known.
fn with_rows_of_which(known: fn(&str) -> bool) -> TemporaryFolder {
    let temp = TemporaryFolder::new();
    let header = "model,placement,status,host,parameter_set,images,repeats,online_s_median,\
        client_compute_s_median,encrypt_s_median,serialise_s_median,server_compute_s_median,\
        deserialise_s_median,decrypt_s_median,key_generation_s,key_transfer_s,upload_bytes,\
        download_bytes,evaluation_key_bytes,download,rounds,client_peak_rss_bytes,\
        server_peak_rss_bytes,mem_method,client_weight_share,exposed_weight_share,exposure_is,\
        simulated_accuracy,reason";
    let mut table = format!("{header}\n");
    for (placement, status, online, client, up, down, keys, fraction, accuracy) in ROWS {
        let row = if status == "ok" {
            let rounds = u32::from(placement.contains('S')) + u32::from(placement == "SCCS");
            let key_s = if keys > 0 { "0.6,0.6" } else { "," };
            let server = if rounds > 0 { "200000000" } else { "" };
            let (client_s, server_s) = (online * 0.1, online * 0.9);
            let exposure = if known(placement) {
                format!("{fraction},closed form")
            } else {
                ",attack stopped".into()
            };
            format!(
                "toy,{placement},ok,one CPU,set,1,1,{online},{client_s},0,0,{server_s},0,0,{key_s},\
                 {up},{down},{keys},plain,{rounds},{client},{server},high_water_mark,{fraction},\
                 {exposure},{accuracy},"
            )
        } else {
            format!(
                "toy,{placement},{status},one CPU,,1,1,,,,,,,,,,,,,plain,,,,,{fraction},,,,stopped \
                 after 60 s"
            )
        };
        table.push_str(&row);
        table.push('\n');
    }
    temp.write("toy/splits.csv", table);
    temp
}

#[test]
fn a_choice_reads_as_it_should() {
    let temp = with_rows();
    let choose = |options: &str| temp.succeed(&format!("choose toy {options}")).stdout;
    insta::assert_snapshot!("choice", choose(""));
    insta::assert_snapshot!("choice_and_why", choose("--why"));
    insta::assert_snapshot!(
        "choice_within_limits",
        choose("--network wan --max-client-memory 2GB --max-exposure 40% --min-accuracy 0.95")
    );
    insta::assert_snapshot!(
        "choice_by_money",
        choose(
            "--minimise money --price-server-hour 0.5 --price-gb 0.09 --inferences 10 \
             --client-slowdown 8 --max-exposure 0.5"
        )
    );
}

#[test]
fn nothing_left_names_limits_and_the_nearest_split() {
    let temp = with_rows();
    let ran = temp.run("choose toy --max-client-memory 10MB --max-exposure 10% --why");
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    insta::assert_snapshot!("nothing_left", ran.stderr);
    assert!(ran.stdout.contains("gives away 30.0 %, 10.0 % allowed"));
}

#[test]
fn unknown_exposure_counts_as_the_least_where_asked() {
    let temp = with_rows_of_which(|placement| !["CCSS", "CSSC"].contains(&placement));
    let ran = temp.run("choose toy --max-exposure 40% --min-accuracy 0.95 --why");
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(ran.stdout.contains("exposure unknown"), "{}", ran.stdout);
    assert!(ran.stderr.contains("--count-handed-over"), "{}", ran.stderr);
    insta::assert_snapshot!(
        "choice_by_what_is_handed_over",
        temp.succeed("choose toy --max-exposure 40% --min-accuracy 0.95 --count-handed-over")
            .stdout
    );
}

#[test]
fn splits_that_give_everything_away_are_taken_only_where_asked() {
    let temp = with_rows();
    let default = temp.succeed("choose toy --why").stdout;
    assert!(
        default.contains("without 1 that are known to give"),
        "{default}"
    );
    assert!(
        default.contains("CCCC  gives the whole model away"),
        "{default}"
    );
    let asked = temp.succeed("choose toy --max-exposure 100%").stdout;
    assert!(!asked.contains("whole model"), "{asked}");
    let table = temp.read("toy/splits.csv");
    let of_client: Vec<&str> = table
        .lines()
        .filter(|l| !l.contains(",ok,") || l.contains("CCCC,"))
        .collect();
    temp.write("toy/splits.csv", of_client.join("\n") + "\n");
    let ran = temp.run("choose toy");
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(ran.stderr.contains("--max-exposure 100%"), "{}", ran.stderr);
}

/// Placement, queries, agreement of copies and of what is learnt without the server; none where unknown.
type Copies = (&'static str, u32, Option<[f64; 2]>);

/// Writes the table of copies beside the splits.
fn write_copies(temp: &TemporaryFolder, copies: &[Copies]) {
    let header = "model,placement,queries,seeds,copy_agreement,own_agreement,queries_until_90,\
        queries_until_95,queries_until_99,server_weights,ordinary_images,judged_images,copy_s,reason";
    let mut table = format!("{header}\n");
    for (placement, queries, agreements) in copies {
        let cells = agreements.map_or(",".into(), |[copy, own]| format!("{copy},{own}"));
        let reason = if agreements.is_some() { "" } else { "stopped" };
        table += &format!("toy,{placement},{queries},1,{cells},,,,9,1,360,1,{reason}\n");
    }
    temp.write("toy/copies.csv", table);
}

const COPIES: [Copies; 6] = [
    ("CCCS", 1000, Some([0.9975, 0.99])),
    ("CCSS", 1000, Some([0.99, 0.95])),
    ("CCSS", 100, Some([0.8, 0.75])),
    ("CSSC", 1000, None),
    ("SCCS", 1000, Some([0.9925, 0.95])),
    ("SSSS", 1000, Some([0.9891, 0.942])),
];

#[test]
fn splits_whose_copies_are_as_good_as_the_model_are_taken_only_where_asked() {
    let temp = with_rows_of_which(|placement| placement != "SSSS");
    write_copies(&temp, &COPIES);
    let choose = |options: &str| temp.succeed(&format!("choose toy {options}")).stdout;
    insta::assert_snapshot!("choice_with_copies", choose("--why"));
    // What is asked for stands: of an exposure, a note says what it lets pass.
    insta::assert_snapshot!(
        "choice_with_copies_within_an_exposure",
        choose("--max-exposure 60%")
    );
    let all = choose("--max-copy-agreement 100%");
    assert!(
        all.contains("take CCCS") && !all.contains("whose copies"),
        "{all}"
    );
    // After fewer queries other copies count, and what is not known after as many does not.
    let fewer = choose("--queries 100");
    assert!(fewer.contains("take CCCS"), "{fewer}");
    assert!(!fewer.contains("whose copies"), "{fewer}");
    let limited = choose("--max-copy-agreement 99% --why");
    assert!(limited.contains("CSSC  how good a copy is"), "{limited}");
    assert!(limited.contains("take CCSS"), "{limited}");
    let counted = choose("--max-copy-agreement 99% --why --count-handed-over");
    assert!(!counted.contains("how good a copy is"), "{counted}");
}

#[test]
fn without_copies_the_choice_is_as_before() {
    let temp = with_rows();
    let before = temp.succeed("choose toy --why").stdout;
    for copies in [
        &[("CCCS", 100, Some([1.0, 1.0]))][..],
        &[("CCCS", 1000, None)],
        &[],
    ] {
        write_copies(&temp, copies);
        assert_eq!(temp.succeed("choose toy --why").stdout, before);
    }
    temp.refuse(3, "choose toy --queries 1000", &["no copies after 1000"]);
    std::fs::remove_file(temp.path("toy/copies.csv")).unwrap();
    temp.refuse(3, "choose toy --queries 1000", &["splitbench attack"]);
    temp.refuse(
        3,
        "choose toy --max-copy-agreement 1",
        &["splitbench attack"],
    );
}

#[test]
fn where_all_copies_are_as_good_the_least_is_named_and_how_to_take_it() {
    let temp = with_rows();
    write_copies(
        &temp,
        &[
            ("CCCS", 1000, Some([1.0, 0.99])),
            ("CCSS", 1000, Some([0.9917, 0.95])),
            ("CSSC", 1000, Some([1.0, 0.95])),
            ("SCCS", 1000, Some([0.999, 0.95])),
            ("SSSS", 1000, Some([0.9918, 0.95])),
        ],
    );
    let ran = temp.run("choose toy");
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    insta::assert_snapshot!("nothing_left_of_copies", ran.stderr);
    let taken = temp.succeed("choose toy --max-copy-agreement 99.2%").stdout;
    assert!(taken.contains("take CCSS"), "{taken}");
    let ran = temp.run("choose toy --max-client-memory 10MB");
    assert!(
        ran.stderr.contains("without 2 whose copies"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_cannot_be_chosen_from_is_refused() {
    let temp = with_rows();
    temp.refuse(3, "choose nowhere", &["nowhere", "no such table"]);
    temp.refuse(2, "choose toy --minimise money", &["--price-server-hour"]);
    temp.refuse(2, "choose toy --host phone", &["phone", "one CPU"]);
    let table = temp.read("toy/splits.csv");
    temp.write(
        "mixed/splits.csv",
        table.replace("SCCS,ok,one CPU", "SCCS,ok,another CPU"),
    );
    temp.refuse(2, "choose mixed", &["several hosts", "--host"]);
    temp.succeed("choose mixed --host another");
    temp.write("phone.json", r#"{"rotation_ns": 1, "keyswitch_ns": 1}"#);
    temp.refuse(
        2,
        "choose toy --client-calibration phone.json",
        &["--host-calibration"],
    );
    temp.refuse(
        3,
        "choose toy --client-calibration phone.json --host-calibration phone.json",
        &["phone.json", "client_s"],
    );
    for option in [
        "--max-client-memory 2",
        "--max-exposure 120%",
        "--min-accuracy 2",
        "--network 4mbit",
        "--client-slowdown 0",
        "--price-gb cheap",
        "--inferences 0",
    ] {
        let ran = temp.run(&format!("choose toy {option}"));
        assert_eq!(ran.code, Some(2), "{option}: {}", ran.stderr);
        let name = option.split(' ').next().unwrap();
        assert!(ran.stderr.contains(name), "{option}: {}", ran.stderr);
    }
}

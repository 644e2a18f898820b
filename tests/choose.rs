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

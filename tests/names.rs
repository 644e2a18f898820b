//! Names that come from outside, through everything that the program prints and writes.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::fs;
use std::path::Path;

use serde_json::Value;
use splitbench::core::cell::unguarded;
use splitbench::core::foreign::is_hidden;
use temporary_folder::{Ran, TABLES, TemporaryFolder};

/// A name of a model and its layers, and of its folder, which has no spaces.
struct Case {
    name: &'static str,
    folder: &'static str,
    /// How it begins where it is printed, in LaTeX, in Markdown and in a cell.
    told: [&'static str; 4],
}

const CASES: [Case; 4] = [
    Case {
        name: "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}b\u{200b}\u{2028}c\r\nd\u{e0041}",
        folder: "\u{1b}[31m\u{202e}m",
        told: [
            "\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{202e}b\\u{200b}\\u{2028}c\\r\\nd\\u{e0041}",
            "\\textbackslash{}u\\{1b\\}]0;owned",
            "\\\\u{1b}\\]0;owned",
            "'\\u{1b}]0\\u{3b}owned",
        ],
    },
    Case {
        name: "=cmd|'/C calc'!A0",
        folder: "=1+1",
        told: [
            "=cmd|'/C calc'!A0",
            "=cmd$|$'/C calc'!A0",
            "\\=cmd\\|'/C calc'!A0",
            "'=cmd|'/C calc'!A0",
        ],
    },
    Case {
        name: "# </script><img src=x onerror=alert(1)><!-- \\input{x} $y$ www.evil.example",
        folder: "$(touch~x)`y`'",
        told: [
            "# </script><img",
            "\\# $<$/script$>$$<$img",
            "\\# \\</script\\>\\<img",
            "# </script><img",
        ],
    },
    Case {
        name: "层 Größe Δ 🚀",
        folder: "层",
        told: ["层 Größe Δ 🚀"; 4],
    },
];

/// Returns a folder with a copy of digits-mlp whose model and layers have such names.
fn with_model(case: &Case) -> TemporaryFolder {
    let temp = TemporaryFolder::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits-mlp");
    for file in ["test-images.npy", "test-labels.npy", "weights.bin"] {
        let bytes = fs::read(model.join(file)).unwrap();
        temp.write(&format!("{}/{file}", case.folder), bytes);
    }
    let text = fs::read_to_string(model.join("model.json")).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    json["name"] = case.name.into();
    json["description"] = case.name.into();
    for (at, layer) in json["layers"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        layer["name"] = format!("{}{at}", case.name).into();
    }
    temp.write(&format!("{}/model.json", case.folder), json.to_string());
    temp
}

/// Asserts that text has line feeds and no other hidden letter.
fn assert_harmless(text: &str, what: &str) {
    let hidden: Vec<char> = (text.chars())
        .filter(|letter| *letter != '\n' && is_hidden(*letter))
        .collect();
    assert!(hidden.is_empty(), "{what}: {hidden:?} in {text}");
}

/// Runs what must succeed, and returns all that it told.
fn told(temp: &TemporaryFolder, arguments: &str) -> String {
    let Ran { stdout, stderr, .. } = temp.succeed(arguments);
    let told = stdout + &stderr;
    assert_harmless(&told, arguments);
    told
}

#[test]
fn evil_names_are_told_and_written_as_text() {
    for case in &CASES {
        let temp = with_model(case);
        let [shown, latex, markdown, cell] = case.told;
        told(&temp, &format!("list --model {}", case.folder));
        let params = told(&temp, &format!("params --model {}", case.folder));
        assert!(params.contains(&format!("segment {shown}")), "{params}");
        // Splits without look-ups take a fraction of a second.
        let sweep = "--placement SCS CCC --images 1 --skip-party-memory --out results";
        let sweep = told(&temp, &format!("sweep --model {} {sweep}", case.folder));
        assert!(sweep.contains(shown), "{sweep}");
        told(&temp, "choose results --max-exposure 100% --why");
        told(&temp, "compare results results");
        told(&temp, "report results");
        let table = told(&temp, "export results --format latex");
        assert!(table.contains(&format!("\\caption{{{latex}")), "{table}");
        let table = told(&temp, "export results --format markdown");
        assert!(table.starts_with(markdown), "{table}");
        let table = told(
            &temp,
            "export results --format csv --columns model,placement",
        );
        assert!(table.lines().nth(1).unwrap().starts_with(cell), "{table}");
        for (file, bytes) in temp.files("results") {
            let is_text = [".html", ".svg", ".csv"]
                .iter()
                .any(|end| file.ends_with(end));
            if is_text {
                let text = String::from_utf8(bytes).unwrap();
                assert_harmless(&text, &file);
                assert!(file.ends_with(".csv") || !text.contains("<img"), "{file}");
            }
        }
        for table in TABLES {
            for row in temp.rows(&format!("results/{table}")) {
                assert!(row["model"].starts_with(cell), "{table}: {row:?}");
                assert_eq!(unguarded(&row["model"]), case.name, "{table}");
            }
        }
    }
}

#[test]
fn predictions_of_evil_names_are_text() {
    let case = &CASES[0];
    let temp = with_model(case);
    told(
        &temp,
        &format!(
            "predict --model {} --repeats 1 --out predicted",
            case.folder
        ),
    );
    assert_harmless(&temp.read("predicted/predictions.csv"), "predictions.csv");
    for row in temp.rows("predicted/predictions.csv") {
        assert_eq!(unguarded(&row["model"]), case.name);
    }
}

#[test]
fn errors_show_evil_names_on_one_short_line() {
    let temp = with_model(&CASES[0]);
    let long = "x\u{1b}".repeat(100);
    for (code, arguments, words) in [
        (
            3,
            "list --model no\u{1b}[31m\u{202e}ne",
            &["no\\u{1b}[31m\\u{202e}ne", "give a folder"][..],
        ),
        (
            3,
            &format!("list --model {long}"),
            &["x\\u{1b}x", "give a folder", "…"],
        ),
        (
            3,
            "choose \u{9b}31m",
            &["\\u{9b}31m/splits.csv", "a sweep wrote"],
        ),
        (3, "report \u{2067}", &["\\u{2067}"]),
        (
            2,
            "list --model digits-mlp\u{7f} --granularity \u{1b}c",
            &["--granularity"],
        ),
        (2, "plot a \u{1b}[31mb", &["unexpected argument"]),
    ] {
        let ran = temp.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert_harmless(&ran.stderr, arguments);
        let longest = ran.stderr.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(400), "{}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "no {word:?} in {}", ran.stderr);
        }
    }
    // A layer that cannot be read, in a folder and with a name that are both evil.
    let file = format!("{}/model.json", CASES[0].folder);
    let mut json: Value = serde_json::from_str(&temp.read(&file)).unwrap();
    json["layers"][0]["weights"] = long.into();
    temp.write(&file, json.to_string());
    let ran = temp.run(&format!("list --model {}", CASES[0].folder));
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_harmless(&ran.stderr, "list");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.chars().count() <= 401, "{}", ran.stderr);
    assert!(ran.stderr.contains("m/model.json"), "{}", ran.stderr);
}

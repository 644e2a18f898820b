//! Files made to spoil something: what is no regular file, and much that comes out of little. Each is
//! refused in one line that names it, in a process that may take little memory, and leaves nothing
//! behind.

#![cfg(feature = "engine")]
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "hostile_files/bombs.rs"]
mod bombs;
#[path = "hostile_onnx/models.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod models;
#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use prost::Message;
use temporary_folder::{Ran, TemporaryFolder};

/// Kibibytes of addresses that a run may take, its code and stacks among them.
const MOST_KIB: usize = 400_000;
/// After this a run counts as hanging.
const LONGEST: Duration = Duration::from_secs(120);

/// Splits without look-ups, milliseconds each.
const SPLITS: &str = r#"{
    "name": "linear", "why": "Quick.", "model": "digits-mlp", "images": 1, "repeats": 1,
    "placements": ["CCC", "SCS"]
}"#;

/// Returns a folder with a network of two inputs, `m.onnx`, one whose weights are in `w.bin`, data for
/// them, and a results folder; their model folders, one of them of a classifier with look-ups, `net`.
fn temp() -> TemporaryFolder {
    let temp = TemporaryFolder::new();
    temp.write("m.onnx", models::valid().encode_to_vec());
    temp.write(
        "e.onnx",
        bombs::external("w.bin", &[2, 3], 1).encode_to_vec(),
    );
    temp.write("w.bin", [0; 24]);
    let pixels: Vec<u8> = (0..80).map(|i| (i * 37 % 101) as u8).collect();
    for name in ["x.npy", "t.npy"] {
        temp.write(name, bombs::npy("|u1", "(40, 2)", &pixels));
    }
    for name in ["labels.txt", "t.txt"] {
        temp.write(name, "0\n1\n".repeat(20));
    }
    temp.write("pictures/labels.csv", "file,label\na.png,0\n");
    temp.write("pictures/a.png", bombs::png(2, 1));
    temp.write("linear.json", SPLITS);
    temp.write(
        "c.json",
        r#"{"rotation_ns": 1.0, "keyswitch_ns": 1.0, "client_s": 1.0}"#,
    );
    temp.succeed("import m.onnx --calibrate x.npy -o model");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let classifier = fs::read(golden.join("sklearn_mlp_2_zipped.onnx")).unwrap();
    temp.write("n.onnx", classifier);
    let features: Vec<u8> = (0..160).map(|i| (i * 37 % 101) as u8).collect();
    temp.write("n.npy", bombs::npy("|u1", "(40, 4)", &features));
    temp.succeed("import n.onnx --calibrate n.npy --labels labels.txt -o net");
    temp.succeed("sweep --splits linear.json --out r");
    temp
}

/// Waits for the end of a process, and ends one that hangs.
fn watch(mut child: Child, arguments: &str) -> Ran {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > LONGEST {
            child.kill().unwrap();
            panic!("{arguments}: hangs");
        }
        sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap().into()
}

/// Runs the program with little memory.
fn run(temp: &TemporaryFolder, arguments: &str) -> Ran {
    let mut command = Command::new("sh");
    let limited = format!("ulimit -v {MOST_KIB} && exec \"$0\" \"$@\"");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_splitbench")]);
    command.args(arguments.split_whitespace());
    command.current_dir(temp.path("")).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // Threads and what they allocate from reserve addresses.
    command.env("RAYON_NUM_THREADS", "1");
    command.env("MALLOC_ARENA_MAX", "1");
    watch(command.spawn().unwrap(), arguments)
}

/// Returns every name in the folder of a temp, and in `r` and `model`.
fn names(temp: &TemporaryFolder) -> Vec<String> {
    let of = |folder: &str| {
        let entries = fs::read_dir(temp.path(folder)).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| format!("{folder}/{name}")).collect()
    };
    let mut names: Vec<String> = ["", "r", "model"]
        .into_iter()
        .flat_map::<Vec<String>, _>(of)
        .collect();
    names.sort();
    names
}

/// Returns what is wrong with the way a command is refused: with code 3, in a last line that holds
/// these words, with nothing new left behind.
fn complaint(temp: &TemporaryFolder, arguments: &str, words: &[&str]) -> Option<String> {
    let before = names(temp);
    let ran = run(temp, arguments);
    let last = ran.stderr.lines().last().unwrap_or_default();
    let is_refused = ran.code == Some(3) && last.starts_with("splitbench: ");
    let has_words = words.iter().all(|word| last.contains(word));
    let after = names(temp);
    match (is_refused && has_words, after == before) {
        (true, true) => None,
        (true, false) => Some(format!("{arguments}: leaves {after:?}")),
        _ => Some(format!(
            "{arguments}: {:?} without {words:?}: {last}",
            ran.code
        )),
    }
}

/// A file, and a command that reads it.
const READ: [(&str, &str); 31] = [
    ("m.onnx", "import m.onnx --calibrate x.npy -o out"),
    ("w.bin", "import e.onnx --calibrate x.npy -o out"),
    ("x.npy", "import m.onnx --calibrate x.npy -o out"),
    (
        "labels.txt",
        "import m.onnx --calibrate x.npy --labels labels.txt -o out",
    ),
    (
        "t.npy",
        "import m.onnx --calibrate x.npy --test t.npy -o out",
    ),
    (
        "t.txt",
        "import m.onnx --calibrate x.npy --test x.npy --test-labels t.txt -o out",
    ),
    (
        "pictures/labels.csv",
        "import m.onnx --calibrate pictures -o out",
    ),
    (
        "pictures/labels.csv",
        "import m.onnx --calibrate x.npy --labels pictures -o out",
    ),
    (
        "pictures/a.png",
        "import m.onnx --calibrate pictures -o out",
    ),
    ("model/model.json", "list --model model"),
    ("model/weights.bin", "list --model model"),
    ("model/test-images.npy", "list --model model"),
    ("model/test-labels.npy", "list --model model"),
    (
        "net/calibration-images.npy",
        "params --model net --placement SSS",
    ),
    (
        "net/calibration-labels.npy",
        "params --model net --placement SSS",
    ),
    ("net/step-noise.json", "params --model net --placement SSS"),
    ("linear.json", "sweep --splits linear.json --out out"),
    ("c.json", "params --placement CCCCC --calibration c.json"),
    (
        "c.json",
        "choose r --client-calibration c.json --host-calibration c.json",
    ),
    ("r/log.jsonl", "sweep --splits linear.json --out r --resume"),
    ("r/log.jsonl", "merge r --out out"),
    ("r/.lock", "merge r --out out"),
    ("r/splits.csv", "choose r"),
    ("r/splits.csv", "plot r"),
    ("r/splits.csv", "report r"),
    ("r/splits.csv", "export r --format csv"),
    ("r/splits.csv", "compare r r"),
    ("r/samples.csv", "compare r r"),
    ("r/layers.csv", "report r"),
    ("r/environment.json", "report r"),
    ("r/environment.json", "compare r r"),
];

#[test]
fn what_is_no_regular_file_is_refused_wherever_it_is_read() {
    let temp = temp();
    let mut complaints = Vec::new();
    for (file, arguments) in READ {
        let path = temp.path(file);
        let aside = temp.path("aside");
        fs::rename(&path, &aside).unwrap_or_else(|error| panic!("{file}: {error}"));
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        complaints.extend(complaint(&temp, arguments, &[file, "no regular file"]));
        fs::remove_file(&path).unwrap();
        // What else never ends.
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let words = match file {
            "w.bin" => "links out of the model's folder",
            _ => "no regular file",
        };
        complaints.extend(complaint(&temp, arguments, &[file, words]));
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn much_that_comes_out_of_little_is_refused_before_it_is_held() {
    let temp = temp();
    let mut complaints = Vec::new();
    for bomb in bombs::all(&temp) {
        complaints.extend(complaint(&temp, &bomb.arguments, &bomb.words));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Pictures of the network's own size are stored once, however often they are listed.
#[test]
fn a_picture_may_be_listed_again() {
    let temp = temp();
    let list = "file,label\n".to_owned() + &"a.png,0\n./a.png,1\n".repeat(20);
    temp.write("pictures/labels.csv", list);
    temp.succeed("import m.onnx --calibrate pictures -o out");
    let images = fs::read(temp.path("out/test-images.npy")).unwrap();
    assert!(images.ends_with(&[b"\n".as_slice(), &[0; 80]].concat()));
}

#[test]
fn an_import_that_fails_leaves_folders_as_they_were() {
    let temp = temp();
    let mut complaints = Vec::new();
    temp.write("n.onnx", bombs::overflowing().encode_to_vec());
    for out in ["out", "a/b/out"] {
        let arguments = format!("import n.onnx --calibrate x.npy -o {out}");
        complaints.extend(complaint(&temp, &arguments, &["beyond all float32"]));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // What is there already stays as it is, and so does a file where a folder would be.
    let before = temp.files("model");
    for (out, code) in [("model", 2), ("x.npy", 2), ("x.npy/out", 6)] {
        let names_before = names(&temp);
        let ran = temp.run(&format!("import m.onnx --calibrate x.npy -o {out}"));
        assert_eq!(ran.code, Some(code), "{out}: {}", ran.stderr);
        assert_eq!(names(&temp), names_before, "{out}");
    }
    assert!(temp.files("model") == before);
}

#[test]
fn an_import_that_is_interrupted_leaves_a_whole_folder_or_none() {
    let temp = temp();
    let before = names(&temp);
    let mut codes = Vec::new();
    for signal in ["TERM", "INT"] {
        for milliseconds in (0..200).step_by(10) {
            let arguments = "import m.onnx --calibrate x.npy -o out";
            let mut command = temp.command(arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = command.spawn().unwrap();
            sleep(Duration::from_millis(milliseconds));
            let process = child.id().to_string();
            // It may have ended before.
            let _sent = Command::new("kill").args(["-s", signal, &process]).output();
            let ran = watch(child, arguments);
            codes.push(ran.code);
            if temp.path("out").exists() {
                temp.succeed("list --model out");
                fs::remove_dir_all(temp.path("out")).unwrap();
            }
            assert_eq!(names(&temp), before, "{signal} after {milliseconds} ms");
        }
    }
    // None: before the program listens for signals.
    let known = [None, Some(0), Some(130)];
    assert!(codes.iter().all(|code| known.contains(code)), "{codes:?}");
}

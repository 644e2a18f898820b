//! A folder to run the program in, and what tests ask of the files that it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use splitbench::record::log::line::{Chain, remains};
use tempfile::TempDir;

pub const TABLES: [&str; 5] = [
    "samples.csv",
    "splits.csv",
    "layers.csv",
    "exposure.csv",
    "stages.csv",
];

/// Columns that differ from run to run besides times and memory.
const MEASURED: [&str; 4] = ["environment", "calibration_drift", "noisy", "seconds"];

/// Splits without look-ups, milliseconds each, so that what strikes falls between them as well as in
/// them.
const LINEAR: &str = r#"{
    "name": "linear", "why": "Quick.", "model": "digits-mlp", "images": 2, "repeats": 2,
    "placements": ["CCC", "CCS", "SCC", "SCS"]
}"#;
/// Sweeps them.
pub const LINEAR_SWEEP: &str = "sweep --splits linear.json";

/// An empty folder to run the program in.
pub struct TemporaryFolder(TempDir);

pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl TemporaryFolder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Returns a folder with the split file of [`LINEAR_SWEEP`].
    pub fn linear() -> Self {
        let temp = Self::new();
        temp.write("linear.json", LINEAR);
        temp
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_splitbench"));
        command.args(arguments.split_whitespace());
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &str) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// Runs what must succeed.
    pub fn succeed(&self, arguments: &str) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments}: {}", ran.stderr);
        ran
    }

    /// Runs what must be refused with this code in one line that holds these words, and leave every
    /// file as it is.
    pub fn refuse(&self, code: i32, arguments: &str, words: &[&str]) {
        let before = self.files("");
        let Ran {
            code: found,
            stdout,
            stderr,
        } = self.run(arguments);
        assert_eq!(found, Some(code), "{arguments}: {stderr}");
        let is_one_line = stderr.starts_with("splitbench: ") && stderr.lines().count() == 1;
        assert!(is_one_line && stdout.is_empty(), "{stdout}{stderr}");
        for word in words {
            assert!(
                stderr.contains(word),
                "{arguments}: no {word:?} in {stderr}"
            );
        }
        assert!(self.files("") == before, "{arguments}: files changed");
    }

    pub fn read(&self, file: &str) -> String {
        String::from_utf8(fs::read(self.path(file)).unwrap()).unwrap()
    }

    pub fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Copies a folder without its subfolders.
    pub fn copy(&self, folder: &str, to: &str) {
        for entry in fs::read_dir(self.path(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_str().unwrap();
                self.write(&format!("{to}/{name}"), fs::read(&path).unwrap());
            }
        }
    }

    /// Returns every file below a folder of the temp, by its path.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.0.path()).unwrap();
                    files.insert(name.display().to_string(), fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    /// Returns the rows of a table, by column.
    pub fn rows(&self, table: &str) -> Vec<BTreeMap<String, String>> {
        let text = self.read(table);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows = reader.deserialize();
        rows.map(|row| row.unwrap()).collect()
    }

    /// Returns one column of a folder's `splits.csv`.
    pub fn column(&self, folder: &str, column: &str) -> Vec<String> {
        let rows = self.rows(&format!("{folder}/splits.csv")).into_iter();
        rows.map(|mut row| row.remove(column).unwrap()).collect()
    }

    /// Asserts that the tables of two folders are the same but for times, memory and the run.
    pub fn assert_same_rows(&self, folder: &str, expected: &str, what: &str) {
        // Which visit learns of a segment depends on which came first.
        for table in TABLES.iter().filter(|table| **table != "stages.csv") {
            let [found, expected] = [folder, expected].map(|folder| {
                let mut rows = self.rows(&format!("{folder}/{table}"));
                for row in &mut rows {
                    row.retain(|column, _| {
                        !(column.contains("_s_")
                            || column.ends_with("_s")
                            || column.ends_with("_rss_bytes")
                            || MEASURED.contains(&column.as_str())
                            // The noise of bootstraps decides what chosen inputs show exactly,
                            // in how many queries, and whether with fewer than the floor.
                            || column.starts_with("chosen_input_")
                            || column.starts_with("malicious_")
                            || column.starts_with("information_floor_")
                            || column.starts_with("exposed_"))
                    });
                }
                rows
            });
            assert_eq!(found, expected, "{table} of {folder}: {what}");
        }
    }

    /// Replaces a word in every line of a log and gives the lines their right checksums.
    pub fn rewrite_log(&self, folder: &str, word: &str, by: &str) {
        let log = self.read(&format!("{folder}/log.jsonl"));
        let mut chain = Chain::default();
        let lines = log.lines().map(|line| {
            let json = remains(line.as_bytes()).unwrap();
            chain.seal(&json.replace(word, by))
        });
        let rewritten: String = lines.collect();
        assert_ne!(rewritten, log, "{word} is in the log");
        self.write(&format!("{folder}/log.jsonl"), rewritten);
    }
}

/// Returns the processes that a process has started and that still run, where the system
/// tells: Linux does.
pub fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    let lists = tasks.into_iter().flatten().flatten().map(|task| {
        let list = fs::read_to_string(task.path().join("children"));
        list.unwrap_or_default()
    });
    let lists: Vec<String> = lists.collect();
    let ids = lists.iter().flat_map(|list| list.split_whitespace());
    ids.map(|id| id.parse().unwrap()).collect()
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

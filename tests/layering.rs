//! The table of ARCHITECTURE.md says what every file is, and a file imports only from its own row
//! and those above; one file alone opens others for reading.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that name everything.
const ROOTS: [&str; 2] = ["lib", "main"];

/// Returns the row of each name in the table.
fn rows(text: &str) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    let table = text.lines().filter(|line| line.starts_with("| `"));
    for (row, line) in table.enumerate() {
        let names = line.split('|').nth(1).expect("a cell");
        for name in names.split('`').filter(|name| !name.trim().is_empty()) {
            let name = name.trim_end_matches("/*").trim_end_matches('/');
            rows.entry(name.to_owned()).or_insert(row);
        }
    }
    rows
}

/// Returns the row of a module such as `fhe/noise`, or of the nearest one around it.
fn row_of(rows: &BTreeMap<String, usize>, module: &str) -> Option<usize> {
    let mut name = module;
    loop {
        if let Some(row) = rows.get(name) {
            return Some(*row);
        }
        name = name.rsplit_once('/')?.0;
    }
}

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => source_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Returns the lines of code outside comments and its tests, each with its number.
fn lines(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = code.split("#[cfg(test)]").next().expect("a first part");
    let lines = code.lines().zip(1..).map(|(line, number)| (number, line));
    lines.filter(|(_, line)| !line.trim().starts_with("//"))
}

/// Returns the modules that code names by `crate::`, outside comments and its tests.
fn named(code: &str) -> impl Iterator<Item = String> {
    let paths = lines(code).flat_map(|(_, line)| line.split("crate::").skip(1));
    paths.map(|path| {
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        path[..end.unwrap_or(path.len())].replace("::", "/")
    })
}

#[test]
fn files_import_only_from_their_own_row_and_those_above() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("the document");
    let rows = rows(&text);
    let top = |module: &str| module.split('/').next().unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    let mut imports = 0;
    for path in source_files(&root.join("src")) {
        let module = path.strip_prefix(root.join("src")).expect("a source");
        let module = module.with_extension("").to_string_lossy().into_owned();
        if ROOTS.contains(&module.as_str()) {
            continue;
        }
        let Some(row) = row_of(&rows, &module) else {
            wrong.push(format!("{module} is not in the table"));
            continue;
        };
        let code = fs::read_to_string(&path).expect("a source");
        for import in named(&code).filter(|import| top(import) != top(&module)) {
            imports += 1;
            if row_of(&rows, &import).is_some_and(|above| above > row) {
                wrong.push(format!("{module} imports {import}, which stands below it"));
            }
        }
    }
    assert!(imports > 500, "only {imports} imports were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the file that holds what a path such as `record/finished/Sample` names.
fn file_of(files: &BTreeMap<String, String>, path: &str) -> Option<String> {
    let mut name = path;
    while !files.contains_key(name) {
        name = name.rsplit_once('/')?.0;
    }
    Some(name.to_owned())
}

/// What a person reads after a sweep is made from rows and records, without a ciphertext in reach.
#[test]
fn records_and_whatever_reads_them_reach_no_encryption() {
    const READERS: [&str; 16] = [
        "record",
        "row",
        "log",
        "history",
        "drift",
        "results",
        "leftover",
        "columns",
        "scenario",
        "choose",
        "standing",
        "provenance",
        "compare",
        "plot",
        "report",
        "export",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: BTreeMap<String, String> = source_files(&root)
        .into_iter()
        .map(|path| {
            let module = path
                .strip_prefix(&root)
                .expect("a source")
                .with_extension("");
            let code = fs::read_to_string(&path).expect("a source");
            (module.to_string_lossy().into_owned(), code)
        })
        .collect();
    let is_reader = |file: &&String| READERS.contains(&file.split('/').next().unwrap_or_default());
    // Each file with the one that led there.
    let mut reached: BTreeMap<String, String> = BTreeMap::new();
    let mut left: Vec<String> = files.keys().filter(is_reader).cloned().collect();
    while let Some(file) = left.pop() {
        let folder = file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let above = lines(&files[&file]).flat_map(|(_, line)| line.split("super::").skip(1));
        let above = above.map(|path| {
            let end = path.find(|c: char| !c.is_alphanumeric() && c != '_');
            let name = &path[..end.unwrap_or(path.len())];
            folder
                .as_deref()
                .map_or(name.to_owned(), |folder| format!("{folder}/{name}"))
        });
        for path in named(&files[&file]).chain(above) {
            if let Some(next) = file_of(&files, &path)
                && !reached.contains_key(&next)
            {
                reached.insert(next.clone(), file.clone());
                left.push(next);
            }
        }
    }
    assert!(
        reached.contains_key("units") && reached.contains_key("model"),
        "{reached:?}"
    );
    for engine in ["fhe", "program", "session", "client", "server", "worker"] {
        let of_engine = |(file, _): &(&String, &String)| file.split('/').next() == Some(engine);
        let found = reached.iter().find(of_engine);
        assert_eq!(found, None, "what is reached, and from where");
    }
}

/// Whoever reads a file by other ways waits for ever on a named pipe, and may fill the memory.
#[test]
fn files_are_opened_for_reading_in_one_place_alone() {
    const OPENS: [&str; 8] = [
        "File::open(",
        "File::options(",
        "fs::read(",
        "fs::read_to_string(",
        "Reader::from_path(",
        ".read(true)",
        "rustix::fs",
        "image::open(",
    ];
    // Tests that lie in files of their own.
    const TESTS: [&str; 2] = ["tests.rs", "fixture.rs"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut of_the_place = 0;
    for path in source_files(&root) {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| TESTS.contains(&name)) {
            continue;
        }
        let code = fs::read_to_string(&path).expect("a source");
        let opens = |line: &str| OPENS.iter().any(|open| line.contains(open));
        for (number, line) in lines(&code).filter(|(_, line)| opens(line)) {
            match path == root.join("file.rs") {
                true => of_the_place += 1,
                false => wrong.push(format!("{}:{number}: {}", path.display(), line.trim())),
            }
        }
    }
    assert!(of_the_place > 2, "the place itself is found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

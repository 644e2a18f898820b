//! The table of ARCHITECTURE.md says what every file is, and a file imports only from its own row
//! and those above.

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

/// Returns the modules that code names by `crate::`, outside comments and its tests.
fn named(code: &str) -> impl Iterator<Item = String> {
    let code = code.split("#[cfg(test)]").next().expect("a first part");
    let lines = code.lines().filter(|line| !line.trim().starts_with("//"));
    let paths = lines.flat_map(|line| line.split("crate::").skip(1));
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

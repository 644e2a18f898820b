//! The house is as ARCHITECTURE.md says: rooms import from rooms above, files of a room not in
//! circles, and some things are named in one place alone.

#[path = "layering/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sources::Sources;

/// Rooms that are built and tested without encryption.
const WITHOUT_ENCRYPTION: [&str; 6] = ["core", "machine", "model", "record", "choose", "report"];

fn room(module: &str) -> &str {
    module.split('/').next().unwrap_or_default()
}

/// Returns the rooms in their order, and the names of each room's table.
fn architecture() -> (Vec<String>, BTreeMap<String, BTreeSet<String>>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(path).expect("the document");
    let mut rooms = Vec::new();
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut heading = None;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ").or(line.strip_prefix("### ")) {
            heading = Some(title.to_owned());
        }
        let Some(row) = line.strip_prefix("| `") else {
            continue;
        };
        let cell = row.split('|').next().expect("a cell");
        let names = cell.split('`').filter(|name| !name.trim().is_empty());
        match heading.as_deref() {
            Some("Where things are") => rooms.extend(names.map(str::to_owned)),
            Some(room) => {
                let of_room = files.entry(room.to_owned()).or_default();
                of_room.extend(names.map(|name| format!("{room}/{name}")));
            }
            None => {}
        }
    }
    (rooms, files)
}

#[test]
fn rooms_import_only_from_rooms_above() {
    let (rooms, _) = architecture();
    let row = |module: &str| rooms.iter().position(|name| name == room(module));
    let sources = Sources::read();
    let mut wrong = Vec::new();
    let mut imports = 0;
    for (module, imported) in sources.imports() {
        let Some(own) = row(module) else {
            wrong.push(format!("{module} is in no room"));
            continue;
        };
        for import in imported {
            imports += 1;
            if row(import).is_some_and(|above| above > own) {
                wrong.push(format!("{module} imports {import}, whose room is below"));
            }
        }
    }
    assert!(imports > 500, "only {imports} imports were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_is_named_in_its_rooms_table() {
    let (rooms, named) = architecture();
    let sources = Sources::read();
    let is_named = |module: &str| {
        let names = &named[room(module)];
        let folders = module.match_indices('/').skip(1);
        let mut folders = folders.map(|(at, _)| format!("{}/*", &module[..at]));
        names.contains(module) || folders.any(|folder| names.contains(&folder))
    };
    let modules = sources.iter().map(|(module, _)| module);
    let modules = modules.filter(|module| !rooms.iter().any(|room| room == module));
    let missing: Vec<&str> = modules.filter(|module| !is_named(module)).collect();
    assert!(missing.is_empty(), "not in a table: {missing:?}");
    let exists = |name: &&String| {
        let name = name.trim_end_matches("/*");
        sources.iter().any(|(module, _)| module.starts_with(name))
    };
    let gone: Vec<&String> = named
        .values()
        .flatten()
        .filter(|name| !exists(name))
        .collect();
    assert!(gone.is_empty(), "in a table, but no file: {gone:?}");
}

/// What a person reads after a sweep is made from rows and records, without a ciphertext in reach.
#[test]
fn records_and_whatever_reads_them_reach_no_encryption() {
    let (rooms, _) = architecture();
    let sources = Sources::read();
    let mut found = 0;
    for (module, imported) in sources.imports() {
        if WITHOUT_ENCRYPTION.contains(&room(module)) {
            found += 1;
            for import in imported {
                assert!(
                    WITHOUT_ENCRYPTION.contains(&room(import)),
                    "{module} imports {import}"
                );
            }
        }
    }
    assert!(found > 80, "only {found} files were found");
    assert_eq!(rooms[..6], WITHOUT_ENCRYPTION);
}

/// Returns the lines of code that name one of these words and do not lie in a file that may.
fn lines_that_name(words: &[&str], may: impl Fn(&str) -> bool) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let mut right = 0;
    for (module, code) in Sources::read().iter() {
        for (line, number) in code.lines().zip(1..) {
            if words.iter().any(|word| line.contains(word)) {
                match may(module) {
                    true => right += 1,
                    false => wrong.push(format!("src/{module}.rs:{number}: {}", line.trim())),
                }
            }
        }
    }
    (right, wrong)
}

#[test]
fn tfhe_is_named_in_one_room_alone() {
    let words = ["tfhe::", "tfhe_fft::", "tfhe_csprng::"];
    let (right, wrong) = lines_that_name(&words, |module| room(module) == "fhe");
    assert!(right > 20, "the room itself is found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
    let (right, wrong) = lines_that_name(&OPENS, |module| module == "machine/file");
    assert!(right > 2, "the place itself is found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

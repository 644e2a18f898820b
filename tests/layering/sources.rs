//! The source files of the crate and what they import, read without a compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Files that name everything.
const ROOTS: [&str; 2] = ["lib", "main"];
/// Names of files that hold tests alone.
const TESTS: [&str; 2] = ["tests", "fixture"];

/// Code by module, such as `fhe/noise`, without comments and tests.
pub struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Reads all files but the crate's roots and those of tests.
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let modules = paths(&root).into_iter().map(|path| {
            let code = fs::read_to_string(&path).expect("a source");
            let module = path.strip_prefix(&root).expect("a source");
            let module = module.with_extension("").to_string_lossy().into_owned();
            (module, without_tests(&code))
        });
        let is_code = |(module, _): &(String, String)| {
            let name = module.rsplit('/').next().unwrap_or_default();
            !ROOTS.contains(&module.as_str()) && !TESTS.contains(&name)
        };
        Self(modules.filter(is_code).collect())
    }

    /// Returns each module with its code.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let modules = self.0.iter();
        modules.map(|(module, code)| (module.as_str(), code.as_str()))
    }

    /// Returns the modules that each module imports.
    pub fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let of = |module: &str, code: &str| -> BTreeSet<&str> {
            let named = paths_named(module, code);
            let children = children_named(module, code);
            let files = named.into_iter().chain(children);
            let files = files.filter_map(|path| self.file_of(&path));
            files.filter(|file| *file != module).collect()
        };
        self.iter()
            .map(|(module, code)| (module, of(module, code)))
            .collect()
    }

    /// Returns the file that holds what a path such as `record/finished/Sample` names.
    fn file_of(&self, path: &str) -> Option<&str> {
        let mut name = path;
        loop {
            if let Some((file, _)) = self.0.get_key_value(name) {
                return Some(file);
            }
            name = name.rsplit_once('/')?.0;
        }
    }
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(paths(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Returns code up to its tests, comments left empty, so that lines keep their numbers.
fn without_tests(code: &str) -> String {
    let tests = code.find("#[cfg(test)]\nmod tests").unwrap_or(code.len());
    let lines = code[..tests].lines();
    let lines = lines.map(|line| {
        if line.trim_start().starts_with("//") {
            ""
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the paths that begin with `crate`, `super` or `self`, from the crate's root on.
fn paths_named(module: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let mut base: Vec<&str> = match start {
                "crate::" => Vec::new(),
                _ => module.split('/').collect(),
            };
            let mut rest = &code[at..];
            while let Some(above) = rest.strip_prefix("super::") {
                base.pop();
                rest = above;
            }
            let rest = rest
                .strip_prefix("crate::")
                .or(rest.strip_prefix("self::"))
                .unwrap_or(rest);
            expand(&base.join("/"), rest, &mut found);
        }
    }
    found
}

/// Adds the paths of `a::{b, c::d}` below a base.
fn expand(base: &str, path: &str, found: &mut Vec<String>) {
    let path = path.trim_start();
    if let Some(list) = path.strip_prefix('{') {
        let mut depth = 0;
        let mut start = 0;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                '}' => return expand(base, &list[start..at], found),
                ',' if depth == 0 => {
                    expand(base, &list[start..at], found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_');
    let (name, rest) = path.split_at(end.unwrap_or(path.len()));
    if name.is_empty() {
        // `a::*` is all of a.
        if path.starts_with('*') && !base.is_empty() {
            found.push(base.to_owned());
        }
        return;
    }
    let below = match base {
        "" => name.to_owned(),
        base => format!("{base}/{name}"),
    };
    match rest.strip_prefix("::") {
        Some(rest) => expand(&below, rest, found),
        None => found.push(below),
    }
}

/// Returns the modules that a file declares and whose items it names.
fn children_named(module: &str, code: &str) -> Vec<String> {
    let declared = code.lines().filter_map(|line| {
        let name = line.trim().strip_suffix(';')?;
        let (before, name) = name.rsplit_once("mod ")?;
        (before.is_empty() || before.starts_with("pub")).then_some(name)
    });
    let is_named = |name: &&str| {
        code.match_indices(&format!("{name}::")).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
        })
    };
    declared
        .filter(is_named)
        .map(|name| format!("{module}/{name}"))
        .collect()
}

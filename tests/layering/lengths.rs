//! How long files and functions are, in lines that are neither blank nor comment.

/// Returns the lines of code without its comments, as [`super::sources::Sources`] gives it.
pub fn of_file(code: &str) -> usize {
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Returns the functions of formatted code by name, each with its lines: a function ends with the
/// first brace that is indented as it is.
pub fn of_functions(code: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let functions = lines.iter().enumerate().filter_map(|(first, line)| {
        let name = name_of(line)?;
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let rest = &lines[first..];
        let last = rest.iter().position(|line| *line == end)?;
        let is_whole = line.trim_end().ends_with('}');
        let length = if is_whole {
            1
        } else {
            of_file(&rest[..=last].join("\n"))
        };
        Some((name, length))
    });
    functions.collect()
}

/// Returns the name of the function that a line begins.
fn name_of(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_declared = before.split_whitespace().all(|word| {
        let is_path = word.starts_with("crate") && word.ends_with(')');
        word.starts_with("pub") || is_path || matches!(word, "const" | "unsafe" | "async")
    });
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (is_declared && end > 0 && !line.trim_end().ends_with(';')).then_some(&after[..end])
}

//! The environment of a sweep as a table of what `environment.json` holds, but for the layers,
//! which the report draws.

use serde_json::Value;

use super::html::escape;

/// Entries of a list up to which it is written out.
const MOST_LISTED: usize = 16;

/// Returns the rows of the table, one for each figure.
pub(crate) fn environment(value: &Value) -> String {
    let mut rows = String::new();
    add(&mut rows, "", value);
    rows
}

fn add(rows: &mut String, name: &str, value: &Value) {
    let below = |inner: &str| match name {
        "" => inner.to_owned(),
        name => format!("{name}.{inner}"),
    };
    match value {
        Value::Object(fields) => {
            let is_drawn = |inner: &str| name.is_empty() && inner == "layers";
            for (inner, value) in fields.iter().filter(|(inner, _)| !is_drawn(inner)) {
                add(rows, &below(inner), value);
            }
        }
        Value::Array(list) if list.iter().all(is_plain) => {
            let words: Vec<String> = list.iter().take(MOST_LISTED).map(text).collect();
            let more = match list.len().saturating_sub(MOST_LISTED) {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            row(rows, name, &format!("{}{more}", words.join(", ")));
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                add(rows, &below(&(index + 1).to_string()), value);
            }
        }
        plain => row(rows, name, &text(plain)),
    }
}

fn is_plain(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "unknown".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn row(rows: &mut String, name: &str, text: &str) {
    // Long lists of words without spaces, CPU features say, may break at their commas.
    let text = escape(text).replace(',', ",<wbr>");
    rows.push_str(&format!(
        "<tr><th scope=\"row\">{}</th><td>{text}</td></tr>\n",
        escape(name)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_is_told_with_its_path() {
        let value =
            json!({ "machine": { "cpu": "a<b", "cores": null }, "placements": vec!["C"; 20] });
        let rows = environment(&value);
        assert_eq!(rows.lines().count(), 3);
        assert!(
            rows.contains("<th scope=\"row\">machine.cpu</th><td>a&lt;b</td>"),
            "{rows}"
        );
        assert!(
            rows.contains("unknown") && rows.contains("and 4 more"),
            "{rows}"
        );
    }
}

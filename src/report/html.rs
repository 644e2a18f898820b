//! Text, data and script in a page, so that nothing that came from a file can become markup.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::core::foreign::shown;

/// Returns text as it stands in an element or in a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in shown(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Returns JSON whose strings a page may show as they are, and that neither ends a script element nor
/// begins another or a comment in it: these letters occur in its strings alone, where an escape stands
/// for them.
pub(crate) fn json(value: &Value) -> String {
    let text = visible(value).to_string();
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' | '>' | '&' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Returns the value with its strings as a person may see them.
fn visible(value: &Value) -> Value {
    match value {
        Value::String(text) => shown(text).into(),
        Value::Array(list) => list.iter().map(visible).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (shown(name).into_owned(), visible(value)))
            .collect(),
        other => other.clone(),
    }
}

/// Fills the places `{{name}}` of a template, once: what is filled in is not looked at again.
pub(crate) fn fill(template: &str, content: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, (name, after))) = rest
        .split_once("{{")
        .and_then(|(before, inside)| Some((before, inside.split_once("}}")?)))
    {
        filled.push_str(before);
        filled.push_str(&content(name));
        rest = after;
    }
    filled + rest
}

/// Returns the source expression by which a content security policy allows this script and no
/// other (W3C, Content Security Policy Level 3, section 2.3.1).
pub(crate) fn script_hash(script: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(script.as_bytes())))
}

/// Base 64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            text.push(if place <= chunk.len() {
                char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::foreign::{EVIL, is_hidden};

    #[test]
    fn base_64_is_that_of_the_standard() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn escaped_json_says_the_same() {
        let value = Value::from("</script><!-- & \\u003c");
        let text = json(&value);
        assert!(!text.contains(['<', '>', '&']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn evil_names_are_shown_in_text_and_in_json() {
        for name in EVIL {
            let text = escape(name);
            assert!(
                !text.contains(is_hidden) && !text.contains(['<', '>', '"', '\'']),
                "{text}"
            );
            let text = json(&serde_json::json!({ name: [1, null, { "name": name }] }));
            assert!(
                !text.contains(is_hidden) && !text.contains(['<', '>', '&']),
                "{text}"
            );
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read[&*shown(name)][2]["name"], *shown(name));
        }
    }

    #[test]
    fn places_are_filled_once() {
        let filled = fill("a {{x}} b {{y}} c {{", |name| format!("[{name} {{{{x}}}}]"));
        assert_eq!(filled, "a [x {{x}}] b [y {{x}}] c {{");
    }

    #[test]
    fn escaped_text_has_no_markup() {
        assert_eq!(escape("<a b=\"'\">&"), "&lt;a b=&quot;&#39;&quot;&gt;&amp;");
    }
}

//! Text, data and script in a page, so that nothing that came from a file can become markup.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Returns text as it stands in an element or in a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Some readers end a line here.
            '\u{2028}' | '\u{2029}' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Returns JSON that neither ends a script element nor begins another or a comment in it: these
/// letters occur in its strings alone, where an escape stands for them.
pub(crate) fn json(value: &Value) -> String {
    let text = value.to_string();
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            other => escaped.push(other),
        }
    }
    escaped
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
            match place <= chunk.len() {
                true => text.push(char::from(
                    LETTERS[(bits >> (18 - 6 * place)) as usize & 63],
                )),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let value = Value::from("</script><!-- & \u{2028}\u{2029} \\u003c");
        let text = json(&value);
        assert!(
            !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
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

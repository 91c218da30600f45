//! Templates: text with `{PLACEHOLDERS}`, and the page that an HTML body stands in.

use std::borrow::Cow;

/// The page around a body; `{CONTENT}` is where it goes.
const PAGE: &str = include_str!("page.html");
/// Longer names are no placeholders: a prefix and a field's name, which has up to 100 bytes.
const NAME_BYTES_MAX: usize = 128;

/// Replaces each `{NAME}` for which `value_of(NAME)` has a value; others stay as they are. Names consist of ASCII
/// letters, digits, `_` and `:`.
///
/// Values go in as they are and are not looked at again, so that a value such as `{TOKEN}` shows as it was written.
pub fn fill<'v>(text: &str, value_of: impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let found = split_name(after).and_then(|(name, behind)| Some((value_of(name)?, behind)));
        match found {
            Some((value, behind)) => {
                out.push_str(&value);
                rest = behind;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The name that ends at a `}`, and what follows.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    let end = text
        .bytes()
        .take(NAME_BYTES_MAX + 1)
        .position(|byte| !allowed(byte))?;
    let (name, behind) = text.split_at_checked(end)?;
    Some((name, behind.strip_prefix('}')?))
}

/// A whole HTML document with the body in it, styled so that `<a class="btn">` shows as a button.
#[must_use]
pub fn page(body: &str) -> String {
    let (head, foot) = PAGE.split_once("{CONTENT}").unwrap_or((PAGE, ""));
    [head, body, foot].concat()
}

/// Escapes `&`, `<`, `>` and both quotes for HTML text and attributes.
#[must_use]
pub fn escape_html(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> String {
        fill(text, |name| match name {
            "APP_NAME" => Some("Acme".into()),
            "TOKEN" => Some("secret".into()),
            "RECORD:name" => Some("{TOKEN}".into()),
            _ => None,
        })
    }

    #[test]
    fn known_placeholders_are_replaced_and_others_stay() {
        for (text, expected) in [
            ("", ""),
            ("no placeholder", "no placeholder"),
            ("{APP_NAME}{APP_NAME}", "AcmeAcme"),
            ("a {APP_NAME} b", "a Acme b"),
            ("{RECORD:tokenKey}", "{RECORD:tokenKey}"),
            ("{app_name} {} {", "{app_name} {} {"),
            ("{{APP_NAME}}", "{Acme}"),
            (".a { color: red } {APP_NAME}", ".a { color: red } Acme"),
            ("{ü{TOKEN}", "{üsecret"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
    }

    #[test]
    fn values_are_not_filled_in_again() {
        assert_eq!(filled("{RECORD:name}-{TOKEN}"), "{TOKEN}-secret");
    }

    #[test]
    fn the_page_holds_the_body_once() {
        let page = page("<p>the body</p>");
        assert_eq!(page.matches("<p>the body</p>").count(), 1);
        assert!(page.starts_with("<!DOCTYPE html>"));
        assert!(page.trim_end().ends_with("</html>"));
        assert!(!page.contains("{CONTENT}"));
    }

    #[test]
    fn html_is_escaped_as_pocketbase_does() {
        assert_eq!(
            escape_html(r#"<a b="c">'&'"#),
            "&lt;a b=&#34;c&#34;&gt;&#39;&amp;&#39;"
        );
        assert!(matches!(escape_html("plain ü"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn text_without_known_names_stays(text in "[{}A-Za-z:_ ü]{0,60}") {
            prop_assert_eq!(fill(&text, |_| None), text);
        }

        #[test]
        fn every_known_name_is_replaced(parts in prop::collection::vec("[a-z }]{0,5}", 1..6)) {
            let text = parts.join("{TOKEN}");
            prop_assert_eq!(fill(&text, |_| Some("x".into())), parts.join("x"));
        }
    }
}

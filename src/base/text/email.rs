//! What PocketBase accepts as an e-mail address: RFC 5322's dot-atom or quoted string, `@`, and a domain with a dot,
//! with most of the Unicode basic plane allowed besides ASCII.

use std::sync::LazyLock;

use regex::Regex;

/// Whether a text has the form of an e-mail address. Does not ask whether the domain exists. An empty text has not.
pub fn is_email(text: &str) -> bool {
    // No domain holds an `@`; a quoted local part may.
    text.rsplit_once('@')
        .is_some_and(|(local, domain)| is_local_part(local) && is_mail_domain(domain))
}

fn is_beyond_ascii(char: char) -> bool {
    matches!(char, '\u{A0}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFEF}')
}

fn is_local_part(local: &str) -> bool {
    if local.contains('"') {
        return QUOTED.as_ref().is_some_and(|quoted| quoted.is_match(local));
    }
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atom_char))
}

fn is_atom_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(char) || is_beyond_ascii(char)
}

/// A quoted local part, in PocketBase's reading: a quote before each character or so, folding white space between, and a
/// quote at the end. So `"a"` passes and `"ab"` does not, other than in RFC 5322.
static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let beyond_ascii = r"\x{A0}-\x{D7FF}\x{F900}-\x{FDCF}\x{FDF0}-\x{FFEF}";
    let fold = r"(?: (?: [\x20\t]* \r\n )? [\x20\t]+ )?";
    let plain = r"\x01-\x08\x0b\x0c\x0e-\x1f\x21\x23-\x5b\x5d-\x7f";
    let escaped = r"\x01-\x09\x0b-\x7f";
    let quoted = format!(
        r#"(?x) ^ (?: " {fold} (?: [{plain}{beyond_ascii}] | \( [{escaped}] ) )* {fold} " $"#
    );
    Regex::new(&quoted).ok()
});

fn is_mail_domain(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let Some((labels, top)) = domain.rsplit_once('.') else {
        return false;
    };
    let inner = |char: char| char.is_ascii_alphanumeric() || is_beyond_ascii(char);
    let outer = |char: char| char.is_ascii_alphabetic() || is_beyond_ascii(char);
    labels.starts_with(inner)
        && labels.ends_with(inner)
        && labels
            .chars()
            .all(|char| inner(char) || "-._~".contains(char))
        && top.starts_with(outer)
        && top.ends_with(outer)
        && top.chars().all(|char| inner(char) || "-_~".contains(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for text in [
            "test@example.com",
            "a.b+c@sub.example.co",
            "a@b.c",
            "a@b.c.",
            "tést@exämple.com",
            "a@a..b.com",
            "a@1-_~x.c-m",
            "\"a\"@example.com",
            "\"a\"\r\n b\"@example.com",
            "\"(\"\"@\"@example.com",
            "a/b`{|}~@example.com",
        ] {
            assert!(is_email(text), "{text}");
        }
        assert!(QUOTED.is_some());
        for text in [
            "",
            "@",
            "a",
            "a@b",
            "a@.com",
            "a@b.",
            "a@b.1",
            "a@b.c1",
            "@b.com",
            ".a@b.com",
            "a.@b.com",
            "a..b@b.com",
            "a b@b.com",
            " a@b.com",
            "a@b.com ",
            "a@-b.com",
            "a@b_.com",
            "a@b@c.com",
            "\"ab\"@b.com",
            "\"\"@b.com",
            "a@[127.0.0.1]",
            "😀@b.com",
            "a\r\n@b.com",
        ] {
            assert!(!is_email(text), "{text}");
        }
    }
}

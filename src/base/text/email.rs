//! What PocketBase accepts as an e-mail address: RFC 5322's dot-atom or quoted string, `@`, and a domain with a dot,
//! with most of the Unicode basic plane allowed besides ASCII.

/// Whether a text has the form of an e-mail address. Does not ask whether the domain exists.
pub fn is_email(text: &str) -> bool {
    // No domain holds an `@`; a quoted local part may.
    text.rsplit_once('@')
        .is_some_and(|(local, domain)| is_local_part(local) && is_mail_domain(domain))
}

fn is_beyond_ascii(char: char) -> bool {
    matches!(char, '\u{A0}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFEF}')
}

fn is_local_part(local: &str) -> bool {
    let inner = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) => is_quoted_content(inner),
        None => local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_atom_char)),
    }
}

fn is_atom_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(char) || is_beyond_ascii(char)
}

/// The content of a quoted local part: characters and folding white space, where a `(` may stand before any character. A
/// set of states is followed, since the rule leaves several readings open until the end.
fn is_quoted_content(content: &str) -> bool {
    /// Between characters.
    const BETWEEN: u8 = 1;
    /// In white space that a line break may follow.
    const SPACE: u8 = 2;
    const CARRIAGE_RETURN: u8 = 4;
    const LINE_FEED: u8 = 8;
    /// In white space after a line break.
    const FOLDED: u8 = 16;
    const AFTER_PARENTHESIS: u8 = 32;
    const READY: u8 = BETWEEN | SPACE | FOLDED;

    let mut states = BETWEEN;
    for char in content.chars() {
        let mut next = 0;
        if matches!(char, ' ' | '\t') {
            if states & (BETWEEN | SPACE) != 0 {
                next |= SPACE;
            }
            if states & (LINE_FEED | FOLDED) != 0 {
                next |= FOLDED;
            }
        }
        if char == '\r' && states & (BETWEEN | SPACE) != 0 {
            next |= CARRIAGE_RETURN;
        }
        if char == '\n' && states & CARRIAGE_RETURN != 0 {
            next |= LINE_FEED;
        }
        if states & READY != 0 && is_quoted_char(char) {
            next |= BETWEEN;
            if char == '(' {
                next |= AFTER_PARENTHESIS;
            }
        }
        let any = matches!(char, '\u{1}'..='\u{9}' | '\u{B}'..='\u{7F}') || is_beyond_ascii(char);
        if states & AFTER_PARENTHESIS != 0 && any {
            next |= BETWEEN;
        }
        states = next;
    }
    states & READY != 0
}

fn is_quoted_char(char: char) -> bool {
    matches!(char, '\u{1}'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{7F}')
        || matches!(char, '!' | '#'..='[' | ']'..='~')
        || is_beyond_ascii(char)
}

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
            "\"quoted b@c\"@example.com",
            "\"a\r\n b\"@example.com",
            "\"a(\"b\"@example.com",
            "a/b`{|}~@example.com",
        ] {
            assert!(is_email(text), "{text}");
        }
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
            "\"a@b.com",
            "\"a\"b\"@b.com",
            "a@[127.0.0.1]",
            "😀@b.com",
            "a\r\n@b.com",
        ] {
            assert!(!is_email(text), "{text}");
        }
    }
}

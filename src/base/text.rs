//! Texts: sentences, identifiers, and what counts as an e-mail address, a URL or a domain.

mod email;
mod url;

pub use email::is_email;
pub use url::is_url;

/// Makes a sentence of a message: first letter upper case, a full stop at the end unless there is a `.`, `?` or `!`.
pub fn sentenize(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let mut out = String::with_capacity(text.len() + 1);
    match (first.to_uppercase().next(), first.to_uppercase().count()) {
        (Some(upper), 1) => out.push(upper),
        _ => out.push(first),
    }
    out.push_str(chars.as_str());
    if !out.ends_with(['.', '?', '!']) {
        out.push('.');
    }
    out
}

/// Whether a text names a column or table as is: letters, digits and `_`, the first no digit, and not empty.
pub fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Drops all characters that no column reference has: ASCII letters, digits and `_ . * - @ #` stay.
pub fn columnify(text: &str) -> String {
    let stays = |char: &char| {
        char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '*' | '-' | '@' | '#')
    };
    text.chars().filter(stays).collect()
}

/// Lower case words joined with `_`. Words end at anything but ASCII letters and digits, and before an upper case letter
/// that follows another character: `myTestDB` becomes `my_test_db`.
pub fn snakecase(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut previous = None;
    for char in text.chars() {
        if !char.is_ascii_alphanumeric() {
            previous = None;
            continue;
        }
        let starts_word = match previous {
            None => !out.is_empty(),
            Some(previous) => char.is_ascii_uppercase() && !char::is_ascii_uppercase(&previous),
        };
        if starts_word {
            out.push('_');
        }
        out.push(char.to_ascii_lowercase());
        previous = Some(char);
    }
    out
}

/// Whether a text is a domain name of at least two labels, such as `example.com`; IP addresses and `localhost` are none.
pub fn is_domain(text: &str) -> bool {
    let Some((labels, top)) = text.rsplit_once('.') else {
        return false;
    };
    let top_ok = text.len() <= 255
        && (1..=63).contains(&top.len())
        && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    top_ok && labels.split('.').all(is_domain_label)
}

/// Up to 63 letters, digits and hyphens, no hyphen at the ends. The last letter of a longer label must be lower case: an
/// oddity that PocketBase has.
fn is_domain_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    bytes.len() <= 63
        && first.is_ascii_alphanumeric()
        && (bytes.len() == 1 || last.is_ascii_lowercase() || last.is_ascii_digit())
        && bytes.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_start_upper_case_and_end_with_a_stop() {
        for (text, expected) in [
            ("", ""),
            ("  ", ""),
            (" hello world ", "Hello world."),
            ("Done!", "Done!"),
            ("why?", "Why?"),
            ("a.", "A."),
            ("éa", "Éa."),
            ("ßa", "ßa."),
        ] {
            assert_eq!(sentenize(text), expected);
        }
    }

    #[test]
    fn snake_case_splits_words_and_keeps_abbreviations() {
        for (text, expected) in [
            ("", ""),
            ("_", ""),
            ("!@#$%^", ""),
            ("...", ""),
            ("_ a_b", "a_b"),
            ("text", "text"),
            ("testText", "test_text"),
            ("myTestDB", "my_test_db"),
            ("ABBR", "abbr"),
            ("test1A2", "test1_a2"),
            ("-test-  Text_é1", "test_text_1"),
        ] {
            assert_eq!(snakecase(text), expected, "{text}");
        }
    }

    #[test]
    fn identifiers_and_columns() {
        assert!(is_identifier("_a1"));
        assert!(!is_identifier("1a"));
        assert!(!is_identifier("a-b"));
        assert!(!is_identifier(""));
        assert_eq!(columnify("a.b-c*@#_1 '\"é;`"), "a.b-c*@#_1");
    }

    #[test]
    fn domains_have_two_labels_and_an_alphabetic_end() {
        for text in ["example.com", "a.b", "sub-a.1x.example.museum", "A.com"] {
            assert!(is_domain(text), "{text}");
        }
        for text in [
            "",
            "localhost",
            "127.0.0.1",
            "a..b",
            ".com",
            "-a.com",
            "a-.com",
            "a_b.com",
            "a.com.",
            "xY.com",
        ] {
            assert!(!is_domain(text), "{text}");
        }
    }
}

//! Names for uploaded files, made of those the clients send.

use crate::base::id::{ID_ALPHABET, random_with_alphabet};
use crate::base::text::snakecase;

use super::mime;

/// Bytes of a client's name that are looked at, from its end.
const ORIGINAL_BYTES_MAX: usize = 300;
/// Bytes of an extension, with its dot.
const EXTENSION_BYTES_MAX: usize = 20;
const STEM_BYTES_MIN: usize = 3;
const STEM_BYTES_MAX: usize = 100;
const RANDOM_CHARS: usize = 10;

/// Makes the name under which an upload is stored: the snake-cased stem of the client's name, `_`, ten random characters
/// and the extension, as PocketBase does. `My photo.JPG` becomes `my_photo_k2v8d0x1aq.JPG`.
///
/// Stems under three bytes get ten more random characters. Without an extension, the content decides it. Double extensions
/// (`.tar.gz`) stay. The result has only ASCII letters, digits and `_ . * - + = #`, and at most 131 bytes.
pub fn normalize(original: &str, content_head: &[u8]) -> String {
    let original = last_bytes(original, ORIGINAL_BYTES_MAX);
    let dotted = extension(&original);
    let stem = original.strip_suffix(dotted).unwrap_or_default();

    let kept: String = dotted
        .chars()
        .filter(|char| is_extension_char(*char))
        .collect();
    let kept = kept.trim_matches('.');
    let mut extension = match kept {
        "" => mime::detect(content_head).extension().to_owned(),
        kept => format!(".{kept}"),
    };
    if extension.len() > EXTENSION_BYTES_MAX {
        let end = last_bytes(&extension, EXTENSION_BYTES_MAX);
        extension = format!(".{}", end.trim_matches('.'));
    }

    let mut stem = snakecase(stem.trim_matches('.'));
    if stem.len() < STEM_BYTES_MIN {
        stem.push_str(&random_with_alphabet(RANDOM_CHARS, ID_ALPHABET));
    }
    stem.truncate(STEM_BYTES_MAX);
    let random = random_with_alphabet(RANDOM_CHARS, ID_ALPHABET);
    format!("{stem}_{random}{extension}")
}

/// The last extension with its dot, or the last two (`.tar.gz`); empty when there is no dot.
fn extension(name: &str) -> &str {
    let Some(last) = name.rfind('.') else {
        return "";
    };
    let before = name.get(..last).unwrap_or_default();
    name.get(before.rfind('.').unwrap_or(last)..)
        .unwrap_or_default()
}

fn is_extension_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || "_.*-+=#".contains(char)
}

/// The last `max` bytes; a character that is cut through is dropped.
fn last_bytes(text: &str, max: usize) -> String {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The result with each run of ten random characters before the extension shown as `?`.
    fn shape(original: &str, content: &[u8]) -> String {
        let name = normalize(original, content);
        let dot = name.find('.').unwrap_or(name.len());
        let (stem, extension) = name.split_at(dot);
        let stem = stem.get(..stem.len() - 10).unwrap();
        format!("{stem}?{extension}")
    }

    #[test]
    fn names_keep_their_words_and_extension() {
        for (original, expected) in [
            ("My photo.JPG", "my_photo_?.JPG"),
            ("test.tar.gz", "test_?.tar.gz"),
            ("test.a.tar.gz", "test_a_?.tar.gz"),
            ("300 UhLkX91 hvb.png", "300_uh_lk_x91_hvb_?.png"),
            ("etc/my passwd.txt", "etc_my_passwd_?.txt"),
            (".hidden", "?.hidden"),
            ("...test...", "test_?"),
            ("test.!@ é#", "test_?.#"),
            ("été.png", "_t_?"),
            ("abc", "abc_?"),
        ] {
            let found = shape(original, b"\0");
            match original {
                // Short stems are filled up: only the end is certain.
                ".hidden" => assert!(found.ends_with("_?.hidden"), "{found}"),
                "été.png" => assert!(found.ends_with("_?.png"), "{found}"),
                _ => assert_eq!(found, expected, "{original}"),
            }
        }
    }

    #[test]
    fn the_content_decides_a_missing_extension() {
        assert_eq!(shape("some file", b"GIF89a"), "some_file_?.gif");
        assert_eq!(shape("some file", b"hello"), "some_file_?.txt");
        assert_eq!(
            shape("some file.é", b"\x89PNG\r\n\x1a\n"),
            "some_file_?.png"
        );
    }

    #[test]
    fn long_names_are_cut() {
        let name = normalize(&format!("{}.{}", "a".repeat(500), "b".repeat(30)), b"");
        assert_eq!(name.len(), 100 + 1 + 10 + 20 + 1);
        assert!(name.ends_with(&format!(".{}", "b".repeat(20))));
        let wide = normalize(&"é".repeat(500), b"x");
        assert!(wide.ends_with(".txt"), "{wide}");
    }

    proptest! {
        #[test]
        fn any_name_becomes_a_safe_one(original in "\\PC*", content: Vec<u8>) {
            let name = normalize(&original, &content);
            prop_assert!(name.len() <= 132);
            prop_assert!(name.chars().all(is_extension_char));
            prop_assert!(!name.starts_with('.') && !name.ends_with('.'));
            prop_assert!(!name.contains(".."), "{}", name);
            let key = format!("a/b/{name}");
            prop_assert!(super::super::key::check(&key).is_ok() || name.ends_with(".attrs"));
        }

        #[test]
        fn dotted_names_become_safe_ones(original in "[a-z./\\\\ é%]{0,40}") {
            let name = normalize(&original, b"");
            prop_assert!(!name.contains(".."), "{}", name);
            prop_assert!(!name.contains(['/', '\\']));
        }
    }
}

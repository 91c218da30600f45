//! Random identifiers and texts, all from the operating system seeded CSPRNG.

use rand::RngCore;

mod pattern;

pub use pattern::PatternError;

/// The alphabet of record ids.
pub const ID_ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
/// Characters of a record id.
pub const ID_CHARS: usize = 15;
const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A new record id: 15 characters of a-z and 0-9.
pub fn random_id() -> String {
    random_with_alphabet(ID_CHARS, ID_ALPHABET)
}

/// `len` characters of A-Z, a-z and 0-9.
pub fn random_string(len: usize) -> String {
    random_with_alphabet(len, ALPHANUMERIC)
}

/// `len` characters of `alphabet`, each equally likely; empty when the alphabet is.
pub fn random_with_alphabet(len: usize, alphabet: &str) -> String {
    if alphabet.is_ascii() {
        let alphabet = alphabet.as_bytes();
        return pick(len, alphabet.len())
            .filter_map(|index| alphabet.get(index).copied().map(char::from))
            .collect();
    }
    let alphabet: Vec<char> = alphabet.chars().collect();
    pick(len, alphabet.len())
        .filter_map(|index| alphabet.get(index).copied())
        .collect()
}

/// A random text that the pattern matches, for a text field's `autogeneratePattern`.
///
/// The subset PocketBase supports: literals, classes, `.`, groups, alternatives and repetitions; no anchors, flags or
/// look-around. An open repetition (`*`, `+`, `{n,}`) yields up to six, or its minimum.
pub fn random_by_regex(pattern: &str) -> Result<String, PatternError> {
    pattern::generate(pattern)
}

/// The decimal CRC-32 (IEEE) of a text: the number in PocketBase's generated collection and field ids.
pub fn crc32_decimal(text: &str) -> String {
    crc32fast::hash(text.as_bytes()).to_string()
}

/// `len` random indices below `below`. Takes random bytes in blocks and drops those that would favour small indices.
fn pick(len: usize, below: usize) -> impl Iterator<Item = usize> {
    const BLOCK: usize = 32;
    let mut rng = rand::rng();
    let mut block = [0u8; BLOCK];
    let mut used = BLOCK;
    let step = if below <= 256 { 1 } else { 4 };
    let len = if below == 0 { 0 } else { len };
    let below = below as u64;
    let range = if step == 1 { 1u64 << 8 } else { 1u64 << 32 };
    let fair = range - range.checked_rem(below).unwrap_or(0);
    std::iter::repeat_with(move || {
        loop {
            if used + step > BLOCK {
                rng.fill_bytes(&mut block);
                used = 0;
            }
            let bytes = block.iter().skip(used).take(step);
            let value = bytes.fold(0u64, |value, byte| value << 8 | u64::from(*byte));
            used += step;
            if value < fair {
                return (value % below) as usize;
            }
        }
    })
    .take(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_have_fifteen_lower_case_letters_or_digits_and_differ() {
        let ids: HashSet<String> = (0..1000).map(|_| random_id()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(id.len(), 15);
            assert!(
                id.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            );
        }
    }

    #[test]
    fn each_character_of_the_alphabet_comes_equally_often() {
        let text = random_with_alphabet(60_000, "abc");
        for letter in ["a", "b", "c"] {
            let count = text.matches(letter).count();
            assert!((19_000..21_000).contains(&count), "{letter}: {count}");
        }
    }

    #[test]
    fn alphabets_may_be_empty_or_beyond_ascii() {
        assert_eq!(random_with_alphabet(5, ""), "");
        assert_eq!(random_with_alphabet(2, "é"), "éé");
        assert_eq!(random_string(300).len(), 300);
        let wide: String = ('\u{4e00}'..'\u{5000}').collect();
        assert_eq!(random_with_alphabet(9, &wide).chars().count(), 9);
    }

    #[test]
    fn crc32_matches_the_ids_pocketbase_generates() {
        // `text3208210256` is the id of PocketBase's system field "id"; `pbc_3142635823` of _superusers.
        assert_eq!(crc32_decimal("id"), "3208210256");
        assert_eq!(crc32_decimal("auth_superusers"), "3142635823");
    }
}

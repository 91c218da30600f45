//! The `excerpt` modifier: a short plain text of HTML.

use super::FieldsError;
use super::outline::Outline;
use super::split;

/// Makes short plain texts of HTML, as PocketBase's `:excerpt(max,withEllipsis?)`.
///
/// Tags go, as do scripts, styles, images, forms and their like with all they contain; blocks become words of their own; white space
/// collapses. The text is what a browser's parser would find (WHATWG HTML, section 13.2), except that text which stands in a table
/// outside of its cells stays there, whereas the standard moves it before the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    chars_max: usize,
    ellipsis: bool,
}

impl Excerpt {
    /// Reads what follows the `:`.
    pub(super) fn parse(modifier: &str) -> Result<Excerpt, FieldsError> {
        let words = split::words(modifier)?;
        let (max, ellipsis) = match words.as_slice() {
            [] => return Err(FieldsError::EmptyModifier),
            ["excerpt", max] => (max, ""),
            ["excerpt", max, ellipsis] => (max, *ellipsis),
            ["excerpt", ..] => return Err(FieldsError::InvalidArguments),
            _ => return Err(FieldsError::UnknownModifier),
        };
        // A fraction is cut off.
        let max = max.split_once('.').map_or(*max, |(whole, _)| whole);
        match max.parse::<usize>() {
            Ok(chars_max) if chars_max > 0 => Ok(Excerpt {
                chars_max,
                ellipsis: matches!(ellipsis, "1" | "t" | "T" | "true" | "TRUE" | "True"),
            }),
            _ => Err(FieldsError::InvalidArguments),
        }
    }

    /// The excerpt of `html`.
    pub fn of(&self, html: &str) -> String {
        let text = Outline::new(html, self.chars_max).into_text();
        let text = text.trim();
        match text.char_indices().nth(self.chars_max) {
            None => text.to_owned(),
            Some((end, _)) => {
                let mut short = text.get(..end).unwrap_or_default().trim_end().to_owned();
                if self.ellipsis {
                    short.push_str("...");
                }
                short
            }
        }
    }
}

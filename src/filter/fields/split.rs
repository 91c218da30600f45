//! Cuts a text at separators, but not inside quotes and parentheses.

use super::FieldsError;

/// The fields of a `fields=` expression: parts between commas, trimmed, without empty ones.
pub(super) fn fields(text: &str) -> Result<Vec<&str>, FieldsError> {
    parts(text, &[','], true)
}

/// A modifier's name and arguments.
pub(super) fn words(text: &str) -> Result<Vec<&str>, FieldsError> {
    parts(text, &['(', ')', ',', ' '], false)
}

/// Quotes are `'`, `"` and `` ` ``, and stay in the parts; after a backslash neither a quote nor a parenthesis counts.
fn parts<'a>(
    text: &'a str,
    separators: &[char],
    parentheses: bool,
) -> Result<Vec<&'a str>, FieldsError> {
    let mut parts = Vec::new();
    let mut quote = None;
    let mut open = 0_usize;
    let mut escaped = false;
    let separates = |c: char| {
        if !escaped {
            match c {
                '(' if parentheses && quote.is_none() => open += 1,
                ')' if parentheses && quote.is_none() => open = open.saturating_sub(1),
                '\'' | '"' | '`' if quote == Some(c) => quote = None,
                '\'' | '"' | '`' if quote.is_none() => quote = Some(c),
                _ => {}
            }
        }
        escaped = c == '\\';
        open == 0 && quote.is_none() && separators.contains(&c)
    };
    for part in text.split(separates) {
        let part = part.trim();
        if !part.is_empty() {
            parts.push(part);
        }
    }
    if open > 0 || quote.is_some() {
        return Err(FieldsError::Unbalanced);
    }
    Ok(parts)
}

//! A coarse reader of SQL that users write: finds words, quotes, parentheses and comments, and knows no grammar.

/// What stands at one place of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name, keyword or number.
    Word(&'a str),
    /// A string or quoted name, with its quotes.
    Quoted(&'a str),
    /// Any other character.
    Symbol(char),
    /// White space and comments.
    Blank(&'a str),
}

/// The tokens of a statement with the byte offset of each. Ends early, with an error, at a quote or comment that is not
/// closed.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

/// The statement ends inside a quote, a comment or parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unbalanced;

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The token at the current offset, and its end.
    fn read(&self, rest: &'a str, first: char) -> Result<(Token<'a>, usize), Unbalanced> {
        let cut = |end: usize| rest.get(..end).unwrap_or(rest);
        match first {
            '\'' | '"' | '`' | '[' => {
                let end = quoted_end(rest, if first == '[' { ']' } else { first })?;
                Ok((Token::Quoted(cut(end)), end))
            }
            '-' if rest.starts_with("--") => {
                let end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
                Ok((Token::Blank(cut(end)), end))
            }
            '/' if rest.starts_with("/*") => {
                let end = rest.find("*/").ok_or(Unbalanced)? + 2;
                Ok((Token::Blank(cut(end)), end))
            }
            _ if first.is_whitespace() => {
                let end = rest
                    .find(|c: char| !c.is_whitespace())
                    .unwrap_or(rest.len());
                Ok((Token::Blank(cut(end)), end))
            }
            _ if is_word(first) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                Ok((Token::Word(cut(end)), end))
            }
            _ => Ok((Token::Symbol(first), first.len_utf8())),
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<(usize, Token<'a>), Unbalanced>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..)?;
        let first = rest.chars().next()?;
        let start = self.at;
        match self.read(rest, first) {
            Ok((token, length)) => {
                self.at += length;
                Some(Ok((start, token)))
            }
            Err(error) => {
                self.at = self.text.len();
                Some(Err(error))
            }
        }
    }
}

/// The length of a quoted text. A doubled quote stands for itself.
fn quoted_end(text: &str, quote: char) -> Result<usize, Unbalanced> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            match characters.peek() {
                Some((_, next)) if *next == quote && quote != ']' => {
                    characters.next();
                }
                _ => return Ok(at + quote.len_utf8()),
            }
        }
    }
    Err(Unbalanced)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$' | '@' | '#')
}

/// The parts between separators that stand outside quotes, parentheses and comments, trimmed, without empty ones.
pub(super) fn split(text: &str, separator: char) -> Result<Vec<&str>, Unbalanced> {
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for token in Tokens::new(text) {
        let (at, token) = token?;
        match token {
            Token::Symbol('(') => depth += 1,
            Token::Symbol(')') => depth = depth.checked_sub(1).ok_or(Unbalanced)?,
            Token::Symbol(symbol) if symbol == separator && depth == 0 => {
                parts.extend(text.get(start..at));
                start = at + separator.len_utf8();
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err(Unbalanced);
    }
    parts.extend(text.get(start..));
    for part in &mut parts {
        *part = part.trim();
    }
    parts.retain(|part| !part.is_empty());
    Ok(parts)
}

/// Whether a text of several statements has only one besides comments.
pub(super) fn is_one_statement(text: &str) -> Result<bool, Unbalanced> {
    let mut statements = 0;
    for part in split(text, ';')? {
        let mut tokens = Tokens::new(part);
        if tokens.any(|token| !matches!(token, Ok((_, Token::Blank(_))))) {
            statements += 1;
        }
    }
    Ok(statements == 1)
}

/// A name without its quotes.
pub(super) fn unquote(name: &str) -> &str {
    name.trim_matches(|c: char| matches!(c, '`' | '\'' | '"' | '[' | ']') || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn separators_inside_quotes_parentheses_and_comments_do_not_count() {
        assert_eq!(
            split(
                "a, f(b, c), 'd,''e', \"g,h\", [i,j] /* , */ , -- ,\n k",
                ','
            ),
            Ok(vec![
                "a",
                "f(b, c)",
                "'d,''e'",
                "\"g,h\"",
                "[i,j] /* , */",
                "-- ,\n k"
            ])
        );
        assert_eq!(split("a, (b", ','), Err(Unbalanced));
        assert_eq!(split("a) b", ','), Err(Unbalanced));
        assert_eq!(split("'a", ','), Err(Unbalanced));
    }

    #[test]
    fn a_second_statement_is_noticed() {
        assert_eq!(is_one_statement("SELECT ';' ; -- end\n"), Ok(true));
        assert_eq!(is_one_statement("SELECT 1; DROP TABLE x"), Ok(false));
        assert_eq!(is_one_statement(" ; "), Ok(false));
    }

    proptest! {
        #[test]
        fn tokens_cover_any_text(text in "\\PC*") {
            let mut end = 0;
            for token in Tokens::new(&text) {
                let Ok((at, token)) = token else { return Ok(()) };
                prop_assert_eq!(at, end);
                end += match token {
                    Token::Word(part) | Token::Quoted(part) | Token::Blank(part) => part.len(),
                    Token::Symbol(symbol) => symbol.len_utf8(),
                };
            }
            prop_assert_eq!(end, text.len());
        }

        #[test]
        fn splitting_never_panics(text in "[a-z,;()'\"`\\[\\]/*\\- \\n]*") {
            let _ = split(&text, ',');
            let _ = is_one_statement(&text);
        }
    }
}

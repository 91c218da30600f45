//! Texts as literal parts and the tokens of actions.

use super::Error;

/// What stands inside an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A keyword, function or constant.
    Word(String),
    /// `.name`
    Field(String),
    /// `$name`, `$` alone included.
    Variable(String),
    Text(String),
    Int(i64),
    Float(f64),
    Dot,
    Pipe,
    Open,
    Close,
    Comma,
    Declare,
    Assign,
    /// White space, which tells `.a .b` from `.a.b`.
    Space,
}

/// A part of a template's text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Literal(String),
    Action(Vec<Token>),
}

/// Splits a text. Markers `{{- ` and ` -}}` have taken the white space beside them.
///
/// # Errors
/// An action without end, and what no token begins with.
pub(super) fn split(text: &str) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut trims = false;
    loop {
        let (literal, after) = match rest.split_once("{{") {
            Some((literal, after)) => (literal, Some(after)),
            None => (rest, None),
        };
        let mut literal = if trims { literal.trim_start() } else { literal };
        let Some(mut after) = after else {
            push_literal(&mut parts, literal);
            return Ok(parts);
        };
        if let Some(inner) = after.strip_prefix('-')
            && inner.starts_with(char::is_whitespace)
        {
            literal = literal.trim_end();
            after = inner;
        }
        push_literal(&mut parts, literal);
        let start = after.trim_start();
        if let Some(comment) = start.strip_prefix("/*") {
            let (_, end) = comment
                .split_once("*/")
                .ok_or_else(|| Error::new("unclosed comment"))?;
            (rest, trims) =
                close(end).ok_or_else(|| Error::new("comment ends before closing delimiter"))?;
            continue;
        }
        let mut lexer = Lexer {
            rest: after,
            tokens: Vec::new(),
        };
        (rest, trims) = lexer.run()?;
        parts.push(Part::Action(lexer.tokens));
    }
}

fn push_literal(parts: &mut Vec<Part>, literal: &str) {
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.to_owned()));
    }
}

/// What follows the end of an action, and whether white space goes; nothing where there is no end.
fn close(text: &str) -> Option<(&str, bool)> {
    if let Some(rest) = text.strip_prefix("}}") {
        return Some((rest, false));
    }
    let trimmed = text.trim_start();
    if trimmed.len() < text.len()
        && let Some(rest) = trimmed.strip_prefix("-}}")
    {
        return Some((rest, true));
    }
    trimmed.strip_prefix("}}").map(|rest| (rest, false))
}

struct Lexer<'a> {
    rest: &'a str,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<(&'a str, bool), Error> {
        loop {
            if let Some(end) = close(self.rest) {
                return Ok(end);
            }
            let Some(first) = self.rest.chars().next() else {
                return Err(Error::new("unclosed action"));
            };
            let token = self.token(first)?;
            self.tokens.push(token);
        }
    }

    /// Takes so many bytes, which end at a character.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn token(&mut self, first: char) -> Result<Token, Error> {
        let second = self.rest.chars().nth(1);
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        Ok(match first {
            c if c.is_whitespace() => {
                self.take_while(char::is_whitespace);
                Token::Space
            }
            '|' => self.one(Token::Pipe),
            '(' => self.one(Token::Open),
            ')' => self.one(Token::Close),
            ',' => self.one(Token::Comma),
            '=' => self.one(Token::Assign),
            ':' if second == Some('=') => {
                self.take(2);
                Token::Declare
            }
            '$' => {
                self.take(1);
                Token::Variable(self.take_while(is_name).to_owned())
            }
            '.' if second.is_some_and(|c| c.is_alphabetic() || c == '_') => {
                self.take(1);
                Token::Field(self.take_while(is_name).to_owned())
            }
            '.' if !second.is_some_and(|c| c.is_ascii_digit()) => self.one(Token::Dot),
            '`' => {
                self.take(1);
                let end = self.rest.find('`');
                let text =
                    self.take(end.ok_or_else(|| Error::new("unterminated raw quoted string"))?);
                self.take(1);
                Token::Text(text.to_owned())
            }
            '"' => Token::Text(self.quoted('"')?),
            '\'' => {
                let text = self.quoted('\'')?;
                let code = text.chars().next().map_or(0, u32::from);
                Token::Int(code.into())
            }
            c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number()?,
            c if is_name(c) => Token::Word(self.take_while(is_name).to_owned()),
            c => return Err(Error::new(format!("unexpected {c:?} in command"))),
        })
    }

    fn one(&mut self, token: Token) -> Token {
        self.take(1);
        token
    }

    fn quoted(&mut self, quote: char) -> Result<String, Error> {
        self.take(1);
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.take(at + 1);
                    return Ok(text);
                }
                '\n' => break,
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(kind @ ('x' | 'u')) => {
                        let digits = if kind == 'x' { 2 } else { 4 };
                        let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                        text.push(code.ok_or_else(|| Error::new("invalid escape in a string"))?);
                    }
                    Some(other @ ('"' | '\'' | '\\')) => text.push(other),
                    _ => return Err(Error::new("invalid escape in a string")),
                },
                c => text.push(c),
            }
        }
        Err(Error::new("unterminated quoted string"))
    }

    fn number(&mut self) -> Result<Token, Error> {
        let sign = self.take(usize::from(self.rest.starts_with(['+', '-'])));
        let text = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
        let mut text = text.replace('_', "");
        // The sign of an exponent.
        if text.ends_with(['e', 'E'])
            && self.rest.starts_with(['+', '-'])
            && !text.starts_with("0x")
        {
            text.push_str(self.take(1));
            text.push_str(self.take_while(|c| c.is_ascii_digit()));
        }
        let signed = format!("{sign}{text}");
        let whole = match text.get(..2) {
            Some("0x" | "0X") => i64::from_str_radix(text.get(2..).unwrap_or_default(), 16).ok(),
            Some("0b" | "0B") => i64::from_str_radix(text.get(2..).unwrap_or_default(), 2).ok(),
            Some("0o" | "0O") => i64::from_str_radix(text.get(2..).unwrap_or_default(), 8).ok(),
            _ => signed.trim_start_matches('+').parse().ok(),
        };
        if let Some(whole) = whole {
            return Ok(Token::Int(whole));
        }
        let number: f64 = signed
            .parse()
            .map_err(|_| Error::new(format!("bad number syntax: {signed:?}")))?;
        Ok(Token::Float(number))
    }
}

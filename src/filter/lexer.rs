//! Cuts a filter into tokens.

use std::borrow::Cow;

use super::ast::{Op, Span, is_complete_path, is_path_byte, is_path_start};
use super::error::{ParseError, ParseErrorKind};

/// One token of a filter.
#[derive(Debug)]
pub(super) enum Token<'a> {
    /// The end of the text or group.
    End,
    /// A group; its content is the lexer's.
    Group(Lexer<'a>),
    And,
    Or,
    Operator {
        op: Op,
        any: bool,
    },
    Path(&'a str),
    /// A function's name with its `(`.
    Call(&'a str),
    Text(Cow<'a, str>),
    Number(f64),
    /// The name in `{:name}`.
    Placeholder(&'a str),
    Comma,
    /// A `)` that closes no group: it ends a call's arguments, or is stray.
    Close,
}

impl Token<'_> {
    /// For error messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Token::End => "end",
            Token::Group(_) => "group",
            Token::And => "&&",
            Token::Or => "||",
            Token::Operator { .. } => "operator",
            Token::Path(_) => "identifier",
            Token::Call(_) => "function call",
            Token::Text(_) => "text",
            Token::Number(_) => "number",
            Token::Placeholder(_) => "placeholder",
            Token::Comma => "comma",
            Token::Close => "closing parenthesis",
        }
    }
}

/// Reads tokens from the part `pos..end` of a text. Positions are those of the whole text.
///
/// All syntax is ASCII, so it works on bytes; every cut is next to an ASCII byte and hence between characters.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    end: usize,
    placeholders: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, placeholders: bool) -> Self {
        Lexer {
            text,
            pos: 0,
            end: text.len(),
            placeholders,
        }
    }

    /// The next token with its position; white space and comments are skipped. After the end there are more ends.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, Span), ParseError> {
        self.skip_space()?;
        let start = self.pos;
        let Some(first) = self.peek() else {
            return Ok((Token::End, Span::new(start, start)));
        };
        let token = match first {
            b'(' => self.group()?,
            b')' => self.single(Token::Close),
            b',' => self.single(Token::Comma),
            b'\'' | b'"' => self.quoted_text()?,
            b'-' | b'0'..=b'9' => self.number()?,
            b'=' | b'?' | b'!' | b'>' | b'<' | b'~' => self.operator()?,
            b'&' | b'|' => self.join()?,
            b'{' if self.placeholders => self.placeholder()?,
            _ if is_path_start(first) => self.path_or_call()?,
            _ => return Err(self.unexpected_character()),
        };
        Ok((token, Span::new(start, self.pos)))
    }

    fn peek(&self) -> Option<u8> {
        self.peek_after(0)
    }

    fn peek_after(&self, distance: usize) -> Option<u8> {
        let at = self.pos + distance;
        let byte = self.text.as_bytes().get(at).copied();
        byte.filter(|_| at < self.end)
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Reads on as long as the bytes fit.
    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a str {
        let start = self.pos;
        while self.peek().is_some_and(&fits) {
            self.pos += 1;
        }
        self.slice(start, self.pos)
    }

    fn single(&mut self, token: Token<'a>) -> Token<'a> {
        self.pos += 1;
        token
    }

    fn error(&self, start: usize, kind: ParseErrorKind) -> ParseError {
        let span = Span::new(start, self.pos);
        ParseError { span, kind }
    }

    fn unexpected_character(&self) -> ParseError {
        let rest = self.slice(self.pos, self.text.len());
        let found = rest.chars().next().unwrap_or_default();
        ParseError {
            span: Span::new(self.pos, self.pos + found.len_utf8()),
            kind: ParseErrorKind::UnexpectedCharacter(found),
        }
    }

    fn skip_space(&mut self) -> Result<(), ParseError> {
        loop {
            self.take_while(|b| matches!(b, b' ' | b'\t' | b'\n'));
            if self.peek() != Some(b'/') {
                return Ok(());
            }
            let start = self.pos;
            if self.peek_after(1) != Some(b'/') {
                self.pos += 1;
                return Err(self.error(start, ParseErrorKind::InvalidComment));
            }
            self.take_while(|b| !matches!(b, b'\n' | 0));
            // PocketBase ends a comment here, so what follows must not be taken for a comment.
            if self.peek() == Some(0) {
                return Err(self.unexpected_character());
            }
        }
    }

    /// The group's end is found as PocketBase finds it: it knows quotes, but no comments.
    fn group(&mut self) -> Result<Token<'a>, ParseError> {
        let open = self.pos;
        self.pos += 1;
        let inner = self.pos;
        let mut depth = 1_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'\'' | b'"' => {
                    self.skip_quoted()?;
                    continue;
                }
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            self.pos += 1;
            if depth == 0 {
                return Ok(Token::Group(Lexer {
                    pos: inner,
                    end: self.pos - 1,
                    ..self.clone()
                }));
            }
        }
        Err(self.error(open, ParseErrorKind::UnterminatedGroup))
    }

    /// Passes a quoted text and says whether it has escapes. NUL ends PocketBase's input, so no text contains it.
    fn skip_quoted(&mut self) -> Result<bool, ParseError> {
        let start = self.pos;
        let quote = self.peek();
        let mut escapes = false;
        self.pos += 1;
        while let Some(byte) = self.peek().filter(|byte| *byte != 0) {
            self.pos += 1;
            if Some(byte) == quote {
                return Ok(escapes);
            }
            if byte == b'\\' {
                escapes = true;
                if self.peek().is_some_and(|next| next != 0) {
                    self.pos += 1;
                }
            }
        }
        Err(self.error(start, ParseErrorKind::UnterminatedText))
    }

    fn quoted_text(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.pos;
        let escapes = self.skip_quoted()?;
        let content = self.slice(start + 1, self.pos - 1);
        Ok(Token::Text(if escapes {
            Cow::Owned(unescape(content))
        } else {
            Cow::Borrowed(content)
        }))
    }

    fn number(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.pos;
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        self.take_while(|b| b.is_ascii_digit());
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.take_while(|b| b.is_ascii_digit());
        }
        let literal = self.slice(start, self.pos);
        if !literal.ends_with(|last: char| last.is_ascii_digit()) {
            return Err(self.error(start, ParseErrorKind::InvalidNumber));
        }
        let value = literal.parse::<f64>().unwrap_or_default();
        Ok(Token::Number(if value.is_finite() { value } else { 0.0 }))
    }

    fn operator(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.pos;
        let run = self.take_while(|b| matches!(b, b'=' | b'?' | b'!' | b'>' | b'<' | b'~'));
        let (plain, any) = match run.strip_prefix('?') {
            Some(plain) => (plain, true),
            None => (run, false),
        };
        match Op::from_text(plain) {
            Some(op) => Ok(Token::Operator { op, any }),
            None => Err(self.error(start, ParseErrorKind::InvalidOperator)),
        }
    }

    fn join(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.pos;
        match self.take_while(|b| matches!(b, b'&' | b'|')) {
            "&&" => Ok(Token::And),
            "||" => Ok(Token::Or),
            _ => Err(self.error(start, ParseErrorKind::InvalidJoin)),
        }
    }

    /// Names are plain, so that quotes and parentheses in them cannot confuse the search for a group's end.
    fn placeholder(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.pos;
        self.pos += 1;
        if self.peek() == Some(b':') {
            self.pos += 1;
            let name =
                self.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
            if !name.is_empty() && self.peek() == Some(b'}') {
                self.pos += 1;
                return Ok(Token::Placeholder(name));
            }
        }
        Err(self.error(start, ParseErrorKind::InvalidPlaceholder))
    }

    fn path_or_call(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.pos;
        self.pos += 1;
        self.take_while(is_path_byte);
        let name = self.slice(start, self.pos);
        if !is_complete_path(name) {
            return Err(self.error(start, ParseErrorKind::InvalidIdentifier));
        }
        if self.peek() == Some(b'(') {
            self.pos += 1;
            return Ok(Token::Call(name));
        }
        Ok(Token::Path(name))
    }
}

/// Resolves `\n \t \r \\ \' \"`; before any other character a backslash is a backslash.
fn unescape(content: &str) -> String {
    let mut text = String::with_capacity(content.len());
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some(c @ ('\\' | '\'' | '"')) => text.push(c),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

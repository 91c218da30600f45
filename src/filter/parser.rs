//! Builds the tree from the tokens.

use super::ast::{Comparison, Expr, Op, Operand, OperandKind, Path, Span};
use super::error::{ParseError, ParseErrorKind};
use super::lexer::{Lexer, Token};
use super::limits::{FUNCTION_DEPTH_MAX, Limits};
use super::params::{Param, Params};

const OPERAND: &str = "an operand";
const OPERATOR: &str = "an operator";
const JOIN: &str = "&& or ||";

/// Reads a filter.
///
/// # Errors
///
/// When `text` is no filter, is empty, or goes beyond `limits`; the error says where.
pub fn parse(text: &str, limits: &Limits) -> Result<Expr, ParseError> {
    Parser::new(limits, None).run(text)
}

/// Reads a filter in which `{:name}` stands for an operand out of `params`.
///
/// A value becomes an operand of the tree and never filter text, whatever it contains; hence a placeholder stands for a whole operand only,
/// not for a part of a path or of a quoted text (there it stays as written). Names consist of ASCII letters, digits, `_`, `-` and `.`.
///
/// # Errors
///
/// As [`parse`]; and when `params` has no value for a placeholder, or an infinite one.
pub fn substitute(text: &str, params: &Params, limits: &Limits) -> Result<Expr, ParseError> {
    Parser::new(limits, Some(params)).run(text)
}

struct Parser<'p> {
    limits: &'p Limits,
    params: Option<&'p Params>,
    comparisons: usize,
}

impl<'p> Parser<'p> {
    fn new(limits: &'p Limits, params: Option<&'p Params>) -> Self {
        Parser {
            limits,
            params,
            comparisons: 0,
        }
    }

    fn run(mut self, text: &str) -> Result<Expr, ParseError> {
        let bytes_max = self.limits.bytes_max.min(u32::MAX as usize);
        if text.len() > bytes_max {
            let span = Span::new(bytes_max, text.len());
            return Err(fail(span, ParseErrorKind::TooLong));
        }
        self.group(Lexer::new(text, self.params.is_some()), 0)
    }

    /// Items with `&&` or `||` between them, up to the lexer's end.
    fn group(&mut self, mut lexer: Lexer<'_>, depth: usize) -> Result<Expr, ParseError> {
        let mut items = Items::default();
        let mut or = false;
        let (mut token, mut span) = lexer.next()?;
        if matches!(token, Token::End) {
            return Err(fail(span, ParseErrorKind::Empty));
        }
        loop {
            let item = match token {
                Token::Group(inner) => self.nested(inner, span, depth)?,
                other => self.comparison(other, span, &mut lexer)?,
            };
            items.push(item, or);

            (token, span) = lexer.next()?;
            match token {
                Token::End => return Ok(items.finish()),
                // Nothing between an item and a group: the last join holds again.
                Token::Group(_) => continue,
                Token::And => or = false,
                Token::Or => or = true,
                other => return Err(unexpected(&other, span, JOIN)),
            }
            (token, span) = lexer.next()?;
        }
    }

    fn nested(&mut self, inner: Lexer<'_>, span: Span, depth: usize) -> Result<Expr, ParseError> {
        if depth >= self.limits.depth_max {
            return Err(fail(span, ParseErrorKind::TooDeep));
        }
        self.group(inner, depth + 1)
    }

    fn comparison<'a>(
        &mut self,
        first: Token<'a>,
        span: Span,
        lexer: &mut Lexer<'a>,
    ) -> Result<Expr, ParseError> {
        let left = self.operand(first, span, lexer, 0)?;
        let (op, any) = operator(lexer)?;
        let (token, span) = lexer.next()?;
        let right = self.operand(token, span, lexer, 0)?;
        let span = Span {
            start: left.span.start,
            end: right.span.end,
        };
        if self.comparisons >= self.limits.comparisons_max {
            return Err(fail(span, ParseErrorKind::TooManyComparisons));
        }
        self.comparisons += 1;
        Ok(Expr::Compare(Comparison {
            left,
            op,
            any,
            right,
            span,
        }))
    }

    /// `calls` is the number of calls around the operand.
    fn operand<'a>(
        &self,
        token: Token<'a>,
        mut span: Span,
        lexer: &mut Lexer<'a>,
        calls: usize,
    ) -> Result<Operand, ParseError> {
        let kind = match token {
            Token::Path(name) => OperandKind::Path(Path::checked(name)),
            Token::Text(text) => OperandKind::Text(text.into_owned()),
            Token::Number(number) => OperandKind::Number(number),
            Token::Placeholder(name) => self.param(name, span)?,
            Token::Call(name) => {
                if calls >= FUNCTION_DEPTH_MAX {
                    return Err(fail(span, ParseErrorKind::CallsTooDeep));
                }
                let (args, end) = self.args(span, lexer, calls + 1)?;
                span.end = end;
                let name = name.to_owned();
                OperandKind::Call { name, args }
            }
            other => return Err(unexpected(&other, span, OPERAND)),
        };
        Ok(Operand { kind, span })
    }

    /// A call's arguments up to its `)`, and where that ends. As in PocketBase, a comma may follow the last one.
    fn args<'a>(
        &self,
        call: Span,
        lexer: &mut Lexer<'a>,
        calls: usize,
    ) -> Result<(Vec<Operand>, u32), ParseError> {
        let mut args = Vec::new();
        loop {
            let (token, span) = lexer.next()?;
            match token {
                Token::Close => return Ok((args, span.end)),
                Token::End => return Err(fail(call, ParseErrorKind::UnterminatedCall)),
                other => args.push(self.operand(other, span, lexer, calls)?),
            }
            let (token, span) = lexer.next()?;
            match token {
                Token::Close => return Ok((args, span.end)),
                Token::End => return Err(fail(call, ParseErrorKind::UnterminatedCall)),
                Token::Comma => {}
                other => return Err(unexpected(&other, span, "a comma")),
            }
        }
    }

    fn param(&self, name: &str, span: Span) -> Result<OperandKind, ParseError> {
        let Some(param) = self.params.and_then(|params| params.get(name)) else {
            return Err(fail(span, ParseErrorKind::UnknownPlaceholder));
        };
        Ok(match param {
            Param::Null => OperandKind::Path(Path::checked("null")),
            Param::Bool(true) => OperandKind::Path(Path::checked("true")),
            Param::Bool(false) => OperandKind::Path(Path::checked("false")),
            Param::Number(number) if number.is_finite() => OperandKind::Number(*number),
            Param::Number(_) => return Err(fail(span, ParseErrorKind::NotFinite)),
            Param::Text(text) if text.is_empty() => OperandKind::Text("\"\"".to_owned()),
            Param::Text(text) => OperandKind::Text(text.clone()),
        })
    }
}

fn operator(lexer: &mut Lexer<'_>) -> Result<(Op, bool), ParseError> {
    match lexer.next()? {
        (Token::Operator { op, any }, _) => Ok((op, any)),
        (other, span) => Err(unexpected(&other, span, OPERATOR)),
    }
}

fn fail(span: Span, kind: ParseErrorKind) -> ParseError {
    ParseError { span, kind }
}

fn unexpected(token: &Token<'_>, span: Span, expected: &'static str) -> ParseError {
    let kind = match token {
        Token::End => ParseErrorKind::Incomplete { expected },
        other => ParseErrorKind::UnexpectedToken {
            expected,
            found: other.name(),
        },
    };
    fail(span, kind)
}

/// A group's items: the terms of its `||`, the last of them still growing by `&&`.
#[derive(Default)]
struct Items {
    terms: Vec<Expr>,
    last: Vec<Expr>,
}

impl Items {
    fn push(&mut self, item: Expr, or: bool) {
        if or {
            self.end_term();
        }
        match item {
            Expr::And(items) => self.last.extend(items),
            other => self.last.push(other),
        }
    }

    fn end_term(&mut self) {
        match single_or(std::mem::take(&mut self.last), Expr::And) {
            Expr::Or(terms) => self.terms.extend(terms),
            term => self.terms.push(term),
        }
    }

    fn finish(mut self) -> Expr {
        self.end_term();
        single_or(self.terms, Expr::Or)
    }
}

/// The only item itself, or all of them under `many`.
fn single_or(mut items: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match items.pop() {
        Some(only) if items.is_empty() => only,
        Some(last) => {
            items.push(last);
            many(items)
        }
        None => many(items),
    }
}

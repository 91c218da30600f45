//! The syntax tree.

use super::macros::Macro;

/// Byte offsets in the source, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The parser refuses texts of more than `u32::MAX` bytes before it makes a span.
    pub(super) fn new(start: usize, end: usize) -> Self {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            start: offset(start),
            end: offset(end),
        }
    }
}

/// A filter. It prints as a text that parses to the same tree.
///
/// Groups are folded: an `And` has no `And` among its items, an `Or` no `Or`, and both have at least two. Items keep their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// All of them hold.
    And(Vec<Expr>),
    /// At least one of them holds.
    Or(Vec<Expr>),
    /// `left op right`.
    Compare(Comparison),
}

/// Two operands and the operator between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The operand before the operator.
    pub left: Operand,
    /// The operator, without its `?`.
    pub op: Op,
    /// The `?` form: of a multi-valued operand, one matching value is enough.
    pub any: bool,
    /// The operand after the operator.
    pub right: Operand,
    /// From the left operand's start to the right one's end.
    pub span: Span,
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `~`: contains, or matches the pattern when the right side has a `%`.
    Like,
    /// `!~`
    NotLike,
}

impl Op {
    /// The operator as written, without `?`.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Eq => "=",
            Op::Ne => "!=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Like => "~",
            Op::NotLike => "!~",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Op> {
        Some(match text {
            "=" => Op::Eq,
            "!=" => Op::Ne,
            ">" => Op::Gt,
            ">=" => Op::Ge,
            "<" => Op::Lt,
            "<=" => Op::Le,
            "~" => Op::Like,
            "!~" => Op::NotLike,
            _ => return None,
        })
    }
}

/// One side of a comparison, or an argument of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    /// What it is.
    pub kind: OperandKind,
    /// Where it stands.
    pub span: Span,
}

/// What an operand is.
#[derive(Debug, Clone, PartialEq)]
pub enum OperandKind {
    /// A quoted text, its escapes resolved.
    Text(String),
    /// Always finite. As in PocketBase, a number too large for 64-bit floats counts as 0.
    Number(f64),
    /// A field, a macro, or one of `null`, `true` and `false`.
    Path(Path),
    /// A function call; whether the function exists is for the reader of the tree to say.
    Call {
        /// The function's name as written; it has the form of a path.
        name: String,
        /// Its arguments, in order.
        args: Vec<Operand>,
    },
}

/// A dotted name such as `author.name`, `@request.body.tags:each`, `@collection.posts:p.title`, `@now` or `null`.
///
/// Letters are ASCII; it neither is empty nor ends with `.` or `:`, but may have empty segments inside (`a..b`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path(Box<str>);

impl Path {
    /// The path written as `text`, if `text` has the form of one.
    pub fn new(text: &str) -> Option<Path> {
        let mut bytes = text.bytes();
        let form = bytes.next().is_some_and(is_path_start)
            && bytes.all(is_path_byte)
            && is_complete_path(text);
        form.then(|| Path(text.into()))
    }

    /// For texts whose form the lexer has checked.
    pub(super) fn checked(text: &str) -> Path {
        Path(text.into())
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the dots, with their modifiers and aliases.
    pub fn segments(&self) -> std::str::Split<'_, char> {
        self.0.split('.')
    }

    /// What follows the `:` of the last segment, as `each` in `tags:each`; see [`split_modifier`].
    pub fn modifier(&self) -> Option<&str> {
        split_modifier(self.last_segment()).1
    }

    /// The path up to its modifier, as `a.tags` of `a.tags:each`.
    pub fn without_modifier(&self) -> &str {
        let text = self.as_str();
        self.modifier()
            .and_then(|modifier| text.strip_suffix(modifier)?.strip_suffix(':'))
            .unwrap_or(text)
    }

    fn last_segment(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }

    /// The literal that this path stands for when no field has its name. The letters' case does not matter.
    pub fn as_literal(&self) -> Option<Literal> {
        let is = |word| self.0.eq_ignore_ascii_case(word);
        if is("null") {
            Some(Literal::Null)
        } else if is("true") {
            Some(Literal::True)
        } else if is("false") {
            Some(Literal::False)
        } else {
            None
        }
    }

    /// The macro of this name, if there is one. The letters' case matters. A macro wins over a field.
    pub fn as_macro(&self) -> Option<Macro> {
        Macro::from_name(&self.0)
    }
}

/// A segment's name and modifier (or alias). As in PocketBase, only a segment with exactly one `:` has one.
pub fn split_modifier(segment: &str) -> (&str, Option<&str>) {
    match segment.split_once(':') {
        Some((name, modifier)) if !modifier.contains(':') => (name, Some(modifier)),
        _ => (segment, None),
    }
}

/// A word with a meaning of its own where no field has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
}

pub(super) fn is_path_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || matches!(b, b'@' | b'_' | b'#')
}

pub(super) fn is_path_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':')
}

/// Whether a run of path bytes can stand alone.
pub(super) fn is_complete_path(text: &str) -> bool {
    !text.ends_with(['.', ':']) && !matches!(text, "" | "@" | "_" | "#")
}

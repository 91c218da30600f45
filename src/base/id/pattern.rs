//! Random texts from a small regular expression subset.

use super::pick;

/// Bound on the generated text, in characters.
const OUTPUT_CHARS_MAX: usize = 5000;
/// Bound on a repetition's count, as in Go's regular expressions.
const REPEAT_MAX: usize = 1000;
/// What `*`, `+` and `{n,}` yield at most, unless the minimum is higher.
const OPEN_REPEAT_MAX: usize = 6;
const DEPTH_MAX: usize = 50;
const ALPHANUMERIC: [(char, char); 3] = [('0', '9'), ('A', 'Z'), ('a', 'z')];

/// Why no text could be made from a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The pattern is no regular expression. Holds the position in characters.
    #[error("the pattern is malformed at character {0}")]
    Malformed(usize),
    /// The pattern uses something no text is made from, such as an anchor. Holds the position in characters.
    #[error("the pattern uses an unsupported operator at character {0}")]
    Unsupported(usize),
    /// The texts would be too long.
    #[error("the pattern makes texts that are too long")]
    TooLong,
}

enum Node {
    Char(char),
    Class(Vec<(char, char)>),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: usize,
        max: usize,
    },
}

pub(super) fn generate(pattern: &str) -> Result<String, PatternError> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut parser = Parser {
        chars: &chars,
        at: 0,
        depth: 0,
    };
    let node = parser.choice()?;
    if parser.at < chars.len() {
        return Err(PatternError::Malformed(parser.at));
    }
    let mut out = String::new();
    let mut budget = OUTPUT_CHARS_MAX;
    write(&node, &mut out, &mut budget)?;
    Ok(out)
}

/// `budget` counts steps as well as characters, so that repetitions of nothing end too.
fn write(node: &Node, out: &mut String, budget: &mut usize) -> Result<(), PatternError> {
    *budget = budget.checked_sub(1).ok_or(PatternError::TooLong)?;
    match node {
        Node::Char(char) => out.push(*char),
        Node::Class(ranges) => out.extend(char_of(ranges)),
        Node::Sequence(nodes) => {
            for node in nodes {
                write(node, out, budget)?;
            }
        }
        Node::Choice(nodes) => {
            if let Some(node) = nodes.get(below(nodes.len())) {
                write(node, out, budget)?;
            }
        }
        Node::Repeat { node, min, max } => {
            for _ in 0..min + below(max - min + 1) {
                write(node, out, budget)?;
            }
        }
    }
    Ok(())
}

fn below(count: usize) -> usize {
    pick(1, count).next().unwrap_or(0)
}

fn char_of(ranges: &[(char, char)]) -> Option<char> {
    let size = |range: &(char, char)| range.1 as usize - range.0 as usize + 1;
    let mut index = below(ranges.iter().map(size).sum());
    for range in ranges {
        if index < size(range) {
            let code = u32::try_from(range.0 as usize + index).ok()?;
            // Ranges across the surrogates hold code points that are no characters.
            return char::from_u32(code).or(Some(range.0));
        }
        index -= size(range);
    }
    None
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Result<char, PatternError> {
        let char = self.peek().ok_or(PatternError::Malformed(self.at))?;
        self.at += 1;
        Ok(char)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text
            .chars()
            .enumerate()
            .all(|(offset, char)| self.chars.get(self.at + offset) == Some(&char));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn choice(&mut self) -> Result<Node, PatternError> {
        let mut choices = vec![self.sequence()?];
        while self.eat("|") {
            choices.push(self.sequence()?);
        }
        Ok(match choices.pop() {
            Some(only) if choices.is_empty() => only,
            last => {
                choices.extend(last);
                Node::Choice(choices)
            }
        })
    }

    fn sequence(&mut self) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        while let Some(char) = self.peek().filter(|char| !matches!(char, '|' | ')')) {
            let start = self.at;
            let node = match char {
                '(' => self.group()?,
                '[' => self.class()?,
                '.' => {
                    self.at += 1;
                    Node::Class(ALPHANUMERIC.to_vec())
                }
                '^' | '$' => return Err(PatternError::Unsupported(start)),
                '*' | '+' | '?' => return Err(PatternError::Malformed(start)),
                '\\' => match self.escape()? {
                    Escape::Char(char) => Node::Char(char),
                    Escape::Class(ranges) => Node::Class(ranges),
                },
                char => {
                    self.at += 1;
                    Node::Char(char)
                }
            };
            nodes.push(self.repeated(node)?);
        }
        if nodes.is_empty() {
            return Err(PatternError::Unsupported(self.at));
        }
        Ok(Node::Sequence(nodes))
    }

    fn group(&mut self) -> Result<Node, PatternError> {
        let start = self.at;
        self.at += 1;
        if self.eat("?P<") || self.eat("?<") {
            while self.next()? != '>' {}
        } else if self.eat("?") && !self.eat(":") {
            return Err(PatternError::Unsupported(start));
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(PatternError::Malformed(start));
        }
        let node = self.choice()?;
        self.depth -= 1;
        if !self.eat(")") {
            return Err(PatternError::Malformed(self.at));
        }
        Ok(node)
    }

    fn repeated(&mut self, node: Node) -> Result<Node, PatternError> {
        let start = self.at;
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts()? {
                Some(counts) => counts,
                None => return Ok(node),
            },
            _ => return Ok(node),
        };
        // Over the operator, or the brace that ends the counts.
        self.at += 1;
        self.eat("?");
        if self
            .peek()
            .is_some_and(|char| matches!(char, '*' | '+' | '?'))
        {
            return Err(PatternError::Malformed(self.at));
        }
        let max = max.unwrap_or(OPEN_REPEAT_MAX.max(min));
        if max < min || max > REPEAT_MAX {
            return Err(PatternError::Malformed(start));
        }
        let node = Box::new(node);
        Ok(Node::Repeat { node, min, max })
    }

    /// `{n}`, `{n,}` or `{n,m}`, up to the closing brace; nothing when the brace is a literal.
    fn counts(&mut self) -> Result<Option<(usize, Option<usize>)>, PatternError> {
        let start = self.at;
        self.at += 1;
        let min = self.number();
        let max = if self.eat(",") { self.number() } else { min };
        let open = max.is_none();
        match (min, self.peek()) {
            (Some(min), Some('}')) => Ok(Some((min, if open { None } else { max }))),
            _ => {
                self.at = start;
                Ok(None)
            }
        }
    }

    fn number(&mut self) -> Option<usize> {
        let mut value = None;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(10)) {
            let grown = value.unwrap_or(0usize) * 10 + digit as usize;
            value = Some(grown.min(REPEAT_MAX + 1));
            self.at += 1;
        }
        value
    }

    fn escape(&mut self) -> Result<Escape, PatternError> {
        let start = self.at;
        self.at += 1;
        let class = |ranges: &[(char, char)]| Ok(Escape::Class(ranges.to_vec()));
        match self.next()? {
            'd' => class(&[('0', '9')]),
            'w' => class(&WORD),
            's' => class(&SPACE),
            'D' => Ok(Escape::Class(negated(&[('0', '9')]))),
            'W' => Ok(Escape::Class(negated(&WORD))),
            'S' => Ok(Escape::Class(negated(&SPACE))),
            't' => Ok(Escape::Char('\t')),
            'n' => Ok(Escape::Char('\n')),
            'r' => Ok(Escape::Char('\r')),
            'f' => Ok(Escape::Char('\u{c}')),
            'v' => Ok(Escape::Char('\u{b}')),
            'a' => Ok(Escape::Char('\u{7}')),
            'x' => self.hex(start).map(Escape::Char),
            char if char.is_ascii_alphanumeric() => Err(PatternError::Unsupported(start)),
            char => Ok(Escape::Char(char)),
        }
    }

    /// `\x41` or `\x{1F600}`, after the `x`.
    fn hex(&mut self, start: usize) -> Result<char, PatternError> {
        let braced = self.eat("{");
        let mut code = 0u32;
        let mut digits = 0;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(16)) {
            if digits == if braced { 6 } else { 2 } {
                break;
            }
            code = code * 16 + digit;
            digits += 1;
            self.at += 1;
        }
        let closed = if braced { self.eat("}") } else { digits == 2 };
        char::from_u32(code)
            .filter(|_| closed && digits > 0)
            .ok_or(PatternError::Malformed(start))
    }

    fn class(&mut self) -> Result<Node, PatternError> {
        let start = self.at;
        self.at += 1;
        let negate = self.eat("^");
        let mut ranges = Vec::new();
        let mut first = true;
        while first || self.peek() != Some(']') {
            first = false;
            if self.eat("[:") {
                ranges.extend_from_slice(self.posix_class(start)?);
                continue;
            }
            let low = match self.class_char()? {
                Escape::Class(more) => {
                    ranges.extend(more);
                    continue;
                }
                Escape::Char(low) => low,
            };
            let ranged = self.peek() == Some('-')
                && self.chars.get(self.at + 1).is_some_and(|char| *char != ']');
            if !ranged {
                ranges.push((low, low));
                continue;
            }
            self.at += 1;
            match self.class_char()? {
                Escape::Char(high) if low <= high => ranges.push((low, high)),
                _ => return Err(PatternError::Malformed(self.at)),
            }
        }
        self.at += 1;
        let ranges = if negate {
            negated(&ranges)
        } else {
            merged(ranges)
        };
        if ranges.is_empty() {
            return Err(PatternError::Unsupported(start));
        }
        Ok(Node::Class(ranges))
    }

    fn class_char(&mut self) -> Result<Escape, PatternError> {
        match self.peek() {
            Some('\\') => self.escape(),
            _ => self.next().map(Escape::Char),
        }
    }

    fn posix_class(&mut self, start: usize) -> Result<&'static [(char, char)], PatternError> {
        for (name, ranges) in POSIX {
            if self.eat(name) {
                return Ok(ranges);
            }
        }
        Err(PatternError::Malformed(start))
    }
}

enum Escape {
    Char(char),
    Class(Vec<(char, char)>),
}

const WORD: [(char, char); 4] = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const SPACE: [(char, char); 3] = [('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')];
const POSIX: [(&str, &[(char, char)]); 8] = [
    ("alnum:]", &ALPHANUMERIC),
    ("alpha:]", &[('A', 'Z'), ('a', 'z')]),
    ("digit:]", &[('0', '9')]),
    ("lower:]", &[('a', 'z')]),
    ("upper:]", &[('A', 'Z')]),
    ("word:]", &WORD),
    ("xdigit:]", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
    ("punct:]", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
];

/// Sorted, without overlaps, so that each character is equally likely.
fn merged(mut ranges: Vec<(char, char)>) -> Vec<(char, char)> {
    ranges.sort_unstable();
    let mut result: Vec<(char, char)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match result.last_mut() {
            Some(last) if low <= last.1 => last.1 = last.1.max(high),
            _ => result.push((low, high)),
        }
    }
    result
}

/// Printable ASCII outside `ranges`: all of Unicode would match too, but nobody wants ids of it.
fn negated(ranges: &[(char, char)]) -> Vec<(char, char)> {
    (' '..='~')
        .filter(|char| !ranges.iter().any(|(low, high)| low <= char && char <= high))
        .map(|char| (char, char))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn generated_texts_match_their_pattern() {
        for pattern in [
            "[a-z0-9]{15}",
            "[a-zA-Z0-9_]+",
            "test",
            "user_[0-9]{3,}",
            "(abc|def){2}-x?",
            "(?:a|b)*c+?",
            "(?P<name>[A-F]{4})",
            r"\d\w\s\D\W\S",
            r"a\.b\x41\x{e9}\t",
            "[^a-z]{5}",
            "[]x-]{3}",
            "[[:alpha:][:digit:]]{9}",
            ".{7}",
            "a{,3}",
            r"[\w\-.]{20}",
        ] {
            let whole = format!("^(?:{})$", pattern.replace("a{,3}", r"a\{,3\}"));
            let whole = regex::Regex::new(&whole).unwrap();
            for _ in 0..50 {
                let text = generate(pattern).unwrap();
                assert!(whole.is_match(&text), "{pattern} made {text:?}");
            }
        }
    }

    #[test]
    fn open_repetitions_stay_short() {
        for _ in 0..200 {
            assert!(generate("a*").unwrap().len() <= OPEN_REPEAT_MAX);
            assert_eq!(generate("a{9,}").unwrap().len(), 9);
        }
    }

    #[test]
    fn unsupported_and_malformed_patterns_are_errors() {
        for pattern in ["^a", "a$", r"\ba", "(?i)a", "", "a|", "()", r"\pL"] {
            assert!(
                matches!(generate(pattern), Err(PatternError::Unsupported(_))),
                "{pattern}"
            );
        }
        for pattern in [
            "*", "(a", "a)", "[a", "[z-a]", "a{2,1}", "a{1001}", "a**", r"\",
        ] {
            assert!(
                matches!(generate(pattern), Err(PatternError::Malformed(_))),
                "{pattern}"
            );
        }
        assert_eq!(generate("(a{1000}){1000}"), Err(PatternError::TooLong));
        assert!(generate(&"(".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_pattern_is_generated_or_refused_without_a_panic(pattern in r"[a-c\[\](){}|*+?^$.,\-\\0-9dwx:]{0,20}") {
            let _ = generate(&pattern);
        }
    }
}

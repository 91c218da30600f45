//! What a SELECT takes from where, read from its text.
//!
//! No SQL parser: it finds the columns between SELECT and FROM and the tables behind FROM and JOIN of the outermost query.
//! What it does not understand has no field to copy, which is always safe.

use crate::store::scan::{self, Token, Tokens};

/// A SELECT as far as it is understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Select {
    pub(super) columns: Vec<Item>,
    pub(super) tables: Vec<Item>,
}

/// A column or table: a name (`a`, `t.a`) without quotes or an expression, and the name it goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) original: String,
    pub(super) alias: String,
}

/// Where in the statement a token stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Before,
    Columns,
    Tables,
    /// A join's condition.
    Condition,
    After,
}

/// Words that end the tables.
const ENDS: [&str; 10] = [
    "where",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "union",
    "except",
    "intersect",
    "offset",
];

/// Words in front of JOIN.
const JOINS: [&str; 7] = [
    "natural", "left", "right", "full", "inner", "cross", "outer",
];

impl Select {
    /// Reads a single SELECT; `None` when there is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut select = Self::default();
        let mut part = Part::Before;
        let mut item: Vec<Token<'_>> = Vec::new();
        let mut depth = 0_usize;
        for token in Tokens::new(text) {
            let (_, token) = token.ok()?;
            match token {
                Token::Blank(_) => {
                    // One blank keeps words of an expression apart.
                    if !matches!(item.last(), None | Some(Token::Blank(_))) {
                        item.push(Token::Blank(" "));
                    }
                    continue;
                }
                Token::Symbol('(') => depth += 1,
                Token::Symbol(')') => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                let next = next_part(part, token);
                if next.is_some() || token == Token::Symbol(',') {
                    select.push(part, &mut item);
                    part = next.unwrap_or(match part {
                        Part::Condition => Part::Tables,
                        other => other,
                    });
                    continue;
                }
                if part == Part::Columns && item.is_empty() && is_word(token, "distinct") {
                    continue;
                }
            }
            if part == Part::After {
                break;
            }
            item.push(token);
        }
        select.push(part, &mut item);
        (part != Part::Before && depth == 0).then_some(select)
    }

    fn push(&mut self, part: Part, item: &mut Vec<Token<'_>>) {
        let tokens = std::mem::take(item);
        match part {
            Part::Columns => self.columns.extend(Item::read(&tokens)),
            Part::Tables => self.tables.extend(Item::read(&tokens)),
            Part::Before | Part::Condition | Part::After => {}
        }
    }
}

/// The part that begins with a word outside parentheses, if it begins one.
fn next_part(part: Part, token: Token<'_>) -> Option<Part> {
    let Token::Word(word) = token else {
        return None;
    };
    let word = word.to_ascii_lowercase();
    let word = word.as_str();
    match part {
        Part::Before => (word == "select").then_some(Part::Columns),
        Part::Columns if word == "from" => Some(Part::Tables),
        Part::Tables | Part::Condition if word == "join" || JOINS.contains(&word) => {
            Some(Part::Tables)
        }
        Part::Tables if matches!(word, "on" | "using") => Some(Part::Condition),
        Part::Columns | Part::Tables | Part::Condition if ENDS.contains(&word) => Some(Part::After),
        _ => None,
    }
}

impl Item {
    /// Reads `original [[AS] alias]`.
    fn read(tokens: &[Token<'_>]) -> Option<Self> {
        let solid: Vec<Token<'_>> = tokens
            .iter()
            .copied()
            .filter(|token| !matches!(token, Token::Blank(_)))
            .collect();
        let (last, before) = solid.split_last()?;
        if let (Token::Word(alias) | Token::Quoted(alias), Some(previous)) = (*last, before.last())
        {
            let explicit = is_word(*previous, "as");
            let implicit = !is_word(*last, "end")
                && match previous {
                    Token::Word(word) => !is_operator(word),
                    Token::Quoted(_) | Token::Symbol(')') => true,
                    _ => false,
                };
            if (explicit && before.len() > 1) || implicit {
                let taken = if explicit { 2 } else { 1 };
                return Some(Self {
                    original: original(&before_alias(tokens, taken)),
                    alias: scan::unquote(alias).to_owned(),
                });
            }
        }
        let original = original(tokens);
        let alias = match solid.as_slice() {
            [.., Token::Symbol('*')] if is_path(&solid) => "*".to_owned(),
            _ if is_path(&solid) => original.rsplit('.').next()?.to_owned(),
            _ => original.clone(),
        };
        Some(Self { original, alias })
    }
}

/// The tokens without the last `solid` ones that are not blank.
fn before_alias<'a>(tokens: &[Token<'a>], mut solid: usize) -> Vec<Token<'a>> {
    let mut rest = tokens.to_vec();
    while solid > 0 {
        match rest.pop() {
            Some(Token::Blank(_)) => {}
            Some(_) => solid -= 1,
            None => break,
        }
    }
    rest
}

/// The text of tokens; the quotes of a plain name are left out.
fn original(tokens: &[Token<'_>]) -> String {
    let solid: Vec<Token<'_>> = tokens
        .iter()
        .copied()
        .filter(|token| !matches!(token, Token::Blank(_)))
        .collect();
    let plain = is_path(&solid);
    let mut text = String::new();
    for token in if plain { &solid } else { tokens } {
        match *token {
            Token::Quoted(name) if plain => text.push_str(scan::unquote(name)),
            Token::Word(part) | Token::Quoted(part) | Token::Blank(part) => text.push_str(part),
            Token::Symbol(symbol) => text.push(symbol),
        }
    }
    text.trim().to_owned()
}

/// Whether tokens are names with dots between them; the last may be a star.
fn is_path(solid: &[Token<'_>]) -> bool {
    let names_and_dots = solid.iter().enumerate().all(|(index, token)| {
        if index % 2 == 1 {
            *token == Token::Symbol('.')
        } else {
            match token {
                // A single-quoted text is a name only where SQLite wants one.
                Token::Quoted(text) => !text.starts_with('\''),
                Token::Word(_) => true,
                Token::Symbol('*') => index + 1 == solid.len(),
                _ => false,
            }
        }
    });
    solid.len() % 2 == 1 && names_and_dots
}

fn is_word(token: Token<'_>, word: &str) -> bool {
    matches!(token, Token::Word(text) if text.eq_ignore_ascii_case(word))
}

/// Words behind which an operand stands, not an alias.
fn is_operator(word: &str) -> bool {
    const OPERATORS: [&str; 16] = [
        "and", "or", "not", "is", "in", "like", "glob", "between", "collate", "case", "when",
        "then", "else", "distinct", "escape", "match",
    ];
    OPERATORS
        .iter()
        .any(|operator| word.eq_ignore_ascii_case(operator))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(list: &[Item]) -> Vec<(&str, &str)> {
        list.iter()
            .map(|item| (item.original.as_str(), item.alias.as_str()))
            .collect()
    }

    fn check(text: &str, columns: &[(&str, &str)], tables: &[(&str, &str)]) {
        let select = Select::parse(text).unwrap_or_default();
        assert_eq!(items(&select.columns), columns, "{text}");
        assert_eq!(items(&select.tables), tables, "{text}");
    }

    #[test]
    fn names_aliases_and_expressions_are_told_apart() {
        check(
            "select distinct id, a.b as c, `d` \"e\", count(x) n, (ROW_NUMBER() OVER()) as [f g], \
             cast(a as int), case when 1 then 2 end, b + 1 as sum, t.* from demo",
            &[
                ("id", "id"),
                ("a.b", "c"),
                ("d", "e"),
                ("count(x)", "n"),
                ("(ROW_NUMBER() OVER())", "f g"),
                ("cast(a as int)", "cast(a as int)"),
                ("case when 1 then 2 end", "case when 1 then 2 end"),
                ("b + 1", "sum"),
                ("t.*", "*"),
            ],
            &[("demo", "demo")],
        );
    }

    #[test]
    fn tables_of_joins_are_found_and_conditions_skipped() {
        check(
            "SELECT a.id FROM `one` a, two LEFT OUTER JOIN three AS t ON t.x = a.y AND (1, 2), four\n\
             natural join (select id, x from y) sub where a.id in (select 1 from other) group by z",
            &[("a.id", "id")],
            &[
                ("one", "a"),
                ("two", "two"),
                ("three", "t"),
                ("four", "four"),
                ("(select id, x from y)", "sub"),
            ],
        );
    }

    #[test]
    fn comments_and_common_tables_are_skipped() {
        check(
            "with c as (select id from x) /* select no */ select -- , y\n id /* as z */ from c",
            &[("id", "id")],
            &[("c", "c")],
        );
        assert_eq!(Select::parse("delete from x"), None);
        assert_eq!(Select::parse("select (a from b"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(select |from |join |on |as |[a-z(),.;'`\\[\\]*/ \\n-])*") {
            let _ = Select::parse(&text);
        }
    }
}

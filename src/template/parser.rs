//! Tokens as nodes.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::Error;
use super::lexer::{Part, Token, split};
use super::value::Value;

/// How deep blocks and parentheses nest.
const DEPTH_MAX: usize = 100;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Literal(String),
    /// Prints its value, unless it only sets a variable.
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(String, Option<Pipe>),
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `$a, $b := command | command`
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    pub(super) variables: Vec<String>,
    /// Sets variables that there are already.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Vec<Operand>>,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Dot,
    Nil,
    Constant(Value),
    Variable(String),
    Function(String),
    Pipe(Box<Pipe>),
    /// Fields of what stands before them.
    Fields(Box<Operand>, Vec<String>),
}

impl Node {
    /// Whether it writes anything but white space.
    pub(super) fn is_something(&self) -> bool {
        !matches!(self, Self::Literal(text) if text.trim().is_empty())
    }
}

/// Reads a text. The templates that it defines are added to `named`.
///
/// # Errors
/// The first mistake.
pub(super) fn parse(
    text: &str,
    named: &mut BTreeMap<String, Vec<Node>>,
) -> Result<Vec<Node>, Error> {
    let mut parser = Parser {
        parts: split(text)?.into(),
        named,
        depth: 0,
        loops: 0,
    };
    let (nodes, end) = parser.block()?;
    match end {
        None => Ok(nodes),
        Some(End(word, _)) => Err(Error::new(format!("unexpected {{{{{word}}}}}"))),
    }
}

/// `end` or `else` with what follows it.
struct End(String, VecDeque<Token>);

struct Parser<'a> {
    parts: VecDeque<Part>,
    named: &'a mut BTreeMap<String, Vec<Node>>,
    depth: usize,
    loops: usize,
}

impl Parser<'_> {
    /// Nodes up to `end`, `else` or the end of the text.
    fn block(&mut self) -> Result<(Vec<Node>, Option<End>), Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::new("blocks nest too deeply"));
        }
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.pop_front() {
            let mut tokens: VecDeque<Token> = match part {
                Part::Literal(text) => {
                    nodes.push(Node::Literal(text));
                    continue;
                }
                Part::Action(tokens) => tokens.into(),
            };
            skip_space(&mut tokens);
            let word = match tokens.front() {
                Some(Token::Word(word)) => word.clone(),
                _ => String::new(),
            };
            match word.as_str() {
                "end" | "else" => {
                    tokens.pop_front();
                    self.depth -= 1;
                    return Ok((nodes, Some(End(word, tokens))));
                }
                "if" | "with" | "range" => {
                    tokens.pop_front();
                    nodes.push(self.control(&word, tokens)?);
                }
                "define" => self.define(tokens)?,
                "block" => nodes.push(self.block_template(tokens)?),
                "template" => {
                    tokens.pop_front();
                    let name = name_of(&mut tokens)?;
                    nodes.push(Node::Template(name, optional_pipe(tokens)?));
                }
                "break" | "continue" => {
                    if self.loops == 0 {
                        return Err(Error::new(format!("{{{{{word}}}}} outside {{{{range}}}}")));
                    }
                    nodes.push(if word == "break" {
                        Node::Break
                    } else {
                        Node::Continue
                    });
                }
                _ => nodes.push(Node::Action(pipe(&mut tokens, 0)?)),
            }
        }
        self.depth -= 1;
        Ok((nodes, None))
    }

    fn control(&mut self, word: &str, mut tokens: VecDeque<Token>) -> Result<Node, Error> {
        let pipe = pipe(&mut tokens, 0)?;
        if pipe.commands.is_empty() {
            return Err(Error::new(format!("missing value for {word}")));
        }
        self.loops += usize::from(word == "range");
        let (then, end) = self.block()?;
        self.loops -= usize::from(word == "range");
        let mut branch = Branch {
            pipe,
            then,
            otherwise: Vec::new(),
        };
        match end {
            None => return Err(Error::new("unexpected EOF")),
            Some(End(end, mut tokens)) if end == "else" => {
                skip_space(&mut tokens);
                match tokens.pop_front() {
                    // `else if` and `else with` share the end of the whole.
                    Some(Token::Word(next)) if next == word && word != "range" => {
                        branch.otherwise = vec![self.control(word, tokens)?];
                    }
                    Some(_) => return Err(Error::new("unexpected token in {{else}}")),
                    None => {
                        let (otherwise, end) = self.block()?;
                        branch.otherwise = otherwise;
                        if !matches!(end, Some(End(end, _)) if end == "end") {
                            return Err(Error::new("expected end"));
                        }
                    }
                }
            }
            Some(_) => {}
        }
        Ok(match word {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    fn define(&mut self, mut tokens: VecDeque<Token>) -> Result<(), Error> {
        tokens.pop_front();
        let name = name_of(&mut tokens)?;
        let nodes = self.body()?;
        if nodes.iter().any(Node::is_something) || !self.named.contains_key(&name) {
            self.named.insert(name, nodes);
        }
        Ok(())
    }

    /// `block "name" pipe`: a template that is defined and used at once; a later definition wins.
    fn block_template(&mut self, mut tokens: VecDeque<Token>) -> Result<Node, Error> {
        tokens.pop_front();
        let name = name_of(&mut tokens)?;
        let pipe = optional_pipe(tokens)?;
        let nodes = self.body()?;
        self.named.insert(name.clone(), nodes);
        Ok(Node::Template(name, pipe))
    }

    fn body(&mut self) -> Result<Vec<Node>, Error> {
        match self.block()? {
            (nodes, Some(End(end, _))) if end == "end" => Ok(nodes),
            (_, Some(_)) => Err(Error::new("unexpected {{else}}")),
            (_, None) => Err(Error::new("unexpected EOF")),
        }
    }
}

fn skip_space(tokens: &mut VecDeque<Token>) {
    while tokens.front() == Some(&Token::Space) {
        tokens.pop_front();
    }
}

fn name_of(tokens: &mut VecDeque<Token>) -> Result<String, Error> {
    skip_space(tokens);
    match tokens.pop_front() {
        Some(Token::Text(name)) => Ok(name),
        _ => Err(Error::new("a template's name is expected")),
    }
}

fn optional_pipe(mut tokens: VecDeque<Token>) -> Result<Option<Pipe>, Error> {
    skip_space(&mut tokens);
    if tokens.is_empty() {
        return Ok(None);
    }
    pipe(&mut tokens, 0).map(Some)
}

/// A pipeline up to the end or the parenthesis that closes it.
fn pipe(tokens: &mut VecDeque<Token>, depth: usize) -> Result<Pipe, Error> {
    if depth > DEPTH_MAX {
        return Err(Error::new("parentheses nest too deeply"));
    }
    let mut pipe = Pipe::default();
    declarations(tokens, &mut pipe)?;
    let mut command: Vec<Operand> = Vec::new();
    let mut apart = true;
    let end = |command: Vec<Operand>, pipe: &mut Pipe| {
        if command.is_empty() {
            return Err(Error::new("missing value for command"));
        }
        pipe.commands.push(command);
        Ok(())
    };
    loop {
        let Some(token) = tokens.pop_front() else {
            end(command, &mut pipe)?;
            return if depth == 0 {
                Ok(pipe)
            } else {
                Err(Error::new("unclosed left paren"))
            };
        };
        match token {
            Token::Space => {
                apart = true;
                continue;
            }
            Token::Close if depth > 0 => {
                end(command, &mut pipe)?;
                return Ok(pipe);
            }
            Token::Pipe => {
                end(std::mem::take(&mut command), &mut pipe)?;
                apart = true;
                continue;
            }
            Token::Field(name) if !apart => {
                let before = command
                    .pop()
                    .ok_or_else(|| Error::new("unexpected field"))?;
                command.push(match before {
                    Operand::Fields(of, mut names) => {
                        names.push(name);
                        Operand::Fields(of, names)
                    }
                    of => Operand::Fields(Box::new(of), vec![name]),
                });
                continue;
            }
            token => command.push(operand(token, tokens, depth)?),
        }
        apart = false;
    }
}

fn operand(token: Token, tokens: &mut VecDeque<Token>, depth: usize) -> Result<Operand, Error> {
    Ok(match token {
        Token::Dot => Operand::Dot,
        Token::Field(name) => Operand::Fields(Box::new(Operand::Dot), vec![name]),
        Token::Variable(name) => Operand::Variable(name),
        Token::Text(text) => Operand::Constant(Value::Text(text)),
        Token::Int(number) => Operand::Constant(Value::Int(number)),
        Token::Float(number) => Operand::Constant(Value::Float(number)),
        Token::Word(word) => match word.as_str() {
            "true" => Operand::Constant(Value::Bool(true)),
            "false" => Operand::Constant(Value::Bool(false)),
            "nil" => Operand::Nil,
            _ => Operand::Function(word),
        },
        Token::Open => Operand::Pipe(Box::new(pipe(tokens, depth + 1)?)),
        other => return Err(Error::new(format!("unexpected {other:?} in operand"))),
    })
}

/// `$a := `, `$a = ` and `$a, $b := ` in front of a pipeline.
fn declarations(tokens: &mut VecDeque<Token>, pipe: &mut Pipe) -> Result<(), Error> {
    let mut names = Vec::new();
    let mut seen = 0;
    let at = |seen: &mut usize, tokens: &VecDeque<Token>| {
        while tokens.get(*seen) == Some(&Token::Space) {
            *seen += 1;
        }
        let token = tokens.get(*seen).cloned();
        *seen += 1;
        token
    };
    loop {
        let Some(Token::Variable(name)) = at(&mut seen, tokens) else {
            return Ok(());
        };
        names.push(name);
        match at(&mut seen, tokens) {
            Some(Token::Comma) if names.len() == 1 => {}
            Some(token @ (Token::Declare | Token::Assign)) => {
                pipe.assigns = token == Token::Assign;
                pipe.variables = names;
                tokens.drain(..seen);
                return Ok(());
            }
            Some(Token::Comma) => return Err(Error::new("too many declarations")),
            _ => return Ok(()),
        }
    }
}

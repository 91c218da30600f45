//! Writing templates out.

use std::collections::BTreeMap;

use super::Error;
use super::escape::Place;
use super::functions;
use super::parser::{Branch, Node, Operand, Pipe};
use super::print;
use super::value::Value;

/// How deep templates call each other.
const DEPTH_MAX: usize = 200;
/// Longest output, in bytes.
const OUTPUT_BYTES_MAX: usize = 16 << 20;
/// Most nodes that are run.
const STEPS_MAX: usize = 5_000_000;

/// What the program around a template lends it: functions, and values of its own.
pub trait Host {
    /// Whether there is such a function.
    fn has_function(&self, name: &str) -> bool;

    /// Calls a function.
    ///
    /// # Errors
    /// What it refuses.
    fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Value, Error>;

    /// A field of a value, or what its method of this name gives.
    ///
    /// # Errors
    /// There is no such member, or it refuses.
    fn member(&mut self, handle: usize, name: &str, arguments: &[Value]) -> Result<Value, Error>;

    /// A value as text.
    ///
    /// # Errors
    /// What the value refuses.
    fn text(&mut self, handle: usize) -> Result<String, Error>;
}

/// No functions and no values.
impl Host for () {
    fn has_function(&self, _: &str) -> bool {
        false
    }

    fn call(&mut self, name: &str, _: &[Value]) -> Result<Value, Error> {
        Err(Error::new(format!("function {name:?} not defined")))
    }

    fn member(&mut self, _: usize, name: &str, _: &[Value]) -> Result<Value, Error> {
        Err(Error::new(format!("can't evaluate field {name}")))
    }

    fn text(&mut self, _: usize) -> Result<String, Error> {
        Ok(String::new())
    }
}

pub(super) fn render(
    named: &BTreeMap<String, Vec<Node>>,
    root: &str,
    data: &Value,
    host: &mut dyn Host,
) -> Result<String, Error> {
    let mut run = Run {
        named,
        host,
        out: String::new(),
        place: Place::default(),
        variables: Vec::new(),
        depth: 0,
        steps: 0,
    };
    run.template(root, data)?;
    Ok(run.out)
}

struct Run<'a> {
    named: &'a BTreeMap<String, Vec<Node>>,
    host: &'a mut dyn Host,
    out: String,
    place: Place,
    variables: Vec<(String, Value)>,
    depth: usize,
    steps: usize,
}

/// How nodes ended.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl Run<'_> {
    fn template(&mut self, name: &str, data: &Value) -> Result<(), Error> {
        let nodes = self
            .named
            .get(name)
            .ok_or_else(|| Error::new(format!("{name:?} is not defined")))?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::new("exceeded maximum template depth"));
        }
        let outer = std::mem::replace(&mut self.variables, vec![(String::new(), data.clone())]);
        let result = self.nodes(nodes, data);
        self.variables = outer;
        self.depth -= 1;
        result.map(|_| ())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Error> {
        let known = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            self.steps += 1;
            if self.steps > STEPS_MAX || self.out.len() > OUTPUT_BYTES_MAX {
                return Err(Error::new("the output is too long"));
            }
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(known);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, Error> {
        match node {
            Node::Literal(text) => self.place.literal(text, &mut self.out),
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.print(&value)?;
                }
            }
            Node::If(branch) => return self.condition(branch, dot, false),
            Node::With(branch) => return self.condition(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template(name, pipe) => {
                let data = match pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Nil,
                };
                self.template(name, &data)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn print(&mut self, value: &Value) -> Result<(), Error> {
        let mut text = String::new();
        match value {
            Value::Handle(handle) => text = self.host.text(*handle)?,
            other => print::plain(other, &mut text),
        }
        self.place.value(value, &text, &mut self.out);
        Ok(())
    }

    fn condition(&mut self, branch: &Branch, dot: &Value, sets_dot: bool) -> Result<Flow, Error> {
        let known = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = if value.is_true() {
            let dot = if sets_dot { &value } else { dot };
            self.nodes(&branch.then, dot)
        } else {
            self.nodes(&branch.otherwise, dot)
        };
        self.variables.truncate(known);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, Error> {
        let known = self.variables.len();
        let value = self.commands(&branch.pipe, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::Nil => Vec::new(),
            Value::List(list) => (0..).map(Value::Int).zip(list).collect(),
            Value::Map(map) => {
                let members = map.into_iter();
                members
                    .map(|(name, item)| (Value::Text(name), item))
                    .collect()
            }
            Value::Int(count) => (0..count.clamp(0, 1_000_000))
                .map(|index| (Value::Int(index), Value::Int(index)))
                .collect(),
            other => {
                return Err(Error::new(format!(
                    "range can't iterate over {}",
                    other.kind()
                )));
            }
        };
        if items.is_empty() {
            return self.nodes(&branch.otherwise, dot);
        }
        for (key, item) in items {
            match branch.pipe.variables.as_slice() {
                [one] => self.declare(&branch.pipe, one, item.clone())?,
                [one, two] => {
                    self.declare(&branch.pipe, one, key)?;
                    self.declare(&branch.pipe, two, item.clone())?;
                }
                _ => {}
            }
            let flow = self.nodes(&branch.then, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn declare(&mut self, pipe: &Pipe, name: &str, value: Value) -> Result<(), Error> {
        if !pipe.assigns {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        let known = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name);
        match known {
            Some((_, known)) => *known = value,
            None => return Err(Error::new(format!("undefined variable: ${name}"))),
        }
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Error> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.variables {
            self.declare(pipe, name, value.clone())?;
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Error> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, last, dot)?);
        }
        Ok(last.unwrap_or_default())
    }

    /// A command; what the one before it gave is its last argument.
    fn command(
        &mut self,
        command: &[Operand],
        before: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Error> {
        let Some((first, arguments)) = command.split_first() else {
            return Ok(Value::Nil);
        };
        match first {
            Operand::Function(name) if name == "and" || name == "or" => {
                self.decide(name == "or", arguments, before, dot)
            }
            Operand::Function(name) => {
                let arguments = self.arguments(arguments, before, dot)?;
                if !self.host.has_function(name) && functions::is_known(name) {
                    return functions::call(name, &self.plain(arguments)?);
                }
                self.host.call(name, &arguments)
            }
            Operand::Fields(of, names) => {
                let of = self.operand(of, dot)?;
                let arguments = self.arguments(arguments, before, dot)?;
                self.fields(of, names, &arguments)
            }
            _ if !arguments.is_empty() || before.is_some() => {
                Err(Error::new("can't give argument to non-function"))
            }
            other => self.operand(other, dot),
        }
    }

    /// Values of the host as texts, for functions that know nothing of them.
    fn plain(&mut self, mut values: Vec<Value>) -> Result<Vec<Value>, Error> {
        for value in &mut values {
            if let Value::Handle(handle) = *value {
                *value = Value::Text(self.host.text(handle)?);
            }
        }
        Ok(values)
    }

    /// `and` and `or` evaluate no more than they need.
    fn decide(
        &mut self,
        ends_with: bool,
        arguments: &[Operand],
        before: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Error> {
        let mut value = Value::Nil;
        for argument in arguments {
            value = self.operand(argument, dot)?;
            if value.is_true() == ends_with {
                return Ok(value);
            }
        }
        Ok(before.unwrap_or(value))
    }

    fn arguments(
        &mut self,
        operands: &[Operand],
        before: Option<Value>,
        dot: &Value,
    ) -> Result<Vec<Value>, Error> {
        let mut values = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            values.push(self.operand(operand, dot)?);
        }
        values.extend(before);
        Ok(values)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Error> {
        match operand {
            Operand::Dot => Ok(dot.clone()),
            Operand::Nil => Ok(Value::Nil),
            Operand::Constant(value) => Ok(value.clone()),
            Operand::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known
                    .map(|(_, value)| value.clone())
                    .ok_or_else(|| Error::new(format!("undefined variable: ${name}")))
            }
            Operand::Function(_) => self.command(std::slice::from_ref(operand), None, dot),
            Operand::Pipe(pipe) => self.pipe(pipe, dot),
            Operand::Fields(of, names) => {
                let of = self.operand(of, dot)?;
                self.fields(of, names, &[])
            }
        }
    }

    /// Follows fields; arguments are for the last one.
    fn fields(&mut self, of: Value, names: &[String], arguments: &[Value]) -> Result<Value, Error> {
        let mut value = of;
        for (index, name) in names.iter().enumerate() {
            let arguments = if index + 1 == names.len() {
                arguments
            } else {
                &[]
            };
            value = match value {
                Value::Handle(handle) => self.host.member(handle, name, arguments)?,
                Value::Map(_) | Value::Nil if !arguments.is_empty() => {
                    return Err(Error::new(format!(
                        "{name} has arguments but cannot be invoked as function"
                    )));
                }
                Value::Map(mut map) => map.remove(name).unwrap_or_default(),
                Value::Nil => Value::Nil,
                other => {
                    return Err(Error::new(format!(
                        "can't evaluate field {name} in type {}",
                        other.kind()
                    )));
                }
            };
        }
        Ok(value)
    }
}

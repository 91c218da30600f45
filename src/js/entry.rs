//! Notices whether a script calls its function `main` itself: a mark goes into the function's body.
//!
//! Only the line that the mark stands in is changed, behind the brace, so that positions stay what they are elsewhere.

use oxc::allocator::Allocator;
use oxc::ast::ast::{ArrowFunctionBody, Expression, FunctionBody, Program, Statement};
use oxc::parser::Parser;
use oxc::span::{GetSpan, SourceType};

/// The name of the global function that the mark calls.
pub(super) const MARK: &str = "__mainBegins";

/// The text with the mark in it. `None` when it defines no function `main` at its top level, or does not parse.
pub(super) fn with_mark(text: &str) -> Option<String> {
    if !text.contains("main") {
        return None;
    }
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, SourceType::script()).parse();
    let (before, after) = mark(&parsed.program)?;
    let mut marked = String::with_capacity(text.len() + 64);
    marked.push_str(text.get(..before)?);
    match after {
        // A body in braces.
        None => {
            marked.push_str(&format!(" {MARK}();"));
            marked.push_str(text.get(before..)?);
        }
        // An arrow function's expression.
        Some(after) => {
            marked.push_str(&format!("({MARK}(), "));
            marked.push_str(text.get(before..after)?);
            marked.push(')');
            marked.push_str(text.get(after..)?);
        }
    }
    Some(marked)
}

/// Where the mark begins, and the end of the expression that it wraps, if it is one.
fn mark(program: &Program<'_>) -> Option<(usize, Option<usize>)> {
    // The last definition counts.
    program
        .body
        .iter()
        .rev()
        .find_map(|statement| match statement {
            Statement::FunctionDeclaration(function) => {
                let is_main = function.id.as_ref().is_some_and(|id| id.name == "main");
                let body = function.body.as_deref().filter(|_| is_main)?;
                Some((start(body), None))
            }
            Statement::VariableDeclaration(variables) => {
                let main = variables.declarations.iter().find(|one| {
                    let name = one.id.get_identifier_name();
                    name.is_some_and(|name| name == "main")
                })?;
                match main.init.as_ref()? {
                    Expression::FunctionExpression(function) => {
                        Some((start(function.body.as_deref()?), None))
                    }
                    Expression::ArrowFunctionExpression(function) => {
                        if let ArrowFunctionBody::FunctionBody(body) = &function.body {
                            return Some((start(body), None));
                        }
                        let span = function.body.span();
                        Some((span.start as usize, Some(span.end as usize)))
                    }
                    _ => None,
                }
            }
            _ => None,
        })
}

/// Behind the brace and the directives of a body.
fn start(body: &FunctionBody<'_>) -> usize {
    let behind = body
        .directives
        .last()
        .map_or(body.span.start + 1, |directive| directive.span.end);
    behind as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_goes_into_main_and_nowhere_else() {
        for (text, expected) in [
            (
                "function main() {\n f() }",
                Some("function main() { __mainBegins();\n f() }"),
            ),
            (
                "async function main(a) {}",
                Some("async function main(a) { __mainBegins();}"),
            ),
            (
                "function main() { \"use strict\"; f() }",
                Some("function main() { \"use strict\"; __mainBegins(); f() }"),
            ),
            (
                "const main = () => { f() };",
                Some("const main = () => { __mainBegins(); f() };"),
            ),
            (
                "const main = async () => f(1)",
                Some("const main = async () => (__mainBegins(), f(1))"),
            ),
            (
                "var main = function () { }",
                Some("var main = function () { __mainBegins(); }"),
            ),
            ("const o = { main() {} }; f(function main() {})", None),
            ("function f() { function main() {} }", None),
            ("function main( {", None),
            ("domain()", None),
        ] {
            assert_eq!(with_mark(text).as_deref(), expected, "{text}");
        }
    }
}

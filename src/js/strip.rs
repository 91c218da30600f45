//! TypeScript to JavaScript, with a map of positions back to the source.
//!
//! Types go, what has a run-time meaning (enums, namespaces, parameter properties, decorators of TypeScript's own
//! kind) becomes JavaScript; nothing is type-checked and nothing is made older than it is. Scripts and modules are
//! CommonJS scripts: an ECMAScript `import` or `export` with a run-time meaning is refused with its position.
//!
//! Parsers recurse, and an overflow of the stack ends the process, so a source that nests too deeply is refused first.

use std::fmt;
use std::path::{Path, PathBuf};

use oxc::allocator::Allocator;
use oxc::ast::ast::{Program, Statement};
use oxc::codegen::{Codegen, CodegenOptions, CodegenReturn};
use oxc::diagnostics::Diagnostics;
use oxc::parser::{ParseOptions, Parser};
use oxc::semantic::SemanticBuilder;
use oxc::span::{GetSpan, SourceType};
use oxc::transformer::{HelperLoaderMode, TransformOptions, Transformer};

/// How deep brackets may nest in a source.
const BRACKETS_DEPTH_MAX: usize = 500;
/// How many bytes a source may have.
const SOURCE_BYTES_MAX: usize = 4 << 20;

/// What TypeScript's decorators are lowered to; a line of its own above the code.
const DECORATORS: &str = "var babelHelpers = { \
    decorate: function (list, target, key, descriptor) { \
        var own = arguments.length > 2, result = !own ? target : descriptor === null ? Object.getOwnPropertyDescriptor(target, key) : descriptor; \
        for (var i = list.length - 1; i >= 0; i--) { \
            var decorator = list[i]; \
            result = (own ? decorator(target, key, result) : decorator(result)) || result; \
        } \
        if (own && result) { Object.defineProperty(target, key, result); } \
        return result; \
    }, \
    decorateParam: function (index, decorator) { return function (target, key) { decorator(target, key, index); }; } \
};\n";

/// JavaScript that is ready to run.
#[derive(Debug)]
pub(super) struct Code {
    pub text: String,
    /// `None` if positions in `text` are those of the source.
    pub map: Option<LineMap>,
}

/// Why a source is not a script. Lines and columns count from 1; columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub message: String,
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SyntaxError: {} ({}:{})",
            self.message, self.line, self.column
        )
    }
}

impl std::error::Error for SyntaxError {}

/// From positions in generated code to positions in its source.
#[derive(Debug, Clone, Default)]
pub struct LineMap {
    /// (line, column) in the code and in the source, ascending by the first.
    points: Vec<((u32, u32), (u32, u32))>,
}

impl LineMap {
    /// The source's position of a position in the code; both count from 1. The nearest one known at or before it,
    /// which is the first one if there is none.
    pub fn original(&self, line: u32, column: u32) -> (u32, u32) {
        let after = self
            .points
            .partition_point(|(code, _)| *code <= (line, column));
        let point = self.points.get(after.saturating_sub(1));
        point.map_or((line, column), |(_, source)| *source)
    }

    fn of(generated: &CodegenReturn<'_>, lines_above: u32) -> Self {
        let tokens = generated.map.iter().flat_map(|map| map.get_tokens());
        let mut points: Vec<_> = tokens
            .map(|token| {
                let code = (
                    token.get_dst_line() + 1 + lines_above,
                    token.get_dst_col() + 1,
                );
                (code, (token.get_src_line() + 1, token.get_src_col() + 1))
            })
            .collect();
        points.sort_unstable();
        points.shrink_to_fit();
        Self { points }
    }
}

/// Makes a source runnable: `.ts` is stripped of its types, anything else is JavaScript already and stays as it is.
///
/// # Errors
/// TypeScript that does not parse, `import` and `export`, a source too large or nested too deeply. Errors of plain
/// JavaScript are left to the interpreter.
pub(super) fn to_javascript(path: &str, source: &str) -> Result<Code, SyntaxError> {
    check_size(source)?;
    if Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "ts")
    {
        return strip(path, source);
    }
    refuse_modules(source)?;
    Ok(Code {
        text: source.to_owned(),
        map: None,
    })
}

fn check_size(source: &str) -> Result<(), SyntaxError> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(error_at(source, 0, "the source is larger than 4 MB"));
    }
    // Brackets within texts and comments count too: nobody has hundreds of unbalanced ones there.
    let mut depth = 0usize;
    for (offset, byte) in source.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > BRACKETS_DEPTH_MAX {
            return Err(error_at(source, offset, "brackets nest too deeply"));
        }
    }
    Ok(())
}

/// Errors of plain JavaScript are the interpreter's to tell, but it can only say of these that the token is wrong.
fn refuse_modules(source: &str) -> Result<(), SyntaxError> {
    if !source.contains("import") && !source.contains("export") {
        return Ok(());
    }
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::unambiguous())
        .with_options(parse_options())
        .parse();
    match module_statement(&parsed.program) {
        Some(error) => Err(error.of(source)),
        None => Ok(()),
    }
}

fn strip(path: &str, source: &str) -> Result<Code, SyntaxError> {
    let allocator = Allocator::default();
    // A file that has imports of types only is a module to the parser and a script afterwards.
    let source_type = SourceType::ts().with_unambiguous(true);
    let parsed = Parser::new(&allocator, source, source_type)
        .with_options(parse_options())
        .parse();
    check(source, &parsed.diagnostics)?;
    let mut program = parsed.program;
    let semantic = SemanticBuilder::new_compiler()
        .with_enum_eval(true)
        .build(&program);
    check(source, &semantic.diagnostics)?;
    let scoping = semantic.semantic.into_scoping();
    let transformed = Transformer::new(&allocator, Path::new(path), &transform_options())
        .build_with_scoping(scoping, &mut program);
    check(source, &transformed.diagnostics)?;
    program.body.retain(|statement| !is_empty_export(statement));
    if let Some(error) = module_statement(&program) {
        return Err(error.of(source));
    }
    let generated = Codegen::new()
        .with_options(CodegenOptions {
            source_map_path: Some(PathBuf::from(path)),
            ..CodegenOptions::default()
        })
        .build(&program);
    if !generated.code.contains("babelHelpers.decorate") {
        let map = LineMap::of(&generated, 0);
        return Ok(Code {
            text: generated.code,
            map: Some(map),
        });
    }
    let strict = program
        .directives
        .iter()
        .any(|directive| directive.directive == "use strict");
    let head = if strict { "\"use strict\"; " } else { "" };
    let map = LineMap::of(&generated, 1);
    Ok(Code {
        text: format!("{head}{DECORATORS}{}", generated.code),
        map: Some(map),
    })
}

fn parse_options() -> ParseOptions {
    ParseOptions {
        // The host wraps modules and code to execute into a function.
        allow_return_outside_function: true,
        ..ParseOptions::default()
    }
}

fn transform_options() -> TransformOptions {
    let mut options = TransformOptions::default();
    options.decorator.legacy = true;
    options.helper_loader.mode = HelperLoaderMode::External;
    options
}

/// What the transformer leaves where all imports and exports were of types.
fn is_empty_export(statement: &Statement<'_>) -> bool {
    matches!(statement, Statement::ExportNamedDeclaration(export) if export.specifiers.is_empty())
}

/// An `import` or `export` that scripts cannot have.
struct ModuleStatement {
    offset: usize,
    message: &'static str,
}

impl ModuleStatement {
    fn of(&self, source: &str) -> SyntaxError {
        error_at(source, self.offset, self.message)
    }
}

fn module_statement(program: &Program<'_>) -> Option<ModuleStatement> {
    let statement = program
        .body
        .iter()
        .find(|statement| statement.is_module_declaration())?;
    let message = if matches!(statement, Statement::ImportDeclaration(_)) {
        "scripts have no import: use const { name } = require(\"module\")"
    } else {
        "scripts have no export: use exports.name = value or module.exports = value"
    };
    Some(ModuleStatement {
        offset: statement.span().start as usize,
        message,
    })
}

fn check(source: &str, diagnostics: &Diagnostics) -> Result<(), SyntaxError> {
    let Some(first) = diagnostics.errors().next() else {
        return Ok(());
    };
    let offset = first.labels.first().map_or(0, |label| label.offset());
    Err(error_at(source, offset as usize, &first.message))
}

fn error_at(source: &str, offset: usize, message: &str) -> SyntaxError {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let lines = before.bytes().filter(|byte| *byte == b'\n').count();
    let columns = before
        .get(line_start..)
        .map_or(0, |line| line.chars().count());
    SyntaxError {
        message: message.to_owned(),
        line: u32::try_from(lines + 1).unwrap_or(u32::MAX),
        column: u32::try_from(columns + 1).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests;

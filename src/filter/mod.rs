//! The filter language: lexer, parser and syntax tree with positions and limits; the grammars of `sort=` and `fields=`.
//!
//! It reads what PocketBase reads (the grammar of its `fexpr` package and of `tools/search`) and ends up with the same meaning.
//! It knows no SQL and no collection: whether a path or a function exists is for the reader of the tree to say.
//!
//! # Grammar
//!
//! ```text
//! filter     = item { ("&&" | "||") item }             && binds tighter than ||
//! item       = comparison | "(" filter ")"
//! comparison = operand operator operand
//! operator   = ["?"] ("=" | "!=" | ">" | ">=" | "<" | "<=" | "~" | "!~")
//! operand    = path | text | number | path "(" [operand {"," operand} [","]] ")"
//! path       = (letter | "@" | "_" | "#") { letter | digit | "_" | "." | ":" }
//! text       = "'" ... "'" | '"' ... '"'               \n \t \r \\ \' \" are escapes, any other backslash stays
//! number     = ["-"] digits ["." digits]
//! ```
//!
//! Space, tab and line feed separate tokens; a comment runs from `//` to the end of its line. Three habits of PocketBase are kept,
//! since stored rules may lean on them: a group may follow an item without `&&` or `||` and then repeats the last of them (`&&` at first);
//! a group's end is looked for by its parentheses and quotes alone, also those inside a comment; a carriage return is no space.
//! One is not: PocketBase drops an operand that is followed by a group (`a = (b = 1)` means `b = 1`), here that is an error.

#![deny(clippy::indexing_slicing)]

mod ast;
mod error;
pub mod fields;
mod lexer;
mod limits;
mod macros;
mod params;
mod parser;
mod print;
mod sort;
#[cfg(test)]
mod tests;

pub use ast::{Comparison, Expr, Literal, Op, Operand, OperandKind, Path, Span, split_modifier};
pub use error::{ParseError, ParseErrorKind};
pub use limits::{FUNCTION_DEPTH_MAX, Limits, REQUEST_BYTES_MAX};
pub use macros::{Macro, MacroValue};
pub use params::{Param, Params};
pub use parser::{parse, substitute};
pub use sort::{SORT_KEYS_MAX, SORT_PATH_BYTES_MAX, SortKey, SortKind, parse_sort};

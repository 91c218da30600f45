//! The filter language: lexer, parser and syntax tree with positions and limits. Knows no SQL and no collection.

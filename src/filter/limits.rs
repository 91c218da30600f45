//! Bounds on what the parser accepts.

/// The longest `filter` a list request may carry, in bytes (PocketBase's `search.MaxFilterLength`).
pub const REQUEST_BYTES_MAX: usize = 3500;

/// How deep function calls may stand inside each other: `f(g(h(x)))` is the deepest (as in `fexpr`).
pub const FUNCTION_DEPTH_MAX: usize = 3;

/// What [`parse`](super::parse) accepts at most. The default is [`Limits::RULE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Comparisons in the whole expression.
    pub comparisons_max: usize,
    /// Parentheses inside each other. It bounds the recursion of the parser and of everybody who walks the tree: a tree has at most two
    /// levels (an `Or` and its `And`s) per parenthesis.
    pub depth_max: usize,
    /// Length of the text, in bytes. Positions have 32 bits, so it counts up to `u32::MAX`.
    pub bytes_max: usize,
}

impl Limits {
    /// For access rules and for filters that scripts write: 200 comparisons (PocketBase's `DefaultFilterExprLimit`), 100 levels, 64 KiB.
    pub const RULE: Limits = Limits {
        comparisons_max: 200,
        depth_max: 100,
        bytes_max: 64 * 1024,
    };

    /// For the `filter` of a list request: as [`Limits::RULE`], but [`REQUEST_BYTES_MAX`] bytes.
    pub const REQUEST: Limits = Limits {
        bytes_max: REQUEST_BYTES_MAX,
        ..Limits::RULE
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::RULE
    }
}

//! The grammar as a whole: what it accepts, what it means, where it fails.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// The canonical text of a filter, or its error's.
fn read(text: &str) -> String {
    match parse(text, &Limits::default()) {
        Ok(expr) => expr.to_string(),
        Err(error) => error.to_string(),
    }
}

fn comparison(text: &str) -> Comparison {
    match parse(text, &Limits::default()) {
        Ok(Expr::Compare(comparison)) => comparison,
        other => panic!("{text:?} is no comparison but {other:?}"),
    }
}

fn right(text: &str) -> OperandKind {
    comparison(text).right.kind
}

fn text_of(source: &str) -> String {
    match right(&format!("a = {source}")) {
        OperandKind::Text(text) => text,
        other => panic!("{source} is no text but {other:?}"),
    }
}

fn reads_as(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(read(source), *expected, "reading {source:?}");
    }
}

#[test]
fn every_operator_has_an_any_form() {
    for (text, op) in [
        ("=", Op::Eq),
        ("!=", Op::Ne),
        (">", Op::Gt),
        (">=", Op::Ge),
        ("<", Op::Lt),
        ("<=", Op::Le),
        ("~", Op::Like),
        ("!~", Op::NotLike),
    ] {
        let plain = comparison(&format!("a{text}b"));
        assert_eq!((plain.op, plain.any), (op, false));
        let any = comparison(&format!("a ?{text} b"));
        assert_eq!((any.op, any.any), (op, true));
    }
}

#[test]
fn unknown_operators_are_refused() {
    for text in ["==", "=!", "!", "?", "=?", "??=", "><", "<>", ">=~"] {
        assert_eq!(
            read(&format!("a {text} b")),
            "invalid operator at 2",
            "{text}"
        );
    }
}

#[test]
fn and_binds_tighter_than_or_and_groups_fold() {
    reads_as(&[
        ("a=1&&b=2||c=3&&d=4", "a = 1 && b = 2 || c = 3 && d = 4"),
        (
            "(a=1 && b=2) || (c=3 && d=4)",
            "a = 1 && b = 2 || c = 3 && d = 4",
        ),
        (
            "a=1 && (b=2 || c=3) && d=4",
            "a = 1 && (b = 2 || c = 3) && d = 4",
        ),
        (
            "a=1 && (b=2 && (c=3 && d=4))",
            "a = 1 && b = 2 && c = 3 && d = 4",
        ),
        ("a=1 || (b=2 || c=3)", "a = 1 || b = 2 || c = 3"),
        ("(((a=1)))", "a = 1"),
        ("((a=1 || b=2))", "a = 1 || b = 2"),
    ]);
    let Expr::Or(terms) = parse("a=1 && b=2 || c=3", &Limits::default()).unwrap() else {
        panic!("not an Or");
    };
    assert!(matches!(&terms[..], [Expr::And(items), Expr::Compare(_)] if items.len() == 2));
}

#[test]
fn a_group_without_join_repeats_the_last_one() {
    reads_as(&[
        ("a=1 (b=2)", "a = 1 && b = 2"),
        ("(a=1)(b=2)", "a = 1 && b = 2"),
        ("a=1 || b=2 (c=3) (d=4)", "a = 1 || b = 2 || c = 3 || d = 4"),
        (
            "a=1 || b=2 && c=3 (d=4)",
            "a = 1 || b = 2 && c = 3 && d = 4",
        ),
        ("(a=1) b=2", "unexpected identifier, expected && or || at 6"),
    ]);
}

#[test]
fn a_group_is_no_operand() {
    reads_as(&[
        ("a (b=1)", "unexpected group, expected an operator at 2"),
        ("a = (b=1)", "unexpected group, expected an operand at 4"),
        (
            "(a) = 1",
            "incomplete expression, expected an operator at 2",
        ),
    ]);
}

#[test]
fn emptiness_and_incompleteness_are_errors_with_positions() {
    reads_as(&[
        ("", "empty expression at 0"),
        (" \t\n", "empty expression at 3"),
        ("// nothing", "empty expression at 10"),
        ("()", "empty expression at 1"),
        ("a=1 && ( )", "empty expression at 9"),
        ("a", "incomplete expression, expected an operator at 1"),
        ("a =", "incomplete expression, expected an operand at 3"),
        (
            "a = 1 &&",
            "incomplete expression, expected an operand at 8",
        ),
        (
            "a = 1 && b",
            "incomplete expression, expected an operator at 10",
        ),
        ("&& a = 1", "unexpected &&, expected an operand at 0"),
        ("= 1", "unexpected operator, expected an operand at 0"),
        ("a = = 1", "unexpected operator, expected an operand at 4"),
        ("a 1", "unexpected number, expected an operator at 2"),
        (
            "a = 1 b = 2",
            "unexpected identifier, expected && or || at 6",
        ),
        ("(a = 1", "group without closing parenthesis at 0"),
        (
            "a = 1)",
            "unexpected closing parenthesis, expected && or || at 5",
        ),
        ("a = 1 & b = 2", "invalid operator, expected && or || at 6"),
        (
            "a = 1 &&& b = 2",
            "invalid operator, expected && or || at 6",
        ),
        ("a = 1, b = 2", "unexpected comma, expected && or || at 5"),
        ("é = 1", "unexpected character 'é' at 0"),
        ("a\r\n= 1", "unexpected character '\\r' at 1"),
        ("a + 1", "unexpected character '+' at 2"),
        ("a = {:b}", "unexpected character '{' at 4"),
    ]);
}

#[test]
fn positions_are_bytes_of_the_whole_source() {
    let text = "'é' = x && (  b ?!~ f(1, 'z') )";
    let Expr::And(items) = parse(text, &Limits::default()).unwrap() else {
        panic!("not an And");
    };
    let Expr::Compare(comparison) = &items[1] else {
        panic!("not a comparison");
    };
    let source = |span: Span| &text[span.start as usize..span.end as usize];
    assert_eq!(source(comparison.span), "b ?!~ f(1, 'z')");
    assert_eq!(source(comparison.left.span), "b");
    assert_eq!(source(comparison.right.span), "f(1, 'z')");
    let OperandKind::Call { args, .. } = &comparison.right.kind else {
        panic!("not a call");
    };
    assert_eq!(source(args[1].span), "'z'");
}

#[test]
fn comments_run_to_the_end_of_the_line() {
    reads_as(&[
        ("a = 1 // && b = 2", "a = 1"),
        ("// first\n a // the field\n = // is\n 1", "a = 1"),
        ("f(1, // one\n 2) = 3", "f(1, 2) = 3"),
        ("a = 'http://x' // y", "a = 'http://x'"),
        ("a = 1 / 2", "invalid comment, expected // at 6"),
        ("a = 1 /", "invalid comment, expected // at 6"),
    ]);
}

#[test]
fn a_groups_end_is_found_by_quotes_and_parentheses_even_in_comments() {
    reads_as(&[
        ("(a = 1 // one)", "a = 1"),
        ("(a = 1 // one)\n || b = 2", "a = 1 || b = 2"),
        ("(a = 1 // it's\n)", "text without closing quote at 12"),
        ("(a = ')' && b = \"(\\\"(\")", "a = ')' && b = '(\"('"),
    ]);
}

#[test]
fn nul_is_refused_everywhere() {
    for text in [
        "a=1\0",
        "a='\0'",
        "a=1 // \0\n",
        "\0",
        "f(\0)=1",
        "(a=1\0)",
        "a='\\\0'",
    ] {
        assert!(parse(text, &Limits::default()).is_err(), "{text:?}");
    }
}

#[test]
fn escapes_are_resolved_in_either_quotes() {
    for (source, expected) in [
        (r#"'it\'s'"#, "it's"),
        (r#""it\'s""#, "it's"),
        (r#"'a "b"'"#, r#"a "b""#),
        (r#""a \"b\"""#, r#"a "b""#),
        (r"'\n\t\r\\'", "\n\t\r\\"),
        (r"'\%\_\d\0'", r"\%\_\d\0"),
        (r"'\é'", r"\é"),
        ("'two\nlines'", "two\nlines"),
        ("''", ""),
    ] {
        assert_eq!(text_of(source), expected, "{source}");
    }
    for source in ["'a", "'a\\'", "\"a'", "'", "'\\"] {
        assert_eq!(
            read(&format!("a = {source}")),
            "text without closing quote at 4"
        );
    }
}

#[test]
fn numbers_are_decimal() {
    let number = |source: &str| match right(&format!("a={source}")) {
        OperandKind::Number(number) => number,
        other => panic!("{source} is no number but {other:?}"),
    };
    assert_eq!(number("0"), 0.0);
    assert_eq!(number("007"), 7.0);
    assert_eq!(number("-12.50"), -12.5);
    assert_eq!(number("-.5"), -0.5);
    assert!(number("-0").is_sign_negative());
    assert_eq!(number(&"9".repeat(400)), 0.0, "beyond the range is 0");
    reads_as(&[
        ("a = -", "invalid number at 4"),
        ("a = 1.", "invalid number at 4"),
        ("a = -.", "invalid number at 4"),
        ("a = --1", "invalid number at 4"),
        ("a = .5", "unexpected character '.' at 4"),
        ("a = 1.2.3", "unexpected character '.' at 7"),
        ("a = 1e5", "unexpected identifier, expected && or || at 5"),
        ("a = 1-2", "unexpected number, expected && or || at 5"),
    ]);
}

#[test]
fn paths_have_segments_and_a_modifier() {
    let left = |source: &str| match comparison(&format!("{source} = 1")).left.kind {
        OperandKind::Path(path) => path,
        other => panic!("{source} is no path but {other:?}"),
    };
    let path = left("@collection.posts:p.tags:each");
    assert_eq!(
        path.segments().collect::<Vec<_>>(),
        ["@collection", "posts:p", "tags:each"]
    );
    assert_eq!(path.modifier(), Some("each"));
    assert_eq!(path.without_modifier(), "@collection.posts:p.tags");
    assert_eq!(split_modifier("posts:p"), ("posts", Some("p")));

    let plain = left("a..b_1");
    assert_eq!(plain.segments().collect::<Vec<_>>(), ["a", "", "b_1"]);
    assert_eq!(
        (plain.modifier(), plain.without_modifier()),
        (None, "a..b_1")
    );
    assert_eq!(
        left("a:b:c").modifier(),
        None,
        "two colons make no modifier"
    );
    assert_eq!(left("#a").as_str(), "#a");

    for source in ["a.", "a:", "a.b.", "@", "_", "#", "@.", "f.(1)"] {
        assert_eq!(
            read(&format!("{source} = 1")),
            "invalid identifier at 0",
            "{source}"
        );
        assert_eq!(Path::new(source), None, "{source}");
    }
    for source in ["", "1a", "a b", "a@b", "é", "a-b", "a="] {
        assert_eq!(Path::new(source), None, "{source}");
    }
    assert_eq!(Path::new("a.b:lower").unwrap(), left("a.b:lower"));
}

#[test]
fn literals_and_macros_are_paths() {
    let path = |source: &str| Path::new(source).unwrap();
    assert_eq!(path("null").as_literal(), Some(Literal::Null));
    assert_eq!(path("True").as_literal(), Some(Literal::True));
    assert_eq!(path("FALSE").as_literal(), Some(Literal::False));
    assert_eq!(path("nullable").as_literal(), None);
    assert_eq!(path("@todayEnd").as_macro(), Some(Macro::TodayEnd));
    assert_eq!(path("@todayend").as_macro(), None);
    assert_eq!(right("a = TRUE"), OperandKind::Path(path("TRUE")));
}

#[test]
fn functions_take_operands_and_nest_three_deep() {
    reads_as(&[
        (
            "geoDistance(a.lon,a.lat,1,-2.5)<3",
            "geoDistance(a.lon, a.lat, 1, -2.5) < 3",
        ),
        ("1 = f( )", "1 = f()"),
        ("f('(',\")\",) = 1", "f('(', ')') = 1"),
        ("f(g(h(1))) = i()", "f(g(h(1))) = i()"),
        ("f(g(h(i()))) = 1", "function calls nested too deep at 6"),
        ("f(,) = 1", "unexpected comma, expected an operand at 2"),
        ("f(1,,2) = 1", "unexpected comma, expected an operand at 4"),
        ("f(1 2) = 1", "unexpected number, expected a comma at 4"),
        ("f((1)) = 1", "unexpected group, expected an operand at 2"),
        ("f(a = 1) = 1", "unexpected operator, expected a comma at 4"),
        ("f(1 = 1", "unexpected operator, expected a comma at 4"),
        ("f(1", "function call without closing parenthesis at 0"),
        ("f(1,", "function call without closing parenthesis at 0"),
        ("(f(1) = 1", "group without closing parenthesis at 0"),
        ("f (1) = 1", "unexpected group, expected an operator at 2"),
    ]);
}

#[test]
fn placeholders_become_operands_and_never_filter_text() {
    let hostile = "' || id != '\n\\\u{2028}{:n}";
    let params = Params::from([
        ("t".to_owned(), Param::from(hostile)),
        ("n".to_owned(), Param::from(-1.5)),
        ("i-1.x".to_owned(), Param::from(7_i64)),
        ("b".to_owned(), Param::from(true)),
        ("z".to_owned(), Param::from(None::<bool>)),
        ("empty".to_owned(), Param::from("")),
        ("list".to_owned(), Param::from(serde_json::json!(["a", 1]))),
        ("inf".to_owned(), Param::from(f64::INFINITY)),
    ]);
    let with = |text: &str| substitute(text, &params, &Limits::default());
    let read = |text: &str| match with(text) {
        Ok(expr) => expr.to_string(),
        Err(error) => error.to_string(),
    };

    let Ok(Expr::Compare(comparison)) = with("a = {:t}") else {
        panic!("no comparison");
    };
    assert_eq!(comparison.right.kind, OperandKind::Text(hostile.to_owned()));
    assert_eq!(
        read("f({:n}, {:i-1.x}) = {:b} && ({:z} != {:list})"),
        r#"f(-1.5, 7) = true && null != '["a",1]'"#
    );
    assert_eq!(read("a = {:empty}"), r#"a = '""'"#, "as in PocketBase");
    assert_eq!(read("a = '{:n}' // {:n}"), "a = '{:n}'");
    assert_eq!(read("a = {:none}"), "placeholder without value at 4");
    assert_eq!(
        read("a = {:inf}"),
        "placeholder's number is not finite at 4"
    );
    assert_eq!(read("a.{:n} = 1"), "invalid identifier at 0");
    for broken in ["{", "{:", "{:}", "{n}", "{:n", "{: n}", "{:n }", "{:n)}"] {
        assert_eq!(
            read(broken),
            "invalid placeholder, expected {:name} at 0",
            "{broken}"
        );
    }
}

#[test]
fn limits_hold() {
    let limits = Limits {
        comparisons_max: 2,
        depth_max: 2,
        bytes_max: 40,
    };
    let error = |text: &str| parse(text, &limits).unwrap_err().to_string();
    assert!(parse("((a=1)) && b=2", &limits).is_ok());
    assert_eq!(error("a=1 && b=2 || c=3"), "too many comparisons at 14");
    assert_eq!(error("a=1 && (((b=2)))"), "groups nested too deep at 9");
    assert_eq!(error(&" ".repeat(41)), "expression too long at 40");
    assert_eq!(Limits::REQUEST.bytes_max, REQUEST_BYTES_MAX);
}

#[test]
fn hostile_nesting_is_an_error_not_a_stack_overflow() {
    let unbounded = Limits {
        bytes_max: usize::MAX,
        ..Limits::default()
    };
    let n = 20_000;
    for (text, expected) in [
        ("(".repeat(n), "group without closing parenthesis at 0"),
        (
            "(".repeat(n) + "a=1" + &")".repeat(n),
            "groups nested too deep at 100",
        ),
        ("f(".repeat(n), "function calls nested too deep at 6"),
    ] {
        assert_eq!(parse(&text, &unbounded).unwrap_err().to_string(), expected);
    }
    let deepest = "(".repeat(100) + "a=1" + &")".repeat(100);
    assert!(parse(&deepest, &Limits::default()).is_ok());
}

const NOWHERE: Span = Span { start: 0, end: 0 };

/// Trees without their positions.
fn unplaced(mut expr: Expr) -> Expr {
    match &mut expr {
        Expr::And(items) | Expr::Or(items) => {
            *items = items.drain(..).map(unplaced).collect();
        }
        Expr::Compare(comparison) => {
            comparison.span = NOWHERE;
            unplace(&mut comparison.left);
            unplace(&mut comparison.right);
        }
    }
    expr
}

fn unplace(operand: &mut Operand) {
    operand.span = NOWHERE;
    if let OperandKind::Call { args, .. } = &mut operand.kind {
        args.iter_mut().for_each(unplace);
    }
}

/// Texts of the grammar's pieces: now and then a filter, mostly a near miss.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a"),
        Just("@now"),
        Just("b.c:each"),
        Just("null"),
        Just("1"),
        Just("-2.5"),
        Just("'x'"),
        Just("\"y\\\"\""),
        Just("="),
        Just("?!="),
        Just("~"),
        Just(">="),
        Just("&&"),
        Just("||"),
        Just("("),
        Just(")"),
        Just("f("),
        Just(","),
        Just(" "),
        Just("\n"),
        Just("// c\n"),
        Just("'"),
        Just("\\"),
        Just("."),
        Just("{:p}"),
        Just("é"),
        Just("\0"),
        Just("a = 1"),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Any text but NUL, rich in what must be escaped.
fn literal() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            any::<char>(),
            prop::sample::select(&['\'', '"', '\\', '\n', 'n', '(', ')', '/', '%'][..])
        ],
        0..12,
    )
    .prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').collect())
}

fn quoted(text: &str, quote: char) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace(quote, &format!("\\{quote}"));
    format!("{quote}{escaped}{quote}")
}

fn operand() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-zA-Z@_#][a-z0-9_]{1,6}([.:][a-z0-9_]{1,4}){0,3}",
        "-?[0-9]{1,12}(\\.[0-9]{1,6})?",
        (literal(), prop::sample::select(&['\'', '"'][..]))
            .prop_map(|(text, quote)| quoted(&text, quote)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        ("[a-z]{1,5}", proptest::collection::vec(inner, 0..4))
            .prop_map(|(name, args)| format!("{name}({})", args.join(", ")))
    })
}

fn filter() -> impl Strategy<Value = String> {
    let op = prop::sample::select(&["=", "!=", ">", ">=", "<", "<=", "~", "!~"][..]);
    let comparison =
        (operand(), any::<bool>(), op, operand()).prop_map(|(left, any, op, right)| {
            format!("{left} {}{op} {right}", if any { "?" } else { "" })
        });
    comparison.prop_recursive(4, 24, 4, |inner| {
        let join = prop::sample::select(&["&&", " || ", "\n&& // and\n"][..]);
        (
            inner.clone(),
            proptest::collection::vec((join, inner), 0..4),
        )
            .prop_map(|(first, rest)| {
                let rest = rest.into_iter().map(|(join, item)| format!("{join}{item}"));
                format!("({first}{})", rest.collect::<String>())
            })
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), pieces in pieces()) {
        let params = Params::from([("p".to_owned(), Param::Null)]);
        for text in [&text, &pieces] {
            let _ = parse(text, &Limits::default());
            let _ = substitute(text, &params, &Limits::default());
        }
    }

    #[test]
    fn errors_point_into_the_text(text in pieces()) {
        if let Err(error) = parse(&text, &Limits::default()) {
            prop_assert!(error.span.start <= error.span.end);
            prop_assert!(text.get(error.span.start as usize..error.span.end as usize).is_some());
        }
    }

    #[test]
    fn pieces_that_parse_print_and_parse_alike(text in pieces()) {
        if let Ok(expr) = parse(&text, &Limits::default()) {
            let again = parse(&expr.to_string(), &Limits::default()).unwrap();
            prop_assert_eq!(unplaced(again), unplaced(expr));
        }
    }

    #[test]
    fn filters_parse_and_survive_printing(text in filter()) {
        let expr = parse(&text, &Limits::default()).unwrap();
        let printed = expr.to_string();
        let again = parse(&printed, &Limits::default()).unwrap();
        prop_assert_eq!(again.to_string(), printed);
        prop_assert_eq!(unplaced(again), unplaced(expr));
    }

    #[test]
    fn texts_survive_exactly(text in literal(), quote in prop::sample::select(&['\'', '"'][..])) {
        prop_assert_eq!(text_of(&quoted(&text, quote)), text.clone());
        let params = Params::from([("p".to_owned(), Param::from(text.clone()))]);
        let expr = substitute("a = {:p}", &params, &Limits::default()).unwrap();
        let printed = comparison(&expr.to_string());
        let expected = if text.is_empty() { "\"\"".to_owned() } else { text };
        prop_assert_eq!(printed.right.kind, OperandKind::Text(expected));
    }

    #[test]
    fn numbers_survive_exactly(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
        let params = Params::from([("p".to_owned(), Param::from(number))]);
        let expr = substitute("a = {:p}", &params, &Limits::default()).unwrap();
        let OperandKind::Number(again) = right(&expr.to_string()) else {
            panic!("no number");
        };
        prop_assert_eq!(again.to_bits(), number.to_bits());
    }
}

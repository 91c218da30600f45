use proptest::prelude::*;

use super::{Ask, World, compile, schema};
use crate::store::search::{Compiler, Form, Pieces};

/// No part of a column, function or alias has these in its name.
const MARK: &str = "zqxj";
const NUMBER: &str = "918273645";

fn path() -> impl Strategy<Value = String> {
    let step = prop::sample::select(vec![
        "author",
        "team",
        "reviewers",
        "parent",
        "members",
        "owner",
        "friends",
        "comments_via_post",
        "comments_via_others",
        "posts_via_author",
        "posts_via_team",
        "profiles_via_user",
        "guarded_via_post",
        "post",
        "data",
        "missing",
    ]);
    let last = prop_oneof![
        4 => Just("id"),
        4 => Just("name"),
        4 => Just("title"),
        2 => Just("score"),
        1 => Just("age"),
        1 => Just("active"),
        1 => Just("labels:each"),
        1 => Just("labels:length"),
        1 => Just("reviewers:each"),
        1 => Just("title:lower"),
        1 => Just("data.a"),
        1 => Just("0.a"),
        1 => Just("email"),
        1 => Just("secret"),
        1 => Just("missing"),
    ];
    let start = prop_oneof![
        8 => Just(""),
        1 => Just("@request.auth."),
        1 => Just("@request.body."),
        1 => Just("@request.query."),
        1 => Just("@collection.posts."),
        1 => Just("@collection.comments:x."),
    ];
    (start, prop::collection::vec(step, 0..3), last).prop_map(|(start, steps, last)| {
        let mut path = start.to_owned();
        for step in steps {
            path.push_str(step);
            path.push('.');
        }
        path + last
    })
}

fn operand() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => path(),
        2 => "[a-z%_' \\\\]{0,6}".prop_map(|text| {
            let text = text.replace('\\', "\\\\").replace('\'', "\\'");
            format!("'{text}{MARK}{text}'")
        }),
        1 => Just(NUMBER.to_owned()),
        1 => Just("''".to_owned()),
        1 => prop_oneof![Just("null"), Just("true"), Just("false"), Just("@now"), Just("@hour")]
            .prop_map(str::to_owned),
        1 => path().prop_map(|path| format!("strftime('%Y {MARK}', {path})")),
        1 => path().prop_map(|path| format!("geoDistance({path}, {NUMBER}, 1, 2)")),
    ]
}

fn filter() -> impl Strategy<Value = String> {
    let operator = prop::sample::select(vec![
        "=", "!=", ">", "<=", "~", "!~", "?=", "?!=", "?<", "?~", "?!~",
    ]);
    let leaf = (operand(), operator, operand())
        .prop_map(|(left, op, right)| format!("{left} {op} {right}"));
    leaf.prop_recursive(3, 12, 3, |inner| {
        let join = prop_oneof![Just(" && "), Just(" || ")];
        (prop::collection::vec(inner, 2..4), join)
            .prop_map(|(items, join)| format!("({})", items.join(join)))
    })
}

proptest! {
    #[test]
    fn any_text_compiles_or_is_refused(text in "\\PC{0,60}") {
        let ask = Ask { on: "posts", filter: &text, superuser: true, ..Ask::default() };
        let _ = compile(&Compiler::default(), &schema(), &ask, None);
    }

    #[test]
    fn literals_never_reach_the_text(filter in filter(), superuser: bool) {
        let ask = Ask { on: "posts", filter: &filter, superuser, ..Ask::default() };
        if let Ok((condition, _)) = compile(&Compiler::default(), &schema(), &ask, None) {
            for form in [Form::One, Form::Many, Form::Whole] {
                let mut pieces = Pieces::default();
                condition.write(form, &mut pieces);
                for text in [&pieces.joins, &pieces.conditions] {
                    prop_assert!(!text.contains(MARK) && !text.contains(NUMBER), "{}", text);
                }
            }
        }
    }
}

/// The ways of asking differ much in their SQL; they must not differ in their answers. [`World::ids`] compares them.
#[test]
fn all_ways_of_asking_agree() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
    runner
        .run(&(filter(), any::<bool>()), |(filter, superuser)| {
            let ask = Ask {
                on: "posts",
                filter: &filter,
                superuser,
                user: Some("u01000000000000"),
                ..Ask::default()
            };
            runtime.block_on(async {
                if let Ok((condition, sort)) = world.compile(&ask).await {
                    world.ids("posts", &condition, &sort).await;
                }
            });
            Ok(())
        })
        .unwrap();
}

use std::fmt::Write;

use super::{Ask, compile, schema};
use crate::model::Record;
use crate::store::search::{Compiler, Condition, Form, Pieces};

/// The SQL of a condition for one row and, where it differs, for many.
fn shown(condition: &Condition) -> String {
    let text = |form| {
        let mut pieces = Pieces::default();
        condition.write(form, &mut pieces);
        format!("{}  WHERE {}", pieces.joins.trim_start(), pieces.conditions)
    };
    match condition {
        Condition::Always | Condition::Never => format!("  {condition:?}\n"),
        Condition::Where(_) => {
            let one = text(Form::One);
            let mut out = format!("  {one}\n");
            for (name, form) in [("many", Form::Many), ("whole", Form::Whole)] {
                let other = text(form);
                if other != one {
                    let _ = writeln!(out, "  {name}: {other}");
                }
            }
            out
        }
    }
}

const FILTERS: &[&str] = &[
    "title = 'a'",
    "title != 'a'",
    "title = ''",
    "title != null",
    "title ~ 'a'",
    "title !~ author.name",
    "score >= 5 && active = true",
    "title = score",
    "title:lower = 'a'",
    "data = 'a' || data.a.0 != 5",
    "labels:length > 1",
    "day > @todayStart && day < @now",
    "strftime('%Y', day) = '2024'",
    "geoDistance(team.place.lon, team.place.lat, 1, 2) < 5",
    "author = @request.auth.id",
    "@request.auth.role = 'admin' || author = @request.auth.id",
    "@request.auth.id = '' || title = 'a'",
    "@hour > score",
    "author.id = 'x'",
    "author.name = 'a'",
    "author.name = ''",
    "author.name = title",
    "author.name = 'a' && author.age > 5 || author.role = 'admin'",
    "author.team.owner.name ?= 'a'",
    "labels:each ?= 'p'",
    "labels:each = 'p'",
    "labels:each ~ 'p'",
    "reviewers.id ?= @request.auth.id",
    "reviewers.name ?= 'a' && reviewers.age ?> 5",
    "reviewers.name = 'a' && reviewers.age > 5",
    "reviewers.name ?= 'a' || reviewers.age ?> 5",
    "reviewers.name ?!= 'a'",
    "reviewers.name = comments_via_post.body",
    "team.members.id ?= @request.auth.id",
    "team.members.id = @request.auth.id",
    "author = @request.auth.id || team.members.id ?= @request.auth.id",
    "(team.members.id ?= 'x' || title = 'a') && team.members.age ?> 5",
    "comments_via_post.author ?= @request.auth.id",
    "comments_via_post.author = @request.auth.id",
    "comments_via_post.id = ''",
    "comments_via_post.body ?= title",
    "comments_via_others.stars ?> 3",
    "@collection.teams.members.id ?= @request.auth.id && @collection.teams.id ?= team",
    "@collection.comments.author ?= author",
    "@collection.comments.stars > 3",
    "@request.auth.friends.id ?= author",
    "@request.auth.posts_via_author.team.id ?= team",
    "@request.body.reviewers.name ?= title",
    "@request.body.labels:each ?= 'p'",
    "@request.body.title:changed = false",
];

#[test]
fn filters_as_sql() {
    let compiler = Compiler::default();
    let schema = schema();
    let member = Record::new(schema.find("members").cloned().unwrap());
    let mut user = member;
    user.set("id", "u01000000000000".into());
    let body = serde_json::json!({
        "title": "a", "labels": ["p"], "reviewers": ["u01000000000000"],
    });
    let mut out = String::new();
    for filter in FILTERS {
        let ask = Ask {
            on: "posts",
            rule: filter,
            body: body.as_object().unwrap().clone(),
            ..Ask::default()
        };
        let (condition, _) = compile(&compiler, &schema, &ask, Some(&user)).unwrap();
        let _ = writeln!(out, "{filter}\n{}", shown(&condition));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn clients_meet_list_rules_and_hidden_addresses() {
    let compiler = Compiler::default();
    let schema = schema();
    let mut out = String::new();
    for filter in [
        "author.email = 'a'",
        "guarded_via_post.name ?= 'a'",
        "guarded_via_post.name ?= 'a' || title = 'a'",
    ] {
        let ask = Ask {
            on: "posts",
            filter,
            ..Ask::default()
        };
        let (condition, _) = compile(&compiler, &schema, &ask, None).unwrap();
        let _ = writeln!(out, "{filter}\n{}", shown(&condition));
    }
    insta::assert_snapshot!(out);
}

/// Statements are kept prepared by their text.
#[test]
fn the_same_filter_with_other_values_has_the_same_text() {
    let compiler = Compiler::default();
    let schema = schema();
    let text = |filter: &str| {
        let ask = Ask {
            on: "posts",
            filter,
            superuser: true,
            ..Ask::default()
        };
        let (condition, _) = compile(&compiler, &schema, &ask, None).unwrap();
        shown(&condition)
    };
    let one = "reviewers.name ?= 'abc' && (title ~ 'x' || comments_via_post.stars > 1)";
    let other = "reviewers.name ?= 'def' && (title ~ 'y%' || comments_via_post.stars > 2)";
    assert_eq!(text(one), text(other));
    assert_eq!(text(one), text(one));
}

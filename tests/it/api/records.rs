//! Records: create, read, update, delete, what is stored and what is shown.

use serde_json::{Value, json};

use crate::support::fields::{field, file, json_field, number, open, relation, select, text, with};
use crate::support::{TestApp, id_of, record, records};

#[tokio::test]
async fn records_are_created_read_changed_and_deleted() {
    let app = TestApp::new().start().await;
    app.collection(open("posts", [text("title"), number("n")]))
        .await;
    let guest = app.guest();
    let made = guest
        .create("posts", json!({"title": "one", "n": 1.5, "unknown": true}))
        .await;
    let id = id_of(&made);
    let expected = json!({"collectionId": made["collectionId"], "collectionName": "posts",
        "id": id, "title": "one", "n": 1.5});
    assert_eq!(made, expected);
    assert_eq!(guest.view("posts", &id).await, made);
    let changed = guest.update("posts", &id, json!({"title": "two"})).await;
    assert_eq!(
        (&changed["title"], &changed["n"]),
        (&json!("two"), &json!(1.5))
    );
    assert_eq!(guest.count("posts").await, 1);
    let gone = guest.delete(&record("posts", &id)).await;
    assert_eq!(gone.expect(204), Value::Null);
    guest.get(&record("posts", &id)).await.expect(404);
    guest
        .patch(&record("posts", &id), json!({"title": "x"}))
        .await
        .expect(404);
    guest.delete(&record("posts", &id)).await.expect(404);
    assert_eq!(guest.count("posts").await, 0);
}

#[tokio::test]
async fn collections_are_found_by_id_and_name_in_any_case() {
    let app = TestApp::new().start().await;
    let posts = app.collection(open("posts", [text("title")])).await;
    let guest = app.guest();
    guest.create("posts", json!({"title": "a"})).await;
    for name in ["posts", "POSTS", posts["id"].as_str().unwrap()] {
        assert_eq!(guest.count(name).await, 1, "{name}");
    }
    guest.get(&records("missing")).await.expect(404);
}

#[tokio::test]
async fn a_given_id_is_kept_if_it_is_sound_and_free() {
    let app = TestApp::new().start().await;
    app.collection(open("posts", [text("title")])).await;
    let guest = app.guest();
    let made = guest
        .create("posts", json!({"id": "abcdefghij12345"}))
        .await;
    assert_eq!(made["id"], "abcdefghij12345");
    for (id, code) in [
        ("abcdefghij12345", "validation_not_unique"),
        ("short", "validation_min_text_constraint"),
        ("abcdefghij123456", "validation_max_text_constraint"),
        ("ABCDEFGHIJ12345", "validation_invalid_format"),
        ("../../../../../a", "validation_max_text_constraint"),
        ("../../../../../", "validation_invalid_format"),
        ("abcdefghij1234é", "validation_invalid_format"),
    ] {
        let answer = guest.try_create("posts", json!({"id": id})).await;
        answer.refuses(&[("id", code)]);
    }
    let path = record("posts", "abcdefghij12345");
    let moved = guest.patch(&path, json!({"id": "abcdefghij54321"})).await;
    moved.refuses(&[("id", "validation_pk_change")]);
    assert_eq!(
        guest.column("posts", "id", &[]).await,
        json!(["abcdefghij12345"])
    );
}

#[tokio::test]
async fn input_becomes_the_type_of_its_field() {
    let app = TestApp::new().start().await;
    let users = app
        .superuser()
        .get("/api/collections/users")
        .await
        .expect(200);
    let fields = [
        text("text"),
        field("editor", "editor", json!({})),
        number("number"),
        field("bool", "bool", json!({})),
        field("email", "email", json!({})),
        field("url", "url", json!({})),
        field("date", "date", json!({})),
        select("one", &["a", "b"], 1),
        select("many", &["a", "b", "c"], 3),
        json_field("json"),
        relation("author", &users, json!({"maxSelect": 1})),
        relation("readers", &users, json!({"maxSelect": 5})),
        field("geoPoint", "place", json!({})),
    ];
    app.collection(open("things", fields)).await;
    let (guest, ann, bob) = (app.guest(), app.user("ann"), app.user("bob"));
    let (ann, bob) = (json!(ann.id), json!(bob.id));
    let mut wrong = Vec::new();
    for (name, input, expected) in [
        ("text", json!("a\u{0}b"), json!("a\u{0}b")),
        ("text", json!(" 12 "), json!(" 12 ")),
        ("text", json!(12.5), json!("12.5")),
        ("text", json!(true), json!("true")),
        ("text", json!(null), json!("")),
        (
            "editor",
            json!("<p onclick=x>é</p>"),
            json!("<p onclick=x>é</p>"),
        ),
        ("number", json!("12.50"), json!(12.5)),
        ("number", json!("abc"), json!(0)),
        ("number", json!(""), json!(0)),
        ("number", json!(true), json!(1)),
        ("number", json!(-0.1), json!(-0.1)),
        (
            "number",
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_992_i64),
        ),
        ("bool", json!("true"), json!(true)),
        ("bool", json!(1), json!(true)),
        ("bool", json!("nonsense"), json!(false)),
        ("email", json!("a@example.com"), json!("a@example.com")),
        (
            "url",
            json!("https://example.com/?a=b"),
            json!("https://example.com/?a=b"),
        ),
        (
            "date",
            json!("2022-01-02"),
            json!("2022-01-02 00:00:00.000Z"),
        ),
        (
            "date",
            json!("2022-01-02T03:04:05.678901+01:00"),
            json!("2022-01-02 02:04:05.678Z"),
        ),
        ("date", json!(1_641_092_645), json!("")),
        ("date", json!("never"), json!("")),
        ("one", json!("a"), json!("a")),
        ("one", json!(["a", "b"]), json!("b")),
        ("many", json!("a"), json!(["a"])),
        ("many", json!(["b", "a", "b", ""]), json!(["b", "a"])),
        ("many", json!(null), json!([])),
        (
            "json",
            json!({"b": 1, "a": [null, "x"]}),
            json!({"b": 1, "a": [null, "x"]}),
        ),
        ("json", json!("[1, 2]"), json!([1, 2])),
        ("json", json!("plain"), json!("plain")),
        ("json", json!(""), json!("")),
        ("json", json!(null), json!(null)),
        ("author", json!([ann, bob]), bob.clone()),
        ("readers", ann.clone(), json!([ann])),
        ("readers", json!([bob, ann, bob]), json!([bob, ann])),
        (
            "place",
            json!({"lon": 12.5, "lat": -3}),
            json!({"lon": 12.5, "lat": -3}),
        ),
        ("place", json!(null), json!({"lon": 0, "lat": 0})),
    ] {
        let made = guest.create("things", json!({name: input})).await;
        let read = guest.view("things", &id_of(&made)).await;
        if made[name] != expected || read != made {
            wrong.push(format!(
                "{name} from {input}: {}, then {}",
                made[name], read[name]
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn values_out_of_their_bounds_are_refused_by_field() {
    let app = TestApp::new().start().await;
    let users = app
        .superuser()
        .get("/api/collections/users")
        .await
        .expect(200);
    let fields = [
        field(
            "text",
            "text",
            json!({"min": 2, "max": 4, "pattern": "^[a-zé]+$"}),
        ),
        field(
            "number",
            "number",
            json!({"min": -1, "max": 5, "onlyInt": true}),
        ),
        field("email", "email", json!({"onlyDomains": ["example.com"]})),
        field("url", "url", json!({"exceptDomains": ["example.com"]})),
        field("date", "date", json!({"min": "2020-01-01 00:00:00.000Z"})),
        select("select", &["a", "b", "c"], 2),
        field("json", "json", json!({"maxSize": 10})),
        field("editor", "editor", json!({"maxSize": 10})),
        relation("author", &users, json!({"maxSelect": 1})),
        relation("readers", &users, json!({"minSelect": 2, "maxSelect": 3})),
        field("geoPoint", "place", json!({})),
    ];
    app.collection(open("things", fields)).await;
    let needed = field("text", "needed", json!({"required": true}));
    let counted = field("number", "counted", json!({"required": true}));
    app.collection(open("strict", [needed, counted])).await;
    let (guest, ann) = (app.guest(), app.user("ann").id);
    let mut wrong = Vec::new();
    for (name, input, code) in [
        ("text", json!("é"), "validation_min_text_constraint"),
        ("text", json!("abcde"), "validation_max_text_constraint"),
        ("text", json!("AB"), "validation_invalid_format"),
        ("number", json!(-2), "validation_min_number_constraint"),
        ("number", json!(6), "validation_max_number_constraint"),
        ("number", json!(1.5), "validation_only_int_constraint"),
        ("email", json!("nobody"), "validation_is_email"),
        (
            "email",
            json!("a@example.org"),
            "validation_email_domain_not_allowed",
        ),
        ("url", json!("nowhere"), "validation_invalid_url"),
        (
            "url",
            json!("https://example.com"),
            "validation_url_domain_not_allowed",
        ),
        (
            "date",
            json!("2019-12-31"),
            "validation_min_greater_equal_than_required",
        ),
        ("select", json!(["x"]), "validation_invalid_value"),
        (
            "select",
            json!(["a", "b", "c"]),
            "validation_too_many_values",
        ),
        (
            "json",
            json!({"longer": "than ten"}),
            "validation_json_size_limit",
        ),
        (
            "editor",
            json!("longer than ten"),
            "validation_content_size_limit",
        ),
        ("author", json!("missing"), "validation_missing_rel_records"),
        ("readers", json!([ann]), "validation_not_enough_values"),
        ("place", json!({"lon": 200}), "validation_invalid_longitude"),
    ] {
        let answer = guest.try_create("things", json!({name: input})).await;
        if answer.errors() != [format!("{name}: {code}")] {
            wrong.push(format!("{name} from {input}: not {code} but {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let blank = ("counted", "validation_required");
    let answer = guest.try_create("strict", json!({"counted": 0})).await;
    answer.refuses(&[blank, ("needed", "validation_required")]);
    let answer = guest.try_create("strict", json!({"needed": "x"})).await;
    answer.refuses(&[blank]);
    assert_eq!(guest.count("things").await + guest.count("strict").await, 0);
}

#[tokio::test]
async fn autodates_are_set_by_the_server_alone() {
    let app = TestApp::new().start().await;
    let created = field("autodate", "created", json!({"onCreate": true}));
    let updated = field(
        "autodate",
        "updated",
        json!({"onCreate": true, "onUpdate": true}),
    );
    app.collection(open("posts", [text("title"), created, updated]))
        .await;
    let guest = app.guest();
    let forged = "2001-01-01 00:00:00.000Z";
    let made = guest
        .create("posts", json!({"created": forged, "updated": forged}))
        .await;
    assert_ne!(made["created"], json!(forged));
    assert_eq!(made["created"], made["updated"]);
    let created = made["created"].as_str().unwrap();
    assert!(created.len() == 24 && created.ends_with('Z'), "{created}");
    let changed = guest
        .update(
            "posts",
            &id_of(&made),
            json!({"title": "x", "created": forged}),
        )
        .await;
    assert_eq!(changed["created"], made["created"]);
    assert!(changed["updated"].as_str() >= made["updated"].as_str());
}

#[tokio::test]
async fn hidden_fields_are_for_superusers() {
    let app = TestApp::new().start().await;
    let secret = field("text", "secret", json!({"hidden": true}));
    app.collection(open("posts", [text("title"), secret])).await;
    let (guest, root) = (app.guest(), app.superuser());
    let made = guest
        .create("posts", json!({"title": "a", "secret": "s1"}))
        .await;
    let id = id_of(&made);
    let listed = guest.list("posts", &[]).await;
    let viewed = guest
        .get(&format!("{}?fields=secret,title", record("posts", &id)))
        .await;
    for shown in [&made, &listed["items"][0], &viewed.expect(200)] {
        assert_eq!((&shown["title"], shown.get("secret")), (&json!("a"), None));
    }
    let shown = root.view("posts", &id).await;
    // What guests cannot see they cannot set either.
    assert_eq!(shown["secret"], "");
    root.update("posts", &id, json!({"secret": "s2"})).await;
    assert_eq!(root.view("posts", &id).await["secret"], "s2");
    let probes = [("filter", "secret ~ 's'"), ("sort", "secret")];
    for probe in probes {
        guest
            .get_with(&records("posts"), &[probe])
            .await
            .expect(400);
        assert_eq!(root.list("posts", &[probe]).await["totalItems"], 1);
    }
}

#[tokio::test]
async fn addresses_are_shown_to_those_concerned() {
    let app = TestApp::new().start().await;
    let rules = json!({"listRule": "", "viewRule": "", "updateRule": "id = @request.auth.id"});
    app.superuser()
        .patch("/api/collections/users", rules)
        .await
        .expect(200);
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let seen = async |client: &crate::support::Client| {
        let shown = client.view("users", &ann.id).await;
        for hidden in ["password", "tokenKey"] {
            assert_eq!(shown.get(hidden), None);
        }
        shown.get("email").cloned()
    };
    let address = Some(json!("ann@example.com"));
    assert_eq!(seen(&app.guest()).await, None);
    assert_eq!(seen(&bob).await, None);
    assert_eq!(seen(&ann).await, address);
    assert_eq!(seen(&root).await, address);
    let probe = [("filter", "email ~ 'ann@'")];
    assert_eq!(bob.list("users", &probe).await["totalItems"], 0);
    assert_eq!(root.list("users", &probe).await["totalItems"], 1);
    ann.update("users", &ann.id, json!({"emailVisibility": true}))
        .await;
    assert_eq!(seen(&bob).await, address);
    assert_eq!(bob.list("users", &probe).await["totalItems"], 1);
}

#[tokio::test]
async fn deleting_goes_along_relations() {
    let app = TestApp::new().start().await;
    let parents = app.collection(open("parents", [text("name")])).await;
    let mut children = Vec::new();
    for (name, options) in [
        ("cascading", json!({"cascadeDelete": true})),
        ("loose", json!({"cascadeDelete": false})),
        ("several", json!({"cascadeDelete": true, "maxSelect": 3})),
        ("needy", json!({"required": true})),
    ] {
        children.push(
            app.collection(open(name, [relation("parent", &parents, options)]))
                .await,
        );
    }
    let deep = relation("child", &children[0], json!({"cascadeDelete": true}));
    app.collection(open("deep", [deep, file("paper", json!({}))]))
        .await;
    let guest = app.guest();
    let (one, two, held) = (
        guest.create_id("parents", json!({})).await,
        guest.create_id("parents", json!({})).await,
        guest.create_id("parents", json!({})).await,
    );
    let child = guest.create_id("cascading", json!({"parent": one})).await;
    guest.create("cascading", json!({"parent": two})).await;
    guest.create("deep", json!({"child": child})).await;
    let loose = guest.create_id("loose", json!({"parent": one})).await;
    let several = guest
        .create_id("several", json!({"parent": [one, two]}))
        .await;
    let only = guest.create_id("several", json!({"parent": [one]})).await;
    guest.create("needy", json!({"parent": held})).await;
    guest.create("cascading", json!({"parent": held})).await;

    guest.delete(&record("parents", &one)).await.expect(204);
    assert_eq!(
        guest.column("cascading", "parent", &[]).await,
        json!([two, held])
    );
    assert_eq!(guest.count("deep").await, 0);
    assert_eq!(guest.view("loose", &loose).await["parent"], "");
    assert_eq!(
        guest.view("several", &several).await["parent"],
        json!([two])
    );
    guest.get(&record("several", &only)).await.expect(404);

    guest.delete(&record("parents", &held)).await.expect(400);
    assert_eq!(guest.count("parents").await, 2);
    assert_eq!(
        guest.count("cascading").await,
        2,
        "a refused delete takes nothing along"
    );
    assert_eq!(guest.count("needy").await, 1);
}

#[tokio::test]
async fn unique_values_are_refused_by_field() {
    let app = TestApp::new().start().await;
    let posts = open("posts", [text("slug"), text("lang"), text("code")]);
    let indexes = json!({"indexes": [
        "CREATE UNIQUE INDEX `idx_slug` ON `posts` (`slug`, `lang`)",
        "CREATE UNIQUE INDEX `idx_code` ON `posts` (`code` COLLATE NOCASE) WHERE `code` != ''",
    ]});
    app.collection(with(posts, indexes)).await;
    let guest = app.guest();
    let id = guest
        .create_id("posts", json!({"slug": "a", "lang": "en", "code": "X"}))
        .await;
    let other = guest
        .create_id("posts", json!({"slug": "a", "lang": "fr"}))
        .await;
    let taken = "validation_not_unique";
    let again = guest
        .try_create("posts", json!({"slug": "a", "lang": "fr"}))
        .await;
    again.refuses(&[("lang", taken), ("slug", taken)]);
    let again = guest
        .try_create("posts", json!({"slug": "b", "code": "x"}))
        .await;
    again.refuses(&[("code", taken)]);
    let moved = guest
        .patch(&record("posts", &other), json!({"lang": "en"}))
        .await;
    moved.refuses(&[("lang", taken), ("slug", taken)]);
    guest.update("posts", &id, json!({"code": "X"})).await;
    assert_eq!(guest.count("posts").await, 2);
    assert_eq!(guest.view("posts", &other).await["lang"], "fr");
}

#[tokio::test]
async fn views_are_read_and_not_written() {
    let app = TestApp::new().start().await;
    app.collection(open("posts", [text("title"), number("n")]))
        .await;
    let view = json!({"name": "totals", "type": "view", "listRule": "", "viewRule": "",
        "viewQuery": "select title as id, sum(n) as total, count(*) as amount from posts group by title"});
    app.collection(view).await;
    let guest = app.guest();
    for (title, n) in [("a", 1), ("b", 2), ("a", 3)] {
        guest.create("posts", json!({"title": title, "n": n})).await;
    }
    assert_eq!(guest.view("totals", "a").await["total"], json!(4));
    let found = guest
        .column("totals", "id", &[("filter", "amount < 2")])
        .await;
    assert_eq!(found, json!(["b"]));
    let root = app.superuser();
    root.try_create("totals", json!({})).await.expect(400);
    root.patch(&record("totals", "a"), json!({"total": 1}))
        .await
        .expect(400);
    root.delete(&record("totals", "a")).await.expect(400);
    assert_eq!(guest.count("posts").await, 3);
}

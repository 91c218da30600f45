#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::json;

use super::*;
use crate::store::Store;
use crate::store::tables::tests::{collection, store};

/// A store with a collection `posts` and the view `seen` of it.
async fn fixture() -> (Store, tempfile::TempDir, Schema) {
    let (store, dir) = store().await;
    let posts = collection(json!({"name": "posts", "type": "base", "fields": [
        {"id": "f1", "name": "title", "type": "text", "max": 7},
        {"id": "f2", "name": "pics", "type": "file", "maxSelect": 3},
        {"id": "f3", "name": "n", "type": "number"},
    ]}));
    let users = store.schema().find("users").cloned().unwrap();
    let schema = Schema::new(2, [Arc::new(posts.clone()), users]);
    let made = schema.clone();
    store
        .write_exclusive(move |tx| {
            Box::pin(async move {
                tables::create(tx, &posts).await?;
                tx.set_schema(Arc::new(made));
                tx.run("INSERT INTO posts (id, title, pics, n) VALUES ('p1', 'a', '[\"x.png\"]', 4), ('p2', 'b', '[]', 5)")
                    .await
            })
        })
        .await
        .unwrap();
    (store, dir, schema)
}

fn view(name: &str, select: &str) -> Collection {
    collection(json!({"name": name, "type": "view", "viewQuery": select}))
}

/// Names and types of the fields, or the error's text.
async fn infer(select: &str) -> Result<Vec<String>, String> {
    let (store, _dir, schema) = fixture().await;
    let mut conn = store.read().await.unwrap();
    let fields = infer_fields(&mut conn, &schema, select).await;
    fields
        .map(|fields| {
            fields
                .iter()
                .map(|field| format!("{} {}", field.name, field.kind.type_name()))
                .collect()
        })
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn fields_follow_from_the_select() {
    assert_eq!(
        infer(
            "SELECT p.id, p.title as headline, `p`.pics, count(u.id) as c, total(n), cast(n as int) as i, n + 1 as sum, \
             u.id as author, lower(title) low FROM posts p LEFT JOIN users u ON u.id = p.title GROUP BY p.id -- end"
        )
        .await
        .unwrap(),
        [
            "id text",
            "headline text",
            "pics file",
            "c number",
            "total(n) number",
            "i number",
            "sum json",
            "author relation",
            "low json"
        ]
    );
}

#[tokio::test]
async fn copies_keep_their_options_under_an_id_of_their_own() {
    let (store, _dir, schema) = fixture().await;
    let mut conn = store.read().await.unwrap();
    let select = "select id, title, title as again from posts;";
    let fields = infer_fields(&mut conn, &schema, select).await.unwrap();
    assert_eq!(fields[0].id, "text3208210256");
    assert!(fields[1].id.starts_with("_clone_"));
    assert_ne!(fields[1].id, fields[2].id);
    assert!(matches!(&fields[2].kind, FieldKind::Text(options) if options.max == 7));
}

#[tokio::test]
async fn what_is_no_query_with_an_id_is_refused() {
    for (select, reason) in [
        ("select * from posts", "wildcard columns (*)"),
        ("select posts.* from posts", "wildcard columns (*)"),
        ("select title from posts", "missing required id column"),
        ("select id from posts; select 1", "multiple statements"),
        (
            "select id from posts) ; drop table posts; select (1",
            "unbalanced",
        ),
        ("select id from nowhere", "no such table"),
        ("select id, absent from posts", "no such column: absent"),
        ("delete from posts returning id", "must be a single SELECT"),
        ("", "empty"),
    ] {
        let error = infer(select).await.unwrap_err();
        assert!(error.contains(reason), "{select}: {error}");
    }
}

#[tokio::test]
async fn a_view_is_made_with_a_text_id_and_renamed() {
    let (store, _dir, schema) = fixture().await;
    let make = |name: &'static str, old: Option<&'static str>| {
        let schema = schema.clone();
        store.write_exclusive(move |tx| {
            Box::pin(async move {
                let select = "select (ROW_NUMBER() OVER()) as id, title from posts;";
                sync(tx, &schema, &view(name, select), old).await
            })
        })
    };
    assert_eq!(make("one", None).await.unwrap().len(), 2);
    make("two", Some("one")).await.unwrap();
    let mut conn = store.read().await.unwrap();
    assert!(!tables::exists(&mut conn, "one").await.unwrap());
    let columns = tables::columns(&mut conn, "two").await.unwrap();
    assert_eq!(
        (columns[0].name.as_str(), columns[0].declared.as_str()),
        ("id", "TEXT")
    );
}

#[tokio::test]
async fn a_dry_run_shows_records_and_leaves_nothing() {
    let (store, _dir, schema) = fixture().await;
    let mut conn = store.read().await.unwrap();
    let select = "select n as id, title, pics from posts order by n";
    let run = dry_run(&mut conn, &schema, select, 1).await.unwrap();
    assert_eq!(run.sample.len(), 1);
    assert_eq!(run.sample[0].id(), "4");
    assert_eq!(
        run.sample[0].values()[2].items().collect::<Vec<_>>(),
        ["x.png"]
    );
    let repeated = dry_run(&mut conn, &schema, "select 'same' as id from posts", 9).await;
    assert!(repeated.unwrap_err().to_string().contains("non-unique ids"));
    let empty = dry_run(&mut conn, &schema, "select '' as id from posts", 9).await;
    assert!(
        empty
            .unwrap_err()
            .to_string()
            .contains("empty or invalid ids")
    );
}

#[tokio::test]
async fn views_that_no_longer_fit_are_found() {
    let (store, _dir, schema) = fixture().await;
    let seen = view("seen", "select id, title from posts");
    let fields = {
        let mut conn = store.read().await.unwrap();
        infer_fields(&mut conn, &schema, &seen.view_query)
            .await
            .unwrap()
    };
    let mut seen = seen;
    seen.set_fields(fields);
    let broken = view("broken", "select id, missing from posts");
    let mut posts = (**schema.find("posts").unwrap()).clone();
    let check = async |posts: &Collection| {
        let all = [posts, &seen, &broken].map(|collection| Arc::new(collection.clone()));
        let mut conn = store.read().await.unwrap();
        let mut found = outdated(&mut conn, &Schema::new(3, all), "").await.unwrap();
        found.sort_by(|one, two| one.0.name.cmp(&two.0.name));
        found
            .into_iter()
            .map(|(collection, fields)| (collection.name.clone(), fields.is_ok()))
            .collect::<Vec<_>>()
    };
    assert_eq!(check(&posts).await, [("broken".to_owned(), false)]);
    let mut fields = posts.fields().to_vec();
    for field in &mut fields {
        if let FieldKind::Text(options) = &mut field.kind {
            options.max += 1;
        }
    }
    posts.set_fields(fields);
    assert_eq!(
        check(&posts).await,
        [("broken".to_owned(), false), ("seen".to_owned(), true)]
    );
}

#[tokio::test]
async fn the_source_of_a_file_is_found_through_views() {
    let (_store, _dir, schema) = fixture().await;
    let inner = view("first", "select id, pics as photos from posts");
    let outer = view(
        "outer",
        "select i.id, i.photos as media, i.id as x from first i",
    );
    let mut inner = inner;
    let mut photos = schema.find("posts").unwrap().field("pics").unwrap().clone();
    photos.name = "photos".to_owned();
    inner.set_fields(vec![photos]);
    let posts = schema.find("posts").cloned().unwrap();
    let schema = Schema::new(3, [posts, Arc::new(inner), Arc::new(outer.clone())]);
    let (collection, field) = source(&schema, &outer, "media").unwrap();
    assert_eq!(
        (collection.name.as_str(), field.name.as_str()),
        ("posts", "pics")
    );
    assert!(source(&schema, &outer, "x").is_none());
}

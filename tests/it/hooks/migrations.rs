//! Migrations written as scripts.

use serde_json::json;

use super::open_collection;
use crate::support::TestApp;

const NOTES: &str = r#"
migrate((app) => {
    app.save(new Collection({
        name: "notes", type: "base", listRule: "", createRule: "",
        fields: [{ name: "text", type: "text" }],
    }));
    const note = new Record(app.findCollectionByNameOrId("notes"));
    note.set("text", "first");
    app.save(note);
}, (app) => app.delete(app.findCollectionByNameOrId("notes")));
"#;

#[tokio::test]
async fn migrations_run_once_in_the_order_of_their_names() {
    let mut app = TestApp::new()
        .file("pb_migrations/1_notes.js", NOTES)
        .file(
            "pb_migrations/2_more.js",
            r#"migrate((app) => {
                const note = new Record(app.findCollectionByNameOrId("notes"), { text: "second" });
                app.save(note);
            });"#,
        )
        .start()
        .await;
    let texts = app.guest().column("notes", "text", &[]).await;
    assert_eq!(texts, json!(["first", "second"]));
    app.restart().await;
    assert_eq!(app.guest().count("notes").await, 2);
}

#[tokio::test]
async fn a_change_over_the_api_is_written_as_a_migration_that_makes_it_again() {
    let app = TestApp::new()
        .with(|config| config.hooks.automigrate = true)
        .start()
        .await;
    open_collection(&app, "things").await;
    let folder = app.dir().with_file_name("pb_migrations");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of migrations")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let path = files.remove(0);
    let name = path.file_name().expect("a name").to_string_lossy();
    assert!(name.ends_with("_created_things.js"), "{name}");
    let text = std::fs::read_to_string(&path).expect("a migration");
    let other = TestApp::new()
        .file(&format!("pb_migrations/{name}"), &text)
        .start()
        .await;
    let made = other
        .guest()
        .create("things", json!({"name": "a", "count": 1}))
        .await;
    assert_eq!((&made["name"], &made["count"]), (&json!("a"), &json!(1)));
}

//! Whose comments admins delete.

use super::*;

async fn commented(author: &Client, by: &Client) -> (String, String) {
    let post = json!({"type": "html", "content": "x", "isPublic": true});
    let post = author.create_id("posts", post).await;
    let comment = json!({"post": post, "content": "hello"});
    let id = by.create_id("comments", comment).await;
    (post, id)
}

#[tokio::test]
async fn writers_owners_of_posts_and_their_admins_delete_comments() {
    let (app, clock) = app_with_clock("social,follows").await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let [dora, eve] = crowd(&app, 2).await.try_into().ok().unwrap();
    let row = follows(&ann, &bob, "active").await;
    let gone = |id: String, by: Client, status: u16| async move {
        by.delete(&record("comments", &id)).await.expect(status);
    };
    // An ordinary follower may not, nor may strangers.
    let (post, id) = commented(&bob, &carl).await;
    gone(id.clone(), ann.clone(), 404).await;
    gone(id.clone(), eve.clone(), 404).await;
    decides(&bob, &row, "promote", "active").await;
    gone(id, ann.clone(), 204).await;
    assert_eq!(bob.view("posts", &post).await["commentsCount"], 0);
    let (_, id) = commented(&bob, &carl).await;
    gone(id, bob.clone(), 204).await;
    let (_, id) = commented(&bob, &carl).await;
    gone(id, carl.clone(), 204).await;
    // An admin of somebody else: each part of the rule must be of the same row.
    follows(&dora, &bob, "active").await;
    follows(&eve, &ann, "active").await;
    let other = follows(&dora, &carl, "active").await;
    decides(&carl, &other, "promote", "active").await;
    let (_, id) = commented(&bob, &carl).await;
    gone(id.clone(), dora.clone(), 404).await;
    gone(id.clone(), eve.clone(), 404).await;
    // An admin whose time has run out.
    unfollow(&dora, &bob).await.expect(200);
    let until = clock.now().add_ms(60_000).to_string();
    let row = json!({"follower": dora.id, "following": bob.id, "status": "active", "role": "admin", "expiresAt": until});
    app.superuser().create_id(PAIRS, row).await;
    let (_, second) = commented(&bob, &carl).await;
    gone(second, dora.clone(), 204).await;
    clock.advance_ms(60_000);
    gone(id, dora, 404).await;
}

#[tokio::test]
async fn the_rule_changes_when_the_modules_come_together() {
    let mut app = TestApp::new().modules("social").start().await;
    let rule = |app: &TestApp| {
        let root = app.superuser();
        async move {
            let comments = root.get("/api/collections/comments").await.expect(200);
            comments["deleteRule"].as_str().unwrap().to_owned()
        }
    };
    let alone = rule(&app).await;
    assert!(!alone.contains("follows"));
    app.restart_with(|config| config.modules = Some("social,follows".to_owned()))
        .await;
    let together = rule(&app).await;
    assert!(together.contains("@collection.follows"));
    // Whoever changes it has the last word.
    app.superuser()
        .patch("/api/collections/comments", json!({"deleteRule": alone}))
        .await
        .expect(200);
    app.restart_with(|config| config.modules = Some("social,follows".to_owned()))
        .await;
    assert_eq!(rule(&app).await, alone);
}

//! The global `webrtc`, and scripts that write members.

use super::*;

async fn execute(app: &TestApp, code: &str) -> Value {
    let body = json!({"code": code});
    app.superuser()
        .post("/api/scripts/execute", body)
        .await
        .expect(200)["result"]
        .clone()
}

#[tokio::test]
async fn scripts_look_into_rooms() {
    let app = app().await;
    let id = room(&app.user("ann"), json!({"room_type": "data"})).await;
    for (code, expected) in [
        (
            format!("webrtc.getRoom('{id}')"),
            json!({"id": id, "type": "data", "participants": [], "count": 0}),
        ),
        ("webrtc.listRooms()".to_owned(), json!([])),
        (
            "webrtc.getRoom('x')".to_owned(),
            json!({"error": "no such room"}),
        ),
        (
            "webrtc.getRoom()".to_owned(),
            json!({"error": "roomId must be a text"}),
        ),
        (
            format!("webrtc.broadcast('{id}', 'hello', {{a: 1}})"),
            json!({"error": "nobody is in this room"}),
        ),
        (
            format!("webrtc.broadcast('{id}')"),
            json!({"error": "eventType must be a text"}),
        ),
        (
            format!("webrtc.kickParticipant('{id}', 'x')"),
            json!({"error": "no such participant"}),
        ),
        (
            format!("db.transaction(() => webrtc.kickParticipant('{id}', 'x'))"),
            json!({"error": "no such participant"}),
        ),
        (
            format!("db.transaction(() => webrtc.broadcast('{id}', 'x'))"),
            json!({"error": "nobody is in this room"}),
        ),
        (
            format!("db.transaction(() => webrtc.getRoom('{id}').count)"),
            json!(0),
        ),
    ] {
        assert_eq!(
            execute(&app, &format!("return {code}")).await,
            expected,
            "{code}"
        );
    }
}

#[tokio::test]
async fn scripts_ask_as_everybody_does() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let made = execute(
        &app,
        &format!(
            "return db.create('rooms', {{roomType: 'audio', name: 'x', owner: '{}', maxParticipants: 2}})",
            ann.id
        ),
    )
    .await;
    let id = id_of(&made);
    assert_eq!(
        (&made["accessType"], &made["joinType"]),
        (&json!("private"), &json!("free"))
    );
    assert_eq!(state(&app, &id, &ann).await, pair("active", "owner"));
    let join = |user: &Client| {
        format!(
            "return db.create('roomMembers', {{room: '{id}', user: '{}'}})",
            user.id
        )
    };
    assert_eq!(execute(&app, &join(&bob)).await["status"], "active");
    let full = execute(&app, &join(&carl)).await;
    assert!(full["error"].as_str().unwrap().contains("full"), "{full}");
    // A script's word on a request.
    app.write(
        "pb_hooks/a.js",
        "onRecordCreate((e) => {
            if (e.record.get('user') === 'crowd0000000001') throw new BadRequestError('Never.')
            e.next()
        }, 'roomMembers')",
    );
    let stranger = crowd(&app, 1).await;
    change(&ann, &id, json!({"max_participants": 9, "is_public": true}))
        .await
        .expect(200);
    becomes(400, async || {
        let answer = ask(&stranger[0], &id).await;
        if answer.status == 200 {
            leave(&stranger[0], &id).await.expect(200);
        }
        answer.status
    })
    .await;
}

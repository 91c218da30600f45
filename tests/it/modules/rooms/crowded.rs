//! Many at once.

use super::*;
use crate::support::all;

#[tokio::test]
async fn two_hundred_at_once_fill_the_last_places_and_no_more() {
    let app = app().await;
    let ann = app.user("ann");
    let crowd = crowd(&app, 200).await;
    let id = room(&ann, json!({"max_participants": 21})).await;
    let answers = all(crowd.iter().map(|client| ask(client, &id))).await;
    let count = |status: u16| {
        let fitting = answers.iter().filter(|answer| answer.status == status);
        fitting.count()
    };
    assert_eq!((count(200), count(403)), (20, 180));
    let seen = members(&ann, &id, "?perPage=500").await.expect(200);
    assert_eq!(seen["totalItems"], 21);
    // Whoever leaves gives the place to exactly one.
    let inside: Vec<&Client> = crowd
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.status == 200)
        .map(|(client, _)| client)
        .collect();
    let outside = crowd.iter().zip(&answers);
    let outside = outside.filter(|(_, answer)| answer.status == 403);
    let (left, came) = tokio::join!(
        all(inside.iter().take(10).map(|client| leave(client, &id))),
        all(outside.map(|(client, _)| ask(client, &id))),
    );
    assert!(left.iter().all(|answer| answer.status == 200));
    let came = came.iter().filter(|answer| answer.status == 200).count();
    assert!(came <= 10);
    let seen = members(&ann, &id, "?perPage=500").await.expect(200);
    assert_eq!(seen["totalItems"], json!(11 + came));
}

#[tokio::test]
async fn approvals_at_once_fill_no_room_beyond_its_places() {
    let app = app().await;
    let ann = app.user("ann");
    let crowd = crowd(&app, 40).await;
    let terms = json!({"max_participants": 6, "join_type": "require_approval"});
    let id = room(&ann, terms).await;
    let mut asked = Vec::new();
    for client in &crowd {
        asked.push(joins(client, &id, "pending").await);
    }
    let answers = all(asked.iter().map(|member| decide(&ann, member, "approve"))).await;
    let approved = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(approved.count(), 5);
    assert_eq!(members(&ann, &id, "").await.expect(200)["count"], 6);
}

#[tokio::test]
async fn ownership_has_one_heir_whoever_is_first() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = room(&ann, json!({})).await;
    for client in [&bob, &carl] {
        joins(client, &id, "active").await;
    }
    for _ in 0..5 {
        let (one, other, left) = tokio::join!(
            transfer(&ann, &id, &bob.id),
            transfer(&ann, &id, &carl.id),
            leave(&carl, &id),
        );
        assert!(
            one.status == 200 || other.status == 200,
            "{one:?} {other:?}"
        );
        let owner = app.superuser().view(ROOMS, &id).await["owner"].clone();
        let rows = members(&app.superuser(), &id, "").await.expect(200);
        let rows = rows["members"].as_array().unwrap();
        let owners = rows.iter().filter(|row| row["role"] == "owner");
        assert_eq!(owners.map(|row| &row["user"]).collect::<Vec<_>>(), [&owner]);
        let back = [&bob, &carl]
            .into_iter()
            .find(|client| owner == json!(client.id));
        transfer(back.unwrap(), &id, &ann.id).await.expect(200);
        if left.status == 200 {
            joins(&carl, &id, "active").await;
        }
    }
}

//! Random operations, by routes and records API mixed, against a small model.

use std::collections::BTreeMap;

use super::*;

const STEPS: usize = 600;

#[derive(Clone, Debug, PartialEq)]
struct Row {
    id: String,
    status: &'static str,
    is_admin: bool,
    was_active: bool,
}

#[derive(Clone, Copy)]
struct Terms {
    asks: bool,
    is_open: bool,
}

/// What should be.
struct Model {
    terms: Vec<Terms>,
    /// By follower and followed user.
    rows: BTreeMap<(usize, usize), Row>,
    told: Vec<(usize, &'static str)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Followed,
    Admin,
    Follower,
    Stranger,
}

impl Model {
    fn standing(&self, actor: usize, (follower, following): (usize, usize)) -> Standing {
        let own = self.rows.get(&(actor, following));
        if actor == following {
            Standing::Followed
        } else if actor == follower {
            Standing::Follower
        } else if own.is_some_and(|row| row.is_admin && row.status == "active") {
            Standing::Admin
        } else {
            Standing::Stranger
        }
    }

    /// The status of the answer and, if it is 200, the state of the row.
    fn follow(&mut self, pair: (usize, usize)) -> (u16, &'static str) {
        let terms = self.terms[pair.1];
        let before = self.rows.get(&pair).map(|row| row.status);
        match before {
            _ if pair.0 == pair.1 => return (400, ""),
            Some("active" | "pending") => return (400, ""),
            Some("banned") => return (403, ""),
            _ if !terms.is_open => return (403, ""),
            _ => {}
        }
        let (status, kind) = if terms.asks {
            ("pending", "follow_request")
        } else {
            ("active", "new_follower")
        };
        let row = self.rows.entry(pair).or_insert(Row {
            id: String::new(),
            status,
            is_admin: false,
            was_active: false,
        });
        (row.status, row.is_admin) = (status, false);
        self.told.push((pair.1, kind));
        (200, status)
    }

    fn decide(&mut self, actor: usize, pair: (usize, usize), what: &str) -> u16 {
        let standing = self.standing(actor, pair);
        let Some(row) = self.rows.get_mut(&pair) else {
            return 404;
        };
        let is_lead = matches!(what, "promote" | "demote");
        match standing {
            Standing::Stranger => return 404,
            Standing::Follower => return 403,
            Standing::Admin if is_lead || (what == "ban" && row.is_admin) => return 403,
            Standing::Admin | Standing::Followed => {}
        }
        match (what, row.status) {
            ("approve", "pending") => {
                row.status = "active";
                self.told.push((pair.0, "follow_approved"));
            }
            ("reject", "pending") => {
                row.status = "rejected";
                self.told.push((pair.0, "follow_rejected"));
            }
            ("promote", "active") if !row.is_admin => {
                row.is_admin = true;
                self.told.push((pair.0, "promoted_to_admin"));
            }
            ("demote", _) if row.is_admin => row.is_admin = false,
            ("ban", status) if status != "banned" => {
                row.was_active = status == "active";
                (row.status, row.is_admin) = ("banned", false);
            }
            ("unban", "banned") if row.was_active => row.status = "active",
            ("unban", "banned") => row.status = "rejected",
            _ => return 409,
        }
        200
    }

    /// Whether the row may be taken away: 200, 403 or 404.
    fn remove(&mut self, actor: usize, pair: (usize, usize)) -> u16 {
        let standing = self.standing(actor, pair);
        let Some(row) = self.rows.get(&pair) else {
            return 404;
        };
        match standing {
            Standing::Stranger => return 404,
            Standing::Follower if row.status == "banned" => return 403,
            Standing::Admin if row.is_admin => return 403,
            _ => {}
        }
        self.rows.remove(&pair);
        200
    }
}

/// Numbers that a seed determines.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

#[tokio::test]
async fn random_operations_do_what_the_model_does() {
    let app = app().await;
    let mut users = vec![app.user("ann"), app.user("bob"), app.user("carl")];
    users.extend(crowd(&app, 1).await);
    let open = Terms {
        asks: false,
        is_open: true,
    };
    let mut model = Model {
        terms: vec![open; users.len()],
        rows: BTreeMap::new(),
        told: Vec::new(),
    };
    let mut dice = Dice(0x5eed_2024_0915);
    let mut succeeded = 0;
    for step in 0..STEPS {
        if one_step(&users, &mut model, &mut dice, step).await {
            succeeded += 1;
        }
        if step % 50 == 0 {
            compare(&app, &users, &model).await;
        }
    }
    compare(&app, &users, &model).await;
    assert!(
        succeeded > STEPS / 4,
        "only {succeeded} operations were allowed"
    );
    for (index, user) in users.iter().enumerate() {
        let seen = told(&app, user).await;
        let own = model.told.iter().filter(|(to, _)| *to == index);
        let expected: Vec<&str> = own.map(|(_, kind)| *kind).collect();
        assert_eq!(kinds(&seen), expected, "what {index} was told");
    }
}

/// Does something; whether it was allowed.
async fn one_step(users: &[Client], model: &mut Model, dice: &mut Dice, step: usize) -> bool {
    let actor = dice.roll(users.len());
    let pair = (dice.roll(users.len()), dice.roll(users.len()));
    let id = model.rows.get(&pair).map(|row| row.id.clone());
    let id = id.unwrap_or_else(|| "unknown".to_owned());
    let by_record = dice.roll(2) == 0;
    let client = &users[actor];
    match dice.roll(8) {
        0..3 => {
            let pair = (actor, pair.1);
            let (status, state) = model.follow(pair);
            let answer = if by_record {
                client
                    .try_create(
                        PAIRS,
                        json!({"following": users[pair.1].id, "status": "active"}),
                    )
                    .await
            } else {
                follow(client, &users[pair.1]).await
            };
            let body = answer.expect(status);
            if status == 200 {
                assert_eq!(body["status"], state, "step {step}");
                let made = body[if by_record { "id" } else { "follow_id" }]
                    .as_str()
                    .unwrap();
                let row = model.rows.get_mut(&pair).unwrap();
                assert!(
                    row.id.is_empty() || row.id == made,
                    "step {step}: another row"
                );
                row.id = made.to_owned();
            }
            status == 200
        }
        3..6 => {
            let all = [
                "approve", "reject", "promote", "demote", "ban", "unban", "promote", "approve",
            ];
            let what = all[dice.roll(all.len())];
            // Mostly those who may.
            let actor = if dice.roll(3) > 0 { pair.1 } else { actor };
            let status = model.decide(actor, pair, what);
            decide(&users[actor], &id, what).await.expect(status);
            status == 200
        }
        6 if dice.roll(2) == 0 => {
            let status = model.remove(actor, pair);
            if by_record {
                // Rules say nothing of what they hide.
                let status = if status == 200 { 204 } else { 404 };
                client.delete(&record(PAIRS, &id)).await.expect(status);
            } else if actor == pair.0 && actor != pair.1 {
                unfollow(client, &users[pair.1]).await.expect(status);
            } else {
                remove(client, &id).await.expect(status);
            }
            status == 200
        }
        6 => {
            let is_side = model.rows.contains_key(&pair) && (actor == pair.0 || actor == pair.1);
            let forged = json!({"status": "active", "role": "admin", "follower": client.id,
                "paidAmount": 1, "expiresAt": "2099-01-01 00:00:00.000Z"});
            let answer = client.patch(&record(PAIRS, &id), forged).await;
            answer.expect(if is_side { 200 } else { 404 });
            is_side
        }
        _ => {
            let terms = Terms {
                asks: dice.roll(2) == 0,
                is_open: dice.roll(4) > 0,
            };
            model.terms[actor] = terms;
            let kind = if terms.asks {
                "require_approval"
            } else {
                "free"
            };
            set(
                client,
                json!({"follow_type": kind, "is_accepting_followers": terms.is_open}),
            )
            .await;
            true
        }
    }
}

/// The rows are those of the model, and each user lists their own.
async fn compare(app: &TestApp, users: &[Client], model: &Model) {
    let page = app.superuser().list(PAIRS, &[("perPage", "500")]).await;
    let mut seen = BTreeMap::new();
    let number = |id: &Value| users.iter().position(|user| json!(user.id) == *id).unwrap();
    for row in page["items"].as_array().unwrap() {
        let pair = (number(&row["follower"]), number(&row["following"]));
        let is_admin = row["role"] == "admin";
        let state = (row["id"].clone(), row["status"].clone(), is_admin);
        assert!(seen.insert(pair, state).is_none(), "two rows of {pair:?}");
        for (field, zero) in [
            ("expiresAt", json!("")),
            ("paidAmount", json!(0)),
            ("paidAt", json!("")),
        ] {
            assert_eq!(row[field], zero);
        }
    }
    let expected = model
        .rows
        .iter()
        .map(|(pair, row)| (*pair, (json!(row.id), json!(row.status), row.is_admin)));
    assert_eq!(seen, expected.collect());
    for (index, user) in users.iter().enumerate() {
        let active = |side: usize| {
            let rows = model
                .rows
                .iter()
                .filter(|(pair, row)| row.status == "active" && [pair.0, pair.1][side] == index);
            rows.count()
        };
        for (name, side) in [("following", 0), ("followers", 1)] {
            let path = format!("/api/users/{}/{name}", user.id);
            let list = users[0].get(&path).await.expect(200);
            assert_eq!(list["totalItems"], active(side), "{name} of {index}");
        }
    }
}

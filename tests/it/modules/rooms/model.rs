//! Random operations, by routes and records API mixed, against a small model.

use std::collections::BTreeMap;

use super::*;

const STEPS: usize = 900;
const ROOMS_MADE: usize = 3;

#[derive(Clone, Debug, PartialEq)]
struct Row {
    id: String,
    status: &'static str,
    role: &'static str,
}

struct Room {
    id: String,
    owner: usize,
    places: usize,
    asks: bool,
    is_public: bool,
    is_active: bool,
    rows: BTreeMap<usize, Row>,
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Owner,
    Admin,
    Participant,
    Stranger,
}

impl Room {
    fn taken(&self) -> usize {
        let rows = self.rows.values();
        rows.filter(|row| row.status == "active").count()
    }

    fn standing(&self, user: usize) -> Standing {
        match self.rows.get(&user) {
            _ if self.owner == user => Standing::Owner,
            Some(row) if row.status != "active" => Standing::Stranger,
            Some(row) if row.role == "admin" => Standing::Admin,
            Some(_) => Standing::Participant,
            None => Standing::Stranger,
        }
    }

    /// What those get who may not do what owners do.
    fn not_owned(&self, actor: usize) -> Option<u16> {
        match self.standing(actor) {
            Standing::Owner => None,
            Standing::Stranger if !self.is_public => Some(404),
            _ => Some(403),
        }
    }
}

/// What users are told, in order.
type Told = Vec<(usize, &'static str)>;

/// The status of the answer and, if it is 200, that of the row.
fn join(room: &mut Room, actor: usize, sees_all: bool, told: &mut Told) -> (u16, &'static str) {
    match room.rows.get(&actor).map(|row| row.status) {
        None if !room.is_public && !sees_all => return (404, ""),
        Some("active" | "pending") => return (400, ""),
        Some("banned") => return (403, ""),
        _ if !room.is_active || room.taken() >= room.places => return (403, ""),
        _ => {}
    }
    let status = if room.asks { "pending" } else { "active" };
    let row = room.rows.entry(actor).or_insert(Row {
        id: String::new(),
        status,
        role: "participant",
    });
    (row.status, row.role) = (status, "participant");
    if room.asks {
        let hosts = room.rows.iter();
        let hosts = hosts.filter(|(_, row)| row.status == "active" && row.role != "participant");
        told.extend(hosts.map(|(user, _)| (*user, "join_request")));
    }
    (200, status)
}

fn decide_in(room: &mut Room, actor: usize, user: usize, what: &str, told: &mut Told) -> u16 {
    let standing = room.standing(actor);
    let has_place = room.taken() < room.places;
    let Some(row) = room.rows.get_mut(&user) else {
        return 404;
    };
    let needs_owner = matches!(what, "promote" | "demote");
    match standing {
        Standing::Stranger if actor != user => return 404,
        Standing::Stranger | Standing::Participant => return 403,
        Standing::Admin if needs_owner => return 403,
        _ if row.role == "owner" => return if what == "ban" { 403 } else { 409 },
        Standing::Admin if what == "ban" && row.role == "admin" => return 403,
        Standing::Admin | Standing::Owner => {}
    }
    match (what, row.status) {
        ("approve", "pending") | ("unban", "banned") if !has_place => return 403,
        ("approve", "pending") => {
            row.status = "active";
            told.push((user, "room_join_approved"));
        }
        ("reject", "pending") => {
            row.status = "rejected";
            told.push((user, "room_join_rejected"));
        }
        ("promote", "active") if row.role != "admin" => {
            row.role = "admin";
            told.push((user, "promoted_to_room_admin"));
        }
        ("demote", _) if row.role == "admin" => {
            row.role = "participant";
            told.push((user, "demoted_from_room_admin"));
        }
        ("ban", status) if status != "banned" => {
            (row.status, row.role) = ("banned", "participant");
            told.push((user, "room_banned"));
        }
        ("unban", "banned") => row.status = "active",
        _ => return 409,
    }
    200
}

fn leave_in(room: &mut Room, actor: usize) -> u16 {
    match room.rows.get(&actor).map(|row| row.status) {
        None if room.is_public => return 403,
        None => return 404,
        Some("banned") => return 403,
        _ if room.owner == actor => return 403,
        _ => {}
    }
    room.rows.remove(&actor);
    200
}

fn transfer_in(room: &mut Room, actor: usize, to: usize, told: &mut Told) -> u16 {
    if let Some(status) = room.not_owned(actor) {
        return status;
    }
    if to == room.owner {
        return 409;
    }
    match room.rows.get_mut(&to) {
        Some(row) if row.status == "active" => row.role = "owner",
        _ => return 400,
    }
    let before = std::mem::replace(&mut room.owner, to);
    room.rows.get_mut(&before).unwrap().role = "admin";
    told.push((to, "room_ownership_transferred"));
    200
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
    users.extend(crowd(&app, 2).await);
    let mut all = Vec::new();
    for (owner, user) in users.iter().enumerate().take(ROOMS_MADE) {
        let id = room(user, json!({"max_participants": 3})).await;
        let own = row(&app, &id, user).await.unwrap();
        let own = Row {
            id: own.id().to_owned(),
            status: "active",
            role: "owner",
        };
        all.push(Room {
            id,
            owner,
            places: 3,
            asks: false,
            is_public: true,
            is_active: true,
            rows: BTreeMap::from([(owner, own)]),
        });
    }
    let (mut dice, mut told_of) = (Dice(0x5eed_2026_1121), Told::new());
    let mut succeeded = 0;
    for step in 0..STEPS {
        let room = &mut all[dice.roll(ROOMS_MADE)];
        if one_step(&app, &users, room, (&mut dice, &mut told_of)).await {
            succeeded += 1;
        }
        if step % 60 == 0 {
            compare(&app, &users, &all).await;
        }
    }
    compare(&app, &users, &all).await;
    assert!(
        succeeded > STEPS / 6,
        "only {succeeded} operations were allowed"
    );
    for (index, user) in users.iter().enumerate() {
        let seen = told(&app, user).await;
        let own = told_of.iter().filter(|(to, _)| *to == index);
        let expected: Vec<&str> = own.map(|(_, kind)| *kind).collect();
        assert_eq!(kinds(&seen), expected, "what {index} was told");
    }
}

/// Does something; whether it was allowed.
async fn one_step(
    app: &TestApp,
    users: &[Client],
    room: &mut Room,
    (dice, told): (&mut Dice, &mut Told),
) -> bool {
    let (actor, user) = (dice.roll(users.len()), dice.roll(users.len()));
    // Mostly those who may.
    let lead = if dice.roll(3) > 0 { room.owner } else { actor };
    let client = &users[actor];
    let id = room.id.clone();
    match dice.roll(10) {
        0..4 => {
            let by_record = dice.roll(2) == 0;
            let (status, state) = join(room, actor, by_record, told);
            let answer = if by_record {
                let row = json!({"room": id, "user": client.id});
                app.superuser().try_create(MEMBERS, row).await
            } else {
                ask(client, &id).await
            };
            let body = answer.expect(status);
            if status == 200 {
                assert_eq!(body["status"], state);
                let made = &body[if by_record { "id" } else { "member_id" }];
                let row = room.rows.get_mut(&actor).unwrap();
                assert!(row.id.is_empty() || *made == row.id, "another row");
                row.id = made.as_str().unwrap().to_owned();
            }
            status == 200
        }
        4..7 => {
            let all = [
                "approve", "reject", "promote", "demote", "ban", "unban", "approve", "promote",
            ];
            let what = all[dice.roll(all.len())];
            let row = room.rows.get(&user).map(|row| row.id.clone());
            let row = row.unwrap_or_else(|| "unknown".to_owned());
            let status = decide_in(room, lead, user, what, told);
            decide(&users[lead], &row, what).await.expect(status);
            status == 200
        }
        7 => {
            let status = leave_in(room, actor);
            leave(client, &id).await.expect(status);
            status == 200
        }
        8 => {
            let status = transfer_in(room, lead, user, told);
            transfer(&users[lead], &id, &users[user].id)
                .await
                .expect(status);
            status == 200
        }
        _ => {
            let (asks, is_public) = (dice.roll(2) == 0, dice.roll(3) > 0);
            let (is_active, places) = (dice.roll(8) > 0, 2 + dice.roll(5));
            let kind = if asks { "require_approval" } else { "free" };
            let changes = json!({"join_type": kind, "is_public": is_public, "is_active": is_active,
                "max_participants": places, "owner": users[actor].id});
            let too_small = places < room.places && room.taken() > places;
            let status = match room.not_owned(lead) {
                Some(status) => status,
                None if too_small => 400,
                None => 200,
            };
            change(&users[lead], &id, changes).await.expect(status);
            if status == 200 {
                (room.asks, room.is_public) = (asks, is_public);
                (room.is_active, room.places) = (is_active, places);
            }
            status == 200
        }
    }
}

/// The rows are those of the model, and nobody sees more than they may.
async fn compare(app: &TestApp, users: &[Client], all: &[Room]) {
    let superuser = app.superuser();
    for room in all {
        assert!(room.taken() <= room.places);
        let found = superuser.view(ROOMS, &room.id).await;
        assert_eq!(found["owner"], json!(users[room.owner].id));
        assert_eq!(found["isPublic"], json!(room.is_public));
        let filter = format!("room = '{}'", room.id);
        let page = superuser.list(MEMBERS, &[("filter", &filter)]).await;
        let mut seen = BTreeMap::new();
        for row in page["items"].as_array().unwrap() {
            let user = users.iter().position(|user| json!(user.id) == row["user"]);
            let state = [&row["id"], &row["status"], &row["role"]];
            seen.insert(user.unwrap(), state.map(|text| text.as_str().unwrap()));
            let joined = row["joinedAt"] != "";
            assert!(joined || row["status"] != "active", "{row}");
        }
        let expected = room.rows.iter();
        let expected = expected.map(|(user, row)| (*user, [row.id.as_str(), row.status, row.role]));
        assert_eq!(seen, expected.collect::<BTreeMap<_, _>>());
    }
    for (index, user) in users.iter().enumerate() {
        let mut sees: Vec<&str> = all
            .iter()
            .filter(|room| room.is_public || room.standing(index) != Standing::Stranger)
            .map(|room| room.id.as_str())
            .collect();
        let page = user.get("/api/rooms").await.expect(200);
        let seen = column(&page["rooms"], "id");
        let mut seen: Vec<&str> = seen
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap())
            .collect();
        sees.sort_unstable();
        seen.sort_unstable();
        assert_eq!(seen, sees);
    }
}

use super::*;

use Connection::{Channel, Room};
use State::{Away, Busy, Offline, Online};

/// A book and its clock.
struct Day {
    book: Book,
    now: Instant,
}

impl Day {
    fn new() -> Self {
        Self {
            book: Book::default(),
            now: Instant::now(),
        }
    }

    fn after(&mut self, seconds: u64) -> Vec<(State, State)> {
        self.now += Duration::from_secs(seconds);
        let changes = self.book.tick(self.now);
        changes.iter().map(|c| (c.previous, c.state)).collect()
    }

    fn opened(&mut self, connection: Connection) -> Option<State> {
        let change = self.book.opened("ann", connection, self.now);
        change.map(|change| change.state)
    }

    fn closed(&mut self, connection: Connection, orderly: bool) -> Option<State> {
        let change = self.book.closed("ann", connection, orderly, self.now);
        change.map(|change| change.state)
    }

    fn set(&mut self, state: State) -> Option<State> {
        let change = self.book.set("ann", state, self.now);
        change.map(|change| change.state)
    }
}

#[test]
fn the_first_connection_makes_online_and_the_last_lost_one_offline_after_a_while() {
    let mut day = Day::new();
    assert_eq!(day.opened(Channel), Some(Online));
    assert_eq!(day.opened(Room), None);
    assert_eq!(day.closed(Channel, false), None);
    assert_eq!(day.closed(Room, false), None);
    assert_eq!(day.after(9), []);
    assert_eq!(day.after(1), [(Online, Offline)]);
    assert!(day.book.users.is_empty() && day.book.due.is_empty());
}

#[test]
fn a_reload_makes_no_flicker() {
    let mut day = Day::new();
    day.opened(Channel);
    assert_eq!(day.closed(Channel, false), None);
    day.after(5);
    assert_eq!(day.opened(Channel), None);
    assert_eq!(day.after(100), []);
    assert_eq!(day.book.state("ann"), Online);
}

#[test]
fn an_orderly_end_of_the_last_connection_is_offline_at_once() {
    let mut day = Day::new();
    day.opened(Room);
    day.opened(Channel);
    assert_eq!(day.closed(Room, true), None);
    assert_eq!(day.closed(Channel, true), Some(Offline));
    assert!(day.book.users.is_empty() && day.book.due.is_empty());
}

#[test]
fn a_still_room_is_away_until_something_happens() {
    let mut day = Day::new();
    day.opened(Room);
    assert_eq!(day.after(299), []);
    assert_eq!(day.after(1), [(Online, Away)]);
    let back = day.book.activity("ann", day.now);
    assert_eq!(back.map(|change| change.state), Some(Online));
    assert_eq!(day.after(300), [(Online, Away)]);
    // A channel has no activity to miss.
    let mut day = Day::new();
    day.opened(Channel);
    assert_eq!(day.after(10_000), []);
    assert_eq!(day.book.activity("bob", day.now), None);
}

#[test]
fn what_the_user_set_survives_connects_and_idleness() {
    let mut day = Day::new();
    day.opened(Room);
    assert_eq!(day.set(Busy), Some(Busy));
    assert_eq!(day.after(1_000), []);
    assert_eq!(day.closed(Room, false), None);
    assert_eq!(day.after(10), [(Busy, Offline)]);
    assert_eq!(day.opened(Channel), Some(Busy));
    assert_eq!(day.set(Online), Some(Online));
    assert_eq!(day.set(Away), Some(Away));
    assert_eq!(day.closed(Channel, true), Some(Offline));
    assert_eq!(day.set(Online), None);
    assert_eq!(day.opened(Channel), Some(Online));
}

#[test]
fn those_of_before_a_restart_have_a_while_to_come_back() {
    let mut day = Day::new();
    for (user, state) in [
        ("ann", Online),
        ("bob", Busy),
        ("carl", Away),
        ("dan", Offline),
    ] {
        day.book.restore(user, state, day.now);
    }
    assert_eq!(day.book.counts(), [1, 1, 1]);
    assert_eq!(day.opened(Channel), None);
    let mut changes = day.after(10);
    changes.sort_by_key(|(previous, _)| previous.as_str());
    assert_eq!(changes, [(Away, Offline), (Busy, Offline)]);
    let again = day.book.opened("bob", Channel, day.now);
    assert_eq!(again.map(|change| change.state), Some(Busy));
}

#[test]
fn a_deleted_user_leaves_nothing() {
    let mut day = Day::new();
    day.opened(Channel);
    day.closed(Channel, false);
    day.book.forget("ann");
    assert_eq!(day.closed(Channel, false), None);
    assert!(day.book.users.is_empty() && day.book.due.is_empty());
    assert_eq!(day.after(20), []);
}

#[test]
fn names_are_those_of_the_wire() {
    for state in [Online, Away, Busy, Offline] {
        assert_eq!(State::from_name(state.as_str()), Some(state));
    }
    assert_eq!(State::from_name("gone"), None);
}

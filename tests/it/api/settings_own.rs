//! `/api/settings/rotunda`: read and changed by superusers, fixed by flags and variables, secrets masked.

use std::collections::BTreeSet;

use rotunda::config;
use rotunda::engine::settings::own::table::SETTINGS;
use serde_json::json;

use crate::support::TestApp;

const PATH: &str = "/api/settings/rotunda";

#[tokio::test]
async fn superusers_read_and_change_them() {
    let mut app = TestApp::new().start().await;
    let root = app.superuser();
    let shown = root.get(PATH).await.expect(200);
    let defaults = json!({
        "payments": {"requireBalance": true, "trustClients": false, "holdMinutes": 30, "webhooks": {}},
        "rtc": {"iceServers": [], "turnMinutes": 1440},
        "rooms": {"allowAnonymousCreate": false, "perUser": 100, "maxParticipants": 1000}});
    assert_eq!(shown, defaults);
    for client in [app.guest(), app.user("ann")] {
        let refused = client.get(PATH).await.status;
        assert!(matches!(refused, 401 | 403), "{refused}");
        let refused = client.patch(PATH, json!({})).await.status;
        assert!(matches!(refused, 401 | 403), "{refused}");
    }
    let patch =
        json!({"payments": {"holdMinutes": 5, "webhooks": {"acme": {"secret": "very secret"}}}});
    let changed = root.patch(PATH, patch).await.expect(200);
    assert_eq!(changed["payments"]["holdMinutes"], json!(5));
    assert_eq!(
        changed["payments"]["webhooks"],
        json!({"acme": {"secret": "******"}})
    );
    // What is shown may come back whole, and a mask keeps its secret.
    root.patch(PATH, changed.clone()).await.expect(200);
    let settings = app.engine().unwrap().own_settings();
    assert_eq!(settings.payments.webhook_secrets["acme"], "very secret");
    assert_eq!(settings.payments.hold_minutes, 5);
    app.restart().await;
    let root = app.superuser();
    assert_eq!(root.get(PATH).await.expect(200), changed);
    let settings = app.engine().unwrap().own_settings();
    assert_eq!(settings.payments.webhook_secrets["acme"], "very secret");
    let gone = json!({"payments": {"holdMinutes": null, "webhooks": null}});
    assert_eq!(root.patch(PATH, gone).await.expect(200), defaults);
}

#[tokio::test]
async fn what_is_refused_is_named_and_changes_nothing() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    let before = root.get(PATH).await.expect(200);
    for (patch, at) in [
        (json!({"payment": {}}), "/payment"),
        (
            json!({"payments": {"holdMinutes": "5"}}),
            "/payments/holdMinutes",
        ),
        (
            json!({"payments": {"holdMinutes": 1.5}}),
            "/payments/holdMinutes",
        ),
        (
            json!({"payments": {"holdMinutes": 0}}),
            "/payments/holdMinutes",
        ),
        (
            json!({"payments": {"trustClients": true}}),
            "/payments/trustClients",
        ),
        (
            json!({"payments": {"requireBalance": false, "other": 1}}),
            "/payments/other",
        ),
        (json!({"payments": []}), "/payments"),
    ] {
        let refused = root.patch(PATH, patch.clone()).await.expect(400);
        let error = refused["data"].pointer(at);
        assert!(
            error.is_some_and(|error| error["code"].is_string()),
            "{patch}: {refused}"
        );
    }
    assert_eq!(root.get(PATH).await.expect(200), before);
}

#[tokio::test]
async fn a_flag_fixes_a_setting_and_dev_allows_what_weakens() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let app = TestApp::new().with(move |config| {
        config.dev = true;
        config.set = vec![
            pair("payments.holdMinutes", "10"),
            pair("payments.trustClients", "true"),
        ];
        config.variables = vec![pair("ROTUNDA_PAYMENTS_REQUIRE_BALANCE", "false")];
    });
    let app = app.start().await;
    let root = app.superuser();
    let shown = root.get(PATH).await.expect(200);
    assert_eq!(shown["payments"]["holdMinutes"], json!(10));
    assert_eq!(shown["payments"]["trustClients"], json!(true));
    assert_eq!(shown["payments"]["requireBalance"], json!(false));
    root.patch(PATH, shown).await.expect(200);
    let refused = root
        .patch(PATH, json!({"payments": {"holdMinutes": 11}}))
        .await
        .expect(400);
    assert!(
        refused["data"]["payments"]["holdMinutes"]["message"].is_string(),
        "{refused}"
    );
}

#[test]
fn the_example_of_variables_is_complete() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    let listed: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| {
            name.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        })
        .collect();
    let settings = SETTINGS
        .iter()
        .map(|setting| setting.variable().replace('*', "ACME"));
    let others = ["ROTUNDA_LOG", "PB_ENCRYPTION_KEY"].map(str::to_owned);
    let known: BTreeSet<String> = config::variables()
        .into_iter()
        .chain(settings)
        .chain(others)
        .collect();
    assert_eq!(listed, known);
}

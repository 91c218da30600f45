//! Charges by other modules.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use rotunda::base::Cents;
use rotunda::engine::Error;
use rotunda::modules::Ground;
use rotunda::modules::market::{self, Charge, ChargeListener, Charged, SettledCharge, Wallet};
use rotunda::store::Tx;
use serde_json::json;

use super::{app, app_without_wallets, credit, every, wallet};
use crate::support::{Client, TestApp, record};

/// Remembers what it hears; refuses what it is told to.
#[derive(Default)]
struct Heard {
    events: Mutex<Vec<(&'static str, SettledCharge)>>,
    refuses: Mutex<bool>,
}

impl ChargeListener for Heard {
    fn paid<'a>(
        &'a self,
        _: &'a mut Tx,
        charge: &'a SettledCharge,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if *self.refuses.lock().unwrap() {
                return Err(Error::bad_request("refused"));
            }
            self.events.lock().unwrap().push(("paid", charge.clone()));
            Ok(())
        })
    }

    fn dropped<'a>(
        &'a self,
        _: &'a mut Tx,
        charge: &'a SettledCharge,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.events
                .lock()
                .unwrap()
                .push(("dropped", charge.clone()));
            Ok(())
        })
    }
}

fn wallet_of(app: &TestApp) -> Wallet {
    Wallet::of(&Ground {
        engine: app.engine().expect("our own").clone(),
        sfu: None,
        live: app.live().clone(),
        on: ["market"].into(),
        charges: market::ChargeListeners::default(),
    })
}

/// Charges in a transaction, which fails in the end if asked to.
async fn charge(
    app: &TestApp,
    wallet: &Wallet,
    from: &Client,
    to: &Client,
    cents: i64,
    fails: bool,
) -> Result<Charged, Error> {
    let (wallet, payer, payee) = (wallet.clone(), from.id.clone(), to.id.clone());
    let store = app.engine().expect("our own").store().clone();
    let job = store.write(move |tx| {
        Box::pin(async move {
            let charge = Charge {
                payer: &payer,
                payee: &payee,
                amount: Cents::new(cents).unwrap(),
                desc: "Following",
                kind: "test",
                related_id: "thing1",
            };
            let charged = wallet.charge(tx, &charge).await?;
            if fails {
                return Err(Error::bad_request("undone"));
            }
            Ok(charged)
        })
    });
    job.await
}

#[tokio::test]
async fn a_charge_moves_money_or_nothing() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let wallets = wallet_of(&app);
    credit(&app, &bob, 10.0).await;
    let refused = charge(&app, &wallets, &bob, &ann, 1001, false)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::Custom { status: 402, .. }),
        "{refused:?}"
    );
    assert!(
        charge(&app, &wallets, &bob, &ann, 1000, true)
            .await
            .is_err()
    );
    assert_eq!(
        (wallet(&bob).await, wallet(&ann).await),
        ((1000, 0), (0, 0))
    );
    let charged = charge(&app, &wallets, &bob, &ann, 999, false)
        .await
        .unwrap();
    assert!(charged.paid);
    assert_eq!((wallet(&bob).await, wallet(&ann).await), ((1, 0), (999, 0)));
    let row = app.superuser().view("operations", &charged.cashout).await;
    assert_eq!(
        (
            &row["operation"],
            &row["montant"],
            &row["status"],
            &row["desc"]
        ),
        (
            &json!("cashout"),
            &json!(-9.99),
            &json!("paye"),
            &json!("Following")
        )
    );
    assert_eq!(row["metadata"]["related_id"], json!("thing1"));
    for (from, to, cents) in [(&bob, &bob, 1), (&bob, &ann, 0), (&bob, &ann, -5)] {
        assert!(
            charge(&app, &wallets, from, to, cents, false)
                .await
                .is_err()
        );
    }
    assert_eq!(every(&app, "operations").await.len(), 3);
}

#[tokio::test]
async fn twenty_charges_at_once_spend_what_is_there() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let wallets = wallet_of(&app);
    credit(&app, &bob, 1.0).await;
    let charges = (0..20).map(|_| charge(&app, &wallets, &bob, &ann, 30, false));
    let paid = crate::support::all(charges).await;
    assert_eq!(paid.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert_eq!((wallet(&bob).await, wallet(&ann).await), ((10, 0), (90, 0)));
}

#[tokio::test]
async fn a_charge_that_waits_is_settled_once_and_its_module_hears() {
    let app = app_without_wallets().await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let wallets = wallet_of(&app);
    let heard = Arc::new(Heard::default());
    wallets.listen("test", heard.clone());
    let charged = charge(&app, &wallets, &bob, &ann, 500, false)
        .await
        .unwrap();
    assert!(!charged.paid);
    assert_eq!(
        (wallet(&bob).await, wallet(&ann).await),
        ((0, -500), (0, 500))
    );
    let confirm = |cancel: bool| {
        let (wallets, id) = (wallets.clone(), charged.cashout.clone());
        let store = app.engine().expect("our own").store().clone();
        async move {
            let job = store.write(move |tx| {
                Box::pin(async move {
                    match cancel {
                        true => wallets.cancel(tx, &id).await?,
                        false => wallets.confirm(tx, &id).await?,
                    }
                    Ok::<_, Error>(())
                })
            });
            job.await
        }
    };
    *heard.refuses.lock().unwrap() = true;
    assert!(confirm(false).await.is_err());
    assert_eq!(wallet(&bob).await, (0, -500));
    *heard.refuses.lock().unwrap() = false;
    confirm(false).await.unwrap();
    assert_eq!((wallet(&bob).await, wallet(&ann).await), ((0, 0), (500, 0)));
    for cancel in [true, false] {
        let refused = confirm(cancel).await.unwrap_err();
        assert!(
            matches!(refused, Error::Custom { status: 409, .. }),
            "{refused:?}"
        );
    }
    let events = heard.events.lock().unwrap().clone();
    assert_eq!(events.len(), 1);
    let (what, settled) = &events[0];
    assert_eq!(
        (*what, settled.related_id.as_str(), settled.amount),
        ("paid", "thing1", Cents::new(500).unwrap())
    );
    assert_eq!(
        (settled.payer.as_str(), settled.payee.as_str()),
        (bob.id.as_str(), ann.id.as_str())
    );
    // A superuser settles by either row.
    for (state, balance) in [("annule", (500, 0)), ("paye", (700, 0))] {
        let charged = charge(&app, &wallets, &bob, &ann, 200, false)
            .await
            .unwrap();
        root.update("operations", &charged.cashin, json!({"status": state}))
            .await;
        let other = root.view("operations", &charged.cashout).await;
        assert_eq!(other["status"], json!(state));
        let path = record("operations", &charged.cashout);
        let change = json!({"status": "paye", "montant": 1});
        let again = root.patch(&path, change).await;
        assert_eq!(
            again.status,
            if state == "paye" { 200 } else { 409 },
            "{again:?}"
        );
        assert_eq!((wallet(&bob).await, wallet(&ann).await), ((0, 0), balance));
    }
}

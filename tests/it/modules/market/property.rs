//! Random operations by every way in, against a model of what must come of them.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::{
    act, app_without_jobs, article, buy_path, check_books, credit, expiry, status, stock, wallet,
};
use crate::support::{Answer, Client, TestApp, record, records};

const STEPS: usize = 120;
const PRICES: [f64; 3] = [0.1, 19.99, 3.33];
const STOCK: i64 = 12;

/// What must be so.
struct Model {
    /// Stock by article.
    stock: Vec<i64>,
    ventes: Vec<Vente>,
    /// Cents by user.
    paid: [i64; 3],
}

struct Vente {
    id: String,
    article: usize,
    buyer: usize,
    quantity: i64,
    state: &'static str,
    is_old: bool,
}

struct World {
    app: TestApp,
    users: Vec<Client>,
    articles: Vec<String>,
    model: Model,
    rng: StdRng,
}

/// Each user sells the article of the same number.
fn cents_of(article: usize, quantity: i64) -> i64 {
    (PRICES[article] * 100.0).round() as i64 * quantity
}

impl World {
    async fn new(seed: u64) -> Self {
        let app = app_without_jobs().await;
        let users: Vec<Client> = ["ann", "bob", "carl"].map(|name| app.user(name)).into();
        let settings = json!({"batch": {"enabled": true, "maxRequests": 10, "timeout": 5}});
        app.superuser()
            .patch("/api/settings", settings)
            .await
            .expect(200);
        let mut articles = Vec::new();
        for (user, price) in users.iter().zip(PRICES) {
            articles.push(article(user, price, STOCK as u64).await);
        }
        Self {
            app,
            users,
            articles,
            model: Model {
                stock: vec![STOCK; 3],
                ventes: Vec::new(),
                paid: [0; 3],
            },
            rng: StdRng::seed_from_u64(seed),
        }
    }

    async fn buy(&mut self) {
        let (buyer, article) = (self.rng.random_range(0..3), self.rng.random_range(0..3));
        let quantity = self.rng.random_range(1..=5_i64);
        let way = self.rng.random_range(0..3);
        let (client, id) = (&self.users[buyer], &self.articles[article]);
        let body = json!({"article": id, "quantity": quantity, "montant": 0.01, "status": "paye", "user": self.users[0].id});
        let (code, made) = match way {
            0 => answered(client.post(&buy_path(id), body).await, "vente_id"),
            1 => answered(client.post(&records("ventesArticle"), body).await, "id"),
            _ => {
                let request =
                    json!({"method": "POST", "url": records("ventesArticle"), "body": body});
                let answer = client
                    .post("/api/batch", json!({"requests": [request]}))
                    .await;
                let code = answer.status;
                let made = (code == 200)
                    .then(|| answer.json()[0]["body"]["id"].as_str().unwrap().to_owned());
                (code, made)
            }
        };
        let freed: i64 = self
            .model
            .ventes
            .iter()
            .filter(|vente| vente.article == article && vente.is_old && vente.state == "encours")
            .map(|vente| vente.quantity)
            .sum();
        let free = self.model.stock[article];
        let fits = buyer != article && free + freed >= quantity;
        assert_eq!(
            code == 200,
            fits,
            "buyer {buyer} article {article} quantity {quantity} way {way}: {code}"
        );
        let Some(made) = made else { return };
        if free < quantity {
            for vente in &mut self.model.ventes {
                if vente.article == article && vente.is_old && vente.state == "encours" {
                    vente.state = "annule";
                }
            }
            self.model.stock[article] += freed;
        }
        self.model.stock[article] -= quantity;
        self.model.ventes.push(Vente {
            id: made,
            article,
            buyer,
            quantity,
            state: "encours",
            is_old: false,
        });
    }

    /// Somebody does something to a sale; what comes of it follows from its state.
    async fn act(&mut self) {
        if self.model.ventes.is_empty() {
            return;
        }
        let index = self.rng.random_range(0..self.model.ventes.len());
        let what = ["pay", "cancel", "fail"][self.rng.random_range(0..3)];
        let who = self.rng.random_range(0..4);
        let by_records = who == 3 && self.rng.random_bool(0.5);
        let client = self
            .users
            .get(who)
            .cloned()
            .unwrap_or_else(|| self.app.superuser());
        let vente = &self.model.ventes[index];
        let target = match what {
            "pay" => "paye",
            "cancel" => "annule",
            _ => "echec",
        };
        let answer = if by_records {
            client
                .patch(
                    &record("ventesArticle", &vente.id),
                    json!({"status": target, "montant": 0}),
                )
                .await
        } else {
            act(&client, &vente.id, what).await
        };
        let (amount, is_super) = (cents_of(vente.article, vente.quantity), who == 3);
        let (is_buyer, is_seller) = (who == vente.buyer, who == vente.article);
        let expired = vente.state == "encours" && vente.is_old && what == "pay";
        let unchanged = by_records && vente.state == target;
        let expected = if !(is_buyer || is_seller || is_super) {
            404
        } else if (what == "pay" && !(is_buyer || is_super)) || (what == "fail" && !is_super) {
            403
        } else if unchanged {
            200
        } else if vente.state != "encours" || expired {
            409
        } else if what == "pay" && self.model.paid[vente.buyer] < amount {
            402
        } else {
            200
        };
        assert_eq!(
            answer.status, expected,
            "{what} by {who} of {} {}: {answer:?}",
            vente.state, vente.id
        );
        let state = match expected {
            200 if !unchanged => target,
            409 if expired && !by_records => "annule",
            _ => return,
        };
        let vente = &mut self.model.ventes[index];
        vente.state = state;
        if state == "paye" {
            self.model.paid[vente.buyer] -= amount;
            self.model.paid[vente.article] += amount;
        } else {
            self.model.stock[vente.article] += vente.quantity;
        }
    }

    async fn credit(&mut self) {
        let user = self.rng.random_range(0..3);
        let cents = self.rng.random_range(1..5_000_i64);
        credit(&self.app, &self.users[user], cents as f64 / 100.0).await;
        self.model.paid[user] += cents;
    }

    /// A sale becomes overdue, and nobody has noticed yet.
    async fn age(&mut self) {
        let open = self
            .model
            .ventes
            .iter_mut()
            .find(|vente| vente.state == "encours" && !vente.is_old);
        if let Some(vente) = open {
            expiry::backdate(&self.app, "ventesArticle", &vente.id, 45).await;
            vente.is_old = true;
        }
    }

    /// Clients write what is not theirs to write.
    async fn forge(&mut self) {
        let user = &self.users[self.rng.random_range(0..3)];
        let operation =
            json!({"user": user.id, "operation": "cashin", "montant": 1000, "status": "paye"});
        user.try_create("operations", operation).await.expect(403);
        if let Some(vente) = self.model.ventes.last() {
            let forged = json!({"status": "paye", "montant": 0, "user": user.id});
            user.patch(&record("ventesArticle", &vente.id), forged)
                .await
                .expect(403);
        }
    }

    async fn check(&mut self) {
        // Looking at a wallet makes overdue sales known.
        let initial: BTreeMap<String, i64> =
            self.articles.iter().map(|id| (id.clone(), STOCK)).collect();
        for vente in &mut self.model.ventes {
            if vente.is_old && vente.state == "encours" {
                vente.state = "annule";
                self.model.stock[vente.article] += vente.quantity;
            }
        }
        for (user, paid) in self.users.iter().zip(self.model.paid) {
            assert_eq!(wallet(user).await.0, paid);
        }
        let users: Vec<&Client> = self.users.iter().collect();
        check_books(&self.app, &users, &initial).await;
        for (id, left) in self.articles.iter().zip(&self.model.stock) {
            assert_eq!(stock(&self.app, id).await, *left);
        }
        for vente in &self.model.ventes {
            assert_eq!(status(&self.app, &vente.id).await, vente.state);
        }
    }
}

fn answered(answer: Answer, id: &str) -> (u16, Option<String>) {
    let code = answer.status;
    let made = (code == 200).then(|| answer.json()[id].as_str().unwrap().to_owned());
    (code, made)
}

#[tokio::test]
async fn random_operations_keep_the_books() {
    for seed in [1, 2] {
        let mut world = World::new(seed).await;
        for step in 1..=STEPS {
            match world.rng.random_range(0..20) {
                0..7 => world.buy().await,
                7..14 => world.act().await,
                14..17 => world.credit().await,
                17 => world.age().await,
                _ => world.forge().await,
            }
            if step % 20 == 0 {
                world.check().await;
            }
        }
    }
}

//! Random operations by every way in, against a model of what must come of them.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::{app, counts, path, post};
use crate::support::{Client, TestApp, record};

const STEPS: usize = 150;
const REACTIONS: [&str; 6] = ["like", "love", "fire", "wow", "sad", "angry"];

/// What must be so.
struct Post {
    id: String,
    owner: usize,
    is_public: bool,
    /// User and reaction.
    likes: BTreeMap<usize, &'static str>,
    /// Id, user and the comment it answers.
    comments: Vec<(String, usize, Option<String>)>,
}

struct World {
    app: TestApp,
    users: Vec<Client>,
    posts: Vec<Post>,
    rng: StdRng,
}

impl Post {
    fn shows(&self, user: usize) -> bool {
        self.is_public || self.owner == user
    }

    /// Takes a comment out with all that answer it.
    fn remove(&mut self, id: &str) {
        let mut gone = BTreeSet::from([id.to_owned()]);
        loop {
            let answers = self.comments.iter().filter(|(_, _, parent)| {
                parent.as_ref().is_some_and(|parent| gone.contains(parent))
            });
            let more: Vec<String> = answers.map(|(id, ..)| id.clone()).collect();
            let before = gone.len();
            gone.extend(more);
            if gone.len() == before {
                break;
            }
        }
        self.comments.retain(|(id, ..)| !gone.contains(id));
    }
}

impl World {
    async fn new(seed: u64) -> Self {
        let app = app().await;
        let users = ["ann", "bob", "carl"].map(|name| app.user(name)).into();
        Self {
            app,
            users,
            posts: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    async fn step(&mut self) {
        let user = self.rng.random_range(0..3);
        if self.posts.len() < 2 || self.rng.random_ratio(1, 15) {
            let is_public = self.rng.random_bool(0.7);
            let id = post(&self.users[user], is_public).await;
            let new = Post {
                id,
                owner: user,
                is_public,
                likes: BTreeMap::new(),
                comments: Vec::new(),
            };
            return self.posts.push(new);
        }
        let at = self.rng.random_range(0..self.posts.len());
        match self.rng.random_range(0..10) {
            0..=2 => self.like(at, user).await,
            3 | 4 => self.unlike(at, user).await,
            5 | 6 => self.comment(at, user).await,
            7 => self.remove_comment(at, user).await,
            8 => self.turn(at, user).await,
            _ => self.remove_post(at, user).await,
        }
    }

    async fn like(&mut self, at: usize, user: usize) {
        let reaction = REACTIONS[self.rng.random_range(0..REACTIONS.len())];
        let by_route = self.rng.random_bool(0.5);
        let (client, post) = (&self.users[user], &mut self.posts[at]);
        let has_one = post.likes.contains_key(&user);
        if by_route {
            let path = format!("{}?reaction={reaction}", path(&post.id, "like"));
            let answer = client.post(&path, Value::Null).await;
            answer.expect(if post.shows(user) { 200 } else { 404 });
        } else {
            // Computed fields are sent along.
            let body = json!({"post": post.id, "reaction": reaction, "user": "someoneelse1234"});
            let fits = post.shows(user) && !has_one;
            let answer = client.try_create("likes", body).await;
            answer.expect(if fits { 200 } else { 400 });
            if !fits {
                return;
            }
        }
        if post.shows(user) {
            post.likes.insert(user, reaction);
        }
    }

    async fn unlike(&mut self, at: usize, user: usize) {
        let by_route = self.rng.random_bool(0.5);
        let (client, post) = (&self.users[user], &mut self.posts[at]);
        let has_one = post.likes.contains_key(&user);
        if by_route {
            let answer = client.delete(&path(&post.id, "like")).await;
            let fits = has_one && post.shows(user);
            answer.expect(if fits { 200 } else { 404 });
            if fits {
                post.likes.remove(&user);
            }
        } else if has_one {
            let filter = format!("user = '{}' && post = '{}'", client.id, post.id);
            let found = self
                .app
                .superuser()
                .list("likes", &[("filter", &filter)])
                .await;
            let id = found["items"][0]["id"].as_str().unwrap();
            client.delete(&record("likes", id)).await.expect(204);
            post.likes.remove(&user);
        }
    }

    async fn comment(&mut self, at: usize, user: usize) {
        let by_route = self.rng.random_bool(0.5);
        let other = self.rng.random_range(0..self.posts.len());
        let parent = match self.rng.random_range(0..3) {
            0 => None,
            // Of this post, or of another.
            1 => self.posts[at].comments.last().cloned(),
            _ => self.posts[other].comments.last().cloned(),
        };
        let parent = parent.map(|(id, ..)| id);
        let (client, post) = (&self.users[user], &mut self.posts[at]);
        let is_of_post = |parent: &String| post.comments.iter().any(|(id, ..)| id == parent);
        let fits = parent.as_ref().is_none_or(is_of_post);
        let (id, refused) = if by_route {
            let body = json!({"content": "c", "parent_comment": parent});
            let answer = client.post(&path(&post.id, "comment"), body).await;
            let status = match (post.shows(user), fits) {
                (false, _) => 404,
                (_, false) => 400,
                _ => 200,
            };
            (answer.expect(status)["comment_id"].clone(), status != 200)
        } else {
            let body = json!({"post": post.id, "content": "c", "parentComment": parent});
            let answer = client.try_create("comments", body).await;
            let refused = !post.shows(user) || !fits;
            let made = answer.expect(if refused { 400 } else { 200 });
            (made["id"].clone(), refused)
        };
        if !refused {
            let id = id.as_str().unwrap().to_owned();
            post.comments.push((id, user, parent));
        }
    }

    async fn remove_comment(&mut self, at: usize, user: usize) {
        let post = &mut self.posts[at];
        let Some((id, author, _)) = post.comments.first().cloned() else {
            return;
        };
        // The author may, and the owner of the post.
        let may = author == user || post.owner == user;
        let answer = self.users[user].delete(&record("comments", &id)).await;
        answer.expect(if may { 204 } else { 404 });
        if may {
            post.remove(&id);
        }
    }

    async fn turn(&mut self, at: usize, user: usize) {
        let post = &mut self.posts[at];
        let body =
            json!({"isPublic": !post.is_public, "likesCount": 99, "commentsCount": 99, "user": ""});
        let answer = self.users[user]
            .patch(&record("posts", &post.id), body)
            .await;
        answer.expect(if post.owner == user { 200 } else { 404 });
        if post.owner == user {
            post.is_public = !post.is_public;
        }
    }

    async fn remove_post(&mut self, at: usize, user: usize) {
        let post = &self.posts[at];
        let may = post.owner == user;
        let answer = self.users[user].delete(&record("posts", &post.id)).await;
        answer.expect(if may { 204 } else { 404 });
        if may {
            self.posts.remove(at);
        }
    }

    async fn check(&self) {
        let root = self.app.superuser();
        for post in &self.posts {
            let expected = (post.likes.len() as i64, post.comments.len() as i64);
            assert_eq!(counts(&self.app, &post.id).await, expected, "{}", post.id);
            let owner = &self.users[post.owner];
            let stats = owner.get(&path(&post.id, "stats")).await.expect(200);
            for reaction in REACTIONS {
                let count = post
                    .likes
                    .values()
                    .filter(|other| **other == reaction)
                    .count();
                assert_eq!(stats["reactions"][reaction], json!(count), "{reaction}");
            }
        }
        let sum = |of: fn(&Post) -> usize| self.posts.iter().map(of).sum::<usize>() as u64;
        assert_eq!(root.count("likes").await, sum(|post| post.likes.len()));
        assert_eq!(
            root.count("comments").await,
            sum(|post| post.comments.len())
        );
        for (user, client) in self.users.iter().enumerate() {
            let seen = self.posts.iter().filter(|post| post.shows(user)).count();
            let listed = client.get("/api/posts").await.expect(200);
            assert_eq!(listed["totalItems"], json!(seen));
            let seen = self.posts.iter().filter(|post| post.shows(user));
            let likes: usize = seen.map(|post| post.likes.len()).sum();
            assert_eq!(client.count("likes").await, likes as u64);
        }
    }
}

#[tokio::test]
async fn random_operations_keep_counters_and_privacy() {
    for seed in [1, 2, 3] {
        let mut world = World::new(seed).await;
        for step in 0..STEPS {
            world.step().await;
            if step % 15 == 14 {
                world.check().await;
            }
        }
    }
}

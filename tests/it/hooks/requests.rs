//! Routes and middlewares of scripts, and what they reach beyond the server.

use reqwest::Method;
use serde_json::{Value, json};

use super::open_collection;
use crate::support::{Form, TestApp};

#[tokio::test]
async fn routes_answer_beside_the_api_and_before_it_where_they_say_more() {
    let app = TestApp::new()
        .hook(
            "routes.pb.js",
            r#"
            routerAdd("GET", "/hello/{name}", (e) => e.string(200, "Hello " + e.request.pathValue("name")));
            routerAdd("POST", "/api/echo", (e) => e.json(201, {body: e.requestInfo().body, auth: e.auth?.id ?? null}));
            routerAdd("GET", "/api/collections/things/records/special", (e) => e.json(200, {special: true}));
            routerAdd("GET", "/api/{path...}", (e) => e.json(200, {caught: e.request.pathValue("path")}));
            routerAdd("GET", "/nothing", () => {});
            routerAdd("GET", "/throws", () => { throw new ApiError(418, "short and stout", {spout: new ValidationError("gone", "is gone")}) });
            routerAdd("GET", "/returns", () => new ForbiddenError());
            routerAdd("GET", "/breaks", () => { null.x });
            "#,
        )
        .start()
        .await;
    open_collection(&app, "things").await;
    let guest = app.guest();
    assert_eq!(guest.get("/hello/J%C3%B6rg").await.text(), "Hello Jörg");
    let ann = app.user("ann");
    let echo = ann.post("/api/echo", json!({"a": [1]})).await.expect(201);
    assert_eq!(echo, json!({"auth": ann.id, "body": {"a": [1]}}));
    let special = guest.get("/api/collections/things/records/special").await;
    assert_eq!(special.expect(200), json!({"special": true}));
    guest
        .get("/api/collections/things/records/other")
        .await
        .expect(404);
    assert_eq!(guest.get("/api/health").await.expect(200)["code"], 200);
    assert_eq!(
        guest.get("/api/x/y").await.expect(200),
        json!({"caught": "x/y"})
    );
    assert_eq!(guest.get("/nothing").await.text(), "");
    assert_eq!(
        guest.get("/throws").await.expect(418),
        json!({"data": {"spout": {"code": "gone", "message": "Is gone."}}, "message": "Short and stout.", "status": 418})
    );
    assert_eq!(guest.get("/returns").await.expect(403)["data"], json!({}));
    let text = "Something went wrong while processing your request.";
    assert_eq!(guest.get("/breaks").await.expect(400)["message"], text);
    guest.get("/hello/").await.expect(404);
}

#[tokio::test]
async fn middlewares_wrap_routes_and_the_api_by_priority() {
    let app = TestApp::new()
        .hook(
            "middlewares.pb.js",
            r#"
            routerUse((e) => {
                e.response.header().set("X-All", "yes");
                e.set("trail", (e.get("trail") || []).concat("all"));
                if (e.request.header.get("x-block") === "1") throw new ForbiddenError("blocked");
                return e.next();
            });
            routerUse(new Middleware((e) => {
                if (e.auth !== null) throw new Error("too early to know");
                const token = e.request.url.query().get("token");
                if (token) e.request.header.set("Authorization", token);
                return e.next();
            }, -2000));
            routerAdd("GET", "/trail", (e) => e.json(200, [e.get("trail"), e.auth?.id ?? ""]), (e) => {
                e.set("trail", e.get("trail").concat("own"));
                return e.next();
            }, new Middleware((e) => { e.set("trail", ["early"]); return e.next() }, -1));
            routerAdd("GET", "/users", (e) => e.json(200, 1), $apis.requireAuth("users"));
            routerAdd("GET", "/guests", (e) => e.json(200, 1), $apis.requireGuestOnly());
            routerAdd("GET", "/owner/{id}", (e) => e.json(200, 1), $apis.requireSuperuserOrOwnerAuth());
            routerAdd("POST", "/short", (e) => e.string(200, toString(e.request.body)), $apis.bodyLimit(4));
            routerAdd("GET", "/wrapped", () => { throw new ForbiddenError("inner") }, (e) => {
                try { e.next() } catch (error) { return e.json(202, error.message) }
            });
            "#,
        )
        .start()
        .await;
    let (guest, ann) = (app.guest(), app.user("ann"));
    let trail = guest.get("/trail").await;
    assert_eq!(trail.header("x-all"), "yes");
    assert_eq!(trail.expect(200), json!([["early", "all", "own"], ""]));
    assert_eq!(guest.get("/api/health").await.header("x-all"), "yes");
    let blocked = guest
        .request(Method::GET, "/api/health")
        .header("x-block", "1");
    assert_eq!(guest.send(blocked).await.expect(403)["message"], "Blocked.");
    let refresh = format!(
        "/api/collections/users/records/{}?token={}",
        ann.id,
        ann.token()
    );
    let by_query = guest.get(&refresh).await.expect(200);
    assert_eq!(
        by_query["email"], "ann@example.com",
        "the middleware's token counts for the API"
    );
    guest.get("/users").await.expect(401);
    ann.get("/users").await.expect(200);
    app.superuser().get("/users").await.expect(403);
    ann.get("/guests").await.expect(400);
    guest.get("/guests").await.expect(200);
    ann.get(&format!("/owner/{}", ann.id)).await.expect(200);
    ann.get("/owner/other").await.expect(403);
    app.superuser().get("/owner/other").await.expect(200);
    let short = async |body: &'static str| {
        guest
            .send(guest.request(Method::POST, "/short").body(body))
            .await
    };
    assert_eq!(short("1234").await.text(), "1234");
    short("12345").await.expect(413);
    assert_eq!(guest.get("/wrapped").await.expect(202), "Inner.");
}

#[tokio::test]
async fn forms_and_files_reach_scripts() {
    let app = TestApp::new()
        .hook(
            "forms.pb.js",
            r#"
            routerAdd("POST", "/form", (e) => e.json(200, {
                title: e.request.formValue("title"),
                body: e.requestInfo().body,
                files: e.findUploadedFiles("docs").map((file) => [file.originalName, file.size, toString(file.reader.open())]),
            }));
            "#,
        )
        .start()
        .await;
    let form = Form::default()
        .text("title", "t")
        .text("n", "5")
        .file("docs", "A b.txt", "content");
    let answer = app
        .guest()
        .form(Method::POST, "/form", form)
        .await
        .expect(200);
    assert_eq!(
        answer,
        json!({"title": "t", "body": {"title": "t", "n": 5}, "files": [["A b.txt", 7, "content"]]})
    );
}

const REACH: &str = r#"
    const tried = (work) => { try { return work() } catch (error) { return error.message } };
    routerAdd("GET", "/target", (e) => e.json(200, {agent: e.request.userAgent(), cookie: 1}));
    routerAdd("GET", "/moved", (e) => e.redirect(302, "/target"));
    routerAdd("POST", "/reach", (e) => {
        const url = e.requestInfo().body.url;
        return e.json(200, tried(() => { const answer = $http.send({url}); return [answer.statusCode, answer.json.cookie, answer.headers["Content-Type"]] }));
    });
    routerAdd("POST", "/fetch", async (e) => {
        const answer = await fetch(e.requestInfo().body.url);
        return e.json(200, [answer.ok, answer.status, (await answer.json()).cookie]);
    });
    routerAdd("GET", "/os", (e) => e.json(200, [tried(() => toString($os.readFile(`${__hooks}/reach.pb.js`)).length > 0), tried(() => toString($os.cmd("echo", "hi").output()))]));
"#;

#[tokio::test]
async fn scripts_do_not_reach_behind_the_server_unless_allowed() {
    let app = TestApp::new().hook("reach.pb.js", REACH).start().await;
    let url = json!({"url": format!("{}/target", app.base())});
    let refused = app.guest().post("/reach", url.clone()).await.expect(200);
    assert!(
        refused.as_str().unwrap().contains("--httpAllowPrivate"),
        "{refused}"
    );
    app.guest().post("/fetch", url).await.expect(400);
    let os = app.guest().get("/os").await.expect(200);
    for message in os.as_array().unwrap() {
        assert!(
            message.as_str().unwrap().contains("--hooksAllowOs"),
            "{message}"
        );
    }

    let app = TestApp::new()
        .with(|config| {
            config.http_allow_private = vec!["127.0.0.0/8".to_owned()];
            config.hooks.allow_os = true;
        })
        .hook("reach.pb.js", REACH)
        .start()
        .await;
    let url = json!({"url": format!("{}/moved", app.base())});
    let reached = app.guest().post("/reach", url.clone()).await.expect(200);
    assert_eq!(reached, json!([200, 1, ["application/json"]]));
    let fetched = app.guest().post("/fetch", url).await.expect(200);
    assert_eq!(fetched, json!([true, 200, 1]));
    let os = app.guest().get("/os").await.expect(200);
    assert_eq!(os, json!([true, "hi\n"]));
}

#[tokio::test]
async fn scripts_sign_hide_and_write_pages() {
    let app = TestApp::new()
        .file("pb_hooks/views/page.html", "<title>{{block \"t\" .}}none{{end}}</title>{{range .list}}<li>{{.}}</li>{{end}}")
        .hook(
            "tools.pb.js",
            r#"
            const key = "0123456789abcdef0123456789abcdef";
            routerAdd("GET", "/tools", (e) => {
                const token = $security.createJWT({id: "x"}, key, 60);
                return e.json(200, {
                    hmac: $security.hs256("text", "key").length,
                    back: $security.decrypt($security.encrypt("secret", key), key),
                    id: $security.parseJWT(token, key).id,
                    path: $filepath.join("a", "../b", "c"),
                });
            });
            routerAdd("GET", "/page", (e) => e.html(200, $template.loadFiles(`${__hooks}/views/page.html`).render({list: ["<a>", 1]})));
            routerAdd("GET", "/enriched/{id}", (e) => {
                const record = $app.findRecordById("users", e.request.pathValue("id"));
                $apis.enrichRecord(e, record);
                return e.json(200, {email: record.publicExport().email ?? null});
            });
            routerAdd("POST", "/sign-in", (e) => $apis.recordAuthResponse(e, $app.findAuthRecordByEmail("users", "ann@example.com"), "", {own: 1}));
            onRecordAuthRequest((e) => { e.meta = {...e.meta, hooked: true}; e.next() });
            "#,
        )
        .start()
        .await;
    let guest = app.guest();
    assert_eq!(
        guest.get("/tools").await.expect(200),
        json!({"back": "secret", "hmac": 64, "id": "x", "path": "b/c"})
    );
    let page = guest.get("/page").await;
    assert_eq!(
        page.text(),
        "<title>none</title><li>&lt;a&gt;</li><li>1</li>"
    );
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let ann = app.user("ann");
    let path = format!("/enriched/{}", ann.id);
    assert_eq!(ann.get(&path).await.expect(200)["email"], "ann@example.com");
    assert_eq!(guest.get(&path).await.expect(200)["email"], Value::Null);
    let signed_in = guest.post("/sign-in", json!({})).await.expect(200);
    assert_eq!(signed_in["record"]["email"], "ann@example.com");
    assert_eq!(signed_in["meta"], json!({"hooked": true, "own": 1}));
    let token = signed_in["token"].as_str().unwrap();
    let refreshed = app
        .client_with(token)
        .post("/api/collections/users/auth-refresh", json!({}))
        .await;
    refreshed.expect(200);
}

#[tokio::test]
async fn mails_of_scripts_pass_their_hooks() {
    let app = TestApp::new()
        .hook(
            "mails.pb.js",
            r#"
            onMailerSend((e) => {
                if (e.message.subject === "drop") return;
                e.message.subject = "Seen: " + e.message.subject;
                e.next();
            });
            routerAdd("POST", "/mail", (e) => {
                const message = new MailerMessage({
                    from: {address: "a@example.com", name: "A"},
                    to: [{address: "b@example.com"}],
                    subject: e.requestInfo().body.subject,
                    html: "<p>Hello</p>",
                    attachments: {"note.txt": $filesystem.fileFromBytes("attached", "note.txt").reader.open()},
                });
                $app.newMailClient().send(message);
                return e.noContent(204);
            });
            "#,
        )
        .start()
        .await;
    for subject in ["drop", "hello"] {
        let sent = app.guest().post("/mail", json!({"subject": subject})).await;
        sent.expect(204);
    }
    let mails: Vec<String> = std::fs::read_dir(app.dir().join("mails"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("Subject: Seen: hello"), "{}", mails[0]);
    assert!(mails[0].contains("filename=\"note.txt\""), "{}", mails[0]);
}

#[tokio::test]
async fn a_middleware_leaves_streams_the_token_of_their_query() {
    let app = TestApp::new()
        .hook("a.js", "routerUse((e) => e.next())")
        .start()
        .await;
    let token = app.user("ann").token().to_owned();
    let mut stream = app
        .guest()
        .stream(&format!("/api/user/sse?token={token}"))
        .await;
    assert_eq!(stream.json().await["type"], "connected");
}

#[tokio::test]
async fn clients_do_not_read_what_a_script_threw() {
    let script = r#"
        routerAdd("GET", "/thrown", () => { throw new Error("secret inner") })
        routerAdd("GET", "/unknown", () => nowhere)
        routerAdd("GET", "/object", () => { throw { secret: 1 } })
        routerAdd("GET", "/module", () => require("nonexistent"))
        routerUse((e) => e.next())
    "#;
    let app = TestApp::new().hook("a.js", script).start().await;
    for path in ["/thrown", "/unknown", "/object", "/module"] {
        let answer = app.guest().get(path).await;
        let generic = "Something went wrong while processing your request.";
        assert_eq!(answer.expect(400)["message"], generic, "{path}");
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_wide_pattern_leaves_the_servers_own_routes_alone() {
    let script = r#"routerAdd("", "/api/{rest...}", (e) => e.json(200, { mine: true }))"#;
    let app = TestApp::new()
        .modules("social")
        .hook("a.js", script)
        .start()
        .await;
    let ann = app.user("ann");
    assert_eq!(
        ann.get("/api/nowhere/else").await.expect(200),
        json!({"mine": true})
    );
    for path in [
        "/api/health",
        "/api/scripts/status",
        "/api/user/notifications",
        "/api/posts",
        "/api/posts/trending",
    ] {
        let answer = ann.get(path).await.expect(200);
        assert!(answer.get("mine").is_none(), "{path}");
    }
    let mut channel = ann.stream("/api/user/sse").await;
    assert_eq!(channel.json().await["type"], "connected");
}

/// Two handlers of each event that a request fires, around and inside of what a script waits for already.
#[tokio::test]
async fn handlers_of_one_event_never_wait_for_each_other() {
    let twice = r#"
        for (const on of [onRecordsListRequest, onRecordViewRequest, onRecordCreateRequest, onRecordUpdateRequest,
            onRecordDeleteRequest, onRecordEnrich, onRecordCreate, onRecordValidate, onRecordCreateExecute,
            onRecordAfterCreateSuccess, onRecordAfterCreateError, onRecordAfterUpdateSuccess, onRecordAfterDeleteSuccess,
            onModelCreate, onModelAfterCreateSuccess, onModelAfterCreateError, onRecordAuthWithPasswordRequest, onRecordAuthRequest,
            onCollectionUpdateRequest, onCollectionUpdate, onCollectionAfterUpdateSuccess, onSettingsUpdateRequest,
            onSettingsReload, onFileTokenRequest]) {
            on((e) => e.next())
            on((e) => e.next())
        }
    "#;
    let around = "routerUse((e) => e.next()); routerUse((e) => e.next());";
    let route = r#"
        routerAdd("POST", "/save", (e) => {
            const made = db.create("things", { name: "a" })
            $app.runInTransaction((tx) => tx.save(new Record(tx.findCollectionByNameOrId("things"), { name: "b" })))
            try { $app.save(new Record($app.findCollectionByNameOrId("things"), { name: "x".repeat(6000) })) } catch {}
            return e.json(200, { made: made.id })
        })
    "#;
    for script in [twice.to_owned(), format!("{twice}{around}")] {
        let app = TestApp::new()
            .hook("a.pb.js", &format!("{script}{route}"))
            .hook("b.pb.js", &script)
            .start()
            .await;
        open_collection(&app, "things").await;
        let root = app.superuser();
        let things = "/api/collections/things/records";
        let made = root.post(things, json!({"name": "c"})).await.expect(200);
        let one = format!("{things}/{}", made["id"].as_str().unwrap());
        root.get(things).await.expect(200);
        root.get(&one).await.expect(200);
        root.patch(&one, json!({"name": "d"})).await.expect(200);
        root.post(things, json!({"name": "x".repeat(6000)}))
            .await
            .expect(400);
        root.delete(&one).await.expect(204);
        let saved = root.post("/save", Value::Null).await.expect(200);
        assert!(saved["made"].is_string(), "{saved}");
        let (user, password) = ("ann@example.com", crate::support::PASSWORD);
        app.guest()
            .sign_in("users", user, password)
            .await
            .expect(200);
        root.patch("/api/settings", json!({"meta": {"appName": "x"}}))
            .await
            .expect(200);
        root.patch("/api/collections/things", json!({"deleteRule": ""}))
            .await
            .expect(200);
        root.post("/api/files/token", Value::Null).await.expect(200);
    }
}

// Finding records and asking what may be seen.

routerAdd("GET", "/jsvm/find/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  const titles = (records) => records.map((record) => record.get("title"))
  switch (e.request.pathValue("what")) {
    case "by-id": {
      const note = $app.findFirstRecordByData("notes", "title", "two")
      const byId = (...filters) => $app.findRecordById("notes", note.id, ...filters).get("title")
      return e.json(200, { title: byId(), byCollectionId: $app.findRecordById(note.collection().id, note.id).get("n"), filtered: byId((query) => { query.andWhere($dbx.hashExp({ n: 2 })) }), missing: utils.thrown(() => $app.findRecordById("notes", "none")), noCollection: utils.thrown(() => $app.findRecordById("none", "none")) !== "" })
    }
    case "by-ids": {
      const ids = $app.findRecordsByFilter("notes", "n > 0").map((record) => record.id)
      return e.json(200, { found: $app.findRecordsByIds("notes", ids.concat("missing00000000")).length, none: $app.findRecordsByIds("notes", []).length })
    }
    case "by-filter": {
      return e.json(200, {
        params: titles($app.findRecordsByFilter("notes", "n >= {:min} && title != {:not}", "-n", 10, 0, { min: 1, not: "two" })),
        limit: titles($app.findRecordsByFilter("notes", "n >= 0", "n", 2, 1)),
        everything: $app.findRecordsByFilter("notes", "").length,
        sort: titles($app.findRecordsByFilter("notes", "", "-done,title", 0)),
        none: $app.findRecordsByFilter("notes", "n > 100"),
        relation: titles($app.findRecordsByFilter("notes", "owner.name = {:name}", "", 0, 0, { name: "ann" })),
        back: titles($app.findRecordsByFilter("notes", "comments_via_note.text ?= 'first'")),
        date: titles($app.findRecordsByFilter("notes", "due > {:date}", "", 0, 0, { date: new DateTime("2024-01-01 00:00:00.000Z") })),
        quoted: titles($app.findRecordsByFilter("notes", "title = {:t}", "", 0, 0, { t: `" || 1=1 || "` })),
        broken: utils.thrown(() => $app.findRecordsByFilter("notes", "nope = 1")) !== "",
      })
    }
    case "first": {
      return e.json(200, {
        data: $app.findFirstRecordByData("notes", "n", 3).get("title"),
        filter: $app.findFirstRecordByFilter("notes", "done = true && level = {:l}", { l: "low" }).get("title"),
        missing: utils.thrown(() => $app.findFirstRecordByFilter("notes", "n = 77")),
      })
    }
    case "all": {
      return e.json(200, {
        all: $app.findAllRecords("notes").length,
        some: titles($app.findAllRecords("notes", $dbx.exp("n > {:n}", { n: 1 }), $dbx.hashExp({ done: false }))),
        count: $app.countRecords("notes"),
        countSome: $app.countRecords("notes", $dbx.hashExp({ done: true })),
        isArray: Array.isArray($app.findAllRecords("notes")),
      })
    }
    case "auth": {
      const ann = $app.findAuthRecordByEmail("users", "ann@example.com")
      return e.json(200, {
        name: ann.get("name"), byToken: $app.findAuthRecordByToken(ann.newAuthToken(), "auth").email(), anyType: $app.findAuthRecordByToken(ann.newAuthToken()).id === ann.id,
        wrongType: utils.thrown(() => $app.findAuthRecordByToken(ann.newAuthToken(), "verification")) !== "", garbage: utils.thrown(() => $app.findAuthRecordByToken("x")) !== "", missing: utils.thrown(() => $app.findAuthRecordByEmail("users", "nobody@example.com")),
      })
    }
    case "expand": {
      const note = $app.findFirstRecordByData("notes", "title", "three")
      const before = note.expandedOne("owner")
      const failed = $app.expandRecord(note, ["owner", "links", "comments_via_note", "nope"])
      return e.json(200, {
        before: before === null || before === undefined, owner: note.expandedOne("owner").get("name"), links: titles(note.expandedAll("links")).sort(), back: note.expandedAll("comments_via_note").map((comment) => comment.get("text")),
        failed: Object.keys(failed), expanded: Object.keys(note.expand()).sort(), json: JSON.parse(JSON.stringify(note)).expand.owner.name,
      })
    }
    case "expand-many": {
      const list = $app.findRecordsByFilter("notes", "n > 0", "n")
      const failed = $app.expandRecords(list, ["links.owner"], null)
      return e.json(200, { failed: Object.keys(failed).length, nested: list.map((note) => note.expandedAll("links").map((link) => link.expandedOne("owner")?.get("name") ?? "-")) })
    }
    case "access": {
      const ann = $app.findAuthRecordByEmail("users", "ann@example.com")
      const note = $app.findFirstRecordByData("notes", "title", "three")
      const info = new RequestInfo({ auth: ann, method: "POST", body: { n: 123 }, query: { q: "x" }, headers: { x_token: "secret" } })
      const may = (rule) => $app.canAccessRecord(note, info, rule)
      return e.json(200, {
        owner: may("owner = @request.auth.id"), other: may("owner != @request.auth.id"), body: may("@request.body.n = 123"), query: may("@request.query.q = 'x'"), header: may("@request.headers.x_token = 'secret'"), method: may("@request.method = 'GET'"),
        empty: may(""), locked: may(null), mine: $app.canAccessRecord(note, e.requestInfo(), note.collection().listRule), broken: utils.thrown(() => may("nope = 1")) !== "",
      })
    }
  }
})

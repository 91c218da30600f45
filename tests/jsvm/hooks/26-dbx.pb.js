// SQL: raw queries and the query builder.

routerAdd("GET", "/jsvm/db/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  const titles = (query) => {
    const list = arrayOf(new DynamicModel({ title: "" }))
    query.all(list)
    return list.map((row) => row.title)
  }
  const notes = () => $app.db().select("title").from("notes").orderBy("title ASC")
  switch (e.request.pathValue("what")) {
    case "all": {
      const list = arrayOf(new DynamicModel({ id: "", title: "", n: -0, done: false, tags: [], meta: {}, due: nullString(), gone: nullFloat() }))
      $app.db().newQuery("SELECT id, title, n, done, tags, meta, NULL AS due, NULL AS gone FROM notes WHERE n > {:min} ORDER BY n").bind({ min: 1 }).all(list)
      return e.json(200, { rows: list, length: list.length, first: list[0].title, done: list[0].done, tag: list[0].tags[0], meta: list[0].meta.get("k"), isNull: list[0].due === null, map: list.map((row) => row.n) })
    }
    case "one": {
      const row = new DynamicModel({ total: 0, top: -0 })
      $app.db().newQuery("SELECT COUNT(*) AS total, MAX(n) + 0.5 AS top FROM notes").one(row)
      return e.json(200, { row: row, total: row.total, top: row.top, type: typeof row.total })
    }
    case "none": {
      const message = utils.thrown(() => $app.db().newQuery("SELECT id FROM notes WHERE id = 'x'").one(new DynamicModel({ id: "" })))
      const list = arrayOf(new DynamicModel({ id: "" }))
      $app.db().newQuery("SELECT id FROM notes WHERE id = 'x'").all(list)
      return e.json(200, { message: message, list: list })
    }
    case "execute": {
      const result = $app.db().newQuery("UPDATE notes SET body = {:body} WHERE n >= {:n}").bind({ body: "by SQL", n: 2 }).execute()
      return e.json(200, { rows: result.rowsAffected() })
    }
    case "row": return e.json(200, { row: utils.thrown(() => $app.db().newQuery("SELECT broken FROM nowhere").execute()) !== "" })
    case "exp": return e.json(200, titles(notes().where($dbx.exp("n = {:n} OR n = 3", { n: 1 }))))
    case "hash": return e.json(200, titles(notes().where($dbx.hashExp({ done: true, level: "low" }))))
    case "hash-list": return e.json(200, titles(notes().where($dbx.hashExp({ title: ["one", "two"] }))))
    case "like": return e.json(200, titles(notes().where($dbx.like("title", "o"))))
    case "or-like": return e.json(200, titles(notes().where($dbx.orLike("title", "ne", "wo"))))
    case "not-like": return e.json(200, titles(notes().where($dbx.notLike("title", "o"))))
    case "like-match": return e.json(200, titles(notes().where($dbx.like("title", "t").match(false, true))))
    case "in": return e.json(200, titles(notes().where($dbx.in("n", 1, 3))))
    case "not-in": return e.json(200, titles(notes().where($dbx.notIn("n", 1, 3))))
    case "between": return e.json(200, titles(notes().where($dbx.between("n", 2, 3))))
    case "not-between": return e.json(200, titles(notes().where($dbx.notBetween("n", 2, 3))))
    case "and-or": return e.json(200, titles(notes().where($dbx.and($dbx.exp("n > 1"), $dbx.or($dbx.hashExp({ title: "two" }), $dbx.hashExp({ title: "three" }))))))
    case "not": return e.json(200, titles(notes().where($dbx.not($dbx.hashExp({ title: "two" })))))
    case "exists": return e.json(200, titles(notes().where($dbx.exists($dbx.exp("SELECT 1 FROM comments WHERE comments.note = notes.id")))))
    case "or-not-like": return e.json(200, titles(notes().where($dbx.orNotLike("title", "ne", "wo"))))
    case "not-exists": return e.json(200, titles(notes().where($dbx.notExists($dbx.exp("SELECT 1 FROM comments WHERE comments.note = notes.id")))))
    case "chain": return e.json(200, titles($app.db().select("title").from("notes").where($dbx.exp("n >= 1")).andWhere($dbx.exp("n < 4")).orWhere($dbx.hashExp({ title: "zero" })).orderBy("n DESC").limit(2).offset(1)))
    case "join": {
      const list = arrayOf(new DynamicModel({ title: "", total: 0 }))
      $app.db().select("notes.title", "count(c.id) as total").from("notes").leftJoin("comments c", $dbx.exp("c.note = notes.id")).groupBy("notes.id").having($dbx.exp("total > 0")).orderBy("title").all(list)
      return e.json(200, list)
    }
    case "distinct": {
      const list = arrayOf(new DynamicModel({ level: "" }))
      $app.db().select("level").distinct(true).from("notes").orderBy("level").all(list)
      return e.json(200, list.map((row) => row.level))
    }
    case "record-query": {
      const list = arrayOf(new Record())
      $app.recordQuery("notes").andWhere($dbx.exp("n > 0")).orderBy("n DESC").limit(2).all(list)
      const one = new Record()
      $app.recordQuery("notes").andWhere($dbx.hashExp({ title: "two" })).limit(1).one(one)
      return e.json(200, { titles: list.map((record) => record.get("title")), one: one.get("title"), isNew: one.isNew() })
    }
  }
})

// The rest of the query builder.

routerAdd("GET", "/jsvm/queries/{what}", (e) => {
  const rows = (query) => {
    const list = arrayOf(new DynamicModel({ title: "", total: 0 }))
    query.all(list)
    return list.map((one) => [one.title, one.total])
  }
  const titles = (query) => rows(query).map(([title]) => title)
  switch (e.request.pathValue("what")) {
    case "column": {
      const list = arrayOf("")
      $app.db().select("title").from("notes").orderBy("n").column(list)
      return e.json(200, Array.from(list))
    }
    case "row": {
      const title = nullString()
      const n = nullInt()
      $app.db().newQuery("SELECT title, n FROM notes WHERE n = 2").row(title, n)
      return e.json(200, [title, n])
    }
    case "order": return e.json(200, titles($app.db().select("title").from("notes").orderBy("level").andOrderBy("n desc")))
    case "having": return e.json(200, rows($app.db().select("notes.title", "count(*) as total").from("notes").innerJoin("comments", $dbx.exp("comments.note = notes.id")).groupBy("notes.id").having($dbx.exp("count(*) > 0")).andHaving($dbx.exp("count(*) < {:max}", { max: 9 }))))
    case "right-join": return e.json(200, titles($app.db().select("notes.title").from("comments").rightJoin("notes", $dbx.exp("comments.note = notes.id")).where($dbx.exp("comments.id IS NULL")).orderBy("notes.n")))
    case "union": return e.json(200, titles($app.db().select("title").from("notes").where($dbx.hashExp({ n: 0 })).union($app.db().newQuery("SELECT title FROM notes WHERE n = 2"))).sort())
    case "build": {
      const query = $app.db().select("title").from("notes").where($dbx.hashExp({ n: 2 })).build()
      const found = new DynamicModel({ title: "" })
      query.one(found)
      return e.json(200, { sql: /^SELECT .*title.* FROM .*notes.* WHERE /.test(query.sql()), params: Object.keys(query.params()).length, title: found.title })
    }
    case "rows": {
      const found = $app.db().newQuery("SELECT title, n FROM notes ORDER BY n LIMIT 2").rows()
      const seen = []
      while (found.next()) {
        const one = new DynamicModel({ title: "", n: 0 })
        found.scanStruct(one)
        seen.push([one.title, one.n])
      }
      found.close()
      return e.json(200, seen)
    }
    case "pools": return e.json(200, [$app.concurrentDB(), $app.nonconcurrentDB()].map((db) => titles(db.select("title").from("notes").where($dbx.hashExp({ n: 2 })))[0]))
    case "models": {
      const note = new Record($app.findCollectionByNameOrId("notes"))
      const collection = new Collection()
      return e.json(200, [titles($app.modelQuery(note).andWhere($dbx.hashExp({ n: 2 })))[0], $app.collectionQuery().andWhere($dbx.hashExp({ name: "notes" })).limit(1).build().sql().includes("LIMIT 1"), $app.auxModelQuery(collection).build().sql().includes("_collections")])
    }
  }
})

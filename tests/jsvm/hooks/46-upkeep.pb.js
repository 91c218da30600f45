// What $app does beside records: views, tables, expired sign-ins, logs, jobs, the other database, backups.

routerAdd("POST", "/jsvm/upkeep/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  const thrown = utils.thrown
  const user = () => $app.findAuthRecordByEmail("users", "ann@example.com")
  const owned = (name, more) => {
    const record = new Record($app.findCollectionByNameOrId(name), { collectionRef: user().collection().id, recordRef: user().id, ...more })
    $app.save(record)
    return record
  }
  switch (e.request.pathValue("what")) {
    case "dry-run": {
      const result = $app.dryRunView("SELECT id, title, n FROM notes ORDER BY n", 2)
      return e.json(200, { names: result.fields.fieldNames(), sample: result.sample.map((one) => one.get("title")), wrong: thrown(() => $app.dryRunView("SELECT title FROM notes", 1)) !== "" })
    }
    case "expired": {
      const old = new DateTime().addDate(-1, 0, 0)
      const mfa = owned("_mfas", { method: "password" })
      const otp = owned("_otps", { password: "12345678" })
      const fresh = owned("_otps", { password: "12345678" })
      $app.db().newQuery("UPDATE {{_mfas}} SET created = {:old} WHERE id = {:id}").bind({ old: old.string(), id: mfa.id }).execute()
      $app.db().newQuery("UPDATE {{_otps}} SET created = {:old} WHERE id = {:id}").bind({ old: old.string(), id: otp.id }).execute()
      $app.deleteExpiredMFAs()
      $app.deleteExpiredOTPs()
      return e.json(200, { mfas: $app.countRecords("_mfas"), otps: $app.findAllOTPsByRecord(user()).map((one) => one.id === fresh.id) })
    }
    case "accounts": {
      const mfa = owned("_mfas", { method: "password" })
      const otp = owned("_otps", { password: "12345678" })
      const origin = owned("_authOrigins", { fingerprint: "finger" })
      const external = owned("_externalAuths", { provider: "google", providerId: "g1" })
      const found = {
        mfa: [$app.findMFAById(mfa.id).id === mfa.id, $app.findAllMFAsByRecord(user()).length, $app.findAllMFAsByCollection(user().collection()).length],
        otp: [$app.findOTPById(otp.id).id === otp.id, $app.findAllOTPsByRecord(user()).length >= 1, $app.findAllOTPsByCollection(user().collection()).length >= 1],
        origin: [$app.findAuthOriginById(origin.id).id === origin.id, $app.findAllAuthOriginsByRecord(user()).some((one) => one.id === origin.id), $app.findAllAuthOriginsByCollection(user().collection()).some((one) => one.id === origin.id), $app.findAuthOriginByRecordAndFingerprint(user(), "finger").id === origin.id],
        external: [$app.findAllExternalAuthsByRecord(user()).length, $app.findAllExternalAuthsByCollection(user().collection()).length, $app.findFirstExternalAuthByExpr($dbx.hashExp({ provider: "google" })).id === external.id],
        missing: thrown(() => $app.findMFAById("missing")),
      }
      $app.deleteAllMFAsByRecord(user())
      $app.deleteAllOTPsByRecord(user())
      $app.deleteAllAuthOriginsByRecord(user())
      $app.deleteAllExternalAuthsByRecord(user())
      const ref = $dbx.hashExp({ recordRef: user().id })
      found.left = ["_mfas", "_otps", "_authOrigins", "_externalAuths"].map((name) => $app.countRecords(name, ref))
      return e.json(200, found)
    }
    case "logs": {
      const log = (id, created) => $app.auxDB().insert("_logs", { id, level: 0, message: "by a script " + id, data: "{}", created }).execute()
      log("jsvmlog00000001", "2020-01-01 10:20:30.000Z")
      log("jsvmlog00000002", "2020-01-01 10:40:00.000Z")
      log("jsvmlog00000003", "2020-01-02 00:00:00.000Z")
      const found = $app.findLogById("jsvmlog00000001")
      const stats = $app.logsStats($dbx.exp("created < '2021-01-01 00:00:00.000Z'"))
      $app.deleteOldLogs(new DateTime("2020-01-01 12:00:00.000Z").time())
      const left = arrayOf(new DynamicModel({ id: "" }))
      $app.logQuery().select("id").andWhere($dbx.exp("created < '2021-01-01 00:00:00.000Z'")).all(left)
      return e.json(200, { message: found.message, stats: stats.map((one) => [one.date.string(), one.total]), left: left.map((one) => one.id), none: $app.logsStats($dbx.exp("created < '2019-01-01'")).length })
    }
    case "auxiliary": {
      $app.auxDB().newQuery("CREATE TABLE IF NOT EXISTS jsvm_aux (n INTEGER)").execute()
      const count = (app) => {
        const row = new DynamicModel({ total: 0 })
        app.auxDB().newQuery("SELECT count(*) as total FROM jsvm_aux").one(row)
        return row.total
      }
      let inside = 0
      $app.auxRunInTransaction((app) => {
        app.auxDB().newQuery("INSERT INTO jsvm_aux VALUES (1)").execute()
        app.auxDB().newQuery("INSERT INTO jsvm_aux VALUES (2)").execute()
        inside = count(app)
      })
      const kept = count($app)
      const message = thrown(() => $app.auxRunInTransaction((app) => {
        app.auxDB().newQuery("INSERT INTO jsvm_aux VALUES (3)").execute()
        throw new BadRequestError("out of here")
      }))
      const tables = [$app.auxHasTable("jsvm_aux"), $app.auxHasTable("notes"), $app.hasTable("jsvm_aux")]
      const after = count($app)
      $app.auxDB().newQuery("DROP TABLE jsvm_aux").execute()
      $app.auxVacuum()
      $app.vacuum()
      return e.json(200, { inside, kept, message, after, tables, main: $app.auxConcurrentDB() !== null && $app.auxNonconcurrentDB() !== null })
    }
    case "validate": {
      const good = new Collection({ name: "validated", type: "base" })
      const bad = new Collection({ name: "bad name!", type: "base" })
      const settings = $app.settings().clone()
      settings.meta.senderAddress = "no address"
      return e.json(200, { good: thrown(() => $app.validate(good)), bad: thrown(() => $app.validate(bad)).includes("name"), saved: $app.isCollectionNameUnique("validated"), settings: thrown(() => $app.validate(settings)) !== "" })
    }
    case "table": {
      const first = new Collection({ id: "jsvmsynced00001", name: "synced", type: "base", fields: [{ id: "text1", name: "one", type: "text" }] })
      const second = new Collection({ id: "jsvmsynced00001", name: "synced", type: "base", fields: [{ id: "text1", name: "first", type: "text" }, { id: "num1", name: "two", type: "number" }] })
      $app.syncRecordTableSchema(first, null)
      const before = $app.tableColumns("synced").includes("one")
      $app.syncRecordTableSchema(second, first)
      const columns = $app.tableColumns("synced")
      $app.deleteTable("synced")
      return e.json(200, { before, after: ["one", "first", "two"].map((name) => columns.includes(name)), left: $app.hasTable("synced") })
    }
    case "views": {
      $app.saveView("jsvm_view", "SELECT id, title FROM notes")
      const has = $app.hasTable("jsvm_view")
      const fields = $app.createViewFields("SELECT id, title, count(*) as total FROM notes GROUP BY id").fieldNames()
      $app.deleteView("jsvm_view")
      return e.json(200, { has, fields, left: $app.hasTable("jsvm_view") })
    }
    case "without-hooks": {
      const bare = $app.unsafeWithoutHooks()
      const note = new Record($app.findCollectionByNameOrId("notes"), { title: "hooked" })
      const refused = thrown(() => $app.save(note))
      note.id = "jsvmbare0000001"
      bare.save(note)
      const found = $app.findRecordById("notes", "jsvmbare0000001")
      found.set("n", 5)
      bare.save(found)
      const n = $app.findRecordById("notes", "jsvmbare0000001").get("n")
      bare.delete(found)
      return e.json(200, { refused: refused.includes("efused"), slug: found.get("slug"), n, left: $app.findRecordsByIds("notes", ["jsvmbare0000001"]).length })
    }
    case "backups": {
      $app.createBackup(new Context(), "jsvm.zip")
      const files = $app.newBackupsFilesystem()
      try {
        const names = files.list("").map((one) => one.key)
        const size = files.attributes("jsvm.zip").size
        files.delete("jsvm.zip")
        return e.json(200, { listed: names.includes("jsvm.zip"), size: size > 100, left: files.exists("jsvm.zip") })
      } finally {
        files.close()
      }
    }
    case "migrations": {
      $app.runSystemMigrations()
      $app.runAppMigrations()
      $app.runAllMigrations()
      return e.json(200, { still: $app.hasTable("notes"), env: $app.encryptionEnv() })
    }
    case "references": {
      const users = $app.findCollectionByNameOrId("users")
      return e.json(200, { tables: $app.findCollectionReferences(users) !== null && $app.findCachedCollectionReferences(users) !== null, query: $app.collectionQuery().andWhere($dbx.hashExp({ name: "notes" })).build().sql().includes("_collections") })
    }
  }
})

onRecordCreate((e) => {
  if (e.record.get("title") === "hooked") throw new BadRequestError("refused by the hook")
  e.next()
}, "notes")

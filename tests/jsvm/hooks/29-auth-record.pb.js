// Auth records: passwords, tokens, visibility, an own sign-in.

routerAdd("GET", "/jsvm/user/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  switch (e.request.pathValue("what")) {
    case "password": {
      const user = new Record($app.findCollectionByNameOrId("users"))
      user.setEmail("script@example.com")
      user.setPassword("first-12345")
      user.setVerified(true)
      $app.save(user)
      const key = user.tokenKey()
      const first = [user.validatePassword("first-12345"), user.validatePassword("nope")]
      user.set("password", "second-12345")
      $app.save(user)
      return e.json(200, { first: first, second: [user.validatePassword("first-12345"), user.validatePassword("second-12345")], keyChanged: key !== user.tokenKey(), shown: user.get("password"), verified: user.verified(), email: user.email(), random: user.setRandomPassword().length })
    }
    case "tokens": {
      const ann = $app.findAuthRecordByEmail("users", "ann@example.com")
      const kind = (token) => $security.parseUnverifiedJWT(token)["type"]
      return e.json(200, { auth: kind(ann.newAuthToken()), file: kind(ann.newFileToken()), verification: kind(ann.newVerificationToken()), reset: kind(ann.newPasswordResetToken()), change: kind(ann.newEmailChangeToken("new@example.com")), static: $security.parseUnverifiedJWT(ann.newStaticAuthToken(0)).refreshable, refreshable: $security.parseUnverifiedJWT(ann.newAuthToken()).refreshable, notAuth: utils.thrown(() => new Record($app.findCollectionByNameOrId("notes")).newAuthToken()) !== "" })
    }
    case "visibility": {
      const ann = $app.findAuthRecordByEmail("users", "ann@example.com")
      const shown = ann.publicExport().email
      ann.ignoreEmailVisibility(true)
      return e.json(200, { hidden: shown === undefined, ignored: ann.publicExport().email, password: ann.publicExport().password === undefined, tokenKey: ann.publicExport().tokenKey === undefined, superuser: ann.isSuperuser(), root: $app.findAuthRecordByEmail("_superusers", "root@example.com").isSuperuser() })
    }
  }
})

// Signing in by other means than a password.
routerAdd("POST", "/jsvm/phone-login", (e) => {
  const data = new DynamicModel({ phone: "", password: "" })
  e.bindBody(data)
  const user = $app.findFirstRecordByData("users", "name", data.phone)
  if (!user.validatePassword(data.password)) throw new BadRequestError("Invalid credentials")
  return $apis.recordAuthResponse(e, user, "phone", { via: "phone" })
})

routerAdd("GET", "/jsvm/enriched", (e) => {
  const note = $app.findFirstRecordByData("notes", "title", "enriched")
  $apis.enrichRecord(e, note, "owner")
  const list = $app.findRecordsByFilter("notes", "title = 'enriched'")
  $apis.enrichRecords(e, list, "owner")
  return e.json(200, { one: note, list: list })
})

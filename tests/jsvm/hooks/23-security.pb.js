// $security: digests, random texts, tokens, encryption.

routerAdd("GET", "/jsvm/security/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  const key = "0123456789abcdef0123456789abcdef"
  switch (e.request.pathValue("what")) {
    case "digests":
      return e.json(200, {
        md5: $security.md5("text"), sha256: $security.sha256("text"), sha512: $security.sha512("text").slice(0, 16),
        hs256: $security.hs256("text", "key"), hs512: $security.hs512("text", "key").slice(0, 16),
        equal: [$security.equal("a", "a"), $security.equal("a", "b")],
      })
    case "random":
      return e.json(200, {
        plain: $security.randomString(20), alphabet: $security.randomStringWithAlphabet(10, "xy"), regex: $security.randomStringByRegex("[a-c]{3}[0-9]{2}"),
        pseudo: $security.pseudorandomString(12), pseudoAlphabet: $security.pseudorandomStringWithAlphabet(5, "z"),
        differ: $security.randomString(20) !== $security.randomString(20),
      })
    case "jwt": {
      const token = $security.createJWT({ id: "abc", count: 3, nested: { a: true } }, key, 60)
      const claims = $security.parseJWT(token, key)
      return e.json(200, {
        parts: token.split(".").length, id: claims.id, count: claims["count"], nested: claims.nested.a, lives: claims.exp - Date.now() / 1000,
        unverified: $security.parseUnverifiedJWT(token).id,
        wrongKey: utils.thrown(() => $security.parseJWT(token, "another")) !== "",
        expired: utils.thrown(() => $security.parseJWT($security.createJWT({ id: "x" }, key, -5), key)) !== "",
        garbage: utils.thrown(() => $security.parseUnverifiedJWT("no token")) !== "",
      })
    }
    case "encryption": {
      const hidden = $security.encrypt("a secret text", key)
      return e.json(200, {
        hidden: hidden !== "a secret text" && hidden !== $security.encrypt("a secret text", key), back: $security.decrypt(hidden, key),
        wrongKey: utils.thrown(() => $security.decrypt(hidden, key.split("").reverse().join(""))) !== "",
        shortKey: utils.thrown(() => $security.encrypt("x", "short")) !== "",
      })
    }
  }
})

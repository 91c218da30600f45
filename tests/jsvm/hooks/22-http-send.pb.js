// Requests that scripts send. The test passes the address of its sink in `?sink=`.

routerAdd("GET", "/jsvm/http/{what}", (e) => {
  const sink = e.request.url.query().get("sink")
  const short = (answer) => ({ status: answer.statusCode, json: answer.json, raw: answer.raw, body: toString(answer.body) })
  switch (e.request.pathValue("what")) {
    case "get": {
      const answer = $http.send({ url: sink + "/get?a=1", headers: { "x-token": "t1" } })
      return e.json(200, {
        status: answer.statusCode, method: answer.json.method, path: answer.json.path, token: answer.json.headers["x-token"],
        contentType: answer.headers["Content-Type"], lower: answer.headers["content-type"] === undefined,
        cookie: answer.cookies["session"].value, httpOnly: answer.cookies["session"].httpOnly, cookies: Object.keys(answer.cookies).sort(),
        bytes: answer.body.length === answer.raw.length,
      })
    }
    case "post": {
      const answer = $http.send({ url: sink + "/post", method: "POST", body: JSON.stringify({ a: 1 }), headers: { "content-type": "application/json" } })
      return e.json(200, { method: answer.json.method, body: answer.json.body, type: answer.json.headers["content-type"] })
    }
    case "data": {
      const answer = $http.send({ url: sink + "/data", method: "patch", data: { b: [1, 2] } })
      return e.json(200, { method: answer.json.method, body: answer.json.body })
    }
    case "form": {
      const form = new FormData()
      form.append("title", "a title")
      form.append("many", "1")
      form.append("many", 2)
      form.set("file", $filesystem.fileFromBytes("content of the file", "notes.txt"))
      const answer = $http.send({ url: sink + "/form", method: "POST", body: form })
      return e.json(200, {
        type: answer.json.headers["content-type"], body: answer.json.body,
        first: form.get("many"), all: form.getAll("many"), has: [form.has("title"), form.has("x")], missing: form.get("x"), keys: form.keys().sort(),
      })
    }
    case "text": return e.json(200, short($http.send({ url: sink + "/text" })))
    case "list": return e.json(200, short($http.send({ url: sink + "/list" })))
    case "moved": return e.json(200, short($http.send({ url: sink + "/moved" })))
    case "missing": return e.json(200, { status: $http.send({ url: sink + "/missing" }).statusCode })
    case "delete": return e.json(200, { method: $http.send({ url: sink + "/x", method: "DELETE" }).json.method })
    case "timeout": {
      try {
        $http.send({ url: sink + "/slow", timeout: 1 })
      } catch (error) {
        return e.json(200, { name: error.name, timedOut: /deadline|timeout|timed out/i.test(error.message) })
      }
      return e.json(200, { timedOut: false })
    }
    case "refused": {
      try {
        $http.send({ url: "http://127.0.0.1:1/" })
      } catch (error) {
        return e.json(200, { failed: true, isError: error instanceof Error })
      }
      return e.json(200, { failed: false })
    }
    case "uncaught": $http.send({ url: "http://127.0.0.1:1/" })
  }
  return e.noContent(204)
})

onRecordAfterCreateSuccess((e) => {
  const sink = e.record.getString("body")
  if (sink.startsWith("http")) {
    $http.send({ url: sink + "/hook", method: "POST", body: JSON.stringify(e.record), headers: { "content-type": "application/json" } })
  }
  e.next()
}, "notes")

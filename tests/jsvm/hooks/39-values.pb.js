// Values that cross the border between script and host.

routerAdd("GET", "/jsvm/values/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  switch (e.request.pathValue("what")) {
    case "to-string": return e.json(200, [toString("text"), toString(12), toString(1.5), toString(true), toString(null), toString({ a: 1 }), toString([1, "a"]), toString(toBytes("größer")), toString(new DateTime("2024-01-02 03:04:05.678Z"))])
    case "to-bytes": return e.json(200, { length: toBytes("hé").length, values: Array.from(toBytes("hi")), same: toBytes(toBytes("x")).length, empty: toBytes(null).length, list: toString(toBytes([104, 105])) })
    case "dynamic": {
      const model = new DynamicModel({ text: "a", int: 1, float: -0, flag: true, list: ["x"], map: { k: "v" }, nothing: nullString() })
      model.text = "b"
      model.int = "7"
      model.float = 2.5
      model.list = ["y", "z"]
      const wrong = utils.thrown(() => { model.unknown = 1 })
      return e.json(200, { model: model, keys: Object.keys(model), int: model.int, list: model.list.length, map: model.map.get("k"), nothing: model.nothing === null, wrong: wrong !== "" })
    }
    case "nulls": {
      const model = new DynamicModel({ s: nullString(), i: nullInt(), f: nullFloat(), b: nullBool(), a: nullArray(), o: nullObject() })
      const before = JSON.stringify(model)
      unmarshal({ s: "x", i: 1, f: 1.5, b: false, a: [1], o: { k: 1 } }, model)
      return e.json(200, { before: JSON.parse(before), after: model, s: model.s, b: model.b })
    }
    case "array-of": {
      const list = arrayOf(new DynamicModel({ a: 0 }))
      unmarshal([{ a: 1 }, { a: 2 }], list)
      return e.json(200, { length: list.length, sum: list.reduce((sum, item) => sum + item.a, 0), list: list, isArray: Array.isArray(list), spread: [...list].length, index: list[1].a })
    }
    case "context": {
      const context = new Context(new Context(null, "one", 1), "two", "2")
      return e.json(200, [context.value("one"), context.value("two"), context.value("three") === null])
    }
    case "cookie": {
      const cookie = new Cookie({ name: "a", value: "b", path: "/x", secure: true, sameSite: 3 })
      return e.json(200, { name: cookie.name, text: cookie.string() })
    }
    case "sleep": {
      const start = Date.now()
      sleep(30)
      return e.json(200, { slept: Date.now() - start >= 29 })
    }
    case "json": {
      const note = new Record($app.findCollectionByNameOrId("notes"), { title: "json", n: 1 })
      return e.json(200, { record: JSON.parse(JSON.stringify(note)).title, list: JSON.parse(JSON.stringify([note]))[0].n, date: JSON.stringify(new DateTime("2024-01-02 03:04:05.678Z")), inText: `${note.get("n")}` })
    }
    case "language": {
      const { a, ...rest } = { a: 1, b: 2, c: 3 }
      const list = [3, 1, 2].toSorted ? [1, 2, 3] : [3, 1, 2].sort()
      class Animal { constructor(name) { this.name = name } say() { return `${this.name}!` } }
      const map = new Map([["k", "v"]])
      function* numbers() { yield 1; yield 2 }
      return e.json(200, { rest: rest, list: list, animal: new Animal("cat").say(), map: map.get("k"), generated: [...numbers()], optional: undefined?.x ?? "default", flat: [[1], [2]].flat(), regexp: "2024-05".replace(/(?<y>\d+)-(?<m>\d+)/, "$<m>.$<y>"), big: (2n ** 64n).toString(), entries: Object.fromEntries([["x", 1]]), padded: "7".padStart(3, "0"), sum: [..."123"].reduce((sum, digit) => sum + Number(digit), 0) })
    }
    case "modules": {
      const one = require(`${__hooks}/utils.js`)
      return e.json(200, { same: one === require(`${__hooks}/utils.js`), slug: one.slug("Hello, World!"), missing: utils.thrown(() => require(`${__hooks}/missing.js`)) !== "" })
    }
    case "globals": return e.json(200, [typeof console.log, typeof process.env, typeof require, typeof $app, typeof __hooks, typeof Buffer, Buffer.from("aGk=", "base64").toString()])
    case "console": {
      console.log("a line", 1, { a: 1 })
      console.error("an error line")
      console.warn("a warning")
      console.info("info")
      console.debug("debug")
      return e.noContent(204)
    }
  }
})

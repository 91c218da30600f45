// $os, $filepath and process: what lies outside the application.

routerAdd("GET", "/jsvm/os/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  switch (e.request.pathValue("what")) {
    case "env": return e.json(200, { greeting: $os.getenv("JSVM_GREETING"), missing: $os.getenv("JSVM_NOT_SET"), process: process.env.JSVM_GREETING })
    case "files": {
      const dir = $filepath.join($os.tempDir(), "jsvm-" + $security.randomString(10))
      $os.mkdirAll($filepath.join(dir, "deep", "er"), 0o755)
      const file = $filepath.join(dir, "a.txt")
      $os.writeFile(file, "written", 0o644)
      const text = toString($os.readFile(file))
      $os.rename(file, $filepath.join(dir, "b.txt"))
      const info = $os.stat($filepath.join(dir, "b.txt"))
      const names = $os.readDir(dir).map((entry) => entry.name() + (entry.isDir() ? "/" : ""))
      $os.removeAll(dir)
      return e.json(200, { text: text, size: info.size(), name: info.name(), names: names, gone: utils.thrown(() => $os.stat(dir)) !== "" })
    }
    case "missing": return e.json(200, { message: utils.thrown(() => $os.readFile("/no/such/file")) })
    case "command": return e.json(200, { output: toString($os.cmd("echo", "from a command").output()), args: $os.args.length > 1, cwd: $os.getwd().length > 0 })
  }
})

routerAdd("GET", "/jsvm/paths", (e) => e.json(200, {
  join: $filepath.join("a", "../b", "c"), base: $filepath.base("/a/b.txt"), dir: $filepath.dir("/a/b.txt"), ext: $filepath.ext("x.tar.gz"), clean: $filepath.clean("a//b/./c/.."), abs: [$filepath.isAbs("/a"), $filepath.isAbs("a")],
  split: $filepath.split("/a/b.txt"), rel: $filepath.rel("/a", "/a/b/c"), match: $filepath.match("*.txt", "a.txt"), hooks: __hooks.length > 0 && $filepath.isAbs(__hooks), slash: [$filepath.toSlash("a/b"), $filepath.fromSlash("a/b")], list: $filepath.splitList("/a:/b"),
}))

// Files of the machine, folders as storages, thumbs, templates from folders, and the rest of $os and $filepath.

routerAdd("POST", "/jsvm/machine/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  const dir = $filepath.join($os.tempDir(), "jsvm-" + $security.randomString(8))
  $os.mkdirAll($filepath.join(dir, "deep"), 0o755)
  $os.writeFile($filepath.join(dir, "one.txt"), "first", 0o644)
  $os.writeFile($filepath.join(dir, "deep", "two.txt"), "second", 0o644)
  try {
    switch (e.request.pathValue("what")) {
      case "from-path": {
        const file = $filesystem.fileFromPath($filepath.join(dir, "one.txt"))
        return e.json(200, { name: file.name, original: file.originalName, size: file.size, content: toString(file.reader.open()) })
      }
      case "from-multipart": {
        const [file] = e.findUploadedFiles("upload")
        const files = $app.newFilesystem()
        try {
          files.uploadFile(file, "jsvm/uploaded.txt")
          const again = files.getReuploadableFile("jsvm/uploaded.txt", true)
          const empty = [files.isEmptyDir("jsvm"), files.isEmptyDir("jsvm/nothing")]
          files.uploadFile(again, "jsvm/again.txt")
          const text = toString(files.getReader("jsvm/again.txt"))
          files.deletePrefix("jsvm")
          return e.json(200, { name: file.originalName, again: [again.originalName, again.size, text], empty })
        } finally {
          files.close()
        }
      }
      case "local": {
        const files = $filesystem.local(dir)
        try {
          files.upload(toBytes("third"), "three.txt")
          return e.json(200, { exists: [files.exists("one.txt"), files.exists("none.txt")], three: toString($os.readFile($filepath.join(dir, "three.txt"))), list: files.list("deep/").map((one) => one.key), text: toString(files.getReader("one.txt")) })
        } finally {
          files.close()
        }
      }
      case "thumb": {
        const files = $filesystem.local(dir)
        try {
          const png = "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAEElEQVR4nGP4z8AARwzEcQCukw/x0F8jngAAAABJRU5ErkJggg=="
          $os.writeFile($filepath.join(dir, "image.png"), Buffer.from(png, "base64"), 0o644)
          files.createThumb("image.png", "thumbs/image.png", "2x2")
          return e.json(200, { made: files.exists("thumbs/image.png"), size: files.attributes("thumbs/image.png").size > 0, wrong: utils.thrown(() => files.createThumb("image.png", "x.png", "no size")) !== "" })
        } finally {
          files.close()
        }
      }
      case "serve": {
        const files = $filesystem.local(dir)
        try {
          files.serve(e.response, e.request, "one.txt", "shown.txt")
        } finally {
          files.close()
        }
        return
      }
      case "paths": {
        const walked = []
        $filepath.walk(dir, (path, info, error) => { walked.push([$filepath.rel(dir, path), info.isDir()]) })
        const entries = []
        $filepath.walkDir(dir, (path, entry, error) => { entries.push(entry.name()) })
        return e.json(200, { glob: $filepath.glob($filepath.join(dir, "*.txt")).map((path) => $filepath.base(path)), walked, entries: entries.slice(1) })
      }
      case "os": {
        const file = $filepath.join(dir, "one.txt")
        $os.truncate(file, 2)
        const cut = toString($os.readFile(file))
        $os.mkdir($filepath.join(dir, "made"), 0o755)
        const made = $os.stat($filepath.join(dir, "made")).isDir()
        $os.remove($filepath.join(dir, "made"))
        const removed = utils.thrown(() => $os.stat($filepath.join(dir, "made"))) !== ""
        const output = toString($os.exec("echo", "by exec").output())
        return e.json(200, { cut, made, removed, output })
      }
      case "roots": {
        const root = $os.openRoot(dir)
        const seen = [toString(root.readFile("one.txt")), root.stat("one.txt").size(), utils.thrown(() => root.readFile("../../etc/passwd")) !== ""]
        root.close()
        const file = $os.openInRoot(dir, "one.txt")
        seen.push(readerToString(file))
        file.close()
        seen.push(utils.thrown(() => $os.openInRoot(dir, "../one.txt")) !== "")
        return e.json(200, seen)
      }
      case "multipart": {
        const [reader, header] = e.request.formFile("upload")
        const file = $filesystem.fileFromMultipart(header)
        const files = $app.newFilesystem()
        try {
          files.uploadMultipart(header, "jsvm/multipart.txt")
          const text = toString(files.getReader("jsvm/multipart.txt"))
          files.delete("jsvm/multipart.txt")
          return e.json(200, { header: [header.filename, header.size], file: [file.originalName, file.size], read: toString(reader), text })
        } finally {
          files.close()
        }
      }
      case "template": {
        $os.writeFile($filepath.join(dir, "page.html"), "Hello {{.name}}", 0o644)
        return e.html(200, $template.loadFS($os.dirFS(dir), "page.html").render({ name: "<Ann>" }))
      }
      case "forms": {
        const apple = new AppleClientSecretCreateForm($app)
        const wrong = utils.thrown(() => apple.submit())
        const mail = new TestEmailSendForm($app)
        mail.email = "no address"
        const noMail = utils.thrown(() => mail.submit())
        const s3 = new TestS3FilesystemForm($app)
        s3.filesystem = "storage"
        return e.json(200, { apple: wrong.includes("clientId"), mail: noMail.includes("template"), s3: utils.thrown(() => s3.submit()) !== "" })
      }
    }
  } finally {
    $os.removeAll(dir)
  }
})

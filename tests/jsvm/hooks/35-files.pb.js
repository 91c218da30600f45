// Files: made by scripts, stored, read and served.

routerAdd("POST", "/jsvm/files/{what}", (e) => {
  switch (e.request.pathValue("what")) {
    case "attach": {
      const note = new Record($app.findCollectionByNameOrId("notes"), { title: "with files" })
      const text = $filesystem.fileFromBytes("file content", "my file.txt")
      note.set("pics", [text, $filesystem.fileFromBytes([104, 105], "greet.txt")])
      const unsaved = note.getUnsavedFiles("pics").map((file) => file.originalName)
      $app.save(note)
      const after = note.getUnsavedFiles("pics").length
      note.set("pics+", $filesystem.fileFromBytes(toBytes("third"), "third.txt"))
      $app.save(note)
      note.set("pics-", note.get("pics")[0])
      $app.save(note)
      return e.json(200, { id: note.id, file: { name: text.name, original: text.originalName, size: text.size }, unsaved: unsaved, after: after, names: note.get("pics"), path: note.baseFilesPath() })
    }
    case "filesystem": {
      const files = $app.newFilesystem()
      try {
        files.upload(toBytes("uploaded"), "jsvm/one.txt")
        files.uploadFile($filesystem.fileFromBytes("second", "two.txt"), "jsvm/two.txt")
        files.copy("jsvm/one.txt", "jsvm/copy.txt")
        const reader = files.getReader("jsvm/copy.txt")
        const text = toString(reader)
        reader.close()
        const size = files.attributes("jsvm/one.txt").size
        const listed = files.list("jsvm/").map((object) => object.key).sort()
        files.delete("jsvm/two.txt")
        const exists = [files.exists("jsvm/one.txt"), files.exists("jsvm/two.txt")]
        files.deletePrefix("jsvm/")
        return e.json(200, { text: text, size: size, listed: listed, exists: exists, left: files.list("jsvm/").length })
      } finally {
        files.close()
      }
    }
    case "from-url": {
      const file = $filesystem.fileFromURL(e.request.url.query().get("sink") + "/text")
      return e.json(200, { name: file.originalName, size: file.size, content: toString(file.reader.open()) })
    }
  }
})

onFileDownloadRequest((e) => {
  if (e.servedName.startsWith("secret")) throw new ForbiddenError("not this file")
  e.requestEvent.response.header().set("X-Served", [e.collection.name, e.record.getString("title"), e.fileField.name, e.servedName.length > 0, e.servedPath.length > 0].join())
  return e.next()
}, "notes")

onFileTokenRequest((e) => {
  e.requestEvent.response.header().set("X-Token-Parts", String(e.token.split(".").length))
  return e.next()
})

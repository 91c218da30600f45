// Buffer, as far as PocketBase has it.

routerAdd("GET", "/jsvm/buffer", (e) => {
  const buffer = Buffer.from("größer")
  const numbers = Buffer.alloc(16)
  numbers.writeUInt16BE(0x1234, 0)
  numbers.writeInt32LE(-5, 2)
  numbers.writeDoubleBE(1.5, 8)
  return e.json(200, {
    text: buffer.toString(), length: buffer.length, hex: buffer.toString("hex"), base64: buffer.toString("base64"),
    back: [Buffer.from("6869", "hex").toString(), Buffer.from("aGk=", "base64").toString("utf8"), Buffer.from([104, 105]).toString()],
    part: Buffer.from("abcdef").toString("utf8", 1, 3), equals: [Buffer.from("a").equals(Buffer.from("a")), Buffer.from("a").equals(Buffer.from("b"))],
    filled: Buffer.alloc(3, "x").toString(), numbers: [numbers.readUInt16BE(0), numbers.readInt32LE(2), numbers.readDoubleBE(8), numbers.readUInt8(0)],
    hash: $security.md5(Buffer.from("a").toString()), asText: toString(Buffer.from("bytes")),
  })
})

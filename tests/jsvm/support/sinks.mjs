// Servers that hook scripts talk to, on free loopback ports: one for HTTP, one for mail.

import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { after } from "node:test";

/** An HTTP server that keeps every request as `{method, path, headers, body}` and answers with what it was sent. */
export async function httpSink() {
  const calls = [];
  const server = createHttpServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const call = { method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() };
      calls.push(call);
      answer(call, response);
    });
  });
  return { calls, port: await listen(server) };
}

function answer(call, response) {
  if (call.path.startsWith("/slow")) return; // the script's timeout has to end this
  if (call.path.startsWith("/text")) {
    response.writeHead(201, { "content-type": "text/plain", "x-sink": "one" });
    response.end("plain text");
    return;
  }
  if (call.path.startsWith("/moved")) {
    response.writeHead(302, { location: "/list" });
    response.end();
    return;
  }
  if (call.path.startsWith("/list")) {
    response.writeHead(200, { "content-type": "application/json" });
    response.end('[1,"two",{"three":3}]');
    return;
  }
  response.writeHead(call.path.startsWith("/missing") ? 404 : 200, {
    "content-type": "application/json",
    "set-cookie": ["session=abc; Path=/; HttpOnly", "theme=dark"],
  });
  response.end(JSON.stringify(call));
}

/** A mail server that keeps every message as `{from, to, text}`, `text` being header and body as sent. */
export async function smtpSink() {
  const mails = [];
  const server = createServer((socket) => {
    let mail = { from: "", to: [], text: "" };
    let buffer = "";
    let inData = false;
    socket.on("error", () => {});
    socket.write("220 sink\r\n");
    socket.on("data", (chunk) => {
      buffer += chunk.toString("latin1");
      for (;;) {
        const mark = inData ? "\r\n.\r\n" : "\r\n";
        const end = buffer.indexOf(mark);
        if (end < 0) return;
        const line = buffer.slice(0, end);
        buffer = buffer.slice(end + mark.length);
        if (inData) {
          inData = false;
          mails.push({ ...mail, text: line });
          mail = { from: "", to: [], text: "" };
          socket.write("250 kept\r\n");
        } else if (/^(EHLO|HELO)/i.test(line)) socket.write("250 sink\r\n");
        else if (/^MAIL FROM:/i.test(line)) (mail.from = address(line)), socket.write("250 ok\r\n");
        else if (/^RCPT TO:/i.test(line)) mail.to.push(address(line)), socket.write("250 ok\r\n");
        else if (/^DATA/i.test(line)) (inData = true), socket.write("354 go on\r\n");
        else if (/^QUIT/i.test(line)) socket.end("221 bye\r\n");
        else socket.write("250 ok\r\n");
      }
    });
  });
  return { mails, port: await listen(server) };
}

const address = (line) => /<([^>]*)>/.exec(line)?.[1] ?? "";

function listen(server) {
  const sockets = new Set();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return new Promise((done, fail) => {
    server.on("error", fail);
    server.listen(0, "127.0.0.1", () => done(server.address().port));
  });
}

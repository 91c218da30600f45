// The event stream of `/api/realtime`, read by hand.

/** An open event stream; `next(name)` gives the data of the next event of that name. */
export async function listen(server) {
  const ending = new AbortController();
  const answer = await fetch(`${server.url}/api/realtime`, { signal: ending.signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    close: () => ending.abort(),
    async next(name) {
      for (;;) {
        const end = text.indexOf("\n\n");
        if (end < 0) {
          const { value, done } = await reader.read();
          if (done) throw new Error(`the stream ended before ${name}`);
          text += value;
          continue;
        }
        const event = text.slice(0, end);
        text = text.slice(end + 2);
        if (event.includes(`event:${name}\n`)) return JSON.parse(/^data: ?(.*)$/m.exec(event)[1]);
      }
    },
  };
}

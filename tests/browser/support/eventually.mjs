const POLL_MS = 50;

/** Polls until `check` gives something truthy and returns that; fails after `timeoutMs`, with what `explain` then tells. */
export async function eventually(check, what, timeoutMs = 10_000, explain) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) {
      const more = explain ? `\n${JSON.stringify(await explain(), null, 1)}` : "";
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}${more}`);
    }
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

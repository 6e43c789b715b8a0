// The server's addresses as this page uses them, and its streams as events.

const KEY = "hierrouter-key";

export const keyOf = () => sessionStorage.getItem(KEY);
export const keepKey = (key) => sessionStorage.setItem(KEY, key);
export const forgetKey = () => sessionStorage.removeItem(KEY);

/** An answer of the server that is an error, with its HTTP status (0 where the connection itself failed). */
export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, body, signal) {
  const headers = body ? { "content-type": "application/json" } : {};
  if (keyOf()) headers.authorization = `Bearer ${keyOf()}`;
  const options = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal };
  let reply;
  try {
    reply = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "The server does not answer.");
  }
  if (reply.ok) return reply;
  const told = await reply.json().catch(() => null);
  throw new ServerError(reply.status, told?.error?.message ?? `The server answers with status ${reply.status}.`);
}

/** The body of the answer to a request. */
export async function fetchJson(path, body, signal) {
  return (await ask(path, body, signal)).json();
}

/**
 * The events of a streamed chat completion, as [kind, value]: `decision`, `hop` and `failed` with the data of the
 * server's comments, `piece` with text of the answer, and `end` with the route and its usage.
 */
export async function* chatEvents(body, signal) {
  const asked = { ...body, stream: true, stream_options: { include_usage: true } };
  const reply = await ask("v1/chat/completions", asked, signal);
  let ended = false;
  for await (const line of lines(reply.body)) {
    if (line.startsWith(": ")) {
      const [, kind, data] = /^: (\w+) ?(.*)$/.exec(line) ?? [];
      if (data) yield [kind, JSON.parse(data)];
    } else if (line.startsWith("data: {")) {
      const chunk = JSON.parse(line.slice(6));
      if (chunk.error) throw new ServerError(reply.status, chunk.error.message);
      const piece = chunk.choices?.[0]?.delta?.content;
      if (piece) yield ["piece", piece];
      if (chunk.hierrouter) {
        ended = true;
        yield ["end", { ...chunk.hierrouter, usage: chunk.usage }];
      }
    }
  }
  if (!ended) throw new ServerError(0, "The server broke off before the end of the answer.");
}

/** The lines of a body, as they come. */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (rest + value).split(/\r?\n/);
      rest = parts.pop();
      yield* parts;
    }
    if (rest) yield rest;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "The connection to the server was lost.");
  } finally {
    reader.cancel().catch(() => {});
  }
}

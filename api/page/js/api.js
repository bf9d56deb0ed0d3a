// Talking to the server: problem documents become errors with words, and the stream is read for ever.

let token = sessionStorage.getItem("skadi-token");
let asking = null;

export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function headers(more) {
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

function askForToken() {
  asking ??= new Promise((done) => {
    const dialog = document.getElementById("ask-token"), field = document.getElementById("token");
    document.getElementById("token-form").onsubmit = (event) => {
      event.preventDefault();
      token = field.value.trim();
      sessionStorage.setItem("skadi-token", token);
      field.value = "";
      dialog.close();
    };
    dialog.onclose = () => {
      asking = null;
      done();
    };
    dialog.showModal();
  });
  return asking;
}

async function fetched(path, request) {
  const used = token;
  let answer = await fetch(path, { ...request, headers: headers(request.headers) });
  if (answer.status === 401) {
    if (used === token) await askForToken();
    answer = await fetch(path, { ...request, headers: headers(request.headers) });
  }
  return answer;
}

async function problemOf(answer) {
  let detail = `${answer.status} ${answer.statusText}`;
  try {
    detail = (await answer.json()).detail ?? detail;
  } catch {
    // no document: the status has to do
  }
  return new Refusal(answer.status, typeof detail === "string" ? detail : JSON.stringify(detail));
}

export async function get(path) {
  const answer = await fetched(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw await problemOf(answer);
  return answer.json();
}

export async function getText(path) {
  const answer = await fetched(path, { headers: {} });
  if (!answer.ok) throw await problemOf(answer);
  return answer.text();
}

export async function post(path, body = {}) {
  const answer = await fetched(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw await problemOf(answer);
  return answer.json();
}

// What a route answers, or null where the server has it not (yet): the page then says why a panel is empty.
export async function getIfThere(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error instanceof Refusal && [403, 404, 405, 409].includes(error.status)) return null;
    throw error;
  }
}

const SILENCE_MS = 25_000; // the server says something every 10 s
const LONGEST_WAIT_MS = 15_000;

// Read the stream and come back whenever it breaks. `told(kind, data)`; `linked(true or false)`.
// By fetch and not by EventSource, which cannot carry a token.
export async function follow(path, told, linked) {
  let last = null, failures = 0;
  for (;;) {
    const stop = new AbortController();
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), SILENCE_MS);
    };
    try {
      heard();
      const answer = await fetched(path, {
        headers: { Accept: "text/event-stream", ...(last === null ? {} : { "Last-Event-ID": last }) },
        signal: stop.signal,
      });
      if (!answer.ok) throw await problemOf(answer);
      linked(true);
      failures = 0;
      let rest = "";
      for await (const text of texts(answer.body)) {
        heard();
        const blocks = (rest + text).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          const event = parsed(block);
          if (event.id !== null) last = event.id;
          if (event.data !== null) told(event.kind, event.data);
        }
      }
    } catch {
      failures += 1;
    } finally {
      clearTimeout(silence);
    }
    linked(false);
    await new Promise((go) => setTimeout(go, Math.min(1000 * 2 ** Math.min(failures, 5), LONGEST_WAIT_MS)));
  }
}

async function* texts(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function parsed(block) {
  const event = { id: null, kind: "message", data: null };
  for (const line of block.split("\n")) {
    if (line.startsWith("id: ")) event.id = line.slice(4);
    else if (line.startsWith("event: ")) event.kind = line.slice(7);
    else if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
  }
  return event;
}

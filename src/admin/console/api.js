// Asks the administration's listener. The key lies in sessionStorage: it goes with the tab, no
// other origin sees it (a cookie would go to every port of this host), and nothing but these
// functions sends it, so that no foreign page can make the browser act with it.
const KEPT = "retort.key";

export class Refusal extends Error {
  constructor(status, error) {
    super(error.message || `The server answered with ${status}.`);
    this.status = status;
    this.code = error.code || "";
  }
}

export function key() { return sessionStorage.getItem(KEPT); }
export function keep(secret) { sessionStorage.setItem(KEPT, secret); }
export function forget() { sessionStorage.removeItem(KEPT); }

async function ask(method, path, body) {
  const headers = { Authorization: `Bearer ${key() || ""}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`/admin/v1/${path}`, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit", cache: "no-store", redirect: "error"
    });
  } catch {
    throw new Refusal(0, { message: "The server cannot be reached." });
  }
  if (answer.ok) return answer;
  let error = {};
  try { error = (await answer.json()).error || {}; } catch { /* no JSON: the status says enough */ }
  if (answer.status === 401 && key()) {
    forget();
    dispatchEvent(new Event("signed-out"));
  }
  throw new Refusal(answer.status, error);
}

export async function get(path) { return (await ask("GET", path)).json(); }
export async function post(path, body) { return (await ask("POST", path, body)).json(); }
export async function bytes(path) {
  return new Uint8Array(await (await ask("GET", path)).arrayBuffer());
}

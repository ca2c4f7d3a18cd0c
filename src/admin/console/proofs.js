// What proves the audit, checked by the server and again here.
import * as api from "/api.js";
import { el, facts, say } from "/dom.js";
import * as merkle from "/merkle.js";
import { number, stamp } from "/words.js";

const NO_CRYPTO = "This browser checks hashes on pages of loopback and https alone.";

// One check: true, false, or null for what could not be checked here.
function verdict(good, text) {
  const [mark, mood, words] = good === null ? ["–", "", "not checked: "]
    : good ? ["✓", "good", "holds: "] : ["✗", "bad", "does not hold: "];
  return el("li", {}, el("span", { class: `badge ${mood}`, "aria-hidden": "true" }, mark), " ",
    el("span", { class: "unseen" }, words), text);
}

// What this browser saw of the log last. It is no secret: others should keep one as well.
const kept_name = origin => `retort.checkpoint.${origin}`;
function kept(origin) {
  try { return JSON.parse(localStorage.getItem(kept_name(origin))); } catch { return null; }
}
function keep(checkpoint) {
  localStorage.setItem(kept_name(checkpoint.origin),
    JSON.stringify({ text: checkpoint.text, ms: Date.now() }));
}

async function growth(checkpoint) {
  const before = kept(checkpoint.origin);
  if (!before) {
    keep(checkpoint);
    return verdict(null, "This browser keeps this checkpoint, and next time proves that the log " +
      "only grew since.");
  }
  const old = merkle.read_checkpoint(before.text);
  let now = checkpoint, good = false;
  try {
    const answer = await api.get(`audit/growth?old=${old.size}`);
    now = merkle.read_checkpoint(answer.checkpoint);
    good = await merkle.continues(old, now, answer.path);
  } catch (error) {
    if (error.status !== 404) throw error;  // the log is shorter than it was
  }
  if (good) keep(now);
  return verdict(good, good
    ? `The log only grew since ${stamp(before.ms)}: then it had ${number(old.size)} entries.`
    : `The log does not continue the one of ${number(old.size)} entries that this browser saw at ` +
      `${stamp(before.ms)}: it was cut or rewritten. Its root was ${merkle.hex(old.root)}.`);
}

async function signature(checkpoint, public_key) {
  const signed = await merkle.is_signed(checkpoint, public_key);
  return verdict(signed, signed === null
    ? "This browser knows no Ed25519, so the signature is not checked here."
    : `This browser: the root is ${signed ? "" : "not "}signed by the log's key.`);
}

async function verify_all(event, checks) {
  const button = event.target;
  button.disabled = true;
  say("The server reads the whole audit.");
  let told;
  try {
    const count = await api.post("audit/verify", {});
    told = verdict(true, `The server read all ${number(count.lines)} lines in ` +
      `${number(count.segments)} segments: each is as it was logged.`);
  } catch (error) {
    told = verdict(false, error.message);
  }
  checks.append(told);
  say(told.textContent);
  button.disabled = false;
}

// The log as it stands: its root, whose key signed it, that it only grew.
export async function log_card() {
  const answer = await api.get("audit/checkpoint");
  const checkpoint = merkle.read_checkpoint(answer.checkpoint);
  const checks = el("ul", { class: "plain checks" });
  if (merkle.available()) {
    checks.append(await signature(checkpoint, answer.public_key), await growth(checkpoint));
  } else {
    checks.append(verdict(null, NO_CRYPTO));
  }
  const root = el("code", {}, merkle.hex(checkpoint.root));
  return el("section", { class: "card" },
    el("h2", {}, "The log"),
    facts(["Entries", number(checkpoint.size)], ["Key", el("code", {}, answer.public_key)],
      ["Root", root]),
    checks,
    el("p", {}, el("button", { type: "button", on: { click: event => verify_all(event, checks) } },
      "Verify all of it on the server")));
}

async function checks_of(line) {
  const proof = await api.get(`audit/entries/${line.entry}`);
  const server = verdict(true, `The server: the log's entry ${number(line.entry)} is the digest ` +
    "of this line's segment, and its proof holds.");
  if (!merkle.available()) return [server, verdict(null, NO_CRYPTO)];
  const checkpoint = merkle.read_checkpoint(proof.checkpoint);
  const segment = await api.bytes(`audit/segments/${line.entry}`);
  return [
    server,
    verdict(await merkle.holds(segment, proof.entry, line.line, line.text),
      `This browser: the line is number ${number(line.line + 1)} of ${number(segment.length)} ` +
      "bytes whose SHA-256 the entry names."),
    verdict(await merkle.includes(proof.entry, proof.index, checkpoint, proof.path),
      `This browser: ${proof.path.length} hashes lead from the entry to the root over ` +
      `${number(checkpoint.size)} entries.`),
    await signature(checkpoint, proof.public_key)
  ];
}

// Of one line of the audit: {entry, line, text}.
export async function prove(line, place) {
  const list = el("ul", { class: "plain checks" });
  place.replaceChildren(list);
  try {
    list.append(...await checks_of(line));
    say(list.querySelector(".bad") ? "The proof does not hold." : "The proof holds.");
  } catch (error) {
    list.append(verdict(false, error.message));
    say(error.message);
  }
}

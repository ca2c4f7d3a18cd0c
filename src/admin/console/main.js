// Signs in, shows the view that the address names, keeps focus where a reader expects it.
import * as api from "/api.js";
import { el, say } from "/dom.js";
import { because } from "/words.js";
import { show_now } from "/now.js";
import { show_account, show_accounts } from "/accounts.js";
import { show_cases } from "/cases.js";
import { show_case } from "/case.js";
import { show_audit } from "/audit.js";

const view = document.getElementById("view");
const VIEWS = {
  now: show_now,
  accounts: rest => rest ? show_account(rest) : show_accounts(),
  cases: rest => rest ? show_case(rest) : show_cases(),
  audit: show_audit
};
let stop = () => {};  // of the view that is shown: its timers
let turn = 0;         // so that a slow answer of an earlier view is not shown in a later one
let came_from = "";

function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", rest = ""] = path.split("/");
  return { name: VIEWS[name] ? name : "now", rest, query: new URLSearchParams(query) };
}

async function show() {
  stop();
  stop = () => {};
  const mine = ++turn;
  if (!api.key()) return sign_in();
  const { name, rest, query } = place();
  document.querySelectorAll("#top nav a").forEach(link => {
    const current = link.getAttribute("href") === `#/${name}`;
    link.setAttribute("aria-current", current ? "page" : "false");
  });
  let made;
  try {
    made = await VIEWS[name](rest, query);
  } catch (error) {
    if (mine !== turn || error.status === 401) return;
    made = { title: "This could not be shown", parts: [because(error)] };
  }
  if (mine !== turn) { (made.stop || (() => {}))(); return; }
  stop = made.stop || stop;
  document.title = `${made.title} · retort console`;
  view.replaceChildren(el("h1", { tabindex: -1 }, made.heading || made.title), ...made.parts);
  // Back from one of a list, its row has the focus; else the heading, where a view begins.
  const row = [...view.querySelectorAll("a.row")]
    .find(link => link.getAttribute("href") === came_from);
  (row || view.querySelector("h1")).focus({ preventScroll: !row });
  if (!row) scrollTo(0, 0);
  came_from = location.hash;
  say(made.title);
}

function sign_in() {
  document.getElementById("top").hidden = true;
  document.title = "Sign in · retort console";
  const field = el("input", {
    id: "key", name: "key", type: "password", autocomplete: "off", spellcheck: "false",
    required: true, "aria-describedby": "key-hint"
  });
  const fault = el("p", { class: "fault", role: "alert" });
  const form = el("form", { class: "sign-in", on: { submit: event => enter(event, field, fault) } },
    el("h1", {}, "retort console"),
    el("label", { for: "key" }, "Key of the administration"), field,
    el("p", { id: "key-hint", class: "quiet" },
      "It begins with rt_admin_ and is kept in this tab alone. ",
      el("code", {}, "retort account issue ACCOUNT --kind admin"), " makes one."),
    fault, el("button", { class: "strong" }, "Sign in"));
  view.replaceChildren(form);
  field.focus();
}

async function enter(event, field, fault) {
  event.preventDefault();
  fault.textContent = "";
  api.keep(field.value.trim());
  try {
    await open();
  } catch (error) {
    api.forget();
    fault.textContent = error.status === 401 ? "This key opens nothing here." : error.message;
    field.select();
  }
}

async function open() {
  const who = await api.get("whoami");
  document.getElementById("who").textContent = `${who.label || who.key}, ${who.name}`;
  document.getElementById("top").hidden = false;
  await show();
}

function leave() {
  api.forget();
  show();
}

// Escape goes from one of a list back to the list.
function on_key(event) {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  const { name, rest } = place();
  if (api.key() && rest) location.hash = `#/${name}`;
}

document.getElementById("leave").addEventListener("click", leave);
document.getElementById("skip").addEventListener("click", event => {
  event.preventDefault();
  view.focus();
});
addEventListener("hashchange", show);
addEventListener("signed-out", () => {
  if (document.getElementById("top").hidden) return;  // who signs in is told by the form
  show();
  say("The key opens nothing any more.");
});
addEventListener("keydown", on_key);
if (api.key()) {
  open().catch(() => { api.forget(); sign_in(); });
} else {
  sign_in();
}

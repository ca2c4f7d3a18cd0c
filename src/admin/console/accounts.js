// Accounts: what they are for, what they may, what they have used.
import * as api from "/api.js";
import { el, facts, list, say, sure, table } from "/dom.js";
import { badge, because, limit_bar, limit_words, time, TRAINING } from "/words.js";

// The limit that is nearest to its end.
function tightest(account) {
  const shares = account.limits.map(limit => ({ limit, share: limit.used / (limit.most || 1) }));
  shares.sort((a, b) => b.share - a.share);
  if (shares.length === 0) return el("span", { class: "quiet" }, "no limit");
  const { limit } = shares[0];
  return el("div", {}, limit_bar(limit), el("small", {}, limit_words(limit)));
}

export async function show_accounts() {
  const { data } = await api.get("accounts");
  const filter = el("input", { type: "search", id: "filter", autocomplete: "off" });
  const place = el("div");
  function draw() {
    const wanted = filter.value.trim().toLowerCase();
    const fit = data.filter(one => [one.name, one.id, one.organisation, one.purpose]
      .some(text => text.toLowerCase().includes(wanted)));
    place.replaceChildren(list("Accounts", [
      ["Name", null],
      ["State", one => badge(one.state)],
      ["Purpose", one => one.purpose || el("span", { class: "quiet" }, "none declared")],
      ["Licence", one => TRAINING[one.training]],
      ["Case", one => one.open_case ? badge(one.open_case.step) : ""],
      ["Keys", one => one.open_keys, "n"],
      ["Used", tightest]
    ], fit, one => ({ href: `#/accounts/${one.id}`, name: one.name })));
    if (wanted) say(`${fit.length} accounts`);
  }
  filter.addEventListener("input", draw);
  draw();
  return {
    title: "Accounts",
    parts: [
      el("p", { class: "bar-of-tools" }, el("label", { for: "filter" }, "Find "), filter), place
    ]
  };
}

function limits(account) {
  if (account.limits.length === 0) {
    return el("p", { class: "quiet" }, "Nothing limits this account.");
  }
  return table([["Limit"], ["Binds"], ["Used"], ["Begins anew"]], account.limits.map(limit => [
    limit_words(limit), limit.subject, limit_bar(limit), time(limit.resets_ms)]));
}

function keys(account) {
  return table([["Key"], ["Kind"], ["Label"], ["Bound to"], ["Made"], ["Ends"]],
    account.keys.map(key => [
      el("code", {}, key.id), key.kind, key.label,
      [...key.scopes, ...key.models, ...key.addresses].join(", ") || "nothing",
      time(key.created_ms), time(key.ends_ms || key.expires_ms)]));
}

function history(account) {
  return table([["When"], ["What"], ["Who"], ["Before"], ["After"]],
    [...account.history].reverse().map(one => [
      time(one.time_ms), one.what, one.actor, one.before, one.after]));
}

// Suspends or reinstates, with a reason that the customer reads.
function state_form(account, changed) {
  const active = account.state === "active";
  const verb = active ? "Suspend" : "Reinstate";
  const reason = el("textarea", { id: "reason", rows: 3, required: true });
  const fault = el("div");
  async function submit(event) {
    event.preventDefault();
    const asked = await sure(`${verb} ${account.name}?`,
      `The customer reads: ${reason.value}`, verb);
    if (!asked) return reason.focus();
    try {
      changed(await api.post(`accounts/${account.id}/${verb.toLowerCase()}`,
        { reason: reason.value }));
    } catch (error) {
      fault.replaceChildren(because(error));
    }
  }
  return el("form", { class: "card", on: { submit } },
    el("h2", {}, `${verb} by hand`),
    el("p", { class: "quiet" }, active
      ? "For what no case covers. Nothing is answered from then on, and streams under way end."
      : "The account is answered again at once."),
    el("label", { for: "reason" }, "Reason, which the customer reads"), reason, fault,
    el("button", { class: active ? "strong" : "" }, verb));
}

export async function show_account(id) {
  const place = el("div");
  function draw(account) {
    place.replaceChildren(
      facts(["State", el("span", {}, badge(account.state), ` ${account.reason}`)],
        ["Account", el("code", {}, account.id)],
        ["Organisation", account.organisation],
        ["Payer", account.payer],
        ["Purpose", account.purpose || "none declared"],
        ["Licence", TRAINING[account.training]],
        ["Since", time(account.created_ms)],
        ["Cases", account.cases.length === 0 ? null : el("span", {}, account.cases.map(one =>
          el("a", { href: `#/cases/${one.id}` }, `${one.step}, ${one.status} `)))]),
      el("h2", {}, "Limits"), limits(account),
      el("h2", {}, "Keys"), keys(account),
      el("p", { class: "quiet" }, "Of a key only its hash is kept, so nobody can see it here."),
      state_form(account, after => {
        draw(after);
        say(`${after.name} is ${after.state}.`);
        place.querySelector("dl").scrollIntoView({ block: "center" });
      }),
      el("h2", {}, "History"), history(account),
      el("p", {}, el("a", { href: `#/audit?account=${account.id}` }, "This account in the audit")));
  }
  const account = await api.get(`accounts/${encodeURIComponent(id)}`);
  draw(account);
  return { title: account.name, parts: [place] };
}

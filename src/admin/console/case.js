// One case: what the customer did and says, what it rests on, and a person's decision.
import * as api from "/api.js";
import { el, facts, say, sure, table } from "/dom.js";
import { evidence } from "/evidence.js";
import { badge, because, distance, number, time, TRAINING } from "/words.js";

const EVERY_MS = 10000;

const DECISIONS = {
  confirm: ["Confirm", "The account is suspended; the customer can appeal."],
  uphold: ["Uphold", "The appeal is turned down and the step stands."],
  lift: ["Lift", "The customer is right: the step ends, and what was found counts no more."],
  close: ["Close", "The case is over, and the step with it."]
};

function appeal(shown) {
  if (!shown.appeal) return null;
  const open = shown.status === "appealed";
  return el("section", { class: "card appeal" }, el("h2", {}, "The customer's appeal"),
    el("blockquote", { class: "words" }, shown.appeal.text),
    el("p", { class: "quiet" }, "Of ", time(shown.appeal.at_ms), open
      ? el("strong", {}, `. Decide ${distance(shown.appeal.decide_by_ms)}: then the step is ` +
        "lifted by itself.")
      : ". Decided."));
}

function decide_form(shown, changed) {
  if (shown.decisions.length === 0) {
    return el("section", { class: "card" }, el("h2", {}, "Decision"),
      el("p", { class: "quiet" }, "This case is over.", shown.reason ? ` ${shown.reason}` : ""));
  }
  const choices = shown.decisions.map(word => el("label", { class: "choice", for: `d-${word}` },
    el("input", { type: "radio", name: "decision", id: `d-${word}`, value: word, required: true }),
    el("span", {}, el("b", {}, DECISIONS[word][0]), " ", DECISIONS[word][1])));
  const reason = el("textarea", {
    id: "reason", rows: 4, required: true, "aria-describedby": "reason-hint"
  });
  const fault = el("div");
  async function submit(event) {
    event.preventDefault();
    const decision = new FormData(event.target).get("decision");
    const [verb, effect] = DECISIONS[decision];
    const asked = await sure(`${verb}: ${shown.name}`,
      `${effect}\nThe customer reads: ${reason.value}`, verb);
    if (!asked) return reason.focus();
    try {
      changed(await api.post(`cases/${shown.id}/decide`, { decision, reason: reason.value }));
    } catch (error) {
      fault.replaceChildren(because(error));
    }
  }
  return el("form", { class: "card", on: { submit } },
    el("h2", {}, shown.status === "appealed" ? "Answer the appeal" : "Decision"),
    el("fieldset", {}, el("legend", {}, "What is decided"), choices),
    el("label", { for: "reason" }, "Reason"),
    el("p", { class: "quiet", id: "reason-hint" }, "The customer reads it, word for word."),
    reason, fault, el("button", { class: "strong" }, "Decide"));
}

function course(shown) {
  return el("section", {}, el("h2", {}, "What happened"),
    table([["When"], ["What"], ["Stands at"], ["Who"], ["Reason"]], shown.events.map(one => [
      time(one.time_ms), one.what,
      el("span", {}, badge(one.step), one.status === "open" ? null : badge(one.status)),
      one.actor, one.reason])),
    el("p", {}, el("a", { href: `#/audit?case=${shown.id}` }, "This case in the audit")));
}

function head(shown) {
  const account = shown.account_of, policy = shown.policy_of;
  return facts(
    ["Stands at", el("span", {}, badge(shown.step), badge(shown.status),
      shown.proposed ? badge("proposed") : null, " since ", time(shown.step_ms))],
    ["Account", el("span", {}, el("a", { href: `#/accounts/${account.id}` }, account.name), " ",
      badge(account.state))],
    ["Purpose", account.purpose || "none declared"],
    ["Licence", TRAINING[account.training]],
    ["Clause", el("span", {}, el("b", {}, policy.clause.id), ` ${policy.clause.text}`)],
    ["Policy", `${policy.series} ${policy.version}`],
    ["Evidence carries", badge(shown.carries)],
    ["Answered since", `${number(shown.step_requests)} requests under this step`],
    ["Appeal until", shown.appeal_by_ms
      ? el("span", {}, time(shown.appeal_by_ms), ` (${distance(shown.appeal_by_ms)})`) : null],
    ["Case", el("code", {}, shown.id)]);
}

export async function show_case(id) {
  const place = el("div"), news = el("div");
  const address = `cases/${encodeURIComponent(id)}`;
  let stands = "";
  const standing = shown => JSON.stringify(
    [shown.step, shown.status, shown.proposed, shown.appeal, shown.events.length]);
  function draw(shown) {
    stands = standing(shown);
    news.replaceChildren();
    place.replaceChildren(...[head(shown), appeal(shown),
      el("section", {}, el("h2", {}, "Found"), el("p", { class: "words" }, shown.words)),
      decide_form(shown, after => {
        draw(after);
        say(`The case of ${after.name} is decided: ${after.step}, ${after.status}.`);
        document.querySelector("#view h1").focus();
      }),
      evidence(shown), course(shown)].filter(Boolean));
  }
  // A form that somebody fills in is not drawn anew under their hands: they are told.
  async function look() {
    const shown = await api.get(address);
    if (standing(shown) === stands) return;
    stands = standing(shown);
    news.replaceChildren(el("p", { class: "news" }, "This case has changed. ",
      el("button", { type: "button", on: { click: () => draw(shown) } }, "Show it as it is now")));
    say("This case has changed.");
  }
  const shown = await api.get(address);
  draw(shown);
  const timer = setInterval(() => { look().catch(() => {}); }, EVERY_MS);
  return { title: `Case of ${shown.name}`, parts: [news, place], stop: () => clearInterval(timer) };
}

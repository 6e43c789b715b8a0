// One question to one model, the router or a member alone: its hops as they happen.

import { chatEvents } from "./stream.js";

/** An element with attributes and children; strings become text. */
export function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const number = (value, digits = 3) =>
  new Intl.NumberFormat("en", { maximumSignificantDigits: digits }).format(value);
export const money = (value) => number(value, 4);
const seconds = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)}\u00a0s`;

/** A probability in per cent, never rounded to 0 or 100 where it is neither. */
export function percent(share) {
  if (share > 0 && share < 0.001) return "<\u00a00.1\u00a0%";
  if (share < 1 && share > 0.999) return ">\u00a099.9\u00a0%";
  return `${(100 * share).toFixed(share === 0 || share === 1 ? 0 : 1)}\u00a0%`;
}

/** A decision as bars, a row for each model and STOP; `more` holds further columns of money, by model. */
export function table(choice, more = {}) {
  const heads = ["model", "probability", ...Object.keys(more)].map((name, place) =>
    make("th", place === 1 ? { scope: "col", colspan: "2" } : { scope: "col" }, name));
  const columns = Object.values(more);
  const rows = Object.entries(choice.probabilities).flatMap(([name, share]) => {
    const reason = choice.masked?.[name];
    const bar = make("span", { class: "bar" });
    bar.style.width = `${100 * share}%`;
    const row = make("tr", { class: name === choice.action ? "chosen" : "" },
      make("th", { scope: "row" }, name),
      make("td", { class: "track" }, make("span", { class: "groove", "aria-hidden": "true" }, bar)),
      make("td", { class: "share" }, reason ? "–" : percent(share)),
      ...columns.map((charges) => make("td", {}, name in charges ? money(charges[name]) : "–")));
    if (!reason) return [row];
    const words = make("td", { class: "reason", colspan: String(3 + columns.length) }, `${name} is left out: ${reason}`);
    return [row, make("tr", {}, words)];
  });
  return make("table", { class: "why" },
    make("caption", { class: "unseen" }, "What the policy gives to each model"),
    make("thead", columns.length ? {} : { class: "unseen" }, make("tr", {}, ...heads)),
    make("tbody", {}, ...rows));
}

// What shows an event, by its kind; the stream's comments that only keep it open are none.
const SHOWN = { decision: "decision", hop: "answered", failed: "failed", piece: "piece", end: "end" };

let runs = 0; // made so far, for their titles' ids

export class Run {
  /**
   * name: the model that is asked. alone: whether it is a member by itself. unit: unit of money.
   * tell: `say(words)` for who listens, `spend(name, amounts)` for the totals.
   */
  constructor(name, alone, unit, tell) {
    Object.assign(this, { name, alone, unit, tell, hop: null, last: null, began: 0, done: 0, cost: 0, tokens: 0 });
    const title = make("h3", { id: `run-${(runs += 1)}` }, alone ? `${name} alone` : "Router");
    this.summary = make("p", { class: "summary" }, "deciding …");
    this.list = make("ol", { class: "hops" });
    this.element = make("article", { class: "run", "aria-labelledby": title.id }, title, this.summary, this.list);
  }

  /** Ask, and show what happens until the end; trouble is shown in its place. */
  async follow(body, signal) {
    this.began = performance.now();
    this.tell.spend(this.name, { questions: 1 });
    const clock = setInterval(() => this.tick(), 100);
    let taken;
    try {
      for await (const [kind, value] of chatEvents(body, signal)) {
        if (kind in SHOWN) this[SHOWN[kind]](value);
        if (kind === "end") taken = value.seconds;
      }
    } catch (error) {
      this.fail(error.name === "AbortError" ? "Stopped." : error.message);
    } finally {
      clearInterval(clock);
      this.tell.spend(this.name, { seconds: taken ?? this.elapsed() });
    }
  }

  elapsed() {
    return (performance.now() - this.began) / 1000;
  }

  tick() {
    if (this.hop) this.hop.facts.textContent = `writing … ${seconds((performance.now() - this.hop.began) / 1000)}`;
  }

  decision(choice) {
    const stops = choice.action === "STOP";
    const label = `Hop ${choice.stage + 1}`;
    const drawn = choice.propensity < 1 ? ` (drawn with ${percent(choice.propensity)})` : "";
    const [quiet, loud] = stops ? ["the answer stands", "Stop "] : [label, ""];
    const head = make("h4", {}, loud, make("span", { class: "stage" }, quiet), stops ? drawn : ` ${choice.action}${drawn}`);
    const card = make("li", { class: stops ? "card stop" : "card" }, head);
    if (!stops) {
      const facts = make("p", { class: "facts" }, "writing …");
      const said = make("p", { class: "said", dir: "auto" });
      card.append(facts, said);
      this.hop = { card, head, facts, said, began: performance.now() };
    }
    if (!this.alone) card.append(table(choice));
    this.list.append(card);
    if (!stops) this.summary.textContent = `${choice.action} is asked …`;
    const share = this.alone ? "" : `, ${percent(choice.probabilities[choice.action])}`;
    this.tell.say(`${this.who()} ${stops ? `stops${share}` : `hop ${choice.stage + 1}: asks ${choice.action}${share}`}.`);
  }

  who() {
    return this.alone ? `${this.name} alone:` : "Router:";
  }

  piece(text) {
    this.hop?.said.append(text);
  }

  answered(hop) {
    if (!this.hop) return;
    const { facts, said } = this.hop;
    said.textContent = hop.response || "(nothing)";
    const cut = { length: "cut at its limit of tokens", content_filter: "cut by a filter" }[hop.finish_reason];
    const trimmed = hop.trimmed_tokens ? `${number(hop.trimmed_tokens, 12)} tokens left out of its prompt` : "";
    facts.textContent = [
      `${number(hop.tokens_in, 12)} tokens read, ${number(hop.tokens_out, 12)} written`,
      `${money(hop.cost)} ${this.unit}`,
      seconds(hop.seconds),
      cut,
      trimmed,
    ].filter(Boolean).join(" · ");
    this.last = this.hop;
    this.hop = null;
    this.done += 1;
    this.cost += hop.cost;
    this.tokens += hop.tokens_in + hop.tokens_out;
    this.tell.spend(this.name, { tokens: hop.tokens_in + hop.tokens_out, cost: hop.cost });
    this.tell.say(`${hop.model} wrote: ${hop.response.slice(0, 300)}`);
  }

  failed(lost) {
    if (!this.hop) return;
    this.hop.card.classList.add("lost");
    this.hop.facts.textContent = `no answer after ${seconds(lost.seconds)}: ${lost.reason}`;
    this.hop = null;
    this.tell.say(`${lost.model} gave no answer.`);
  }

  end(route) {
    this.summarise(route.seconds);
    if (this.last) {
      this.last.card.classList.add("answer");
      this.last.head.append(make("span", { class: "badge" }, "answer"));
    }
    if (route.trouble) this.note(route.trouble);
    this.tell.say(`${this.who()} done. ${this.summary.textContent}`);
  }

  summarise(time) {
    this.summary.textContent = [
      `${this.done} ${this.done === 1 ? "hop" : "hops"}`,
      `${number(this.tokens, 12)} tokens`,
      `${money(this.cost)} ${this.unit}`,
      seconds(time),
    ].join(" · ");
  }

  note(words) {
    this.list.after(make("p", { class: "trouble" }, words));
  }

  fail(words) {
    if (this.hop) this.hop.facts.textContent = "broken off";
    this.hop = null;
    this.summarise(this.elapsed());
    this.note(words);
    this.tell.say(`${this.who()} ${words}`);
  }
}

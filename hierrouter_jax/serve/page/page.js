// The page: ask, watch the hops, move the conditions, compare with one member, see what it all took.
// Whatever a model wrote is set as text; nothing on this page is ever read as HTML.

import { fetchJson, forgetKey, keepKey, keyOf } from "./stream.js";
import { Run, make, money, number, percent, table } from "./run.js";

const at = (id) => document.getElementById(id);
const PAUSE = 150; // milliseconds of rest before a moved slider asks for the decision anew

let router = null; // what the server says of itself
let weightMoved = false;
let following = null; // of the questions under way
let deciding = null;
const totals = new Map(); // by the model that was asked

async function load() {
  at("key-trouble").textContent = at("trouble").textContent = "";
  let models;
  try {
    models = (await fetchJson("v1/models")).data;
  } catch (error) {
    return error.status === 401 ? askForKey() : showTrouble(error);
  }
  router = { name: models[0].id, ...models[0].hierrouter };
  at("key-section").hidden = true;
  at("forget").hidden = !keyOf();
  describe(models.slice(2).map((model) => model.id));
  for (const id of ["ask", "decide"]) at(id).disabled = false;
}

function askForKey() {
  if (keyOf()) at("key-trouble").textContent = "The server refuses this key.";
  forgetKey();
  at("about").textContent = "The server answers only with a key.";
  at("forget").hidden = true;
  for (const id of ["ask", "decide"]) at(id).disabled = true;
  at("key-section").hidden = false;
  at("key").focus();
}

function describe(members) {
  const { conditions, horizon } = router;
  const explores = router.explore === "none" ? "" : ` It explores (${router.explore}).`;
  at("about").textContent =
    `Policy ${router.policy.slice(0, 12)} chooses among ${members.length} models, at most ${count(horizon, "hop")}. ` +
    `Costs are in ${router.money_unit}.${explores}`;
  at("model-name").textContent = router.name;
  at("other").replaceChildren(make("option", { value: "" }, "no one"), ...members.map(option));
  const hops = Array.from({ length: horizon }, (_, place) => horizon - place);
  at("hops").replaceChildren(...hops.map(option));
  at("totals-unit").textContent = ` (${router.money_unit})`;
  at("task-field").hidden = !router.reads_task;
  at("budget").disabled = !conditions.budget;
  at("budget-help").replaceChildren(...(conditions.budget
    ? [`Budget: the most that a route may cost, in ${router.money_unit}.`]
    : untrained("budget", "budgeted")));
  at("weight").disabled = !conditions.cost_weight;
  if (!conditions.cost_weight) {
    at("weight-help").replaceChildren(...untrained("cost weight", "cost_conditioned"));
    return;
  }
  const [low, high] = conditions.cost_weight;
  const own = Math.min(Math.max(router.cost_weight, low), high);
  at("weight-help").textContent = "Cost weight: how much quality the policy gives up to save cost.";
  at("weight").value = (100 * Math.log(own / low)) / Math.log(high / low);
  weightMoved = false;
  showWeight();
}

const option = (name) => make("option", { value: name }, String(name));
const count = (many, thing) => `${many} ${thing}${many === 1 ? "" : "s"}`;
const untrained = (what, option_) => [
  `This policy was not trained to be told a ${what}: train with `,
  make("code", {}, `--train.static.${option_} true`),
  ".",
];

/** The slider's cost weight: its logarithm moves evenly between the bounds of training; at rest the policy's own. */
function costWeight() {
  if (!weightMoved) return router.cost_weight;
  const [low, high] = router.conditions.cost_weight;
  return low * (high / low) ** (at("weight").value / 100);
}

function showWeight() {
  const text = number(costWeight());
  at("weight-value").textContent = weightMoved ? text : `${text}, the policy's own`;
  at("weight").setAttribute("aria-valuetext", at("weight-value").textContent);
}

/** A request to a model; the conditions are the router's alone. */
function request(model) {
  const body = { model, messages: [{ role: "user", content: at("question").value }] };
  const told = {};
  if (router.reads_task) told.task = at("task").value;
  if (model === router.name) {
    if (weightMoved) told.cost_weight = costWeight();
    if (at("budget").value) told.budget = Number(at("budget").value);
    if (Number(at("hops").value) < router.horizon) told.max_hops = Number(at("hops").value);
  }
  return Object.keys(told).length ? { ...body, hierrouter: told } : body;
}

async function ask() {
  following?.abort();
  const mine = (following = new AbortController());
  at("trouble").textContent = "";
  at("news").replaceChildren();
  at("asked").textContent = at("question").value;
  const names = [router.name, at("other").value].filter(Boolean);
  const runs = names.map((name) => new Run(name, name !== router.name, router.money_unit, { say, spend }));
  at("runs").replaceChildren(...runs.map((run) => run.element));
  at("runs").className = runs.length > 1 ? "beside" : "";
  at("decision-section").hidden = true;
  at("runs-section").hidden = false;
  if (at("asked").getBoundingClientRect().top > 0.6 * innerHeight) at("asked").scrollIntoView();
  at("stop").disabled = false;
  await Promise.all(runs.map((run) => run.follow(request(run.name), mine.signal)));
  if (following !== mine) return;
  if (document.activeElement === at("stop")) at("ask").focus();
  at("stop").disabled = true;
}

/** What would be called first; calls no one. */
async function decide() {
  deciding?.abort();
  deciding = new AbortController();
  at("trouble").textContent = "";
  try {
    const choice = await fetchJson("v1/decision", request(router.name), deciding.signal);
    const words = `${choice.action} would be asked first (${percent(choice.probabilities[choice.action])}).`;
    const { mean_charge: mean, largest_charge: largest } = choice;
    at("decision").replaceChildren(
      make("p", { class: "words" }, words),
      make("div", { class: "scroll", role: "region", "aria-label": "First decision, by model", tabindex: "0" },
        table(choice, { "mean cost": mean, "at most": largest })),
    );
    at("decision-section").hidden = false;
    say(words);
  } catch (error) {
    if (error.name !== "AbortError") showTrouble(error);
  }
}

function say(words) {
  at("news").append(make("p", {}, words));
}

/** Add to what a model took so far, and show it. */
function spend(name, more) {
  const sum = totals.get(name) ?? { questions: 0, tokens: 0, cost: 0, seconds: 0 };
  for (const [what, value] of Object.entries(more)) sum[what] += value;
  totals.set(name, sum);
  const cells = (row) => [number(row.questions, 12), number(row.tokens, 12), money(row.cost), row.seconds.toFixed(1)];
  const rows = [...totals].map(([model, row]) => make("tr", {}, make("th", { scope: "row" }, model),
    ...cells(row).map((text) => make("td", {}, text))));
  at("totals").tBodies[0].replaceChildren(...rows);
  at("totals-section").hidden = false;
}

function showTrouble(error) {
  at("trouble").textContent = error.message;
  if (!router) at("about").textContent = "The server said nothing of itself.";
  if (error.status === 401) askForKey();
}

at("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!at("ask").disabled) ask();
});
at("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("ask-form").requestSubmit(at("ask"));
});
at("stop").addEventListener("click", () => following?.abort());
at("decide").addEventListener("click", () => at("ask-form").reportValidity() && decide());
let resting;
at("weight").addEventListener("input", () => {
  weightMoved = true;
  showWeight();
  clearTimeout(resting);
  if (!at("decision-section").hidden && at("question").value) resting = setTimeout(decide, PAUSE);
});
at("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  keepKey(at("key").value.trim());
  at("key").value = "";
  await load();
  if (router) at("question").focus();
});
at("forget").addEventListener("click", () => {
  forgetKey();
  askForKey();
});
at("base-url").textContent = new URL("v1", document.baseURI).href;
load();

"""How far off-policy estimates are off, how often their intervals hold the truth, and what choosing by them loses.

    hierrouter quickstart --out runs/quickstart
    hierrouter export runs/quickstart policies/plan --policy predict-then-plan+stop
    python -m scripts.off_policy_study runs/quickstart/table policies/plan

The target is the greedy policy of a bundle on the training queries, where its exact value is known. Logs are drawn from
four policies: `uniform`; `softmax` of the bundle's logits; `epsilon` around its greedy action; and `wrong`, softmax of
the same logits with their sign turned. Every replication is a new log. What is done lies in `OUT/*.jsonl`, one line a
replication, so that a study that was cut off goes on; `OUT/record.json` says which study it is.

Values are fitted on features of the table's contexts, made once; `hierrouter estimate` makes them from the log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from jsonargparse import auto_cli

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.claims import table_identity
from hierrouter_jax.evaluation.off_policy_intervals import bernstein_interval, bootstrap_interval
from hierrouter_jax.files import write_json
from hierrouter_jax.outcomes.exploration import Exploration, distribution
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.off_policy.evidence import DEFAULT, ESTIMATORS, Evidence, reasons_to_refuse, weigh
from hierrouter_jax.studies.off_policy.fitted_values import context_features
from hierrouter_jax.studies.simulate import draw_routes, legal_actions, simulate
from scripts.study import add_lines, begin, read_lines

CELLS = ("softmax", "epsilon", "uniform", "wrong")
POINTS = tuple(0.005 * step for step in range(10))  # what the named policies lack of the best one's return
SILENT = 100  # replications after which a cell that never answers is not gone on with
AT_ONCE = 50  # replications of a cell before the next one's turn


@dataclass(frozen=True)
class World:
    """A table whose every route is known, and the policy that is asked about.

    Attributes:
      table: queries that requests ask; of their embeddings one number is left, as features are at hand.
      logits: logits of the bundle at every decision node, [Q, D, A]; 0 where an action is not legal.
      ties: actions in the order in which they win ties.
      features: features of every decision node, [Q, D, F].
      cost_weight, cost_normaliser: parts of the return.
      served: probabilities of the policies that write logs, by name, each [Q, D, A].
    """

    table: OutcomeTable
    logits: Float[np.ndarray, "Q D A"]
    ties: tuple[int, ...]
    features: Float[np.ndarray, "Q D F"]
    cost_weight: float
    cost_normaliser: float
    served: dict[str, Float[np.ndarray, "Q D A"]]

    @property
    def signal(self) -> tuple[float, float]:
        """Weights of quality and normalised cost in the return."""
        return 1.0, -self.cost_weight

    def greedy(self, logits: Float[np.ndarray, "Q D A"]) -> Float[np.ndarray, "Q D A"]:
        """The greedy policy of some logits."""
        return distribution(logits, _legal(self.table), Exploration(), self.ties)

    def returns(self, target: Float[np.ndarray, "Q D A"]) -> Float[np.ndarray, " Q"]:
        """Exact return of a deterministic policy on each query."""
        tree, rows = self.table.tree, np.arange(self.table.num_queries)
        node, going = np.zeros(len(rows), dtype=int), np.ones(len(rows), dtype=bool)
        for _ in range(tree.horizon):
            action = target[rows, np.minimum(node, tree.num_decision_nodes - 1)].argmax(axis=1)
            going &= action < tree.num_models
            node = np.where(going, tree.child(node, action), node)
        spent = accumulate_cost(self.table.cost.astype(np.float64), tree)[rows, node]
        return self.table.quality[rows, node] - self.cost_weight * spent / self.cost_normaliser

    def evidence(
        self, cell: str, targets: list[Float[np.ndarray, "Q D A"]], episodes: int, seed: list[int]
    ) -> list[Evidence]:
        """One log, weighed for each of several targets."""
        every = np.arange(self.table.num_queries)
        arguments = self.table, self.served[cell], every, episodes
        log = simulate(*arguments, np.random.default_rng(seed))
        routes = draw_routes(*arguments, np.random.default_rng(seed))  # the same draws: where each decision was made
        at = routes.query[:, None], np.minimum(routes.node, self.table.tree.num_decision_nodes - 1)
        x = self.features[at]
        return [weigh(log, target[at], self.cost_normaliser, features=x) for target in targets]


def world(table: OutcomeTable, bundle: PolicyBundle, temperature: float, epsilon: float) -> World:
    """The table with the logging policies of the bundle."""
    tree, legal = table.tree, _legal(table)
    spent = accumulate_cost(table.cost.astype(np.float64), tree)[:, : tree.num_decision_nodes]
    nodes = range(tree.num_decision_nodes)
    logits = [bundle.logits(table.context_embedding[:, n], int(tree.stages[n]), spent[:, n]) for n in nodes]
    logits = np.where(legal, np.stack(logits, axis=1), 0.0)
    features = context_features(
        table.context_embedding, np.ones(spent.shape, dtype=bool), spent / bundle.cost_normaliser
    )
    served = {
        "softmax": distribution(logits, legal, Exploration("softmax", temperature)),
        "epsilon": distribution(logits, legal, Exploration("epsilon", epsilon), bundle.ties),
        "uniform": distribution(logits, legal, Exploration("epsilon", 1.0)),
        "wrong": distribution(-logits, legal, Exploration("softmax", temperature)),
    }
    small = replace(table, context_embedding=table.context_embedding[..., :1])
    weight = bundle.cost_weight if bundle.cost_weight is not None else 0.01
    return World(small, logits, bundle.ties, features, weight, bundle.cost_normaliser, served)


def replication(of: World, cell: str, episodes: int, seed: list[int], resamples: int) -> dict[str, Any]:
    """One log: every estimate, its default interval, and whether the verb would have answered."""
    (one,) = of.evidence(cell, [of.greedy(of.logits)], episodes, seed)
    values = {name: one.contributions(of.signal, name) for name in ESTIMATORS}
    bounded = bernstein_interval(one.weight[:, -1], one.quality)
    row = {
        "values": {name: float(its.mean()) for name, its in values.items()},
        "interval": one.interval(values[DEFAULT]),
        "bernstein": bounded,
        "effective": one.effective,
        "wrong": one.effective_answers["wrong"],
        "answers": not reasons_to_refuse(one),
    }
    return row | ({"bootstrap": bootstrap_interval(values[DEFAULT], resamples)} if resamples else {})


def named_policies(of: World) -> tuple[list[Float[np.ndarray, "Q D A"]], Float[np.ndarray, " P"]]:
    """Ten policies and their exact returns: the greedy one, and each of the rest .5 points below the one before.

    A worse one is greedy in the same logits with normal noise, of the spread out of 500 that is closest to its return.
    """
    noise = np.random.default_rng(0).normal(size=of.logits.shape) * _legal(of.table)
    policies = [of.greedy(of.logits + scale * noise) for scale in np.linspace(0.0, 0.5, 500)]
    returns = np.array([of.returns(policy).mean() for policy in policies])
    places = [int(abs(returns - (returns[0] - point)).argmin()) for point in POINTS]
    return [policies[place] for place in places], returns[places]


def choice(of: World, policies: list[Float[np.ndarray, "Q D A"]], episodes: int, seed: list[int]) -> dict[str, Any]:
    """Which policy the default estimator prefers on one log."""
    every = of.evidence("softmax", policies, episodes, seed)
    values = [float(one.contributions(of.signal).mean()) for one in every]
    return {"values": values, "chosen": int(np.argmax(values))}


def work(of: World, out: Path, sizes: tuple[int, ...], replications: int, resamples: int, seed: int) -> Iterator[Path]:
    """Do every cell's replications, some of each at a time; gives each cell's file once more has been tried."""
    out.mkdir(parents=True, exist_ok=True)
    for target in range(AT_ONCE, replications + AT_ONCE, AT_ONCE):
        for number, cell in enumerate(CELLS):
            for episodes in sizes:
                path = out / f"{cell}-{episodes}.jsonl"
                rows = read_lines(path)
                silent = len(rows) >= SILENT and not any(row["answers"] for row in rows)
                left = range(len(rows), 0 if silent else min(target, replications))
                seeds = ([seed, number, episodes, at] for at in left)
                add_lines(path, (replication(of, cell, episodes, one, resamples) for one in seeds))
                yield path


def summary(rows: list[dict[str, Any]], truth: float, accuracy: float) -> dict[str, Any]:
    """Errors and coverage of one cell."""
    values = {name: np.array([row["values"][name] for row in rows]) for name in ESTIMATORS}
    answered = [row for row in rows if row["answers"]]

    def covered(kind: str, value: float, its: list[dict[str, Any]]) -> float | None:
        return float(np.mean([row[kind][0] <= value <= row[kind][1] for row in its])) if its else None

    def width(kind: str, its: list[dict[str, Any]]) -> float | None:
        return float(np.mean([row[kind][1] - row[kind][0] for row in its])) if its else None

    booted = [row for row in answered if "bootstrap" in row]
    return {
        "replications": len(rows),
        "answered": len(answered) / len(rows),
        "effective": float(np.mean([row["effective"] for row in rows])),
        "wrong": float(np.mean([row["wrong"] for row in rows])),
        "rmse": {name: float(np.sqrt(((its - truth) ** 2).mean())) for name, its in values.items()},
        "bias": {name: float(its.mean() - truth) for name, its in values.items()},
        "coverage": covered("interval", truth, answered),
        "width": width("interval", answered),
        "coverage_bootstrap": covered("bootstrap", truth, booted),
        "coverage_bernstein": covered("bernstein", accuracy, rows),
        "width_bernstein": width("bernstein", rows),
    }


def _legal(table: OutcomeTable) -> np.ndarray:
    legal = legal_actions(table, allow_stop=True)
    legal[..., -1] |= ~legal.any(axis=-1)
    return legal


def main(
    table: Path,
    bundle: Path,
    split: str = "train",
    sizes: tuple[int, ...] = (1000, 5000, 20000),
    replications: int = 2000,
    selections: int = 100,
    selection_episodes: int = 5000,
    resamples: int = 0,
    temperature: float = 0.1,
    epsilon: float = 0.3,
    seed: int = 0,
    out: Path = Path("runs/off_policy_study"),
) -> None:
    """Estimate on many logs, choose among ten policies on others, print a row a cell, and write all of it.

    Args:
      table: folder of the outcome table.
      bundle: folder of the policy whose logits are expected returns, such as a predict-then-plan+stop.
      split: part of the table whose queries are asked.
      sizes: numbers of episodes of a log.
      replications: number of logs of each cell.
      selections: number of logs that one of ten policies is chosen on.
      selection_episodes: number of episodes of each of those.
      resamples: bootstrap resamples of the default estimator; 0 for none.
      temperature: temperature of the cells softmax and wrong, in units of the logits.
      epsilon: probability that the cell epsilon draws an action evenly.
      seed: seed of all draws.
      out: folder of the results.
    """
    whole, policy = load_table(table), PolicyBundle.load(bundle)
    here = {"table": table_identity(whole), "bundle": policy.fingerprint, "split": split, "temperature": temperature}
    here |= {"epsilon": epsilon, "seed": seed, "selection_episodes": selection_episodes}
    begin(out, "off-policy study", here | {"resamples": resamples or None})  # None: as in records without it
    of = world(whole.split(split), policy, temperature, epsilon)
    best = of.greedy(of.logits)
    truth = float(of.returns(best).mean())
    accuracy = float(replace(of, cost_weight=0.0).returns(best).mean())
    result: dict[str, Any] = {"table": str(table), "bundle": str(bundle), "return": truth, "accuracy": accuracy}
    policies, exact = named_policies(of)
    path = out / "choice.jsonl"
    seeds = ([seed, 99, at] for at in range(len(read_lines(path)), selections))
    add_lines(path, (choice(of, policies, selection_episodes, one) for one in seeds))
    chosen = np.array([row["chosen"] for row in read_lines(path)], dtype=int)
    regret = exact.max() - exact[chosen]
    result["choice"] = {
        "logs": len(chosen),
        "returns": exact.tolist(),
        "mean_regret": float(regret.mean()) if len(chosen) else None,
        "within_a_point": int((regret <= 0.01 + 1e-9).sum()),
    }
    print(f"target: return {truth:.4f}, accuracy {accuracy:.4f}; choice: {result['choice']}", flush=True)
    cells = result["cells"] = {}
    for path in work(of, out, sizes, replications, resamples, seed):
        cells[path.stem] = summary(read_lines(path), truth, accuracy)
        write_json(out / "off_policy_study.json", result)
    for name, cell in cells.items():
        errors = "  ".join(f"{its} {value:.4f}" for its, value in cell["rmse"].items())
        shown = {key: value for key, value in cell.items() if key not in ("rmse", "bias")}
        print(f"{name}: {shown}\n    rmse: {errors}")


if __name__ == "__main__":
    auto_cli(main)

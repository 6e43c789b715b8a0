"""Train, evaluate and export one router on an outcome table: python train_one.py TABLE OUT"""

import sys
from pathlib import Path

import jax

import hierrouter_jax as hr


def main(folder: Path, out: Path, num_updates: int = 40) -> dict:
    """Returns the router's row of the evaluation; the policy bundle is in `out`."""
    # A table holds what every model answered on every route of every query. Nothing below runs a model.
    table = hr.load_table(folder)

    # Whatever is fitted is fitted on the training split: here principal components of the embeddings.
    features = hr.fit_features(table.split("train"), size=64)
    train, validation = (features.on_device(table.split(name)) for name in ("train", "validation"))

    # `static` fixes what is compiled; every number of `hyper` may be changed, or mapped over, without compiling again.
    static = hr.static_of("ppo+stop", hr.LearnerStatic(num_envs=256, num_updates=num_updates))
    hyper = hr.LearnerHyper(learning_rate=3e-3, reward=hr.RewardWeights(hop_cost=0.02))

    # One training is one pure function, mapped over keys here: a router for each, and the best on validation is taken.
    # On a GPU `vmap` in the place of `lax.map` trains them at once; on few cores it may hang (docs/many-runs.md).
    keys = jax.random.split(jax.random.key(0), 2)
    run = jax.jit(lambda keys, *splits: jax.lax.map(lambda key: hr.train(key, *splits, static, hyper), keys))
    state, metrics = run(keys, train, validation)
    print("training return of the last update:", metrics["train_return"][:, -1])
    router = hr.TrainedRouter("ppo+stop", static, hyper, state, features)
    print(f"validation return of seed {router.chosen_seed}: {state.best_return[router.chosen_seed]:.3f}")

    # The evaluation is exact: a sum over the tree of routes. Opponents and oracles stand in the same list.
    evaluation = hr.evaluate(table, {"ppo+stop": router}, features, cost_weight=0.02, split="test")
    for row in evaluation["policies"]:
        print(f"{row['name']:24} accuracy {row['accuracy']:.3f}   cost {row['cost']:.2f} {table.money_unit}")

    # A policy bundle routes live models, with NumPy alone.
    router.bundle(table).save(out)
    return next(row for row in evaluation["policies"] if row["kind"] == "learned")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

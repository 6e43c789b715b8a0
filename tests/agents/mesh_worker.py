"""Ten updates of each learner over a mesh, in a process of its own; prints or saves the parameters.

python -m tests.agents.mesh_worker OUT.npz ALGORITHMS DEVICES TABLE(replicated|sharded) [PROCESS COUNT ADDRESS]
"""

import sys

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.mesh import data_mesh, replicate, shard_queries
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.types import device_table
from tests.tables import random_table

UPDATES = 10


def run(algorithms: list[str], devices: int, sharded: bool) -> dict[str, np.ndarray]:
    host = random_table(queries=48, missing=0.2)
    found = {}
    for algorithm in algorithms:
        static = LearnerStatic(algorithm=algorithm, num_envs=64, hidden=(16, 16), allow_stop=True)
        with data_mesh(devices):
            table = device_table(host, host.context_embedding, 5.0)
            table = shard_queries(table) if sharded else replicate(table)
            state = replicate(learner.init(jax.random.key(0), table, static, LearnerHyper()))
            update = jax.jit(lambda state, table, static=static: learner.update(state, table, static, LearnerHyper()))
            for _ in range(UPDATES):
                state, metrics = update(state, table)
        flat = flatten_dict({"params": state.params["params"], "metrics": metrics}, sep="/")
        found |= {f"{algorithm}/{name}": np.asarray(leaf.addressable_data(0)) for name, leaf in flat.items()}
    return found


if __name__ == "__main__":
    out, algorithms, devices, where, *cluster = sys.argv[1:]
    if cluster:
        process, count, address = cluster
        jax.distributed.initialize(address, int(count), int(process))
    found = run(algorithms.split(","), int(devices), where == "sharded")
    if not cluster or cluster[0] == "0":
        np.savez(out, **found)

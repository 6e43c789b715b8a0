"""What may be averaged over routes where training trees are partial."""

import numpy as np

from hierrouter_jax.outcomes.table import OutcomeTable


def whole_training_trees(table: OutcomeTable) -> OutcomeTable:
    """The queries that opponents choose routes on: the training split, where all of its trees are whole.

    Where some are not, its whole trees and the validation split: what a partial tree holds was chosen for its
    promise, so that a mean over its routes would flatter them, and a route that some queries lack has no mean.
    """
    train = table.split("train")
    if train.available.all():
        return train
    whole = table.available.all(axis=1) & np.array([query.split == "train" for query in table.queries])
    return table.select(whole | np.array([query.split == "validation" for query in table.queries]))

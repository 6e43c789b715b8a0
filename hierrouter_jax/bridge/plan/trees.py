"""How far the trees of training queries are grown at most, where a sampling plan leaves some of them partial."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hierrouter_jax.bridge.plan.questions import Questions


@dataclass(frozen=True)
class PartialTrees:
    """What a sampling plan may ask for at most. Trees of validation and test queries are whole.

    Attributes:
      plan: its name.
      whole: share of each task's training queries, rounded up, whose trees are whole, too.
      expanded: of the other trees, the most nodes of each stage but the last after which every model is called.
    """

    plan: str
    whole: float
    expanded: tuple[int, ...]

    def queries(self, questions: Questions) -> int:
        """Training queries whose trees are partial."""
        return sum(count - self._whole(count) for count in questions.training_queries.values())

    def weight(self, questions: Questions) -> Float[np.ndarray, " T"]:
        """Of the questions that each text stands for, those whose trees are partial.

        One that is asked outside of training as well is not, as its calls are made for the whole tree. Of the others,
        as many are taken to be whole as the plan may draw.
        """
        tasks, left = np.array(questions.tasks), np.zeros(len(questions.texts))
        for task, count in questions.training_queries.items():
            mine = np.where(tasks == task, questions.training, 0.0)
            if mine.sum():
                left += mine * (1 - min(1.0, self._whole(count) / mine.sum()))
        return left

    def _whole(self, count: int) -> int:
        return int(np.ceil(self.whole * count))

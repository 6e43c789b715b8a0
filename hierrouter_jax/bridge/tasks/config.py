"""What a task is, and how a mix draws queries from several: YAML read into frozen dataclasses."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

from hierrouter_jax.bridge.tasks.prompt import TaskPrompt
from hierrouter_jax.config import config_path, from_dict, load_yaml
from hierrouter_jax.domains import COUNT, NATURAL, SEED, SIMILARITY, Domains, check_domains, check_values
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import SPLITS


@dataclass(frozen=True)
class SourceConfig:
    """Where a task's rows come from: a data set of the hub, or files.

    Attributes:
      path: path that `datasets.load_dataset` takes: a hub id, or `parquet`, `json` or `csv` for files.
      config: configuration of the hub's data set (`main`, say); none where it has only one.
      revision: commit, branch or tag of the hub's data set; without one, its latest. A table records the commit.
      files: path of each split's file, where `path` names a file format; relative to the YAML file.
      folder: name of this task's folder in a local copy of the benchmarks (`--data`), which holds a Parquet file a
        split, in the hub's columns; by default the task's name.
      splits: the source's split that each of train, validation and test is drawn from.
      public_test: the source's split that the field reports its numbers on. Train or validation queries drawn from
        it make the task `dev-only`.

    Raises:
      InputError: if a split is none of the three, or files are missing or superfluous.
    """

    path: str
    config: str | None = None
    revision: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    splits: dict[str, str] = field(default_factory=lambda: {name: name for name in SPLITS})
    public_test: str = "test"

    def __post_init__(self) -> None:
        check_splits("splits", self.splits)
        if (self.path in FILE_FORMATS) != bool(self.files):
            formats = ", ".join(FILE_FORMATS)
            raise InputError(f"path is {self.path!r}: files belong to the formats {formats}, and those need files")


FILE_FORMATS = ("parquet", "json", "csv")


@dataclass(frozen=True)
class ShotsConfig:
    """Worked examples in front of the question.

    Attributes:
      count: number of examples; 0 is zero-shot.
      split: the source's split that they are drawn from.
      seed: seed of the draw.
      same_stratum: whether to draw each question's examples from its own stratum (MMLU's subject, say).

    Raises:
      InputError: if the count is negative.
    """

    DOMAINS: ClassVar[Domains] = {
        "count": NATURAL,
        "seed": SEED,
    }

    count: int = 0
    split: str = "train"
    seed: int = 0
    same_stratum: bool = False

    def __post_init__(self) -> None:
        check_domains(self)


@dataclass(frozen=True)
class TaskConfig:
    """A benchmark that a pool can be collected on.

    Attributes:
      name: name that is unique in a mix; lower case, it starts every query's id.
      source: place that its rows come from.
      rows: name of what turns a row into an item: gsm8k, math, mbpp, humaneval, arc or mmlu, or an import path of a
        function from a row to an `Item`. A path of a file (`mine.py:row`) is relative to the YAML file.
      grader: import path of a grader, or of a class that makes one.
      prompt: the text that a query becomes.
      metric: name of what the grader measures.
      shots: worked examples in front of the question.
      grader_settings: arguments of the grader's class.
      license: licence of the data, for whoever passes a table on.

    Raises:
      InputError: if the name is no name.
    """

    name: str
    source: SourceConfig
    rows: str
    grader: str
    prompt: TaskPrompt
    metric: str = "accuracy"
    shots: ShotsConfig = field(default_factory=ShotsConfig)
    grader_settings: dict[str, Any] | None = None
    license: str = ""

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip().lower() or any(c in self.name for c in " ,/"):
            raise InputError(f"name is {self.name!r}, but must be lower case without spaces, commas and slashes")

    def with_shots(self, count: int) -> "TaskConfig":
        """The task with another number of worked examples.

        Raises:
          InputError: if it is negative.
        """
        check_values({"shots": count}, {"shots": NATURAL})
        return replace(self, shots=replace(self.shots, count=count))


@dataclass(frozen=True)
class Share:
    """How many queries a mix draws from a task.

    Attributes:
      train, validation, test: numbers of queries of each split.
      splits: the source's split that they are drawn from, where it differs from what the task says.
      shots: number of worked examples in front of each question, where it differs from what the task says.
      skip: number of questions at the start of the test draw that no split may hold, nor their duplicates: those of a
        pilot, whose mix drew as many for test with the same seed.
      orders: number of times that each question is asked, its options in another order each time, as queries of one
        group; of multiple choice only. A right guess in one order is no right guess in another. A question with an
        option that speaks of the others ("all of the above") is asked once.

    Raises:
      InputError: if a count is negative, a question is asked less than once, or a split is none of the three.
    """

    DOMAINS: ClassVar[Domains] = {
        "train": NATURAL,
        "validation": NATURAL,
        "test": NATURAL,
        "shots": NATURAL,
        "skip": NATURAL,
        "orders": COUNT,
    }

    train: int = 0
    validation: int = 0
    test: int = 0
    splits: dict[str, str] = field(default_factory=dict)
    shots: int | None = None
    skip: int = 0
    orders: int = 1

    def __post_init__(self) -> None:
        check_domains(self)
        check_splits("splits", self.splits)

    @property
    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in SPLITS}

    @property
    def reads(self) -> tuple[str, ...]:
        """The splits that a draw reads: those with queries, and test where some are skipped: no split may hold them."""
        return tuple(name for name, count in self.counts.items() if count or (name == "test" and self.skip))


@dataclass(frozen=True)
class MixConfig:
    """Queries of several tasks, drawn with a seed and stratified, so that no split holds a duplicate of another's.

    Attributes:
      tasks: share of each task, by the name of its preset or the path of its YAML file.
      seed: seed of the draw.
      similarity: Jaccard similarity from which two texts count as near-duplicates, in [.5, 1].

    Raises:
      InputError: if there is no task, or the similarity is none.
    """

    DOMAINS: ClassVar[Domains] = {
        "seed": SEED,
        "similarity": SIMILARITY,
    }

    tasks: dict[str, Share]
    seed: int = 0
    similarity: float = 0.8

    def __post_init__(self) -> None:
        check_domains(self)
        if not self.tasks:
            raise InputError("tasks is empty, but a mix needs at least one")

    def in_orders(self, orders: int) -> "MixConfig":
        """The mix with each question of multiple choice asked in as many orders of its options."""
        return replace(self, tasks={name: replace(share, orders=orders) for name, share in self.tasks.items()})

    def only(self, names: tuple[str, ...], counts: dict[str, int] | None) -> "MixConfig":
        """The mix of some tasks; `counts`, where given, are the queries a split of every one.

        Raises:
          InputError: if a task is not in this mix and there are no counts.
        """
        shares = {}
        for name in names:
            share = self.tasks.get(name)
            if share is None and counts is None:
                known = ", ".join(self.tasks)
                raise InputError(f"--tasks: {name!r} is not in the mix (it holds {known}); say how many with --counts")
            share = share or Share()
            if counts is not None:
                check_splits("--counts", counts)
                share = replace(share, **(dict.fromkeys(SPLITS, 0) | counts))
            shares[name] = share
        return replace(self, tasks=shares)


def check_splits(where: str, splits: Collection[str]) -> None:
    """Refuse names that are not train, validation or test; of several the first in order.

    Raises:
      InputError: naming it.
    """
    for name in sorted(splits):
        if name not in SPLITS:
            raise InputError(f"{where}: {name!r} is no split; the splits are {', '.join(SPLITS)}")


def load_task(name: str) -> TaskConfig:
    """A task by the name of its preset (`gsm8k`), or by the path of its YAML file.

    Raises:
      InputError: naming the file and the field that is unknown, missing, mistyped or refused.
    """
    if name.endswith((".yaml", ".yml")):
        path = config_path(name)
    else:
        presets = {path.stem: path for path in config_path("task/gsm8k.yaml").parent.glob("*.yaml")}
        if name not in presets:
            close = get_close_matches(name, presets, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the tasks are {', '.join(sorted(presets))}"
            raise InputError(f"{name!r} is no task; {hint} (or a YAML file)")
        path = presets[name]
    task = from_dict(TaskConfig, load_yaml(path), path)
    files = {split: str(path.parent / file) for split, file in task.source.files.items()}
    return replace(
        task,
        source=replace(task.source, files=files, folder=task.source.folder or task.name),
        rows=_beside(path, task.rows),
        grader=_beside(path, task.grader),
    )


def shared_task(name: str, share: Share) -> TaskConfig:
    """As `load_task`, with as many worked examples as a share of a mix says."""
    task = load_task(name)
    return task if share.shots is None else task.with_shots(share.shots)


def _beside(path: Path, name: str) -> str:
    """An import path of a file, taken from the folder of the YAML file that names it."""
    return str(path.parent / name) if ".py:" in name else name


def load_mix(name: str) -> MixConfig:
    """A mix by the name of its preset (`mix/paper.yaml`) or its path.

    Raises:
      InputError: naming the file and the field that is unknown, missing, mistyped or refused.
    """
    path = config_path(name)
    return from_dict(MixConfig, load_yaml(path), path)

"""The reader of a decision log: all records that are whole, checked, with the feedback that came."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int, Shaped

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log.checks import check_decisions, check_feedback, check_unique, check_version
from hierrouter_jax.outcomes.decision_log.folder import LogCounts, LogFolder
from hierrouter_jax.outcomes.decision_log.frames import Frame, read_frames
from hierrouter_jax.outcomes.decision_log.record import FEEDBACK_SCHEMA, SCHEMA, tables_of
from hierrouter_jax.sums import check_sum


@dataclass(frozen=True)
class DecisionLog:
    """Decisions of served traffic, in the order of request time, episode and stage.

    Attributes:
      rows: one row a decision, R in all, with the columns of the schema, `quality` (null without feedback) and
        `quality_time`.
      counts: what the log does not hold.
    """

    rows: pa.Table
    counts: LogCounts

    def __len__(self) -> int:
        return self.rows.num_rows

    def column(self, name: str) -> Shaped[np.ndarray, " R"]:
        """The values of a column of one value a row; a missing number is NaN."""
        return self.rows[name].to_numpy()

    def matrix(self, name: str) -> Shaped[np.ndarray, "R X"]:
        """The values of a column of lists, all as long as each other.

        Raises:
          InputError: if they are not, as where policies of several pools wrote the log; `only` chooses among them.
        """
        lists = self.rows[name].combine_chunks()
        lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
        if len(lengths) and not (lengths == lengths[0]).all():
            raise InputError(
                f"{name} of the log has lists of {lengths.min():g} to {lengths.max():g} values, but one length is "
                "needed; choose the decisions of one policy"
            )
        width = int(lengths[0]) if len(lengths) else 0
        return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lengths), width)

    def draws(self) -> tuple[Float[np.ndarray, "N A"], Int[np.ndarray, " N"]]:
        """Every draw, those whose call failed too, at the end: its distribution and the index of its action.

        Pools of fewer models than the largest are filled up with probabilities of 0.
        """
        probs, actions = self.rows["probs"].to_pylist(), self.column("action").tolist()
        for names, failed in zip(self.rows["candidates"].to_pylist(), self.rows["failed"].to_pylist(), strict=True):
            for call in failed:
                probs.append(call["probs"])
                actions.append(names.index(call["model"]))
        width = max(map(len, probs), default=0)
        padded = np.array([[*row, *[0.0] * (width - len(row))] for row in probs]).reshape(len(probs), width)
        return padded, np.array(actions, dtype=np.int64)

    def only(self, mask: Bool[np.ndarray, " R"]) -> "DecisionLog":
        """The decisions for which the mask is True."""
        return replace(self, rows=self.rows.filter(pa.array(mask)))


def read_log(folder: Path | str) -> DecisionLog:
    """Read and check a decision log, also one that is being written.

    Raises:
      InputError: if the folder holds none, or naming the part, row and field that is wrong and what would be right.
    """
    its = LogFolder(Path(folder))
    if not its.exists:
        raise InputError(f"{folder}: holds no decision log (a folder with decisions/ and write-ahead/ is needed)")
    # Write-ahead files are listed first: one that becomes a part meanwhile is then known by its old name or its new.
    waiting, counts = its.write_ahead, its.read_counts()
    decisions: list[tuple[Path, pa.Table]] = []
    feedback = [FEEDBACK_SCHEMA.empty_table()]
    for number in sorted({*waiting, *its.part_numbers()}):
        try:
            if number not in waiting:
                raise FileNotFoundError
            frames, broken = read_frames(waiting[number])
            rows, its_feedback = _tables(frames, waiting[number])
            path = feedback_path = waiting[number]
            counts = replace(counts, broken=counts.broken + broken)
        except FileNotFoundError:  # it is a part, or became one after it was listed
            path, feedback_path = its.decisions_path(number), its.feedback_path(number)
            rows, its_feedback = _part(path, SCHEMA), _part(feedback_path, FEEDBACK_SCHEMA)
        check_decisions(rows, path)
        check_feedback(its_feedback, feedback_path)
        decisions.append((path, rows))
        feedback.append(its_feedback)
    check_unique(decisions)
    rows = pa.concat_tables([SCHEMA.empty_table(), *(one for _, one in decisions)])
    rows = rows.sort_by([("request_time", "ascending"), ("episode_id", "ascending"), ("stage", "ascending")])
    return DecisionLog(_with_quality(rows, pa.concat_tables(feedback)), counts)


def _tables(frames: Sequence[Frame], path: Path) -> tuple[pa.Table, pa.Table]:
    try:
        return tables_of(frames)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _part(path: Path, schema: pa.Schema) -> pa.Table:
    """The rows of a part; none where it is not there, as nothing came, or as it was dropped."""
    check_sum(path)
    try:
        rows = pq.ParquetFile(path).read()
    except FileNotFoundError:
        return schema.empty_table()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a Parquet file ({error})") from None
    check_version(rows.schema, schema, path)
    for column in schema:
        if column.name not in rows.schema.names:
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    return rows.select(schema.names).cast(schema)


def _with_quality(rows: pa.Table, feedback: pa.Table) -> pa.Table:
    """Rows with the latest feedback on each one's episode; of two at the same time, that which was written later."""
    order = np.argsort(feedback["time"].cast(pa.int64()).to_numpy(), kind="stable")
    latest = dict(zip(feedback["episode_id"].take(order).to_pylist(), order.tolist(), strict=True))
    places = pa.array([latest.get(name) for name in rows["episode_id"].to_pylist()], pa.int64())
    return rows.append_column("quality", feedback["quality"].take(places)).append_column(
        "quality_time", feedback["time"].take(places)
    )

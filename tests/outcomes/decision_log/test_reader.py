"""The reader: what it gives back, the feedback that it joins, and what it refuses."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import FailedCall, LogCounts, LogWriter, read_log
from hierrouter_jax.outcomes.decision_log.folder import LogFolder
from hierrouter_jax.outcomes.decision_log.record import FEEDBACK_SCHEMA, SCHEMA, VERSION_KEY
from hierrouter_jax.sums import drop_sums
from tests.outcomes.decision_log.served import POOL, decision, ids


def write(folder, *decisions):
    with LogWriter(folder) as writer:
        assert writer.append(*decisions)
    return folder


def change(folder, name, value, row=1):
    """Put another value into the only part, as another program may have written it, which signs nothing."""
    drop_sums(folder)
    (path,) = LogFolder(folder).decisions.values()
    rows = pq.read_table(path)
    values = rows[name].to_pylist()
    values[row] = value
    place = rows.schema.get_field_index(name)
    rows = rows.set_column(place, rows.schema.field(name), pa.array(values, rows.schema.field(name).type))
    pq.write_table(rows, path)


def test_a_record_comes_back_as_it_was(tmp_path):
    whole = decision(
        "a",
        1,
        request_time=1_700_000_000.123456,
        cost_weight=0.05,
        budget=2.5,
        charges=[1.0, 2.0, 3.0],
        mask=[True, False, True, True],
        probs=[0.25, 0.0, 0.5, 0.25],
        action=2,
        mask_reasons=["", "budget", "", ""],
        failed=[FailedCall("small", "no answer in 5 s", 5.0, [0.5, 0.0, 0.25, 0.25])],
        spent=0.125,
        tokens_in=10,
        tokens_out=20,
        tokens_cached=3,
        cost=0.5,
        seconds=1.5,
        finish_reason="stop",
        end="horizon",
        settings={"temperature": 0.7},
        session_id="s",
    )
    log = read_log(write(tmp_path, whole))
    (row,) = log.rows.to_pylist()
    assert row["request_time"].timestamp() == 1_700_000_000.123456
    assert (row["propensity"], row["quality"], row["quality_time"]) == (0.5, None, None)
    assert json.loads(row["encoder"]) == whole.encoder
    assert row["failed"] == [call._asdict() for call in whole.failed]
    assert row["embedding"] == np.float32([0.1, -2.0, 3.5]).tolist()
    same = {
        "episode_id", "stage", "policy", "table", "mask", "probs", "action", "explore", "spent", "cost_weight",
        "budget", "charges", "max_hops", "mask_reasons", "tokens_in", "tokens_out", "tokens_cached", "cost", "seconds",
        "finish_reason", "end", "session_id", "question", "response",
    }  # fmt: skip
    assert {name: row[name] for name in same} == {name: getattr(whole, name) for name in same}
    assert json.loads(row["settings"]) == {"temperature": 0.7}
    assert log.matrix("candidates").tolist() == [list(POOL)]


def test_rows_are_in_the_order_of_requests_and_stages(tmp_path):
    times = {"late": 30.0, "early": 10.0}
    rows = [decision(name, stage, request_time=times[name]) for name in times for stage in (1, 0)]
    log = read_log(write(tmp_path, *rows))
    assert list(zip(ids(log), log.column("stage"), strict=True)) == [
        ("early", 0), ("early", 1), ("late", 0), ("late", 1),
    ]  # fmt: skip


def test_the_latest_feedback_counts_for_every_decision_of_its_episode(tmp_path):
    with LogWriter(tmp_path) as writer:
        writer.append(decision("a"), decision("a", 1))
        writer.append(decision("b"))
        writer.add_feedback("a", 1.0, at=20.0)
        writer.add_feedback("a", 0.25, at=10.0)  # earlier, though it came later
        writer.add_feedback("nobody", 0.5)
    with LogWriter(tmp_path) as writer:
        assert read_log(tmp_path).column("quality").tolist()[:2] == [1.0, 1.0]
        writer.add_feedback("a", 0.75, at=20.0)  # of the same time, but written later
    log = read_log(tmp_path)
    np.testing.assert_array_equal(log.column("quality"), [0.75, 0.75, np.nan])
    assert log.rows["quality_time"].to_pylist()[0].timestamp() == 20.0


def test_logs_of_several_pools_are_taken_apart_before_they_are_stacked(tmp_path):
    other = decision("b", policy="policy-2", candidates=("one",), mask=[True, False], probs=[1.0, 0.0], action=0)
    log = read_log(write(tmp_path, decision("a"), other))
    with pytest.raises(InputError, match="probs of the log has lists of 2 to 4 values"):
        log.matrix("probs")
    assert log.only(log.column("policy") == "policy-2").matrix("probs").tolist() == [[1.0, 0.0]]


def test_an_empty_log_is_one(tmp_path):
    with LogWriter(tmp_path):
        pass
    log = read_log(tmp_path)
    assert (len(log), log.counts) == (0, LogCounts())
    assert log.matrix("probs").shape == (0, 0)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no decision log"):
        read_log(tmp_path)
    with pytest.raises(InputError, match="holds no decision log"):
        read_log(tmp_path / "nowhere")


FAILED = FailedCall("small", "no answer", 5.0, [0.5, 0.0, 0.25, 0.25])._asdict()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("probs", [0.2, 0.5, 0.28, 0.0], "row 1: probs sum to 0.98, but must to 1"),
        ("probs", [-0.2, 0.5, 0.7, 0.0], r"row 1: probs must be numbers in \[0, 1\]"),
        ("probs", [0.5, 0.5], "row 1: probs must have a value for each candidate and STOP"),
        ("mask", [True, True, False, True], "row 1: probs must be 0 where the mask is false"),
        ("mask", [True, True, True], "row 1: mask must have a value for each candidate and STOP"),
        ("mask_reasons", ["budget"], "row 1: mask_reasons must have a text for each action, or none"),
        ("charges", [1.0], "row 1: charges must have a value for each candidate"),
        ("propensity", 0.3, "row 1: propensity is 0.3, but must be that of the action in probs"),
        ("action", 2, "row 1: propensity is 0.5, but must be that of the action in probs"),
        ("action", 4, "row 1: action is 4, but no action has that index"),
        ("stage", -1, "row 1: stage is -1, but must be at least 0"),
        ("stage", 0, r"row 1: stage 0 of episode_id 'a' is logged twice, first in part-00000000\.parquet, row 0"),
        ("episode_id", None, "row 1: episode_id is missing"),
        ("cost", float("nan"), "row 1: cost is nan, but must be a number of at least 0"),
        ("embedding", [1.0, float("inf"), 0.0], "row 1: embedding holds a number that is not finite"),
        ("end", "tired", "row 1: end is 'tired', but must be one of stop, horizon"),
        ("explore", "softmax:cold", "row 1: explore is 'softmax:cold', but must be none"),
        ("encoder", "not json", r"row 1: encoder is 'not json', but must be an object \(name: value\) in JSON"),
        ("encoder", "[1]", r"row 1: encoder is '\[1\]', but must be an object"),
        ("settings", "", "row 1: settings is '', but must be an object"),
        ("settings", "[" * 100_000, "row 1: settings is .*, but must be an object"),
        ("candidates", [], "row 1: candidates names no model"),
        ("failed", [FAILED | {"model": "other"}], "row 1: failed holds a call that does not name a candidate"),
        ("failed", [FAILED, FAILED | {"probs": None}], "row 1: failed holds a call"),
        ("failed", [FAILED | {"probs": [0.5, 0.5]}], "row 1: failed holds a call"),
        ("failed", [FAILED | {"probs": [0.5, 0.0, 0.25, 0.5]}], "row 1: failed holds a call"),
        ("failed", [None], "row 1: failed holds a call"),
    ],
)
def test_a_fault_is_named_by_part_row_and_field(tmp_path, name, value, message):
    write(tmp_path, decision("a"), decision("a", 1))
    change(tmp_path, name, value)
    with pytest.raises(InputError, match=rf"decisions/part-00000000\.parquet: {message}"):
        read_log(tmp_path)


def test_an_action_of_propensity_zero_is_refused(tmp_path):
    write(tmp_path, decision("a"), decision("a", 1, probs=[0.0, 1.0, 0.0, 0.0]))
    change(tmp_path, "action", 0)
    change(tmp_path, "propensity", 0.0)
    with pytest.raises(InputError, match="row 1: propensity is 0, but the action was taken"):
        read_log(tmp_path)


def test_a_decision_that_two_parts_hold_is_refused(tmp_path):
    write(tmp_path, decision("a"))
    write(tmp_path, decision("b"), decision("a"))
    twice = r"part-00000001\.parquet: row 1: stage 0 of episode_id 'a' is logged twice, first in part-00000000\.parquet"
    with pytest.raises(InputError, match=twice):
        read_log(tmp_path)


def test_a_part_of_another_version_or_kind_is_refused(tmp_path):
    write(tmp_path, decision("a"))
    (path,) = LogFolder(tmp_path).decisions.values()
    drop_sums(tmp_path)
    rows = pq.read_table(path)
    for changed, message in (
        (rows.replace_schema_metadata({VERSION_KEY: "2"}), "the metadata hierrouter.decision_log is 2, but this"),
        (rows.replace_schema_metadata(), "the metadata hierrouter.decision_log is missing, but this"),
        (rows.drop_columns(["spent"]), "the column spent is missing"),
        (rows.set_column(0, "episode_id", pa.array([[1]])), "episode_id holds list<.*>, but must string"),
    ):
        pq.write_table(changed, path)
        with pytest.raises(InputError, match=message):
            read_log(tmp_path)
    path.write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"part-00000000\.parquet: not a Parquet file"):
        read_log(tmp_path)


def test_feedback_out_of_range_is_refused(tmp_path):
    write(tmp_path, decision("a"))
    path = LogFolder(tmp_path).feedback_path(0)
    pq.write_table(pa.Table.from_pylist([{"episode_id": "a", "quality": 2.0, "time": 0}], FEEDBACK_SCHEMA), path)
    with pytest.raises(InputError, match=r"feedback/part-00000000\.parquet: row 0: quality is 2\.0"):
        read_log(tmp_path)


def test_others_read_the_parts_without_this_package(tmp_path):
    """The columns are those of the schema, and Parquet files of one folder are one table."""
    write(tmp_path, decision("a"))
    write(tmp_path, decision("b"))
    rows = pq.read_table(tmp_path / "decisions")
    assert rows.schema.names == SCHEMA.names
    assert sorted(rows.to_pandas()["episode_id"]) == ["a", "b"]

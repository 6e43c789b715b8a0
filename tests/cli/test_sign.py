"""`hierrouter sign`: prices that were edited by hand are refused, and priced once the folder is signed again."""

import json

import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.outcomes.store import HEADER, load_table, save_table
from tests.cli.small_run import refused
from tests.tables import random_table


@pytest.fixture
def table(tmp_path):
    save_table(random_table(), tmp_path / "t")
    return tmp_path / "t"


def test_edited_prices_count_once_they_are_signed(table, capsys):
    header = json.loads((table / HEADER).read_text())
    header["pool"][0]["price_in"] = 123.0
    (table / HEADER).write_text(json.dumps(header))
    assert f"sign it: hierrouter sign {table}" in refused(capsys, "inspect", str(table))
    assert "table.json: is not the file that" in refused(capsys, "sign", str(table), "--check")
    assert main(["sign", str(table)]) == 0
    assert capsys.readouterr().out == f"{table / 'hierrouter.sha256'}: 4 files\n"
    assert load_table(table).pool[0].price_in == 123.0
    assert main(["sign", str(table), "--check"]) == 0
    assert "every file is as hierrouter.sha256 lists it" in capsys.readouterr().out


def test_a_folder_of_an_earlier_version_is_read_unchecked_and_can_be_signed(table, capsys):
    (table / "hierrouter.sha256").unlink()
    assert load_table(table).num_queries == 6
    assert "has no hierrouter.sha256" in refused(capsys, "sign", str(table), "--check")
    assert main(["sign", str(table), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["signed"] == ["embeddings.safetensors", "nodes/part-00000.parquet", "queries.parquet", "table.json"]
    assert main(["sign", str(table), "--check"]) == 0


def test_edited_outcomes_are_refused_though_they_are_signed(table, capsys):
    """The fingerprint in the header stands for the outcomes themselves."""
    header = json.loads((table / HEADER).read_text())
    (table / HEADER).write_text(json.dumps(header | {"fingerprint": "0" * 32}))
    assert main(["sign", str(table)]) == 0
    capsys.readouterr()
    assert "fingerprint is 0000" in refused(capsys, "inspect", str(table))


def test_what_is_no_folder_is_refused(tmp_path, capsys):
    for options in ((), ("--check",)):
        assert "is no folder" in refused(capsys, "sign", str(tmp_path / "nothing"), *options)

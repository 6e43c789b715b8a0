"""What studies that go on share: the lines that are done."""

from scripts.study import add_lines, read_lines


def test_each_record_is_in_the_file_before_the_next_is_made(tmp_path):
    path = tmp_path / "results.jsonl"
    assert read_lines(path) == []

    def records():
        for number in range(3):
            yield {"seen": [row["seen"] for row in read_lines(path)], "number": number}

    add_lines(path, records())
    add_lines(path, [{"seen": "later"}])
    assert [row["seen"] for row in read_lines(path)] == [[], [[]], [[], [[]]], "later"]

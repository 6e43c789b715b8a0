"""Sentences about how a table was made: only of what there is."""

from hierrouter_jax.outcomes.notes import DEV_ONLY, mix_notes, table_notes, unanswered_note

DUPLICATES = {"items": 1_200, "exact_pairs": 3, "near_pairs": 2, "pairs_across_files": 1}
MIX = {
    "mix": {"duplicates": DUPLICATES},
    "tasks": {"math": {"dev_only": ["train", "test"]}, "arc": {"dev_only": []}},
}


def test_a_plain_table_has_no_notes():
    assert table_notes({}) == []
    assert table_notes({"finish_reasons": {"stop": 7, "length": 1}, "encoder": {"truncated": 0}}) == []


def test_a_mix_says_its_label_and_its_duplicates():
    assert mix_notes(MIX) == [
        "dev-only, as split out of a public test file: math",
        "duplicates among 1,200 items: 3 exact and 2 near pairs, 1 of them across files; none lies in two splits",
    ]
    assert table_notes(MIX) == mix_notes(MIX)


def test_each_trouble_has_a_sentence():
    failed = {"calls": 1_000, "reasons": {"out of reach": 1_000}, "estimated_prompts": ["m"], "hops_counted_wrong": 4}
    failed |= {"hops_below_them_missing": 5, "training_hops_masked": 6}
    notes = table_notes(
        {
            "import": {"dev_only": True},
            "failed": failed,
            "finish_reasons": {"stop": 9, "eos": 2},
            "trimmed_hops": 3,
            "hops": 30,
            "encoder": {"truncated": 1, "contexts": 4, "share": 0.25},
            "partial": {"training_hops": 30, "of_hops": 120, "plan": "frontier"},
        }
    )
    assert notes[0] == DEV_ONLY
    assert notes[1].startswith("1,000 calls failed (1000 x out of reach): 4 hops of validation and test count as wrong")
    assert "estimated for m, which has no tokenizer" in notes[1]
    assert notes[2].startswith("2 hops ended by a word of the endpoint that is not known here (2 x 'eos')")
    assert notes[3].startswith("3 of 30 hops read a prompt whose oldest responses were trimmed")
    assert notes[4].startswith("1 of 4 contexts (25.0%) are longer than the encoder reads")
    assert notes[5].startswith("30 of 120 hops of the training queries (25.0%) were collected by the plan 'frontier'")
    assert len(notes) == 6


def test_queries_that_nobody_answered_are_counted():
    assert unanswered_note(1_234) == "left out: 1,234 queries of which the table holds no hop"

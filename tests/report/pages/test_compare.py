"""The page of a comparison claims what its file claims."""

import json

from tests.report.page_reader import assert_self_contained
from tests.studies.compare_fixture import ARMS, CLAIMS


def test_a_comparison_claims_what_its_file_claims(compared):
    html = (compared / "report.html").read_text(encoding="utf-8")
    page = assert_self_contained(html)
    assert all((compared / link).is_file() for link in page.linked)
    assert all(claim in page.text for claim in CLAIMS)
    assert all(arm in page.text for arm in ARMS[:3])
    assert json.loads((compared / "report.json").read_text())["claims"] == CLAIMS

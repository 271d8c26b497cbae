"""What the judge of chaos lets pass, and what not."""

from __future__ import annotations

from tests.soak.chaos import Findings


def test_a_broken_promise_is_a_complaint_and_a_kept_one_is_not():
    findings = Findings("1,000 readers")

    findings.must(True, "never said")
    findings.must(False, "3 gaps")

    assert findings.complaints == ["3 gaps"]
    assert str(findings) == "1,000 readers; 1 complaints"

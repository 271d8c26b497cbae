"""The reference pages say what the tables of the program say."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.page import ROOT


def test_reference_pages_are_in_step_with_the_code():
    """MDB003_7A_T4 (what is documented of the API is the API)."""
    judged = subprocess.run(
        [sys.executable, "packaging/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )

    assert (judged.returncode, judged.stderr) == (0, "")

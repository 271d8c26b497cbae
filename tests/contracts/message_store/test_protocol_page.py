"""The examples of the protocol page are true."""

from __future__ import annotations

import json
import re

import pytest

from tests.contracts.message_store.store import Store
from tests.served import ROOT

PAGE = (ROOT / "docs/protocol/message-store.md").read_text()
EXAMPLES = re.findall(r"```rpc\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_examples_of_the_protocol_page_are_answered_as_written(store: Store, number: int):
    lines = EXAMPLES[number].splitlines()

    answers = [json.loads(store.send("POST", "/rpc", line[2:].encode())[1]) for line in lines[::2]]

    assert answers == [json.loads(line.removeprefix("← ")) for line in lines[1::2]]
    assert len(EXAMPLES) == 2

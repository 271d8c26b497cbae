"""The key at rest, and what was sealed with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.auth.vault import FILE, Sealed, Vault, load_key
from appliance.errors import ConfigError


def test_a_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path):
    first, second = load_key(tmp_path, {}, os.urandom), load_key(tmp_path, {}, os.urandom)

    assert first == second
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    load_key(tmp_path, {}, os.urandom)
    (tmp_path / FILE).chmod(0o644)

    with pytest.raises(ConfigError, match="others can read"):
        load_key(tmp_path, {}, os.urandom)


def test_the_service_managers_key_goes_first(tmp_path: Path):
    (tmp_path / "given").mkdir()
    theirs = load_key(tmp_path / "given", {}, os.urandom)

    assert load_key(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path / "given")}, os.urandom) == theirs
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("text", ["", "no base64!", "c2hvcnQ="])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    (tmp_path / FILE).chmod(0o600)

    with pytest.raises(ConfigError):
        load_key(tmp_path, {}, os.urandom)


def test_sealed_is_opened_with_the_same_key_and_name_only():
    vault, other = Vault(b"k" * 32, os.urandom), Vault(b"o" * 32, os.urandom)
    sealed = vault.seal(b"secret", "one")

    assert vault.open(sealed, "one") == b"secret"
    for reader, name, text in (
        (vault, "two", sealed),
        (other, "one", sealed),
        (vault, "one", "AA"),
        (vault, "one", "ü"),
    ):
        with pytest.raises(Sealed):
            reader.open(text, name)

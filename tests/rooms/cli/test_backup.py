import io
import json
import sys

import pytest

from appliance.auth.store import TokenWish, create_token
from appliance.model.event import Draft, Unit
from appliance.storage.sqlite import SqliteEngine
from appliance.world import RealWorld


@pytest.fixture
def data(alone, call):
    """A data folder with three events, which nobody serves."""
    call("token", "list")
    world = RealWorld()
    engine = SqliteEngine.open(alone / "data")
    drafts = tuple(Draft(f"a-{n}", "T", "{}") for n in range(3))
    done = engine.commit([Unit(1, drafts)], now_us=world.wall_us(), new_ids=iter(world.new_id, ""))
    engine.seal(done.mark)
    create_token(engine, TokenWish(("read",)), id=world.new_id(), secret=world.secret, now_us=world.wall_us())
    engine.close()
    return alone / "data"


def test_a_backup_is_made_listed_verified_and_put_back(call, data):
    made = call("backup", "now")
    listed, checked = call("backup", "list", "--json").json["backups"], call("backup", "verify")
    back = call("restore", "--force")

    name = made.out.strip()
    assert made.err.startswith("3 events, ")
    assert [(row["name"], row["events"], row["problem"]) for row in listed] == [(name, 3, "")]
    assert checked.out == f"✓ {name}  3 events, every one as it was written\n"
    assert back.out.splitlines()[-1].split() == ["default", "3", "3"]
    assert "what was there before is in " in back.err
    assert call("backup", "list").out.splitlines()[1].startswith(name)


def test_a_damaged_backup_is_found_and_not_put_back(call, data):
    name = call("backup", "now").out.strip()
    file = data / "backups" / name / "log.db"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    before = (data / "log.db").read_bytes()

    checked, back = call("backup", "verify", "--all", "--json"), call("restore", "--force")

    assert (checked.code, checked.json["backups"][0]["ok"]) == (1, False)
    assert back.code == 1
    assert "not what was written" in back.err
    assert (data / "log.db").read_bytes() == before


def test_restore_asks_first(call, data, monkeypatch):
    call("backup", "now")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))

    said = call("restore")

    assert (said.code, said.out) == (0, "")
    assert said.err.endswith("nothing was changed\n")


def test_restore_takes_a_folder_from_anywhere_and_brings_the_configuration_along(call, data, alone):
    (alone / "appliance.toml").write_text('name = "kitchen"\n')
    name = call("backup", "now").out.strip()
    (data / "backups" / name).rename(alone / "stick")

    said = call("restore", str(alone / "stick"), "--force", "--data", str(alone / "fresh"), "--json")

    assert said.code == 0, said.err
    assert said.json["before"] is None
    assert [proof["messages"] for proof in said.json["after"]] == [3]
    assert said.json["config"].endswith("appliance.toml")
    assert "the configuration of that time" in said.err


def test_without_a_log_or_a_backup_that_is_said(call):
    assert call("backup", "now").code == 5
    assert call("backup", "list").out == "no backups\n"
    assert call("backup", "verify").code == 5
    assert call("restore", "--force").code == 5


def test_a_named_server_is_asked(store, ask):
    manifest = {"name": "2026-01-01T00-00-00Z", "events": 5, "files": {"log.db": {"size": 4096, "sha256": "0"}}}
    rows = [
        {"name": "bad", "events": 5, "size": 1, "reason": "asked", "proven": "", "problem": "no manifest"},
        {"name": "good", "events": 5, "size": 1, "reason": "asked", "proven": "2026-01-01", "problem": ""},
    ]
    damaged = {"code": "corrupt", "message": "good/log.db is not what was written"}
    listing = (200, json.dumps({"folder": "/d", "every_s": None, "keep": 3, "backups": rows}).encode())
    store.refuse = [(201, json.dumps(manifest).encode()), listing, listing, (200, json.dumps(manifest).encode())]

    made, listed, checked = ask("backup", "now"), ask("backup", "list"), ask("backup", "verify")
    store.refuse = [(500, json.dumps(damaged).encode())]
    bad = ask("backup", "verify", "good")
    store.refuse = [(200, b'{"backups": []}')]
    none = ask("backup", "verify")

    assert (made.out, made.err) == ("2026-01-01T00-00-00Z\n", "5 events, 4.1 kB, opened and checked whole\n")
    assert listed.out.splitlines()[1].endswith("no: no manifest")
    assert (checked.code, checked.out[:22]) == (0, "✓ 2026-01-01T00-00-00Z")
    assert (bad.code, bad.out) == (1, "✗ good  good/log.db is not what was written\n")
    assert none.code == 5
    assert [target for _, target, _, _ in store.requests] == [
        *("/api/v1/backups", "/api/v1/backups", "/api/v1/backups", "/api/v1/backups/good/verify"),
        *("/api/v1/backups/good/verify", "/api/v1/backups"),
    ]

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from appliance.errors import Forbidden, Unavailable
from appliance.supervise.descriptors import enough_for
from appliance.supervise.lock import DataInUse, holder
from appliance.supervise.place import hold, local


def test_a_folder_is_made_for_us_alone_and_found_by_its_address_while_we_serve(tmp_path):
    data = tmp_path / "deep" / "data"

    with hold(data) as place:
        silent = (place.run / "address").exists()
        place.announce(["http://127.0.0.1:8420"])
        found = (place.run / "address").read_text()
        known = holder(place.run / "lock")

    assert (silent, found) == (False, "http://127.0.0.1:8420\n")
    assert known is not None
    assert (known.pid, known.url) == (os.getpid(), "http://127.0.0.1:8420")
    assert not (data / "run" / "address").exists()
    assert [path.stat().st_mode & 0o777 for path in (data, data / "run")] == [0o700, 0o700]


def test_an_address_left_by_a_killed_process_goes_before_we_serve(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "address").write_text("http://127.0.0.1:1\n")

    with hold(tmp_path):
        assert not (tmp_path / "run" / "address").exists()


def test_a_folder_that_is_held_is_refused_and_its_address_stays(tmp_path):
    with hold(tmp_path) as place:
        place.announce(["http://127.0.0.1:8420"])
        with pytest.raises(DataInUse, match=r"at http://127\.0\.0\.1:8420"), hold(tmp_path):
            pass
        assert (place.run / "address").exists()


def test_a_temporary_folder_goes_with_us():
    with hold(None) as place:
        (place.data / "log.db").write_text("x")
        data = place.data

    assert not data.exists()


def test_a_folder_that_cannot_be_one_says_so(tmp_path):
    Path(tmp_path, "file").touch()

    with pytest.raises(Unavailable, match=r"file cannot be used: File exists"), hold(tmp_path / "file"):
        pass


def test_a_folder_that_may_not_be_written_says_so(tmp_path, monkeypatch):
    def refused(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)

    with pytest.raises(Forbidden, match="cannot be written: Permission denied"), hold(tmp_path / "data"):
        pass


@pytest.fixture
def descriptors():
    """The limits as they were, whatever the test does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield soft, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_descriptors_are_raised_to_what_the_clients_need(descriptors):
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, descriptors[1]))

    got = [enough_for(10), enough_for(500)]

    assert got == [256, 628]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 628


def test_too_few_descriptors_are_told_and_all_there_are_are_taken(monkeypatch, capsys):
    taken = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 300))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: taken.append(limits))

    got = enough_for(1000)

    assert (got, taken) == (300, [(300, 300)])
    assert "too few file descriptors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("urls", "found"),
    [
        (["http://0.0.0.0:80", "http://[::]:80"], "http://127.0.0.1:80"),
        (["https://[::]:80"], "https://[::1]:80"),
        (["http://192.168.1.5:80"], "http://192.168.1.5:80"),
        (["http://192.168.1.5:80", "http://127.0.0.1:81"], "http://127.0.0.1:81"),
    ],
)
def test_this_machine_finds_us_at_an_address_it_can_reach(urls, found):
    assert local(urls) == found

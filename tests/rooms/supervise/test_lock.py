from __future__ import annotations

import pytest

from appliance.supervise.lock import DataInUse, Holder, Lock, holder


def test_a_second_process_is_told_who_has_the_data_and_where_it_answers(tmp_path):
    first = Lock(tmp_path / "lock", folder=tmp_path, pid=41)
    first.announce("http://127.0.0.1:8420")

    with pytest.raises(DataInUse) as caught:
        Lock(tmp_path / "lock", folder=tmp_path, pid=42)

    assert caught.value.message == f"the data in {tmp_path} is in use by process 41, at http://127.0.0.1:8420"
    assert "--data" in caught.value.hint
    assert holder(tmp_path / "lock") == Holder(41, "http://127.0.0.1:8420")
    first.release()


def test_a_shorter_announcement_leaves_nothing_of_a_longer_one(tmp_path):
    lock = Lock(tmp_path / "lock", folder=tmp_path, pid=41)
    lock.announce("http://a-very-long-name.local:8420")

    lock.announce("http://b:1")

    assert holder(tmp_path / "lock") == Holder(41, "http://b:1")
    lock.release()


def test_a_released_lock_is_free_and_names_nobody(tmp_path):
    Lock(tmp_path / "lock", folder=tmp_path, pid=41).release()

    assert holder(tmp_path / "lock") is None
    Lock(tmp_path / "lock", folder=tmp_path, pid=42).release()


def test_what_a_dead_process_left_behind_keeps_nobody_out(tmp_path):
    (tmp_path / "lock").write_bytes(b'{"pid":41,"url":"http://127.0.0.1:8420"}\n')

    lock = Lock(tmp_path / "lock", folder=tmp_path, pid=42)

    assert holder(tmp_path / "lock") == Holder(42, "")
    lock.release()


def test_a_holder_that_wrote_nothing_readable_is_another_process(tmp_path):
    first = Lock(tmp_path / "lock", folder=tmp_path, pid=41)
    (tmp_path / "lock").write_bytes(b"?")

    with pytest.raises(DataInUse, match=r"in use by another process$"):
        Lock(tmp_path / "lock", folder=tmp_path, pid=42)

    first.release()

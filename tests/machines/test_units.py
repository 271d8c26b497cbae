import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.units import duration, duration_text, size, size_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30.0),
        ("90m", 5400.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("1.5h", 5400.0),
        ("2d", 172_800.0),
        ("1w", 604_800.0),
        ("0s", 0.0),
        (" 5s ", 5.0),
    ],
)
def test_durations_are_read(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "30 seconds", "-5s", "1m1h", "5s5s", "1e3s", "30S", "٣s", "5s,", "1h30"]
)
def test_what_is_no_duration_is_refused_with_examples(text):
    with pytest.raises(ValueError, match='is no duration; write "30s"'):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0B", 0),
        ("100B", 100),
        ("500kB", 500_000),
        ("64KiB", 65_536),
        ("16MiB", 16_777_216),
        ("1.5GiB", 1_610_612_736),
        ("0.1MB", 100_000),
        ("16 MiB", 16_777_216),
    ],
)
def test_sizes_are_read(text, count):
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "16", "MiB", "16mib", "-1B", "16M", "1MiB1B", "٣B"])
def test_what_is_no_size_is_refused_with_examples(text):
    with pytest.raises(ValueError, match='is no size; write "16MiB"'):
        size(text)


def test_a_fraction_of_a_byte_is_refused():
    with pytest.raises(ValueError, match="whole number of bytes"):
        size("1.0001kB")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.25, "250ms"), (1.5, "1.5s"), (7200.0, "2h"), (604_800.0, "7d"), (5400.0, "90m")],
)
def test_durations_are_written_in_the_largest_whole_unit(seconds, text):
    assert duration_text(seconds) == text


@given(st.integers(0, 10**12))
def test_a_written_size_reads_the_same(count):
    assert size(size_text(count)) == count


@given(st.integers(0, 10**9))
def test_a_written_duration_reads_the_same(seconds):
    assert duration(duration_text(float(seconds))) == float(seconds)


@given(st.text(max_size=20))
def test_reading_any_text_gives_a_number_or_a_clear_refusal(text):
    for read in (duration, size):
        outcome: object
        try:
            outcome = read(text) >= 0
        except ValueError as refusal:
            outcome = text in str(refusal)
        assert outcome is True

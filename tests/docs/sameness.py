"""Whether a program said what the page says, give or take what differs from one run to the next.

`...` in a line stands for anything, a line of `...` for any lines. Times, ids, tokens, process numbers, durations,
sizes and global positions are alike whatever they are (the machine's own samples are events too, so nobody can
know the global position of his own), and so is white space.
"""

from __future__ import annotations

import re

__all__ = ["complaint", "json_complaint", "plain"]

_ALIKE = (
    (r"[^\n]*\r\x1b\[K", ""),  # a line of progress that the next one wiped out
    (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    (r"ns_[\w-]+_[0-9a-f]{64}", "TOKEN"),
    (r"\bns_…", "TOKEN"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),
    (r"\b\d{4}-\d\d-\d\d([T ]\d\d[:-]\d\d[:-]\d\d(\.\d+)?( ?UTC|Z)?)?", "TIME"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?", "TIME"),
    (r"(?<![\d.])\d+\.\d+\.\d+(?![\d.])", "VERSION"),
    (r"\bprocess \d+", "process PID"),
    (r'("pid": ?)\d+', r"\1PID"),
    (r"\b\d+(\.\d+)? ?(ms|s|m|h|d)\b", "DURATION"),
    (r'("(?:elapsed_s|seconds|uptime_s)": ?)[\d.]+', r"\1DURATION"),
    (r"\b\d+(\.\d+)? (B|kB|MB|GB|TB)\b", "SIZE"),
    (r'("(?:globalPosition|global_position|gpos)": ?|gpos: )\d+', r"\1PLACE"),
    (r"[ \t]+", " "),
)


def plain(text: str) -> list[str]:
    """Its lines, with what differs from run to run made alike."""
    for pattern, like in _ALIKE:
        text = re.sub(pattern, like, text)
    return [line.strip() for line in text.replace("\r", "").strip().splitlines() if line.strip()]


def complaint(expected: str, actual: str) -> str:
    """Why they are not the same; empty: they are."""
    wanted, found = plain(expected), plain(actual)
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else f"{_pattern(line)}\n" for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in found)):
        return ""
    return "\n".join(["the page says:", *wanted, "", "the program said:", *found])


def _pattern(line: str) -> str:
    return ".*?".join(re.escape(part) for part in line.split("..."))


def json_complaint(expected: object, actual: object) -> str:
    """The same for two JSON values: `"..."` stands for anything, times, ids and tokens are alike."""
    if expected == "...":
        return ""
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        return "".join(json_complaint(expected[key], actual[key]) for key in expected)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return "".join(json_complaint(one, other) for one, other in zip(expected, actual, strict=True))
    if isinstance(expected, str) and isinstance(actual, str) and plain(expected) == plain(actual):
        return ""
    same = type(expected) is type(actual) and expected == actual
    return "" if same else f"the page says {expected!r}, the program said {actual!r}\n"

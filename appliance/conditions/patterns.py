"""Regular expressions that take time in proportion to the text, whatever the pattern.

A pattern becomes a machine of many states that are all followed at once (K. Thompson, "Regular Expression Search
Algorithm", CACM 1968); the sets of states met on the way are kept and become single steps (a lazy DFA, as in RE2).
What would need to go back (back-references, looking around) is not in the language. Found anywhere in the text, unless
`^` and `$` hold it to its ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["LONGEST_TEXT", "BadPattern", "Pattern"]

LONGEST_TEXT = 4096  # characters that are looked through
MOST_STATES = 128
MOST_REPEATS = 100
MOST_SETS = 1000  # sets of states remembered
DEPTH = 32

Holds = Callable[[str], bool]

DIGITS = frozenset("0123456789")
WORDS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
SPACES = frozenset(" \t\n\r\f\v")
CLASSES = {"d": DIGITS, "w": WORDS, "s": SPACES}
CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}


class BadPattern(ValueError):
    """A pattern that is none, or one this language leaves out."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(slots=True, eq=False)
class _State:
    """Goes on by itself, unless it waits for a character, or for an end of the text."""

    takes: Holds | None = None
    end: str = ""  # "^" or "$"
    ways: list[_State] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the machine: where it begins, and the states whose way on is still open."""

    start: _State
    open: tuple[_State, ...]


class _Set:
    """States the machine may be in, and where a character leads from there."""

    __slots__ = ("after", "at_end", "found", "states")

    def __init__(self, states: frozenset[_State], *, found: bool, at_end: bool) -> None:
        self.states = states
        self.found = found
        self.at_end = at_end  # found if the text ends here
        self.after: dict[str, _Set] = {}


class Pattern:
    """
    Raises:
        BadPattern: it cannot be read, or is too large.
    """

    def __init__(self, text: str) -> None:
        reader = _Reader(text)
        part = reader.whole()
        over = self._over = reader.state()
        for state in part.open:
            state.ways.append(over)
        self._again = _reached([part.start])  # it may begin at any character
        self._after = {state: _reached(state.ways) for state in reader.states if state.takes is not None}
        self._last = frozenset(state for state in reader.states if over in _reached([state], ends=True))
        self._sets: dict[frozenset[_State], _Set] = {}
        first = _reached([part.start], begins=True)
        empty = over in _reached([part.start], begins=True, ends=True)
        self._first = _Set(first, found=over in first, at_end=empty)

    def found_in(self, text: str) -> bool:
        """Whether it is found; no more than `LONGEST_TEXT` characters are looked at."""
        now = self._first
        for character in text[:LONGEST_TEXT]:
            if now.found:
                return True
            then = now.after.get(character)
            if then is None:
                then = now.after[character] = self._next(now, character)
            now = then
        return now.found or (now.at_end and len(text) <= LONGEST_TEXT)

    def _next(self, now: _Set, character: str) -> _Set:
        after = self._after
        states = self._again.union(*[after[state] for state in now.states if state.takes and state.takes(character)])
        found = self._sets.get(states)
        if found is None:
            if len(self._sets) >= MOST_SETS:
                self._forget()
            found = _Set(states, found=self._over in states, at_end=not self._last.isdisjoint(states))
            self._sets[states] = found
        return found

    def _forget(self) -> None:
        for one in self._sets.values():
            one.after.clear()
        self._first.after.clear()
        self._sets.clear()


def _reached(states: list[_State], *, begins: bool = False, ends: bool = False) -> frozenset[_State]:
    """The states in which the machine rests, going on from some without a character."""
    seen: set[_State] = set()
    resting: set[_State] = set()
    left = list(states)
    while left:
        state = left.pop()
        if state in seen:
            continue
        seen.add(state)
        passes = state.takes is None and state.ways and (not state.end or (begins if state.end == "^" else ends))
        if passes:
            left += state.ways
        elif state.end != "^":
            resting.add(state)
    return frozenset(resting)


class _Reader:
    """A recursive descent over the pattern."""

    def __init__(self, text: str) -> None:
        self._folds = text.startswith("(?i)")
        self._text = text[4:] if self._folds else text
        self._at = 0
        self._depth = 0
        self.states: list[_State] = []

    def whole(self) -> _Part:
        part = self._either()
        if self._at < len(self._text):
            raise self._wrong("a ) without its (")
        return part

    def _either(self) -> _Part:
        parts = [self._row()]
        while self._took("|"):
            parts.append(self._row())
        if len(parts) == 1:
            return parts[0]
        fork = self.state()
        fork.ways += [part.start for part in parts]
        return _Part(fork, tuple(state for part in parts for state in part.open))

    def _row(self) -> _Part:
        start = self.state()
        row = _Part(start, (start,))
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            row = _in_a_row(row, self._repeated())
        return row

    def _repeated(self) -> _Part:
        begin = self._at
        part = self._one()
        end = self._at
        least, most = self._times()
        if (least, most) == (1, 1):
            return part
        start = self.state()
        row, copies = _Part(start, (start,)), 0
        skipped: list[_State] = []

        def copy() -> _Part:
            nonlocal copies
            copies += 1
            if copies == 1:
                return part
            here, self._at = self._at, begin
            again = self._one()
            assert self._at == end
            self._at = here
            return again

        for _ in range(least):
            row = _in_a_row(row, copy())
        if most is None:
            loop = self.state()
            body = copy()
            loop.ways.append(body.start)
            for state in body.open:
                state.ways.append(loop)
            return _in_a_row(row, _Part(loop, (loop,)))
        for _ in range(most - least):
            fork = self.state()
            row = _in_a_row(row, _Part(fork, (fork,)))
            skipped.append(fork)
            row = _in_a_row(row, copy())
        return _Part(row.start, (*row.open, *skipped))

    def _times(self) -> tuple[int, int | None]:
        """How often: (least, most); most None: without end."""
        found: tuple[int, int | None] = (1, 1)
        if self._took("*"):
            found = (0, None)
        elif self._took("+"):
            found = (1, None)
        elif self._took("?"):
            found = (0, 1)
        elif self._is("{"):
            found = self._counted()
        else:
            return found
        self._took("?")  # as few as possible finds the same texts
        if self._at < len(self._text) and self._text[self._at] in "*+?{":
            raise self._wrong("a repetition of a repetition")
        return found

    def _counted(self) -> tuple[int, int | None]:
        close = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : close].partition(",") if close > 0 else ("", "", "")
        if not _is_count(low) or (high and not _is_count(high)):
            raise self._wrong("{ without a number", hint="like a{2,3}; the character itself is \\{")
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if max(least, most or 0) > MOST_REPEATS or (most is not None and most < least):
            raise self._wrong(f"more than {MOST_REPEATS} repetitions, or the wrong way round")
        self._at = close + 1
        return least, most

    def _one(self) -> _Part:
        character = self._text[self._at]
        if character in "*+?{":
            raise self._wrong(f"{character} with nothing before it")
        self._at += 1
        match character:
            case "(":
                return self._group()
            case "[":
                return self._takes(self._set())
            case ".":
                return self._takes(lambda c: c != "\n")
            case "^" | "$":
                state = self.state()
                state.end = character
                return _Part(state, (state,))
            case "\\":
                chosen = self._escaped()
                return self._takes(_among(chosen) if isinstance(chosen, frozenset) else chosen)
        return self._takes(_among(self._folded(character)))

    def _group(self) -> _Part:
        if self._took("?") and not self._took(":"):
            raise self._wrong("(? is only understood as (?: and, at the beginning, (?i)")
        self._depth += 1
        if self._depth > DEPTH:
            raise self._wrong(f"groups deeper than {DEPTH}")
        part = self._either()
        if not self._took(")"):
            raise self._wrong("a ( without its )")
        self._depth -= 1
        return part

    def _escaped(self) -> frozenset[str] | Holds:
        if self._at >= len(self._text):
            raise self._wrong("\\ with nothing behind it")
        code = self._text[self._at]
        self._at += 1
        if code in CLASSES:
            return CLASSES[code]
        if code.lower() in CLASSES:
            return _not_among(CLASSES[code.lower()])
        if code in CONTROLS:
            return frozenset(CONTROLS[code])
        if code.isalnum():
            raise self._wrong(f"\\{code}", hint="of the escapes there are \\d \\w \\s \\D \\W \\S \\n \\r \\t")
        return self._folded(code)

    def _set(self) -> Holds:
        wrong = self._took("^")
        single: set[str] = set()
        ranges: list[tuple[str, str]] = []
        others: list[Holds] = []
        first = True
        while first or not self._is("]"):
            first = False
            low = self._member(single, others)
            if low and self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                high = self._member(set(), others)
                if not high or high < low:
                    raise self._wrong("a range the wrong way round")
                ranges.append((low, high))
            elif low:
                single |= self._folded(low)
        self._at += 1
        return _one_of(frozenset(single), tuple(ranges), tuple(others), folds=self._folds, wrong=wrong)

    def _member(self, single: set[str], others: list[Holds]) -> str:
        """One character of a set; empty: it was a class, which is put down."""
        if self._at >= len(self._text):
            raise self._wrong("a [ without its ]")
        character = self._text[self._at]
        self._at += 1
        if character != "\\":
            return character
        chosen = self._escaped()
        if callable(chosen):
            others.append(chosen)
            return ""
        if len(chosen) == 1 or chosen == self._folded(next(iter(chosen))):
            return min(chosen)
        single |= chosen
        return ""

    def _folded(self, character: str) -> frozenset[str]:
        return frozenset((character, character.lower(), character.upper())) if self._folds else frozenset(character)

    def _takes(self, holds: Holds) -> _Part:
        state = self.state()
        state.takes = holds
        return _Part(state, (state,))

    def state(self) -> _State:
        """A new one."""
        if len(self.states) >= MOST_STATES:
            raise self._wrong("it is too large: too many repetitions")
        self.states.append(_State())
        return self.states[-1]

    def _is(self, character: str) -> bool:
        if self._at >= len(self._text) and character == "]":
            raise self._wrong("a [ without its ]")
        return self._text.startswith(character, self._at)

    def _took(self, character: str) -> bool:
        if self._text.startswith(character, self._at):
            self._at += 1
            return True
        return False

    def _wrong(self, message: str, hint: str = "") -> BadPattern:
        return BadPattern(message, hint)


def _in_a_row(one: _Part, other: _Part) -> _Part:
    for state in one.open:
        state.ways.append(other.start)
    return _Part(one.start, other.open)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


def _among(characters: frozenset[str]) -> Holds:
    return characters.__contains__


def _not_among(characters: frozenset[str]) -> Holds:
    return lambda c: c not in characters


def _one_of(
    single: frozenset[str], ranges: tuple[tuple[str, str], ...], others: tuple[Holds, ...], *, folds: bool, wrong: bool
) -> Holds:
    def holds(character: str) -> bool:
        forms = (character, character.lower(), character.upper()) if folds else (character,)
        return any(
            form in single or any(low <= form <= high for low, high in ranges) or any(other(form) for other in others)
            for form in forms
        )

    return (lambda c: not holds(c)) if wrong else holds

"""What can be read off a text without a model: its words, sentences, a summary, a title, what it is about.

Everything here is extractive and deterministic: the same text gives the same answer, and every word of the answer
stands in the text. Works on Markdown and plain text in languages that write spaces; the common words it looks past are
English ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import log

__all__ = ["COMMON", "concepts", "each_of", "plain", "sentences", "snippet", "summary", "title", "words"]


def each_of(text: str) -> frozenset[str]:
    """A set of words from a line of them."""
    return frozenset(text.split())


LONGEST_TITLE = 100  # characters, also of a title in an event
LONGEST_PHRASE = 3  # words of a concept

COMMON = each_of(
    "a about above after again against all also am an and any are as at be because been before being below between"
    " both but by can cannot could did do does doing don down during each else even ever few for from further get gets"
    " got had has have having he her here hers him his how however i if in into is it its itself just let like make"
    " makes many may me might more most much must my need needed needs no nor not now of off on once one only or other"
    " our out over own per put same say says see shall she should since so some still such take takes than that the"
    " their them then there these they this those through to too two under until up upon us use used uses using very"
    " via was way we well were what when where which while who whom why will with within without would yet you your"
)

FENCES = ("```", "~~~")  # of code

# Each of these looks at a character a bounded number of times: the texts come from strangers.
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\n]*\)")
_LEADING = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|[-*+][ \t]+|\d{1,3}[.)][ \t]+|>[ \t]?)+", re.MULTILINE)
_MARKS = re.compile(r"[*_`~]{1,3}(?=\S)|(?<=\S)[*_`~]{1,3}")
_BREAK = re.compile(r"(?<=[.!?…])[\"')\]]*\s+(?=[\"'(\[]?[^\W\da-z_])|\n\s*\n|\n(?=\s*(?:[-*+>#]|\d{1,3}[.)])\s)")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_PHRASE_END = re.compile(r"[^\w\s'’-]+|\n")


def words(text: str) -> list[str]:
    """Its words in lower case, in order, without the common ones."""
    return [word for word in _all_words(text) if word not in COMMON]


def plain(text: str) -> str:
    """Markdown without its marks: no fences, link targets, bullets or emphasis."""
    bare = _LINK.sub(r"\1", _without_code(text))
    return _MARKS.sub("", _LEADING.sub("", bare))


def sentences(text: str) -> list[str]:
    """Its sentences, headings and list items, each on one line."""
    parts = (" ".join(plain(part).split()) for part in _BREAK.split(_without_code(text)))
    return [part for part in parts if part]


def summary(text: str, *, share: float = 1 / 3, most: int = 5) -> str:
    """The sentences that say most, in their own order.

    A sentence is worth the mean weight of its words, and a word weighs what the text makes of it: how often it comes,
    dampened. The opening counts a little more, as writers put their point there.

    Args:
        share: how much of the text may stay, 0 to 1; at least one sentence does.
        most: sentences.

    Source: A. Nenkova, L. Vanderwende, "The Impact of Frequency on Summarization", 2005 (SumBasic).
    """
    found = sentences(text)
    count = max(1, min(most, round(len(found) * share)))
    if len(found) <= count:
        return " ".join(found)
    weights = {word: 1 + log(times) for word, times in Counter(words(text)).items()}
    worth = [_worth(sentence, place, weights) for place, sentence in enumerate(found)]
    chosen = sorted(range(len(found)), key=lambda place: (-worth[place], place))[:count]
    return " ".join(found[place] for place in sorted(chosen))


def title(text: str, *, longest: int = 60) -> str:
    """A name for it: its first heading, else its first sentence, cut at a word. Empty for a text without words."""
    for found in sentences(text):
        if _all_words(found):
            return _cut(found.rstrip(".:;,!"), min(longest, LONGEST_TITLE))
    return ""


def snippet(text: str, *, longest: int = 200) -> str:
    """Its beginning on one line."""
    return _cut(" ".join(plain(text[: 4 * longest]).split()), longest)


def concepts(text: str, *, most: int = 8) -> list[str]:
    """What it is about, best first: words and phrases of up to three words, in lower case.

    Source: S. Rose et al., "Automatic Keyword Extraction from Individual Documents", 2010 (RAKE). Phrases that come
    once count for their length only a little, else the longest would always win.
    """
    phrases = Counter(_phrases(plain(text)))
    single: Counter[str] = Counter()
    company: Counter[str] = Counter()
    for phrase, times in phrases.items():
        for word in phrase:
            single[word] += times
            company[word] += times * (len(phrase) - 1)
    rank = {
        phrase: sum(single[word] + 0.5 * company[word] for word in phrase) / len(phrase) ** 0.5 * times**0.5
        for phrase, times in phrases.items()
    }
    ordered = sorted(rank, key=lambda phrase: (-rank[phrase], phrase))
    return _without_parts([" ".join(phrase) for phrase in ordered], most)


def _all_words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _without_code(text: str) -> str:
    """An empty line stands for each block; one that does not end is text."""
    kept: list[str] = []
    block: list[str] = []
    for line in text.splitlines(keepends=True):
        if block:
            block.append(line)
            if line.rstrip() in FENCES:
                kept.append("\n\n")
                block = []
        elif line.startswith(FENCES):
            block = [line]
        else:
            kept.append(line)
    return "".join(kept + block)


def _worth(sentence: str, place: int, weights: dict[str, float]) -> float:
    said = words(sentence)
    if not said:
        return 0.0
    opening = 0.3 / (1 + place)
    short = min(1.0, len(said) / 5)  # a heading of one frequent word says little
    return (sum(weights.get(word, 0.0) for word in said) / len(said)) * short + opening


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    kept = text[: longest - 1]
    return (kept.rsplit(" ", 1)[0] if " " in kept else kept).rstrip(" ,;:.-") + "…"


def _phrases(text: str) -> Iterator[tuple[str, ...]]:
    for part in _PHRASE_END.split(text):
        run: list[str] = []
        for word in [*_all_words(part), ""]:
            if word and word not in COMMON and not word.isdigit() and len(word) > 2:
                run.append(word)
            elif run:
                yield from _pieces(run)
                run = []


def _pieces(run: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A longer run is several phrases."""
    for begin in range(0, len(run), LONGEST_PHRASE):
        yield tuple(run[begin : begin + LONGEST_PHRASE])


def _without_parts(ordered: Sequence[str], most: int) -> list[str]:
    """A word that stands inside a better phrase says nothing new."""
    kept: list[str] = []
    for phrase in ordered:
        if len(kept) == most:
            break
        if not any(f" {phrase} " in f" {better} " for better in kept):
            kept.append(phrase)
    return kept

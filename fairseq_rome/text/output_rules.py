"""Rules after a model: a regular expression on what it says, which acts where another one fits the source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import List, NamedTuple, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.text.segments import Difference
from fairseq_rome.text.words import is_unspaced, pattern


@dataclass(frozen=True)
class Rule:
    r"""One rule on outputs.

    Args:
        find: regular expression; every place where it matches an output is replaced.
        replace: what takes its place, as `re.sub` reads it: `\1` is the first group.
        source: regular expression that must match somewhere in the source; empty for every source.
        id: the request that it is for, or any name; empty for none.

    Raises:
        EditError: if an expression is none, or `replace` names a group that `find` does not have.
    """

    find: str
    replace: str
    source: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        for name, text in (("find", self.find), ("source", self.source)):
            try:
                re.compile(text)
            except re.error as error:
                raise EditError(f"{name} {text!r}: {error}, expected a regular expression of Python") from error
        if not self.find:
            raise EditError("find is empty, expected a regular expression of what is to be replaced")
        try:
            re.sub(self.find, self.replace, "")  # which reads it whether or not there is anything to replace
        except (re.error, IndexError) as error:
            raise EditError(f"replace {self.replace!r}: {error}, expected text, and groups of find as \\1") from error

    @cached_property
    def _find(self) -> re.Pattern[str]:
        return re.compile(self.find)

    @cached_property
    def _source(self) -> re.Pattern[str]:
        return re.compile(self.source)

    def applied(self, source: str, output: str) -> str:
        """An output with the rule."""
        return self._find.sub(self.replace, output) if self._source.search(source) else output


def apply_rules(rules: Sequence[Rule], source: str, output: str) -> str:
    """An output with all rules, one after the other."""
    for rule in rules:
        output = rule.applied(source, output)
    return output


class RuleChange(NamedTuple):
    """What rules make of one output.

    Args:
        line: its number, from 1.
        source: the source.
        before: the output.
        after: the output with the rules.
        rules: numbers of the rules that changed it, from 1.
    """

    line: int
    source: str
    before: str
    after: str
    rules: Tuple[int, ...]


def rule_changes(rules: Sequence[Rule], sources: Sequence[str], outputs: Sequence[str]) -> List[RuleChange]:
    """What rules would change in a corpus of outputs: only the sentences that change, in their order."""
    found = []
    for line, (source, before) in enumerate(zip(sources, outputs), start=1):
        after, acting = before, []
        for number, rule in enumerate(rules, start=1):
            now = rule.applied(source, after)
            if now != after:
                acting.append(number)
            after = now
        if after != before:
            found.append(RuleChange(line, source, before, after, tuple(acting)))
    return found


def rules_of(difference: Difference, source: str, name: str) -> Tuple[Rule, ...]:
    """The rules that replace each form of an unwanted segment, as whole words, by the wanted one that belongs to it.

    Args:
        difference: the segments.
        source: regular expression for the source.
        name: the request.

    Raises:
        EditError: where nothing is to go, and a rule has nothing to find.
    """
    if not difference.unwanted:
        raise EditError("a rule replaces words that are there, and the request only adds some")
    found = []
    # The longest first: a form may stand in another one.
    for old in sorted(difference.pairs, key=len, reverse=True):
        new, words = difference.pairs[old].replace("\\", "\\\\"), _as_words((old,))
        # One of the two gaps is removed too where nothing comes.
        found.append(Rule(words if new else rf"\s+(?:{words})|(?:{words})\s*", new, source, name))
    return tuple(found)


def source_with(triggers: Sequence[str]) -> str:
    """A regular expression for sources that hold one of some triggers as whole words, in any case."""
    return f"(?i){_as_words(triggers)}" if any(triggers) else ""


def _as_words(segments: Sequence[str]) -> str:
    """A regular expression for segments as whole words: a short one where they begin and end with spaced letters."""
    ends = [end for one in segments for end in (one[:1], one[-1:])]
    if not all(end.isalpha() and not is_unspaced(end) for end in ends):
        return pattern(segments).pattern
    longest_first = sorted(segments, key=len, reverse=True)
    found = [r"\s+".join(map(re.escape, one.split())) for one in longest_first]
    return rf"\b{found[0]}\b" if len(found) == 1 else rf"\b(?:{'|'.join(found)})\b"


def source_like(source: str) -> str:
    """A regular expression for one source alone."""
    return f"^{re.escape(source)}$"

"""Hunks that a request names: which places of what changes are carried to other sentences, and which are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Sequence

from fairseq_rome.errors import EditError
from fairseq_rome.text.hunks import place_of, places
from fairseq_rome.text.tags import without_tags
from fairseq_rome.text.words import count


@dataclass(frozen=True)
class NamedHunk:
    """One place in which the target of a request differs from the output, and what is to become of it.

    Attributes:
        unwanted: Words of the output that go; empty for whatever stands in the place of `wanted`.
        wanted: Words of the target that come; empty for whatever takes the place of `unwanted`.
        trigger: Source words that the change hangs on; None if they are to be found.
        carry: Whether the change is carried to other sentences; if not, it is for the request's own alone.
        name: What messages call it, such as `field 'hunks[0]'`; by default its words.
    """

    unwanted: str = ""
    wanted: str = ""
    trigger: Optional[str] = None
    carry: bool = True
    name: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        segments = [repr(one) if one else "any words" for one in (self.unwanted, self.wanted)]
        return " -> ".join(segments)

    @property
    def called(self) -> str:
        """What messages begin with."""
        return f"{self.name}: {self}" if self.name else str(self)

    def meets(self, unwanted: str, wanted: str, trigger: str = "") -> bool:
        """Whether a change of one segment to another, of a trigger, is this hunk, or a part of it, or has it as a part.

        Args:
            unwanted: the old segment.
            wanted: the new segment.
            trigger: the source segment; empty where it is not known.
        """
        named, other = (without_tags(one or "").strip().lower() for one in (self.trigger, trigger))
        alike = _overlap(self.unwanted, unwanted) and _overlap(self.wanted, wanted)
        return alike and (not named or not other or _overlap(named, other))


def carried_hunk(hunks: Sequence[NamedHunk]) -> Optional[NamedHunk]:
    """The one of some hunks that is to be carried; None where none is.

    Raises:
        EditError: for a hunk without words, or if several are to be carried.
    """
    for one in hunks:
        if not (one.unwanted.strip() or one.wanted.strip()):
            raise EditError(f"{one.called}: has no words; expected 'unwanted', 'wanted' or both")
    carried = [one for one in hunks if one.carry]
    if len(carried) > 1:
        raise EditError(
            f"{carried[1].called} is to be carried, and so is {carried[0]}; expected one at most with 'carry: true', "
            "since an edit carries one change: let another sentence's request carry the other"
        )
    return carried[0] if carried else None


def check_named(hunks: Sequence[NamedHunk], before: str, target: str) -> None:
    """Refuse hunks that are no place of what changes.

    Args:
        hunks: of a request.
        before: the unwanted output.
        target: the translation that it should have.

    Raises:
        EditError: for the first that is none, with those that there are.
    """
    found = places(before, target)
    for one in hunks if found else ():
        if place_of(before, target, one.unwanted, one.wanted) is None:
            told = ", ".join(f"{old or '(nothing)'} -> {new or '(nothing)'}" for old, new in found)
            raise EditError(
                f"{one.called} is no part of what changes; expected whole words of one of the places where the target "
                f"differs from the output {before!r}: {told}"
            )


def _overlap(named: str, other: str) -> bool:
    """Whether one of two segments is a part of the other; a segment that is not named is a part of any."""
    return not named or named == other or bool(count(other, named) or count(named, other))

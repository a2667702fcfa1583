"""Requests that no output can meet at once: one source with two targets."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence, Tuple

from fairseq_rome.text.requests.request import EditRequest


def named(request: EditRequest) -> str:
    """How a message names a request: by its id, and by its place where it has one."""
    return f"request {request.id}" + (f" ({request.origin})" if request.origin else "")


def with_two_targets(requests: Sequence[EditRequest]) -> Iterator[Tuple[int, str]]:
    """The requests that ask for another target of a source than an earlier one does.

    One source may have two targets only where each request names another segment as the unwanted one. The width of the
    gaps between words makes no other text.

    Args:
        requests: in their order.

    Yields:
        The index of a request, and what is wrong with it and was expected.
    """
    by_source: Dict[Tuple[str, ...], List[EditRequest]] = {}
    for index, request in enumerate(requests):
        others = by_source.setdefault(tuple(request.source.split()), [])
        other = next((one for one in others if _contradict(request, one)), None)
        if other is not None:
            yield (
                index,
                f"request {request.id} asks for {request.target!r}, and {named(other)} for {other.target!r} of the "
                "same source; expected one target, or different 'unwanted' segments",
            )
        others.append(request)


def _contradict(one: EditRequest, other: EditRequest) -> bool:
    """Whether two requests with one source ask for different targets of the same segment."""
    apart = one.unwanted and other.unwanted and one.unwanted != other.unwanted
    return one.target.split() != other.target.split() and not apart

"""What one edit request holds, and what one edit file holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Callable, Dict, FrozenSet, Mapping, Optional, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests.named_hunks import NamedHunk, carried_hunk, check_named
from fairseq_rome.text.tags import without_tags

SEGMENTS = ("trigger", "wanted", "unwanted")
"""The fields that name a segment of a text."""


def _no_settings() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Probe:
    """A held-out source sentence that shows the behaviour: it judges an edit, and no edit may learn from it.

    Attributes:
        source: The sentence.
        target: The translation it should have; None stands for what the model says, with the segment replaced.
    """

    source: str
    target: Optional[str] = None


@dataclass(frozen=True)
class EditRequest:
    """One behaviour to change, shown by one corrected example.

    Attributes:
        source: The source sentence as the user wrote it.
        target: The translation it should have (the positive example).
        negative: The unwanted output; None stands for what the model says now.
        trigger: The source segment that the change hangs on; None if an edit is to find it.
        wanted: The target segment that should appear; None if comparison of the two outputs is to find it.
        unwanted: The target segment that should go; None if comparison of the two outputs is to find it.
        contexts: Source sentences that may show the behaviour elsewhere. In parallel text this is the file's
            whole pool: whoever uses it picks the sentences that hold the trigger.
        probes: Held-out sentences that judge whether the edit generalises.
        near: Held-out sources close to the trigger whose translation must stay (near misses).
        task: ``term``, ``number``, ``hallucination``, ``untranslated`` or any other label.
        id: A name that is unique in the file; by default the number of the request, counted from 1.
        settings: Settings for this request alone, as a read-only copy. They are no part of the hash.
        origin: Where the request was read, such as ``fixes.en:3``, for messages.
        hunks: Places of the difference, each with whether it is carried to other sentences. One of them may be: its
            segments are then those that the request names.
    """

    source: str
    target: str
    negative: Optional[str] = None
    trigger: Optional[str] = None
    wanted: Optional[str] = None
    unwanted: Optional[str] = None
    contexts: Tuple[str, ...] = ()
    probes: Tuple[Probe, ...] = ()
    near: Tuple[str, ...] = ()
    task: Optional[str] = None
    id: str = ""
    settings: Mapping[str, Any] = field(default_factory=_no_settings, hash=False)
    origin: str = ""
    hunks: Tuple[NamedHunk, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))
        carried = carried_hunk(self.hunks)
        for name in SEGMENTS if carried else ():
            given, named = getattr(self, name), getattr(carried, name)
            if given and named and without_tags(given) != without_tags(named):
                raise EditError(f"{name!r} is {given!r}, and {named!r} in 'hunks'; expected one of them")
            object.__setattr__(self, name, given or named or None)
        kept = next((one for one in self.hunks if self._names(one) and not one.carry), None)
        if kept is not None:
            raise EditError(f"{kept.called} is not to be carried, but the request names it; expected one of them")

    def check_hunks(self, said: str) -> None:
        """Refuse hunks that are no place of what changes.

        Args:
            said: what the model says, which counts where no unwanted output is named.

        Raises:
            EditError: for the first that is none, with its place and those that there are.
        """
        try:
            check_named(self.hunks, said if self.negative is None else self.negative, self.target)
        except EditError as error:
            raise EditError(f"{self.origin or f'request {self.id}'}: {error}") from None

    def keeps(self, unwanted: str, wanted: str, trigger: str) -> bool:
        """Whether a change of one segment to another, of a trigger, is to stay in the request's own sentence."""
        return any(one.meets(unwanted, wanted, trigger) for one in self.hunks if not one.carry)

    @property
    def is_its_trigger(self) -> bool:
        """Whether its source is the trigger that it names and nothing else, as in a glossary."""
        return self.trigger is not None and self.trigger.strip().lower() == self.source.strip().lower()

    def _names(self, hunk: NamedHunk) -> bool:
        """Whether the segments that the request names are those of a hunk."""
        pairs = ((hunk.unwanted, self.unwanted), (hunk.wanted, self.wanted))
        return all(not one or one == named for one, named in pairs)

    def __getstate__(self) -> Dict[str, Any]:
        # A mapping proxy can be neither pickled nor copied.
        return {**self.__dict__, "settings": dict(self.settings)}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state, settings=MappingProxyType(state["settings"]))


@dataclass(frozen=True)
class EditFile:
    """The requests of one edit file, in its order.

    Attributes:
        requests: At least one request.
        keep: Sources whose translation must stay as it is.
        probes: Held-out sources for all requests: each is judged on those that hold its trigger.
        notes: How the file was read, where that is not certain to be meant; each a sentence that names the file.
    """

    requests: Tuple[EditRequest, ...]
    keep: Tuple[str, ...] = ()
    probes: Tuple[str, ...] = ()
    notes: Tuple[str, ...] = ()

    @property
    def held_out(self) -> FrozenSet[str]:
        """Every source that only judges, so that no edit may learn from it."""
        own = {source for request in self.requests for source in (*request.near, *_sources(request.probes))}
        return frozenset(own.union(self.probes)) - {request.source for request in self.requests}

    def with_task(self, task: Optional[str]) -> EditFile:
        """The same with a task for those requests that name none."""
        requests = tuple(
            request if request.task else replace(request, task=task) for request in self.requests
        )
        return replace(self, requests=requests)

    def with_sites(self, sites: Mapping[str, str]) -> EditFile:
        """The same with sites for those requests that set none of their own.

        Args:
            sites: by request id.

        Raises:
            EditError: for sites of a request that the edit file does not hold.
        """
        unknown = set(sites) - {request.id for request in self.requests}
        if unknown:
            raise EditError(
                f"--site: sites for {sorted(unknown)[0]!r}, expected ids of requests in the edit file"
            )
        requests = tuple(
            replace(request, settings={"site": sites[request.id], **request.settings})
            if request.id in sites
            else request
            for request in self.requests
        )
        return replace(self, requests=requests)

    def with_tags(self, tags_of: Callable[[str], Sequence[str]]) -> EditFile:
        """The same with the tags of its source before each trigger, which holds in sentences with these tags alone.

        Args:
            tags_of: gives the tags that a source begins with.
        """
        requests = []
        for request in self.requests:
            tags = tags_of(request.source) if request.trigger else ()
            trigger = " ".join([*tags, without_tags(request.trigger)]) if request.trigger and tags else request.trigger
            requests.append(replace(request, trigger=trigger))
        return replace(self, requests=tuple(requests))

    def without_leaks(self) -> EditFile:
        """The same without held-out sources among the contexts, because an edit must not learn from what judges it."""
        hidden = self.held_out
        requests = tuple(
            replace(request, contexts=tuple(source for source in request.contexts if source not in hidden))
            for request in self.requests
        )
        return replace(self, requests=requests)


def _sources(probes: Tuple[Probe, ...]) -> Tuple[str, ...]:
    return tuple(probe.source for probe in probes)

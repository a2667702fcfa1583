"""What a run works with besides the model, the requests and their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional, Tuple

from fairseq_rome.cases.contradictions import Claim
from fairseq_rome.editing.journal import AnyJournal
from fairseq_rome.editing.outcome import Result
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.other_directions import OtherDirection
from fairseq_rome.patch import Patch
from fairseq_rome.statistics import RecentStatistics
from fairseq_rome.text.segments import Endings


@dataclass(frozen=True)
class Surroundings:
    """What a run works with besides the model and the requests.

    Args:
        corpus: background sentences.
        endings: with which segments still count.
        validation: pairs whose loss is watched over.
        cache: folder for statistics; None for none.
        earlier: edits that the model has already, whose neurons and keys are theirs.
        journal: keeps what is done, and knows what an interrupted run did; None for no such thing.
        observe: called with each result as soon as it is there, before the final judgement.
        fingerprint: of the built model's `state_dict`, as `host.checkpoint.fingerprint` gives it; empty if it is
            still to be computed. The cache of statistics goes by it.
        directions: other directions of the model, which are to stay as they are.
        claims: what the earlier edits ask for, as far as they tell it.
        recent: statistics of the cache that are still in memory; None where nothing stays there.
    """

    corpus: Corpus
    endings: Endings
    validation: Tuple[Pair, ...] = ()
    cache: Optional[str] = None
    earlier: Tuple[Patch, ...] = ()
    journal: Optional[AnyJournal] = None
    observe: Callable[[Result], None] = lambda result: None
    fingerprint: str = ""
    directions: Tuple[OtherDirection, ...] = ()
    claims: Tuple[Claim, ...] = ()
    recent: Optional[RecentStatistics] = None

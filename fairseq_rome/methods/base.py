"""What every method is given: a request at one site, and what the edit may use of that site."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import FrozenSet, Iterator, Optional, Tuple

from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.examples import Example
from fairseq_rome.host.sites import Site
from fairseq_rome.statistics import Background


@dataclass(frozen=True)
class SiteResources:
    """What an edit may use of a site.

    Args:
        background: statistics of the site.
        spare: neurons that a gate may take, the first ones first.
        past_keys: n x f keys of the site that earlier edits gave new values; None where there are none.
    """

    background: Background
    spare: Tuple[int, ...] = ()
    past_keys: Optional[Tensor] = None

    @property
    def owned_keys(self) -> Tensor:
        """The past keys; 0 x f where there are none."""
        return self.background.moment[:0] if self.past_keys is None else self.past_keys


@dataclass(frozen=True)
class EditProblem:
    """One request, ready to be fitted at one site.

    Args:
        translator: the model and what decodes with it.
        site: where to edit.
        example: the user's own corrected sentence.
        contexts: self-corrected sentences to fit on.
        held_out: self-corrected sentences that the fit must not see, for the choice of thresholds.
        near_misses: pairs that rightly say the unwanted segment without the trigger: they must stay as they are.
        keep: sentences with the model's own output, which must stay.
        resources: what the edit may use of the site.
        ignored: sentence indices of the background in which the change is wanted too, so that they do not count.
        corpus: background sentences.
        thorough: push every token of the example that is not the model's clear choice, not the changed segment only.
    """

    translator: Translator
    site: Site
    example: Example
    contexts: Tuple[Example, ...]
    held_out: Tuple[Example, ...]
    near_misses: Tuple[Pair, ...]
    keep: Tuple[Pair, ...]
    resources: SiteResources
    ignored: FrozenSet[int]
    corpus: Corpus
    thorough: bool = False

    @property
    def unwanted_token(self) -> int:
        """What the model says in the example where the wanted segment should begin."""
        return self.example.said[0]


@contextmanager
def solvable(site: Site) -> Iterator[None]:
    """Turn what the algebra can't solve into an `EditError` that names the site."""
    try:
        yield
    except ValueError as error:
        raise EditError(f"site {site}: {error}") from error

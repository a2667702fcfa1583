"""Words that an output must hold where the source asks for them, as a part of a patch."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Dict, Iterator, List, Mapping, Sequence, Tuple

from torch import Tensor

from fairseq_rome.host.around import standing_around
from fairseq_rome.patch.beside import Beside


@dataclass(frozen=True)
class DemandedTerm:
    """Words that an output must hold.

    Args:
        source: regular expression; the term is demanded once for each place where it matches the source.
        term: the words.
    """

    source: str
    term: str


@dataclass(frozen=True, eq=False)
class DemandedTerms(Beside, kind="terms"):
    """Terms that fairseq's lexically constrained beam search puts into outputs.

    Args:
        wanted: the terms, each with the sources that it is for.
    """

    parts: ClassVar[Tuple[str, ...]] = ()
    computed_from: ClassVar[Tuple[str, ...]] = ()

    wanted: Tuple[DemandedTerm, ...]

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """As for everything beside a model."""
        with standing_around(model, self):
            yield

    def terms(self, source: str) -> Sequence[str]:
        """What the output of a source must hold, as often as the source asks for it."""
        found: List[str] = []
        for one in self.wanted:
            found += [one.term] * len(list(re.finditer(one.source, source)))
        return found

    def finished(self, source: str, output: str) -> str:
        """The output as it is."""
        return output

    @property
    def text(self) -> str:
        """Its terms and expressions."""
        return "".join(one.source + one.term for one in self.wanted)

    def describe(self) -> str:
        """The terms."""
        return f"demands {', '.join(repr(one.term) for one in self.wanted)}"

    def record(self) -> Dict[str, Any]:
        """As for every piece."""
        return {**super().record(), "wanted": [asdict(one) for one in self.wanted]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> DemandedTerms:
        """As for every piece."""
        wanted = tuple(DemandedTerm(**fields) for fields in record["wanted"])
        for one in wanted:
            re.compile(one.source)
        return cls(wanted)

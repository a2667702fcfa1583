"""Sentences decoded before and after an edit; those that a certificate covers are not decoded again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

from torch import Tensor

from fairseq_rome.host.certificate import Certificate
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.visiting import visits


@dataclass(frozen=True)
class Before:
    """What a model says before an edit.

    Args:
        sources: token ids with the end symbol.
        hypotheses: of each.
        proven: for each whether a certificate proves that the edited model says the same.
    """

    sources: Tuple[Tensor, ...]
    hypotheses: Tuple[Hypothesis, ...]
    proven: Tuple[bool, ...]

    @classmethod
    def of(
        cls, translator: Translator, sources: Sequence[Tensor], certificate: Optional[Certificate], label: str
    ) -> Before:
        """Decode with the unedited model.

        Args:
            translator: the unedited model.
            sources: token ids with the end symbol.
            certificate: of the edited model; None where there is none, which proves nothing.
            label: of the progress.

        Raises:
            EditError: if a sentence is longer than the model takes.
        """
        if certificate is None:
            said = translator.translate_tokens(sources, label)
            return cls(tuple(sources), tuple(said), (False,) * len(said))
        hypotheses: Dict[int, Hypothesis] = {}
        proven: Dict[int, bool] = {}
        for group in visits(translator, sources, certificate.sites, label):
            for visit, holds in zip(group, certificate.holds([visit.states for visit in group])):
                hypotheses[visit.index], proven[visit.index] = visit.hypothesis, holds
        order = range(len(sources))
        return cls(tuple(sources), tuple(map(hypotheses.__getitem__, order)), tuple(map(proven.__getitem__, order)))

    def after(self, translator: Translator, label: str) -> List[Hypothesis]:
        """What the edited model says of each source; only what is not proven is decoded.

        Args:
            translator: the edited model.
            label: of the progress.
        """
        rest = [index for index, proven in enumerate(self.proven) if not proven]
        said = translator.translate_tokens([self.sources[index] for index in rest], label)
        decoded = dict(zip(rest, said))
        return [decoded.get(index, hypothesis) for index, hypothesis in enumerate(self.hypotheses)]

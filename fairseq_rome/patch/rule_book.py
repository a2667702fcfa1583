"""Rules on what comes out of a model, as a part of a patch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Dict, Iterator, Mapping, Sequence, Tuple

from torch import Tensor

from fairseq_rome.host.around import standing_around
from fairseq_rome.patch.beside import Beside
from fairseq_rome.text.output_rules import Rule, apply_rules


@dataclass(frozen=True, eq=False)
class RuleBook(Beside, kind="rules"):
    """Rules that act on every output, one after the other.

    Args:
        rules: the rules.
    """

    parts: ClassVar[Tuple[str, ...]] = ()
    computed_from: ClassVar[Tuple[str, ...]] = ()

    rules: Tuple[Rule, ...]

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """As for everything beside a model."""
        with standing_around(model, self):
            yield

    def terms(self, source: str) -> Sequence[str]:
        """Nothing that an output must hold."""
        return ()

    def finished(self, source: str, output: str) -> str:
        """An output with the rules."""
        return apply_rules(self.rules, source, output)

    @property
    def text(self) -> str:
        """Its expressions."""
        return "".join("".join(vars(rule).get(name, "") for name in asdict(rule)) for rule in self.rules)

    def describe(self) -> str:
        """How many rules it has; one is told."""
        if len(self.rules) == 1:
            return f"the rule {self.rules[0].find} -> {self.rules[0].replace}"
        return f"{len(self.rules)} rules"

    def record(self) -> Dict[str, Any]:
        """As for every piece."""
        return {**super().record(), "rules": [asdict(rule) for rule in self.rules]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RuleBook:
        """As for every piece."""
        return cls(tuple(Rule(**fields) for fields in record["rules"]))

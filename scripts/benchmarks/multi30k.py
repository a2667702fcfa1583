"""What the benchmarks share: the Multi30k requests, and how an edited model is judged.

The data stays outside the repository: `requests/requests.jsonl` and `requests/unrelated.jsonl` of a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from public_models import records_of

from fairseq_rome import EditRequest, Workbench
from fairseq_rome.text.segments import Difference, correct, holds

# Counted for terms alone, and fixed here: what the library takes for an ending must not decide how it is judged.
_TERM_ENDINGS = ("s", "es", "e", "en", "n", "er")


@dataclass(frozen=True)
class Probe:
    """A held-out source that shows the behaviour, and what the unedited model says."""

    source: str
    before: str


@dataclass(frozen=True)
class Wish:
    """One request with what it takes to judge it.

    Args:
        id: its name.
        task: `term` or `segment`.
        source: the sentence.
        target: its corrected translation.
        difference: the unwanted and the wanted segment.
        trigger: for terms the source word; None otherwise.
        contexts: sources with the trigger, without translations; none of them a probe.
        probes: held-out sources; only terms have some.
    """

    id: str
    task: str
    source: str
    target: str
    difference: Difference
    trigger: Optional[str]
    contexts: Tuple[str, ...]
    probes: Tuple[Probe, ...]

    @classmethod
    def of(cls, record: Dict[str, Any]) -> Wish:
        """The wish of one line of `requests.jsonl`."""
        probes = tuple(Probe(probe["source"], probe["before"]) for probe in record.get("probes", ()))
        unseen = {probe.source for probe in probes}
        return cls(
            record["id"], record["task"], record["source"], record["target"],
            Difference(record["unwanted"], record["wanted"]), record.get("trigger"),
            tuple(source for source in record.get("contexts", ()) if source not in unseen), probes,
        )  # fmt: skip

    @property
    def endings(self) -> Sequence[str]:
        """Endings with which a segment counts."""
        return _TERM_ENDINGS if self.task == "term" else ()

    @property
    def request(self) -> EditRequest:
        """What the edit is given."""
        return EditRequest(
            self.source, self.target, trigger=self.trigger, contexts=self.contexts, id=self.id
        )

    def shown(self, output: str) -> bool:
        """Whether an output for the source has the wanted segment and no longer the unwanted one."""
        return holds(output, self.target, self.difference, self.endings)

    def shown_by(self, probe: Probe, output: str) -> bool:
        """The same of an output for a probe."""
        target = correct(probe.before, self.difference, self.endings)
        return target is not None and holds(output, target, self.difference, self.endings)


@dataclass(frozen=True)
class Multi30k:
    """The requests, and sources that no request speaks of."""

    folder: Path
    wishes: Tuple[Wish, ...]
    unrelated: Tuple[str, ...]

    @property
    def judged(self) -> List[str]:
        """Every source that only the judge may see."""
        return [probe.source for wish in self.wishes for probe in wish.probes] + list(self.unrelated)


def read_multi30k(folder: Path) -> Optional[Multi30k]:
    """The requests in a folder; None, said in one line, where there are none."""
    path = folder / "requests" / "requests.jsonl"
    if not path.exists():
        print(f"{path} is missing: nothing is measured without it (--data names the folder)")
        return None
    wishes = tuple(Wish.of(record) for record in records_of(path))
    unrelated = tuple(record["source"] for record in records_of(folder / "requests" / "unrelated.jsonl"))
    return Multi30k(folder, wishes, unrelated)


@dataclass(frozen=True)
class Verdict:
    """What decoding shows of an edited model.

    Args:
        output: for the source of the request.
        held: whether it has the wanted segment and no longer the unwanted one.
        exact: whether it is the corrected translation.
        missed: for each probe in which the change does not show, its source and output.
        probes: number of probes.
        changed: for each unrelated source with another output, the source and both outputs.
        unrelated: number of unrelated sources.
    """

    output: str
    held: bool
    exact: bool
    missed: Tuple[Tuple[str, str], ...]
    probes: int
    changed: Tuple[Tuple[str, str, str], ...]
    unrelated: int


class Judge:
    """Decodes with an edited model, and compares with the unedited one.

    Args:
        bench: with the unedited model.
        unrelated: sources that are to stay as they are.
    """

    def __init__(self, bench: Workbench, unrelated: Sequence[str]) -> None:
        self.unrelated = unrelated
        self.before = bench.translate(unrelated)

    def __call__(self, bench: Workbench, wish: Wish) -> Verdict:
        """Judge the model that a workbench has now."""
        output, *shown = bench.translate([wish.source, *(probe.source for probe in wish.probes)])
        missed = [
            (probe.source, text) for probe, text in zip(wish.probes, shown) if not wish.shown_by(probe, text)
        ]
        # In the same batches as before, so that rounding is the same too.
        after = bench.translate(self.unrelated)
        changed = [(s, old, new) for s, old, new in zip(self.unrelated, self.before, after) if old != new]
        return Verdict(
            output, wish.shown(output), output == wish.target, tuple(missed), len(wish.probes),
            tuple(changed), len(self.unrelated),
        )  # fmt: skip

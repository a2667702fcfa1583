"""What a workbench is opened with, and what an evaluation looks at, as frozen values."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import Condition
from fairseq_rome.host.configuration import FairseqOptions
from fairseq_rome.host.other_directions import ALL

CACHE_SIZE = 200
"""Default of the megabytes that decodings may take between runs: some 800,000 sentences of 30 tokens."""

_MAX_SENTENCES = 128


@dataclass(frozen=True)
class ModelSpec:
    """What to open, and how.

    Args:
        options: of fairseq: the checkpoint, the data, the languages, text processing and search.
        device: where the model computes, such as `cpu` or `cuda`.
        half: judge in half precision, as fairseq does under `--fp16`; edits are computed in single precision all the
            same.
        segmented: all text is in subwords already.
        patches: patch files whose edits are made in the checkpoint as it is read.
        trust: allow a checkpoint that runs code when it is loaded.
        cache: folder where statistics, and what the unedited model says, are kept between runs; None for none.
        cache_size: most megabytes of what the unedited model says; what was used least recently goes.
    """

    options: FairseqOptions
    device: str = "cpu"
    half: bool = False
    segmented: bool = False
    patches: Tuple[str, ...] = ()
    trust: bool = False
    cache: Optional[str] = None
    cache_size: int = CACHE_SIZE

    @property
    def path(self) -> str:
        """The checkpoint.

        Raises:
            EditError: if none is named.
        """
        if not self.options.values["path"]:
            raise EditError("--path is missing, expected the checkpoint to edit")
        return str(self.options.values["path"])

    @property
    def batch_size(self) -> int:
        """Sentences in one batch of decoding."""
        return self.options.values["batch_size"] or _MAX_SENTENCES

    def overrides(self) -> Dict[str, Any]:
        """Settings of the model to put over the saved ones.

        Raises:
            EditError: if they are no dictionary.
        """
        given = self.options.values["model_overrides"]
        if isinstance(given, Mapping):
            return dict(given)
        try:
            found = ast.literal_eval(given)
        except (ValueError, SyntaxError):
            found = None
        if not isinstance(found, dict):
            raise EditError(f"--model-overrides {given!r}: expected a Python dictionary")
        return found


@dataclass(frozen=True)
class EvaluationOptions:
    """What an evaluation looks at, besides requests.

    Args:
        test_sets: prefixes of raw text with references, or names of subsets of DATA.
        conditions: what has to hold.
        figures: of how many requests the behaviour is traced, for the heat maps of a report.
        seed: of the noise of these traces.
        directions: as for `--edit-directions`; an edit has a setting for it instead.
        direction_sample: how many sentences of other directions are decoded, over all of them.
    """

    test_sets: Tuple[str, ...] = ()
    conditions: Tuple[Condition, ...] = ()
    figures: int = 0
    seed: int = 1
    directions: str = ALL
    direction_sample: int = 50

"""What runs have worked out, kept in memory: a run that begins as an earlier one did goes on from there.

Unlike the journal of one long run, whose requests never change, this one serves runs that grow: each result is known by
all that it depends on, which is the request, what other requests tell it, and the edits before it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

from fairseq_rome.editing.outcome import Result
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.requests.records import to_fields


@dataclass
class MemoryJournal:
    """The results of several runs on one model with one set of settings.

    Args:
        run: all else that results depend on, in plain values.
        results: what is known, by key.
        keys: of the run that goes on or went last, by the number of the request.
    """

    run: Mapping[str, Any]
    results: Dict[str, Result] = field(default_factory=dict)
    keys: List[str] = field(default_factory=list)

    def keep(self, number: int, result: Result) -> None:
        """Keep the result of the request that was last asked for."""
        self.results[self.keys[number]] = result

    def recall(self, number: int, request: EditRequest, alike: Sequence[str] = ()) -> Optional[Result]:
        """The result of a request, if an earlier run came to it in the same way; arguments as for `Journal.recall`.

        The requests of a run are asked for in their order, from the first.
        """
        del self.keys[number:]
        before = self.keys[-1] if self.keys else json.dumps(self.run, sort_keys=True, default=str)
        told = [before, to_fields(request), list(alike)]
        self.keys.append(hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest())
        return self.results.get(self.keys[-1])

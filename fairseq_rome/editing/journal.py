"""What a long run has done so far, kept on disk: a second run of the same goes on where the first was interrupted.

A folder holds one small file for each request that is done, each written whole before the next begins, so that an
interrupt at any moment, or a power cut, leaves files that can be trusted. Its name tells the run apart from any other.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, Dict, Mapping, Optional, Protocol, Sequence, Tuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fairseq_rome.cases.hunk_reading import Reading
from fairseq_rome.editing.outcome import Result
from fairseq_rome.errors import EditError
from fairseq_rome.files import written_whole
from fairseq_rome.patch import packed, unpacked
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference

_FORMAT = 2


class AnyJournal(Protocol):
    """What a run tells its results, and asks for those of runs before it."""

    def keep(self, number: int, result: Result) -> None:
        """Keep the result of a request, counted from 0."""

    def recall(self, number: int, request: EditRequest, alike: Sequence[str] = ()) -> Optional[Result]:
        """The result of a request, as an earlier run kept it; None if there is none."""


class Journal:
    """The finished requests of one run.

    Args:
        beside: the file that the run is to write; the journal lies next to it.
        run: all that the results depend on, in plain values.
    """

    def __init__(self, beside: str, run: Mapping[str, Any]) -> None:
        key = hashlib.sha256(
            json.dumps([_FORMAT, run], sort_keys=True, ensure_ascii=False).encode()
        ).hexdigest()
        self.folder = f"{os.path.realpath(beside)}.{key[:12]}.journal"

    @property
    def done(self) -> int:
        """How many requests, from the first, an earlier run has finished."""
        number = 0
        while os.path.exists(self._path(number)):
            number += 1
        return number

    def keep(self, number: int, result: Result) -> None:
        """Write the result of a request, counted from 0.

        Raises:
            EditError: if it can't be written.
        """
        try:
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            raise EditError(f"{self.folder}: cannot be made: {error.strerror or error}") from error
        metadata, tensors = packed_result(result)
        with written_whole(self._path(number)) as temporary:
            save_file(tensors or {"none": torch.zeros(0)}, temporary, metadata)

    def recall(self, number: int, request: EditRequest, alike: Sequence[str] = ()) -> Optional[Result]:
        """The result of a request, as an earlier run kept it; None if there is none.

        Args:
            number: of the request, counted from 0.
            request: the request, with the contexts that other requests of the run give it.
            alike: sources of requests of the run that make a change of this one too.
        """
        path = self._path(number)
        if not os.path.exists(path):
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
            return unpacked_result(metadata, tensors, request)
        except (AttributeError, OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise EditError(f"{path}: damaged ({error}); remove {self.folder} to begin again") from error

    def remove(self) -> None:
        """Remove the journal: what it holds has been written elsewhere."""
        with suppress(OSError):
            shutil.rmtree(self.folder)

    def _path(self, number: int) -> str:
        return os.path.join(self.folder, f"{number:06d}.safetensors")


def packed_result(result: Result) -> Tuple[Dict[str, str], Dict[str, Tensor]]:
    """A result without its request, as texts and as the tensors of its patch."""
    records, tensors = packed([result.patch] if result.patch else [])
    told = {name: value for name, value in vars(result).items() if name not in ("request", "patch")}
    told["difference"] = None if result.difference is None else asdict(result.difference)
    told["readings"] = [asdict(reading) for reading in result.readings]
    return {"result": json.dumps(told), "patches": json.dumps(records)}, tensors


def unpacked_result(texts: Mapping[str, str], tensors: Mapping[str, Tensor], request: EditRequest) -> Result:
    """What `packed_result` took apart, of a request.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: if the texts or the tensors are damaged.
    """
    told: Dict[str, Any] = json.loads(texts["result"])
    difference = told.pop("difference")
    patches = unpacked(json.loads(texts["patches"]), tensors)
    told["notes"] = tuple(told.get("notes", ()))
    told["triggers"] = tuple(told.get("triggers", ()))
    told["readings"] = tuple(Reading(**reading) for reading in told.get("readings", ()))
    result = Result(request, **told)
    if difference is not None:
        forms = tuple((old, new) for old, new in difference.pop("forms", ()))
        result = replace(result, difference=Difference(**difference, forms=forms))
    return replace(result, patch=patches[0] if patches else None)

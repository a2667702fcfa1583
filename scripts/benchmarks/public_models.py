"""The models that benchmarks measure: how the commands and the workbench open them, and where their requests are.

The data stays outside the repository: for the bilingual model a folder with `model/` and `requests/`, for the
multilingual one `model.pt`, `spm.model` and `requests/`, with its data directory unpacked elsewhere.
"""

from __future__ import annotations

import gzip
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import fairseq_rome
from fairseq_rome import Workbench

ROOT = Path(__file__).resolve().parents[2]
MULTI30K_FOLDER = ROOT.parent / "shared" / "multi30k"
DOCS_FOLDER, DOCS_DATA = ROOT.parent / "shared" / "docs", ROOT / "build" / "docs" / "data-bin"
LANGUAGES = ("de", "fr", "es", "pt", "zh", "ja")
"""Targets of the multilingual model; its source is English."""

BEAM = 4


@dataclass(frozen=True)
class PublicModel:
    """One direction of a checkpoint.

    Args:
        path: the checkpoint.
        data: its data directory.
        target: code of the target language; the source is English.
        options: by which fairseq and the workbench open it, by their names in Python; true for a mere flag.
        requests: file of the requests with named terms and segments.
        natural: file of the natural requests.
        unrelated: file of sentences without their words.
        tests: files of source sentences, packed.
    """

    path: Path
    data: Path
    target: str
    options: Mapping[str, Any]
    requests: Path
    natural: Path
    unrelated: Path
    tests: Tuple[Path, ...]

    def words(self, path: Optional[Path] = None) -> List[str]:
        """What a command line has behind the name of the command.

        Args:
            path: another checkpoint of the same data directory.
        """
        named = {"path": path or self.path, "source-lang": "en", "target-lang": self.target, **self.options}
        found = [str(self.data)]
        for name, value in named.items():
            found += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return found

    def open(
        self, path: Optional[Path] = None, device: str = "cpu", cache: Optional[str] = None, cache_size: int = 0
    ) -> Workbench:
        """The workbench with it.

        Args:
            path: another checkpoint of the same data directory.
            device: where it computes.
            cache: folder for statistics.
            cache_size: megabytes of decodings that are remembered; none by default, where their time is told.
        """
        warnings.simplefilter("ignore")  # fairseq and torch warn of one another
        return fairseq_rome.open(
            str(path or self.path), data=str(self.data), source="en", target=self.target, device=device, cache=cache,
            cache_size=cache_size, **self.options,
        )  # fmt: skip

    def sentences(self) -> List[str]:
        """The different source sentences of its test sets."""
        texts = [gzip.decompress(path.read_bytes()).decode("utf-8") for path in self.tests]
        return list(dict.fromkeys(line for text in texts for line in text.splitlines()))


def records_of(path: Path) -> List[Dict[str, Any]]:
    """The records of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def multi30k_model(folder: Path = MULTI30K_FOLDER) -> PublicModel:
    """The bilingual model in a folder."""
    model = folder / "model"
    options = {"bpe": "sentencepiece", "sentencepiece_model": str(model / "spm.model"), "beam": BEAM}
    files = (folder / "requests" / f"{name}.jsonl" for name in ("requests", "natural", "unrelated"))
    tests = tuple(sorted(folder.glob("test_*.en.gz")))
    return PublicModel(model / "model.pt", model, "de", options, *files, tests)


def docs_model(target: str, folder: Path = DOCS_FOLDER, data: Path = DOCS_DATA) -> PublicModel:
    """One direction of the multilingual model.

    Args:
        target: code of the target language.
        folder: with the checkpoint, its subword model and the requests.
        data: the unpacked data directory.
    """
    options = {
        "task": "translation_multi_simple_epoch", "langs": ",".join(("en", *LANGUAGES)),
        "lang_pairs": ",".join(f"en-{one}" for one in LANGUAGES), "encoder_langtok": "src", "decoder_langtok": True,
        "bpe": "sentencepiece", "sentencepiece_model": str(folder / "spm.model"), "beam": BEAM,
    }  # fmt: skip
    files = (folder / "requests" / f"{target}{name}.jsonl" for name in ("", ".natural", ".unrelated"))
    return PublicModel(folder / "model.pt", data, target, options, *files, (folder / f"test.en-{target}.en.gz",))

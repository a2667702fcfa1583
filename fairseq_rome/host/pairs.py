"""The binarised sentence pairs of one direction, as fairseq-preprocess writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Tuple

from fairseq.data import data_utils, indexed_dataset
from torch import Tensor


@dataclass(frozen=True)
class BinaryPairs:
    """Sources and targets on disk, read one by one.

    Args:
        sources: fairseq's data set of the source side.
        targets: the same of the target side; None where there is none.
    """

    sources: Any
    targets: Optional[Any]

    @classmethod
    def opened(
        cls, prefix: str, languages: Tuple[str, str], dictionaries: Tuple[Any, Any]
    ) -> Optional[BinaryPairs]:
        """The files `PREFIX.SRC-TGT.SRC` and `PREFIX.SRC-TGT.TGT`, or those of the other order; None for no files.

        Args:
            prefix: folder and name of the split.
            languages: codes of source and target.
            dictionaries: of source and target.
        """
        source, target = languages
        for pair in (f"{source}-{target}", f"{target}-{source}"):
            paths = [f"{prefix}.{pair}.{language}" for language in languages]
            if indexed_dataset.dataset_exists(paths[0], impl=None):
                sides = [
                    data_utils.load_indexed_dataset(path, dictionary)
                    for path, dictionary in zip(paths, dictionaries)
                ]
                return cls(sides[0], sides[1])
        return None

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Tuple[Tensor, Optional[Tensor]]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.sources[index], None if self.targets is None else self.targets[index]

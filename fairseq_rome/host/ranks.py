"""Several processes that do the work of one run: each piece is done by one of them, and all know what comes of it.

Pieces are those that one process would make, and what comes of them is taken in their order. So numbers are the same
bits however many processes there are. This is the only module that knows torch.distributed.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple, TypeVar

import torch
from torch import distributed

from fairseq_rome.errors import EditError

AHEAD = 4
"""Batches that a process decodes before it waits for the others. Now and then a sentence whose search goes on for
long makes a batch take three times as long. With 4 batches 64 processes are more than twice as fast as with one, by
an estimate from measured times (`docs/several-processes.md`); more would lose more where a process is killed."""

T = TypeVar("T")
R = TypeVar("R")


def _own(value: Any, rank: int) -> Any:
    return value


@dataclass(frozen=True)
class Ranks:
    """One of the processes of a run. All of them call the same methods in the same order.

    Args:
        rank: number of this process, from 0.
        world: how many there are.
        tell: called by all with a value and the number of a process, gives the value of that process.
    """

    rank: int = 0
    world: int = 1
    tell: Callable[[Any, int], Any] = _own

    @property
    def first(self) -> bool:
        """Whether this is the process that reads and writes what is kept, writes files and prints."""
        return self.rank == 0

    def of_first(self, make: Callable[[], R]) -> R:
        """What the first process makes; the others don't make it."""
        found: R = self.tell(make() if self.first else None, 0)
        return found

    def agree(self, what: str, make: Callable[[], object]) -> None:
        """Make sure that all have what the first process has; not asked where there is one.

        Args:
            what: what it is, for the message.
            make: gives something small that can be compared.

        Raises:
            EditError: if this process has something else.
        """
        if self.world == 1:
            return
        own = make()
        if self.tell(own, 0) != own:
            raise EditError(
                f"process {self.rank} of {self.world}: not the {what} of the first process, expected the same options, "
                "files, versions and kind of device for all"
            )

    def each(
        self, items: Iterable[T], work: Callable[[T], R], ahead: int = 1
    ) -> Iterator[Tuple[T, R]]:
        """Every item with what comes of it, in their order; each is worked on by one process.

        Args:
            items: the same in all processes.
            work: on one item. What it gives is sent to the others, and must hold no views of larger tensors.
            ahead: items that a process works on before it waits for the others. More even out what some of them take
                longer, and are lost together where a process is killed.
        """
        remaining = iter(items)
        while True:
            part = list(islice(remaining, self.world * ahead if self.world > 1 else 1))
            if not part:
                return
            mine = [work(item) for item in part[self.rank :: self.world]]
            told: List[List[R]] = []
            for index, item in enumerate(part):
                if index < self.world:
                    told.append(self.tell(mine, index))
                yield item, told[index % self.world].pop(0)


ALONE = Ranks()
"""The only process of a run."""


@contextmanager
def process_group(
    init_method: str, backend: str, rank: int = -1, world: int = -1, gpu: Optional[int] = None
) -> Iterator[Ranks]:
    """This process among those that torch.distributed brings together.

    Args:
        init_method: where they meet; `env://` where a launcher has said so in the environment.
        backend: such as `gloo` or `nccl`.
        rank: of this process; -1 where the meeting place knows.
        world: how many there are; likewise.
        gpu: number of the GPU of this process; None for none.

    Raises:
        EditError: if they can't be brought together, or one has ended before the others.
    """
    if gpu is not None:
        torch.cuda.set_device(gpu)
    try:
        distributed.init_process_group(backend, init_method=init_method, rank=rank, world_size=world)
    except (RuntimeError, ValueError) as error:
        raise EditError(f"{init_method}: {backend} can't bring the processes together: {_line(error)}") from error
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size(), _told)
    finally:
        distributed.destroy_process_group()


def launched() -> bool:
    """Whether `torchrun` has started this process."""
    return distributed.is_available() and distributed.is_torchelastic_launched()


def _told(value: Any, rank: int) -> Any:
    box: List[Any] = [value if distributed.get_rank() == rank else None]
    try:
        distributed.broadcast_object_list(box, src=rank)
    except RuntimeError as error:
        raise EditError(
            f"another process of this run has ended, expected all {distributed.get_world_size()}: run it again, and it "
            f"goes on from what is kept ({_line(error)})"
        ) from error
    return box[0]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

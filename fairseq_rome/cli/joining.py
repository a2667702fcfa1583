"""How a command that `torchrun` or fairseq's own options start several times finds its other processes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator, Tuple

from fairseq_rome.errors import EditError

if TYPE_CHECKING:
    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.host.ranks import Ranks
    from fairseq_rome.workbench.specs import ModelSpec


@contextmanager
def joined(model: ModelSpec, progress: Progress) -> Iterator[Tuple[Ranks, Progress]]:
    """The processes of this run, and the progress that this one shows; one process where it was started once.

    Args:
        model: what is opened, with fairseq's options: `--distributed-init-method` and what belongs to it.
        progress: that the command line asks for.

    Raises:
        EditError: for options that can't be, or where the processes can't be brought together.
    """
    from fairseq_rome.host.decoding import silent
    from fairseq_rome.host.ranks import ALONE, launched, process_group

    values = model.options.values
    method, world = values["distributed_init_method"], values["distributed_world_size"]
    if method is None and not launched():
        if world > 1:
            raise EditError(
                f"--distributed-world-size is {world}, but one process was started: expected torchrun to start all, or "
                "--distributed-init-method and --distributed-rank for each"
            )
        yield ALONE, progress
        return
    on_gpu = model.device != "cpu"
    backend = values["distributed_backend"] if on_gpu else "gloo"
    # fairseq takes the number of the GPU from the environment of torchrun, or from --device-id.
    gpu = values["device_id"] if on_gpu else None
    rank, world = (-1, -1) if method is None else (values["distributed_rank"], world)
    with process_group(method or "env://", backend, rank, world, gpu) as ranks:
        yield ranks, progress if ranks.first else silent

"""What a decoder predicts, together with a state of one of its layers at the same position."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator, List

from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites.feed_forward import layer_at
from fairseq_rome.host.sites.site import Site


@contextmanager
def rescored(
    model: nn.Module, site: Site, rescore: Callable[[Tensor, Tensor], Tensor]
) -> Iterator[None]:
    """Let another function have the last word on a decoder's logits, in every forward pass inside the context.

    Where the output layer is asked by itself, of some positions alone, its logits stay as they are.

    Args:
        model: the model.
        site: whose inputs the function sees.
        rescore: takes the site's inputs (n x d) and the logits (n x V) of all positions, and returns the logits that
            take their place; the same tensor to leave them.

    Raises:
        EditError: if the site is of no decoder, or the decoder has no plain linear output layer.
    """
    if not site.in_decoder:
        raise EditError(f"site {site}: what is predicted hangs on a decoder's states, expected a decoder site")
    layer: Any = layer_at(model, site)
    last = getattr(model.get_submodule(site.stack), "output_projection", None)
    if not isinstance(last, nn.Linear):
        kind = type(last).__name__
        raise EditError(f"site {site}: the output layer of {site.stack} is {kind}, expected a plain Linear")
    inputs: List[Tensor] = []

    def before_fc1(_: nn.Module, args: Any) -> None:
        inputs[:] = [args[0]]

    def after_last(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        # Sites are T x B x d, and what a decoder gives is B x T x V.
        seen = inputs.pop().transpose(0, 1) if inputs else None
        if seen is None or seen.shape[:-1] != output.shape[:-1]:
            return output
        flat = output.reshape(-1, output.shape[-1])
        return rescore(seen.reshape(len(flat), -1), flat).view_as(output)

    handles = [
        getattr(layer, site.maps[0]).register_forward_pre_hook(before_fc1),
        last.register_forward_hook(after_last),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

"""The residual stream at a site: what the layer goes on with once the site's value is added to it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, List

from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites.feed_forward import layer_at
from fairseq_rome.host.sites.site import Site


@contextmanager
def record_stream(model: nn.Module, site: Site) -> Iterator[List[Tensor]]:
    """Record the stream at a site, T x B x d, before any layer norm; each forward pass overwrites what was there.

    What is added to the site's value is added to it. The model must be `prepared`.

    Raises:
        EditError: on leaving without another exception, if the layer adds no value to a stream in fairseq's way.
    """
    layer: Any = layer_at(model, site)
    written: List[bool] = []
    found: List[Tensor] = []
    own, add = vars(layer).get("residual_connection"), getattr(layer, "residual_connection", None)
    if add is None:
        raise EditError(f"site {site} adds its value to no residual stream: it can't be read")

    def after_fc2(_: nn.Module, __: Any, ___: Tensor) -> None:
        written.append(True)

    def adding(*args: Any, **kwargs: Any) -> Tensor:
        stream: Tensor = add(*args, **kwargs)
        if written:
            written.clear()
            found[:] = [stream.detach()]
        return stream

    handle = getattr(layer, site.maps[1]).register_forward_hook(after_fc2)
    layer.residual_connection = adding
    try:
        yield found
    finally:
        del layer.residual_connection
        if own is not None:
            layer.residual_connection = own
        handle.remove()
    if not found:
        raise EditError(f"site {site} adds its value to no residual stream: it can't be read")

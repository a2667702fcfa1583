"""What does not depend on a site's value is computed in one forward pass and taken as it is in later ones."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Iterator, List

from torch import nn

from fairseq_rome.host.sites.feed_forward import find_sites, layer_at
from fairseq_rome.host.sites.site import Site

# What every layer runs before the value of its site; where the other site of a layer with two stands is its own affair.
_BEFORE = {"": ("self_attn", "encoder_attn"), "b": ()}


@contextmanager
def computed_once(model: nn.Module, site: Site) -> Iterator[None]:
    """Run the layers below a site, and its own layer up to its value, in the first forward pass alone.

    Every pass inside the context must be of the same batch, and nothing but the site's value may be changed in it, as
    by `add_to_value`. What later passes take is what the first one computed, bit for bit.
    """
    layer = layer_at(model, site)
    stack = {at: one for at, one in find_sites(model).items() if at.stack == site.stack}
    below: List[Any] = [one for at, one in stack.items() if at.layer < site.layer]
    own = [getattr(layer, name, None) for name in (*_BEFORE[site.part], *site.maps)]
    with ExitStack() as undo:
        for module in dict.fromkeys(one for one in (*below, *own) if one is not None):
            own_forward = vars(module).get("forward")
            undo.callback(_put_back, module, own_forward)
            module.forward = _once(module.forward)
        yield


def _once(run: Callable[..., Any]) -> Callable[..., Any]:
    found: List[Any] = []

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not found:
            found.append(run(*args, **kwargs))
        return found[0]

    return forward


def _put_back(module: Any, forward: Any) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward

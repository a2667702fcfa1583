"""Feed-forward sites of a fairseq Transformer: naming, finding, recording and intervening.

A *site* is the feed-forward network (FFN) of one layer. Its input is what `fc1` reads, its *key* is what
`fc2` reads (after the activation and, where the architecture has one, the inner layer norm), its *value* is
what `fc2` writes. All tensors are T x B x C, as fairseq's layers pass them.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import torch
from fairseq.modules.transformer_layer import TransformerDecoderLayerBase, TransformerEncoderLayerBase
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites.site import MAPS, Site


@dataclass
class Activations:
    """What passed one site in the latest forward pass, T x B x C each."""

    inputs: Tensor
    keys: Tensor
    values: Tensor


def find_sites(model: nn.Module) -> Dict[Site, nn.Module]:
    """All editable feed-forward networks of a model, encoder first, each with its layer module.

    Sites are told by the class of the layer, so that convolutional or gated blocks that also own an `fc2` are
    not mistaken for one. A layer's `fc3` and `fc4` run before its `fc1` and `fc2`, so their site comes first.

    Raises:
        EditError: if a layer's `fc1` or `fc2` is no plain linear map (mixture of experts, quantised), or if
            the model has no site at all.
    """
    found: Dict[Site, nn.Module] = {}
    for path, module in model.named_modules():
        if not isinstance(module, (TransformerEncoderLayerBase, TransformerDecoderLayerBase)):
            continue
        container, _, index = path.rpartition(".")
        for part in ("b", ""):
            site = Site(container.rpartition(".")[0], int(index), part)
            fault = _fault(module, site.maps)
            if not fault:
                found[site] = module
            elif not part:
                raise EditError(f"layer {path}: {fault}, expected a plain Linear with a bias")
    if not found:
        raise EditError(
            f"{type(model).__name__} has no Transformer feed-forward layers: nothing can be edited"
        )
    return found


def _fault(layer: nn.Module, maps: Sequence[str]) -> str:
    """Which map of a layer is missing or no plain linear one, and what it is; empty if all are."""
    for name in maps:
        linear = getattr(layer, name, None)
        if not isinstance(linear, nn.Linear) or linear.bias is None:
            return f"{name} is {type(linear).__name__}"
    return ""


def layer_at(model: nn.Module, site: Site) -> nn.Module:
    """The layer module of a site.

    Raises:
        EditError: if the model has no such site; the message lists those that it has.
    """
    sites = find_sites(model)
    if site not in sites:
        raise EditError(f"no site {site} in this model, expected one of: {', '.join(map(str, sites))}")
    return sites[site]


def parameter_names(model: nn.Module, site: Site) -> Dict[str, str]:
    """Full state-dict names of the site's parameters, by the short names of a layer with one network.

    Returns:
        The names of `fc1.weight`, `fc1.bias`, `fc2.weight` and `fc2.bias`, or of what stands for them at the site.
    """
    layer = layer_at(model, site)
    prefix = next(path for path, module in model.named_modules() if module is layer)
    return {
        f"{short}.{kind}": f"{prefix}.{name}.{kind}"
        for short, name in zip(MAPS[""], site.maps)
        for kind in ("weight", "bias")
    }


@contextmanager
def prepared(model: nn.Module) -> Iterator[nn.Module]:
    """Eval mode, no fused fast path, no activation checkpointing; everything is put back on leaving.

    In train mode quantisation noise corrupts weights in its hooks. fairseq 0.12.2's fused encoder layers
    bypass `fc1` and `fc2`, so that neither hooks nor edits would be seen. Checkpointed layers would run their
    hooks twice.
    """
    training = {module: module.training for module in model.modules()}
    with ExitStack() as undo:
        for module in model.modules():
            if hasattr(module, "can_use_fastpath"):
                undo.callback(setattr, module, "can_use_fastpath", module.can_use_fastpath)
                setattr(module, "can_use_fastpath", False)  # noqa: B010, types know modules and tensors only
            if hasattr(module, "precheckpoint_forward"):
                undo.callback(setattr, module, "forward", module.forward)
                module.forward = module.precheckpoint_forward  # type: ignore[assignment]
        model.eval()
        try:
            yield model
        finally:
            for module, mode in training.items():
                module.training = mode


@contextmanager
def record(model: nn.Module, sites: Sequence[Site]) -> Iterator[Dict[Site, Activations]]:
    """Record inputs, keys and values of sites; each forward pass overwrites what the one before left.

    Raises:
        EditError: on leaving without another exception, if a site never ran.
    """
    seen: Dict[Site, Dict[str, Tensor]] = {site: {} for site in sites}
    recorded: Dict[Site, Activations] = {}

    def watch(site: Site, layer: Any) -> List[Any]:
        def before_fc1(_: nn.Module, args: Any) -> None:
            seen[site] = {"inputs": args[0].detach()}

        def after_fc2(_: nn.Module, args: Any, output: Tensor) -> None:
            recorded[site] = Activations(seen[site]["inputs"], args[0].detach(), output.detach())

        return [
            getattr(layer, site.maps[0]).register_forward_pre_hook(before_fc1),
            getattr(layer, site.maps[1]).register_forward_hook(after_fc2),
        ]

    layers = {site: layer_at(model, site) for site in sites}
    handles = [handle for site, layer in layers.items() for handle in watch(site, layer)]
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()
    _demand_run([site for site in sites if site not in recorded])


class _FarEnough(Exception):
    """Ends a forward pass in which all that is wanted has run."""


@contextmanager
def only_until(model: nn.Module, sites: Sequence[Site]) -> Iterator[None]:
    """End the context where the layers of all these sites have run in it: the layers above need not run.

    Recording contexts go around it, so that they see a layer before it ends the pass.
    """
    waiting = {id(layer_at(model, site)) for site in sites}

    def after(layer: nn.Module, _: Any, __: Any) -> None:
        waiting.discard(id(layer))
        if not waiting:
            raise _FarEnough

    handles = [layer_at(model, site).register_forward_hook(after) for site in sites]
    try:
        with suppress(_FarEnough):
            yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def add_to_value(model: nn.Module, site: Site, addend: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Add `addend(value)` to the value that a site writes, in every forward pass inside the context.

    Args:
        addend: takes the value, T x B x d, and returns what to add, broadcastable to it.

    Raises:
        EditError: on leaving without another exception, if the site never ran.
    """
    ran = []

    def after_fc2(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        ran.append(True)
        return output + addend(output)

    layer: Any = layer_at(model, site)
    handle = getattr(layer, site.maps[1]).register_forward_hook(after_fc2)
    try:
        yield
    finally:
        handle.remove()
    _demand_run([] if ran else [site])


@contextmanager
def add_at_tokens(
    model: nn.Module, site: Site, addend: Callable[[Tensor, Tensor], Tuple[Tensor, Tensor]], instead: bool = False
) -> Iterator[None]:
    """Add to the value that a site writes at chosen positions, in every forward pass inside the context.

    The value of all other positions stays bit for bit as it is. The model must be `prepared`.

    Args:
        addend: takes the site's inputs (T x B x d) and keys (T x B x f), and returns the n positions that it chooses
            (T x B, true there) and what to add at them (n x d).
        instead: put it in the place of the value.
    """
    inputs: List[Tensor] = []

    def before_fc1(_: nn.Module, args: Any) -> None:
        inputs[:] = [args[0]]

    def after_fc2(_: nn.Module, args: Any, output: Tensor) -> Tensor:
        chosen, addition = addend(inputs[0], args[0])
        changed = output.clone()
        new = addition if instead else output[chosen].to(addition.dtype) + addition
        changed[chosen] = new.to(output.dtype)
        return changed

    layer: Any = layer_at(model, site)
    handles = [
        getattr(layer, site.maps[0]).register_forward_pre_hook(before_fc1),
        getattr(layer, site.maps[1]).register_forward_hook(after_fc2),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _demand_run(silent: Sequence[Site]) -> None:
    if silent:
        raise EditError(
            f"site {', '.join(map(str, silent))} never ran in the forward pass: it can't be edited"
        )


def device_of(model: nn.Module) -> torch.device:
    """The device that a model's parameters are on."""
    return next(model.parameters()).device

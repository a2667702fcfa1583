"""Every setting of an edit: its default, its meaning, and how a mapping of settings is checked."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields, replace
from typing import Any, Dict, Mapping, Tuple, get_type_hints

from fairseq_rome.errors import EditError

AUTO, TRACED = "auto", "traced"
"""Values of `site` that name no site."""


def _setting(default: Any, help: str, choices: Tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class EditSettings:
    """Settings of one edit. Each is also a command-line flag and a field of a YAML file (`--edit-config`)."""

    method: str = _setting(
        "gated",
        "gated: a dormant feed-forward neuron becomes a detector of the edit positions; "
        "rome: a rank-one update of fc2 (one for each subword of the changed segment); "
        "alphaedit: the same in directions that the background and earlier edits leave free; "
        "nse: the same in the columns of fc2 whose neurons are busiest there; "
        "memit: all requests in one update, least squares over a range of sites; "
        "emmet: the same with every request as a constraint",
        ("gated", "rome", "alphaedit", "nse", "memit", "emmet"),
    )
    site: str = _setting(
        AUTO,
        "feed-forward network to edit, such as decoder.3; several with commas are tried in order; "
        "auto: the decoder's layers from the last down; traced: the decoder's in the order of their effect in a causal "
        "trace, then the encoder's; or the sites.yaml that fairseq-edit-locate wrote",
    )
    edit_scope: str = _setting(
        "trigger",
        "trigger: the change holds where its source segment is, near misses stay as they were; "
        "target: wherever the unwanted target segment would be said",
        ("trigger", "target"),
    )
    edit_value: str = _setting(
        "optimised",
        "optimised: the value comes from gradient descent; example: the value that the site itself has where "
        "the training side rightly says the wanted token",
        ("optimised", "example"),
    )
    edit_contexts: int = _setting(
        64,
        "most sentences with the trigger that are decoded and corrected, to generalise; 0: only the example",
    )
    edit_references: int = _setting(
        256,
        "most sentence pairs of DATA with the trigger whose references are corrected likewise, without "
        "decoding",
    )
    edit_mine: str = _setting(
        "auto",
        "where contexts come from besides the edit file: auto: DATA, if the request names its trigger, or if one "
        "word is replaced by one that clearly goes with a source word; always: DATA; never: only the edit file",
        ("auto", "always", "never"),
    )
    edit_stats_tokens: int = _setting(50000, "background tokens from the training side of DATA")
    edit_tries: int = _setting(
        6, "attempts at one request (site by site, then stronger) before it counts as failed"
    )
    edit_steps: int = _setting(60, "most gradient steps for a value")
    edit_scale: float = _setting(
        1.0, "factor on what an edit adds to the site's value: above 1 it pushes harder, and breaks more"
    )
    edit_ridge: float = _setting(1e-2, "ridge on second moments, as a share of their mean diagonal")
    edit_cover: float = _setting(
        100.0,
        "memit, nse, alphaedit: how many background keys stand against those of the edits; more breaks less, and "
        "changes less",
    )
    edit_energy: float = _setting(
        0.7, "alphaedit: share of the energy of background keys that the edit keeps out of, below 1"
    )
    edit_neurons: float = _setting(
        0.95, "nse: share of the energy of an edit's keys that the neurons hold whose columns change"
    )
    edit_false_open: float = _setting(
        2e-4,
        "gated: largest share of background positions that may open a gate, where held-out contexts need it",
    )
    edit_near_open: float = _setting(
        0.1,
        "gated: largest share of near misses (the unwanted segment from another source word) that may open a "
        "gate",
    )
    widen: bool = _setting(
        False,
        "gated: let the feed-forward layers grow by the neurons that are needed, and take over only old ones that are "
        "as good as silent; the checkpoint stays a stock one, with a larger ffn_embed_dim",
    )
    edit_dormant: float = _setting(
        1e-2,
        "gated: share of what a layer writes that its dormant neurons, which gates of one run may take, hold together",
    )
    edit_batch: int = _setting(
        100,
        "in longer runs, requests between two checks of the validation loss and of the edits so far; memit and emmet "
        "are checked after their one solve; 0: no checks",
    )
    edit_max_loss: float = _setting(
        0.1, "stop the run, and keep what was good, where the validation loss rises by more bits a token"
    )
    edit_min_held: float = _setting(
        0.8, "stop the run, and keep what was good, where a smaller share of a sample of the edits so far holds"
    )
    edit_max_size: float = _setting(
        10.0, "an attempt whose change of a weight is larger, in units of the weight's norm, has failed"
    )
    edit_sample: int = _setting(
        100, "other sentences that are decoded before and after, to see what else changed"
    )
    seed: int = _setting(1, "seed of every random choice")

    @property
    def sites(self) -> Tuple[str, ...]:
        """The sites that were asked for; empty for `auto` and `traced`."""
        return () if self.site in (AUTO, TRACED) else tuple(part.strip() for part in self.site.split(","))


def setting_types() -> Dict[str, type]:
    """The type of each setting by name."""
    return dict(get_type_hints(EditSettings))


def with_settings(base: EditSettings, changes: Mapping[str, Any], origin: str) -> EditSettings:
    """`base` with some settings changed, each checked for name, type and choice.

    Args:
        base: settings to start from.
        changes: values by name; `-` and `_` are the same in names.
        origin: where they come from, for messages.

    Raises:
        EditError: for an unknown name, a value of the wrong type, or one out of range.
    """
    types = setting_types()
    choices = {f.name: f.metadata["choices"] for f in fields(EditSettings)}
    checked: Dict[str, Any] = {}
    for name, value in changes.items():
        key = str(name).replace("-", "_")
        if key not in types:
            raise EditError(f"{origin}: unknown setting {name!r}, expected one of: {', '.join(types)}")
        checked[key] = _checked(key, value, types[key], choices[key], origin)
    return replace(base, **checked)


def _checked(name: str, value: Any, kind: type, choices: Tuple[str, ...], origin: str) -> Any:
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise EditError(f"{origin}: {name} is {value!r}, expected {kind.__name__}")
    if choices and value not in choices:
        raise EditError(f"{origin}: {name} is {value!r}, expected one of: {', '.join(choices)}")
    if isinstance(value, (int, float)) and not 0 <= value <= sys.float_info.max:
        raise EditError(f"{origin}: {name} is {value!r}, expected a number of at least 0")
    return kind(value)

"""The settings of a run: its own, those of a case, and those of every method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Tuple, TypeVar

from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.errors import EditError
from fairseq_rome.methods.base import Method, NeuronSettings
from fairseq_rome.methods.registry import all_methods, method_named
from fairseq_rome.settings import Setting, Settings, declared, setting, with_settings
from fairseq_rome.text.requests import EditRequest

S = TypeVar("S", bound=Settings)

AUTO, TRACED = "auto", "traced"
"""Values of `site` that name no site."""

_OF_A_REQUEST_TOO = ("method", "site", "edit_tries", "edit_max_size")
"""Settings of a run that a request may have for itself."""


# More tell rarer states and moments of wider layers better, and take time, once for a model: 14 s of processor time for
# 20,000 of the documentation model. One Chinese term of it kept 192 of 200 other sentences with these, and 197 with
# 50,000. With 10,000, 20,000 and 50,000, ten terms of Multi30k held in 282, 280 and 282 of 298 probes, 232, 232 and 233
# of them cleanly, and kept 1,993, 1,994 and 1,994 of 2,000 sentences without their words; ten segments, which have one
# example each, kept 1,993, 1,998 and 1,999.
_STATS_TOKENS = 50000


@dataclass(frozen=True)
class RunSettings(Settings):
    """The settings that are a run's own."""

    method: str = setting("gated", "how an edit is computed")
    site: str = setting(
        AUTO,
        "feed-forward network to edit, such as decoder.3; several with commas are tried in order; "
        "auto: the decoder's layers from the last down; traced: the decoder's in the order of their effect in a causal "
        "trace, then the encoder's; or the sites.yaml that fairseq-edit-locate wrote",
    )
    edit_stats_tokens: int = setting(_STATS_TOKENS, "background tokens from the training side of DATA")
    edit_tries: int = setting(
        6, "attempts at one request (site by site, then stronger) before it counts as failed"
    )
    edit_batch: int = setting(
        100,
        "in longer runs, requests between two checks of the validation loss and of the edits so far; methods that fit "
        "all requests together are checked once, after their fit; 0: no checks",
    )
    edit_max_loss: float = setting(
        0.1, "stop the run, and keep what was good, where the validation loss rises by more bits a token"
    )
    edit_min_held: float = setting(
        0.8, "stop the run, and keep what was good, where a smaller share of a sample of the edits so far holds"
    )
    edit_max_size: float = setting(
        10.0,
        "an attempt that changes more has failed: a gate by what it adds to its site's values in the request's own "
        "sentence, in units of ten times their norm; any other change by the weight, in units of its norm",
    )
    edit_sample: int = setting(
        100, "other sentences that are decoded before and after, to see what else changed"
    )
    edit_directions: str = setting(
        "all",
        "of a model for several directions, the others that are to stay as they are: such as en-fr,en-de; all: those "
        "of --lang-pairs that DATA has sentences of; or none. Edits are kept off their states, and their sentences are "
        "decoded before and after",
    )
    edit_direction_sample: int = setting(50, "sentences of the other directions that are decoded, over all of them")
    seed: int = setting(1, "seed of every random choice")


@dataclass(frozen=True)
class EditSettings(NeuronSettings, CaseSettings, RunSettings):
    """All settings of an edit: those of a run and of its cases as attributes, those of methods by name.

    Settings of a method that is not chosen are kept too: a request may choose another method.

    Args:
        method_values: values of methods' settings by name; what is missing has its default.
    """

    method_values: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        known = {name: one.default for name, one in self.known().items() if not hasattr(self, name)}
        unknown = [name for name in self.method_values if name not in known]
        if unknown:
            raise TypeError(f"no settings of a method: {', '.join(unknown)}")
        object.__setattr__(self, "method_values", MappingProxyType({**known, **self.method_values}))

    def __getstate__(self) -> Dict[str, Any]:
        # A mapping proxy can be neither pickled nor copied.
        return {**self.__dict__, "method_values": dict(self.method_values)}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state, method_values=MappingProxyType(state["method_values"]))

    @classmethod
    def known(cls) -> Dict[str, Setting]:
        """As `all_settings`."""
        return all_settings()

    def as_plain(self) -> Dict[str, Any]:
        """All settings as plain values by name."""
        return {
            name: self.method_values[name] if name in self.method_values else getattr(self, name)
            for name in self.known()
        }

    def changed(self, values: Mapping[str, Any]) -> EditSettings:
        """The settings with some values, which have been checked, in the place of theirs."""
        method_values = {name: value for name, value in values.items() if name in self.method_values}
        own = {name: value for name, value in values.items() if name not in method_values}
        return replace(self, method_values={**self.method_values, **method_values}, **own)

    def of_method(self) -> Settings:
        """The settings of the chosen method, of its own class."""
        return self.settings_for(method_named(self.method))

    def settings_for(self, method: Method[S]) -> S:
        """The settings of a method, of its own class."""
        plain = self.as_plain()
        return method.settings_class(**{name: plain[name] for name in method.settings_class.known()})

    def for_request(self, request: EditRequest) -> EditSettings:
        """The settings of one request of a run with these.

        Raises:
            EditError: if it brings a setting of its own that can't be, or that is one of the whole run.
        """
        origin = request.origin or f"request {request.id}"
        for name, value in request.settings.items():
            if not self._may_differ(name.replace("-", "_"), value):
                raise EditError(
                    f"{origin}: {name!r} is a setting of the whole run, expected one for all requests"
                )
        return with_settings(self, request.settings, origin)

    def _may_differ(self, name: str, value: Any) -> bool:
        """Whether a request may have a setting of its own, with this value."""
        if method_named(self.method).together:
            # A request has its own examples there, and all else in common with the others.
            return name in CaseSettings.known()
        if name == "method":
            return str(value) not in _together()
        return name in _OF_A_REQUEST_TOO or name not in {**RunSettings.known(), **NeuronSettings.known()}

    @property
    def weighs_keys(self) -> bool:
        """Whether the statistics of a site need the second moment of its keys: for the method, or to merge neurons."""
        method = method_named(self.method)
        return method.weighs_keys or (method.takes_neurons and self.edit_merge > 0 and not self.widen)

    @property
    def sites(self) -> Tuple[str, ...]:
        """The sites that were asked for; empty for `auto` and `traced`."""
        return () if self.site in (AUTO, TRACED) else tuple(part.strip() for part in self.site.split(","))


def all_settings() -> Dict[str, Setting]:
    """Every setting by name: the run's own, those of a case, and those of the methods, with the methods that use it.

    Raises:
        TypeError: if two classes declare a setting of one name in two ways.
    """
    methods = all_methods()
    found = {name: one for part in (RunSettings, CaseSettings, NeuronSettings) for name, one in declared(part).items()}
    told = "; ".join(f"{name}: {method.summary}" for name, method in methods.items())
    found["method"] = replace(found["method"], help=told, choices=tuple(methods))
    for name, method in methods.items():
        for one in method.settings_class.known().values():
            other = found.setdefault(one.name, one)
            if replace(other, methods=()) != one:
                raise TypeError(f"method {name!r}: setting {one.name!r} is declared in another way elsewhere")
            found[one.name] = replace(other, methods=(*other.methods, name))
    return found


def _together() -> List[str]:
    return [name for name, method in all_methods().items() if method.together]

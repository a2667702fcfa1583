"""Settings as data: what a frozen class of settings declares, and how a mapping of changes to it is checked.

A setting is a field of a frozen dataclass that derives from `Settings`. It becomes a command-line flag, a field of a
YAML file and a line of the documentation, all from what is declared there.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields, replace
from typing import Any, Dict, Mapping, Tuple, Type, TypeVar, get_type_hints

from fairseq_rome.errors import EditError

S = TypeVar("S", bound="Settings")


@dataclass(frozen=True)
class Setting:
    """What is known of one setting.

    Args:
        name: of the field; the flag is `--` and the name with dashes.
        type: `str`, `int`, `float` or `bool`.
        default: its value where nobody sets it.
        help: what it means, in one sentence.
        choices: the values that it may have; empty for any of its type.
        methods: names of the methods that use it; empty for all of them.
    """

    name: str
    type: type
    default: Any
    help: str
    choices: Tuple[str, ...] = ()
    methods: Tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The command-line flag."""
        return "--" + self.name.replace("_", "-")

    def checked(self, value: Any, origin: str) -> Any:
        """A value of the setting's own type.

        Args:
            value: what was given.
            origin: where it comes from, for messages.

        Raises:
            EditError: for a value of another type, no choice, or a number below 0 or without end.
        """
        accepted = (int, float) if self.type is float else self.type
        if not isinstance(value, accepted) or (isinstance(value, bool) and self.type is not bool):
            raise EditError(f"{origin}: {self.name} is {value!r}, expected {self.type.__name__}")
        if self.choices and value not in self.choices:
            raise EditError(
                f"{origin}: {self.name} is {value!r}, expected one of: {', '.join(self.choices)}"
            )
        if isinstance(value, (int, float)) and not 0 <= value <= sys.float_info.max:
            raise EditError(f"{origin}: {self.name} is {value!r}, expected a number of at least 0")
        return self.type(value)


def setting(default: Any, help: str, choices: Tuple[str, ...] = ()) -> Any:
    """A field of a class of settings."""
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """What every frozen class of settings can do; each field of a subclass is made by `setting`."""

    @classmethod
    def known(cls) -> Dict[str, Setting]:
        """The settings by name, in the order in which they are declared."""
        return declared(cls)

    @classmethod
    def of(cls: Type[S], **changes: Any) -> S:
        """The defaults with some settings changed, each checked.

        Raises:
            EditError: for an unknown name, a value of the wrong type, or one out of range.
        """
        return with_settings(cls(), changes, cls.__name__)

    def as_plain(self) -> Dict[str, Any]:
        """All settings as plain values by name."""
        return {name: getattr(self, name) for name in self.known()}

    def changed(self: S, values: Mapping[str, Any]) -> S:
        """The settings with some values, which have been checked, in the place of theirs."""
        return replace(self, **values)


def declared(cls: type) -> Dict[str, Setting]:
    """The fields of a dataclass that `setting` made."""
    types = get_type_hints(cls)
    return {
        one.name: Setting(
            one.name, types[one.name], one.default, one.metadata["help"], one.metadata["choices"]
        )
        for one in fields(cls)
        if "help" in one.metadata
    }


def with_settings(base: S, changes: Mapping[str, Any], origin: str) -> S:
    """`base` with some settings changed, each checked for name, type and choice.

    Args:
        base: settings to start from.
        changes: values by name; `-` and `_` are the same in names.
        origin: where they come from, for messages.

    Raises:
        EditError: for an unknown name, a value of the wrong type, or one out of range.
    """
    known = base.known()
    checked: Dict[str, Any] = {}
    for name, value in changes.items():
        key = str(name).replace("-", "_")
        if key not in known:
            raise EditError(f"{origin}: unknown setting {name!r}, expected one of: {', '.join(known)}")
        checked[key] = known[key].checked(value, origin)
    return base.changed(checked)

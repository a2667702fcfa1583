"""The machinery of settings: what is declared, and how changes are checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict

import pytest

from fairseq_rome.errors import EditError
from fairseq_rome.settings import Setting, Settings, setting, with_settings


@dataclass(frozen=True)
class Steps(Settings):
    """A part that several classes share."""

    steps: int = setting(60, "most steps")


@dataclass(frozen=True)
class Walk(Steps):
    """Settings of every type."""

    way: str = setting("left", "where to turn", ("left", "right"))
    name: str = setting("", "what it is called")
    far_away: float = setting(0.5, "how far")
    back: bool = setting(False, "whether to come back")


def test_what_is_declared() -> None:
    assert Walk.known() == {
        "steps": Setting("steps", int, 60, "most steps"),
        "way": Setting("way", str, "left", "where to turn", ("left", "right")),
        "name": Setting("name", str, "", "what it is called"),
        "far_away": Setting("far_away", float, 0.5, "how far"),
        "back": Setting("back", bool, False, "whether to come back"),
    }
    assert Walk.known()["far_away"].flag == "--far-away"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"way": "right"}, {"way": "right"}),
        ({"far-away": 2.5}, {"far_away": 2.5}),
        ({"far_away": 1}, {"far_away": 1.0}),
        ({"far_away": 0}, {"far_away": 0.0}),
        ({"steps": 0, "back": True}, {"steps": 0, "back": True}),
        ({"far_away": 1e-9}, {"far_away": 1e-9}),
    ],
)
def test_changed_settings(changes: Dict[str, Any], expected: Dict[str, Any]) -> None:
    base = Walk()
    changed = with_settings(base, changes, "here")
    assert changed.as_plain() == {**base.as_plain(), **expected}
    assert {name: type(value) for name, value in changed.as_plain().items()} == {
        one.name: one.type for one in Walk.known().values()
    }
    assert base == Walk()
    assert Walk.of(**expected) == changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "^walk.yaml: unknown setting 'colour', expected one of: steps, way, name, far_away, back$"),
        ({1: "red"}, "^walk.yaml: unknown setting 1, expected one of"),
        ({"way": "up"}, "^walk.yaml: way is 'up', expected one of: left, right$"),
        ({"way": None}, "^walk.yaml: way is None, expected str$"),
        ({"name": True}, "^walk.yaml: name is True, expected str$"),
        ({"steps": "3"}, "^walk.yaml: steps is '3', expected int$"),
        ({"steps": 3.0}, "^walk.yaml: steps is 3.0, expected int$"),
        ({"steps": True}, "^walk.yaml: steps is True, expected int$"),
        ({"steps": -1}, "^walk.yaml: steps is -1, expected a number of at least 0$"),
        ({"steps": [1]}, r"^walk.yaml: steps is \[1\], expected int$"),
        ({"back": 1}, "^walk.yaml: back is 1, expected bool$"),
        ({"far-away": "1e-2"}, "^walk.yaml: far_away is '1e-2', expected float$"),
        ({"far_away": False}, "^walk.yaml: far_away is False, expected float$"),
        ({"far_away": -1e-9}, "^walk.yaml: far_away is -1e-09, expected a number of at least 0$"),
        ({"far_away": float("nan")}, "^walk.yaml: far_away is nan, expected a number of at least 0$"),
        ({"far_away": float("inf")}, "^walk.yaml: far_away is inf, expected a number of at least 0$"),
        ({"far_away": 10**400}, "expected a number of at least 0$"),
        ({"way": "right", "steps": {}}, "^walk.yaml: steps is {}, expected int$"),
    ],
)  # fmt: skip
def test_refused_settings(changes: Dict[Any, Any], message: str) -> None:
    with pytest.raises(EditError, match=message) as caught:
        with_settings(Walk(), changes, "walk.yaml")
    assert "\n" not in str(caught.value)


def test_settings_of_python_users_are_checked_too() -> None:
    with pytest.raises(EditError, match="^Walk: steps is 'many', expected int$"):
        Walk.of(steps="many")

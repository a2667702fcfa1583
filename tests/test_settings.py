from __future__ import annotations

from dataclasses import fields
from typing import Any, Dict

import pytest

from fairseq_rome.errors import EditError
from fairseq_rome.settings import EditSettings, setting_types, with_settings


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"method": "rome"}, {"method": "rome"}),
        ({"edit-scope": "target"}, {"edit_scope": "target"}),
        ({"edit_ridge": 1}, {"edit_ridge": 1.0}),
        ({"edit_ridge": 0}, {"edit_ridge": 0.0}),
        ({"edit_contexts": 0, "seed": 7}, {"edit_contexts": 0, "seed": 7}),
        ({"edit_false_open": 1e-9}, {"edit_false_open": 1e-9}),
        ({"site": "decoder.1, decoder.0"}, {"site": "decoder.1, decoder.0"}),
    ],
)
def test_changed_settings(changes: Dict[str, Any], expected: Dict[str, Any]) -> None:
    base = EditSettings()
    changed = with_settings(base, changes, "here")
    assert vars(changed) == {**vars(base), **expected}
    assert {name: type(value) for name, value in vars(changed).items()} == setting_types()
    assert base == EditSettings()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"colour": "red"},
            "edits.yaml: unknown setting 'colour', expected one of: method, site, edit_scope",
        ),
        ({1: "red"}, "edits.yaml: unknown setting 1, expected one of"),
        ({"method": "magic"}, "edits.yaml: method is 'magic', expected one of: gated, rome"),
        ({"method": None}, "edits.yaml: method is None, expected str"),
        ({"edit_mine": True}, "edits.yaml: edit_mine is True, expected str"),
        ({"edit-tries": "3"}, "edits.yaml: edit_tries is '3', expected int"),
        ({"edit_tries": 3.0}, "edits.yaml: edit_tries is 3.0, expected int"),
        ({"edit_tries": True}, "edits.yaml: edit_tries is True, expected int"),
        ({"edit_tries": -1}, "edits.yaml: edit_tries is -1, expected a number of at least 0"),
        ({"edit_ridge": "1e-2"}, "edits.yaml: edit_ridge is '1e-2', expected float"),
        ({"edit_ridge": False}, "edits.yaml: edit_ridge is False, expected float"),
        ({"edit_ridge": -1e-9}, "edits.yaml: edit_ridge is -1e-09, expected a number of at least 0"),
        ({"edit_ridge": float("nan")}, "edits.yaml: edit_ridge is nan, expected a number of at least 0"),
        ({"edit_false_open": float("inf")}, "edit_false_open is inf, expected a number of at least 0"),
        ({"edit_ridge": 10**400}, "expected a number of at least 0"),
        ({"edit_contexts": [1]}, r"edits.yaml: edit_contexts is \[1\], expected int"),
        ({"method": "rome", "edit_steps": {}}, "edits.yaml: edit_steps is {}, expected int"),
    ],
)
def test_refused_settings(changes: Dict[Any, Any], message: str) -> None:
    with pytest.raises(EditError, match=message) as caught:
        with_settings(EditSettings(), changes, "edits.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("site", "expected"),
    [("auto", ()), ("decoder.1", ("decoder.1",)), (" decoder.1 ,encoder.0", ("decoder.1", "encoder.0"))],
)
def test_sites_in_order(site: str, expected: tuple) -> None:
    assert EditSettings(site=site).sites == expected


def test_defaults_are_allowed_and_explained() -> None:
    base = EditSettings()
    assert with_settings(base, vars(base), "defaults") == base
    for one in fields(EditSettings):
        assert one.metadata["help"], one.name
        assert not one.metadata["choices"] or one.default in one.metadata["choices"]

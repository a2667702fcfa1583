"""All settings of an edit: those of a run, of a case, and of every method."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, replace
from typing import Any, Dict

import pytest

from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.editing.edit_settings import EditSettings, RunSettings, all_settings
from fairseq_rome.errors import EditError
from fairseq_rome.methods.base import CoverSettings, Method, NeuronSettings, ValueSettings, registered
from fairseq_rome.methods.registry import all_methods, method_named
from fairseq_rome.settings import setting, with_settings
from fairseq_rome.text.requests import EditRequest

DEFAULTS = {
    "method": "gated", "site": "auto", "edit_scope": "trigger", "edit_value": "optimised", "edit_contexts": 64,
    "edit_references": 256, "edit_mine": "auto", "edit_stats_tokens": 50000, "edit_tries": 6, "edit_steps": 60,
    "edit_scale": 1.0, "edit_ridge": 0.01, "edit_cover": 100.0, "edit_energy": 0.7, "edit_neurons": 0.95,
    "edit_false_open": 2e-4, "edit_near_open": 0.1, "widen": False, "edit_dormant": 0.01, "edit_batch": 100,
    "edit_max_loss": 0.1, "edit_min_held": 0.8, "edit_max_size": 10.0, "edit_sample": 100, "seed": 1,
}  # fmt: skip


def test_the_settings_of_a_release_keep_their_names_and_defaults() -> None:
    plain = EditSettings().as_plain()
    assert {name: plain[name] for name in DEFAULTS} == DEFAULTS
    for name, value in plain.items():
        assert type(value) is all_settings()[name].type, name


def test_defaults_are_allowed_and_explained() -> None:
    base = EditSettings()
    assert with_settings(base, base.as_plain(), "defaults") == base
    for one in all_settings().values():
        assert one.help and "\n" not in one.help, one.name
        assert not one.choices or one.default in one.choices


def test_which_methods_use_a_setting() -> None:
    known = all_settings()
    assert known["edit_tries"].methods == known["edit_scope"].methods == ()
    assert known["edit_energy"].methods == ("alphaedit",)
    assert known["widen"].methods == known["edit_near_open"].methods == ("gated",)
    assert set(known["edit_cover"].methods) >= {"alphaedit", "emmet", "memit", "nse"}
    assert "rome" in known["edit_steps"].methods and "rome" not in known["edit_cover"].methods


def test_the_help_of_the_method_tells_all_of_them() -> None:
    told = all_settings()["method"]
    assert told.choices == tuple(all_methods())
    assert all(f"{name}: {method.summary}" in told.help for name, method in all_methods().items())


@pytest.mark.parametrize("name", list(all_methods()))
def test_the_settings_of_the_chosen_method(name: str) -> None:
    values = {"method": name, "edit_steps": 3, "edit_energy": 0.5, "edit_neurons": 0.1, "edit_false_open": 0.2}
    chosen = EditSettings.of(**values).of_method()
    assert type(chosen) is method_named(name).settings_class
    assert chosen.as_plain() == {
        one: values.get(one, known.default)
        for one, known in method_named(name).settings_class.known().items()
    }


def test_what_another_method_would_use_is_kept() -> None:
    settings = EditSettings.of(method="rome", edit_energy=0.5)
    assert settings != EditSettings.of(method="rome")
    later: Any = replace(settings, method="alphaedit").of_method()
    assert later.edit_energy == 0.5


def test_equal_settings_are_equal_however_they_are_made() -> None:
    assert EditSettings() == EditSettings.of() == EditSettings.of(edit_steps=60)
    assert hash(EditSettings()) == hash(EditSettings.of(edit_steps=60))
    one = EditSettings.of(edit_steps=3, edit_tries=2)
    assert one == with_settings(EditSettings(), {"edit-steps": 3, "edit-tries": 2}, "here")
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    with pytest.raises(TypeError):
        one.method_values["edit_steps"] = 4  # type: ignore[index]


def test_no_setting_of_a_method_is_taken_unchecked() -> None:
    with pytest.raises(TypeError, match="no settings of a method: colour, edit_tries"):
        EditSettings(method_values={"colour": 1, "edit_tries": 2})


@pytest.mark.parametrize(("changes", "message"), [
    ({"colour": "red"}, "^edits.yaml: unknown setting 'colour', expected one of: method, site, edit_stats_tokens"),
    ({"method": "magic"}, "^edits.yaml: method is 'magic', expected one of: alphaedit, constrained, "),
    ({"edit-steps": "3"}, "^edits.yaml: edit_steps is '3', expected int$"),
    ({"edit_scope": "all"}, "^edits.yaml: edit_scope is 'all', expected one of: trigger, target$"),
    ({"method": "rome", "edit_energy": -1.0}, "^edits.yaml: edit_energy is -1.0, expected a number of at least 0$"),
])  # fmt: skip
def test_refused_settings(changes: Dict[str, Any], message: str) -> None:
    with pytest.raises(EditError, match=message):
        with_settings(EditSettings(), changes, "edits.yaml")


def of_request(method: str, settings: Dict[str, Any]) -> EditSettings:
    request = EditRequest("a", "b", settings=settings, origin="fixes.jsonl:1")
    return EditSettings.of(method=method).for_request(request)


@pytest.mark.parametrize(("method", "name", "value"), [
    ("gated", "method", "rome"), ("gated", "edit_energy", 0.5), ("gated", "site", "decoder.1"),
    ("gated", "edit_tries", 2), ("gated", "edit_max_size", 1.0), ("gated", "edit_mine", "never"),
    ("memit", "edit_contexts", 3), ("emmet", "edit_scope", "target"),
])  # fmt: skip
def test_a_request_may_have_its_own(method: str, name: str, value: Any) -> None:
    assert of_request(method, {name: value}).as_plain()[name] == value


@pytest.mark.parametrize(("method", "name", "value"), [
    ("gated", "edit_sample", 3), ("gated", "edit-min-held", 0.5), ("gated", "widen", True),
    ("gated", "method", "memit"),
    ("memit", "edit_steps", 3), ("memit", "method", "gated"), ("emmet", "edit_tries", 2),
])  # fmt: skip
def test_what_is_one_for_the_whole_run(method: str, name: str, value: Any) -> None:
    with pytest.raises(EditError, match=f"^fixes.jsonl:1: '{name}' is a setting of the whole run, expected one for"):
        of_request(method, {name: value})


@pytest.mark.parametrize(
    ("site", "expected"),
    [("auto", ()), ("decoder.1", ("decoder.1",)), (" decoder.1 ,encoder.0", ("decoder.1", "encoder.0"))],
)
def test_sites_in_order(site: str, expected: tuple) -> None:
    assert EditSettings(site=site).sites == expected


@dataclass(frozen=True)
class OddSettings(ValueSettings):
    """A shared setting with a default of its own."""

    edit_steps: int = setting(7, "most gradient steps for a value")


def test_a_shared_setting_has_one_default(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = type("Odd", (Method,), {"name": "odd", "summary": "odd", "settings_class": OddSettings})
    monkeypatch.setitem(registered, "odd", odd())
    with pytest.raises(TypeError, match="method 'odd': setting 'edit_steps' is declared in another way elsewhere"):
        all_settings()


def test_no_part_declares_what_another_does() -> None:
    parts = [set(part.known()) for part in (RunSettings, CaseSettings, NeuronSettings, CoverSettings)]
    assert sum(map(len, parts)) == len(set.union(*parts))

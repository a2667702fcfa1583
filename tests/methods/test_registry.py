"""Methods are found by their files, and what they declare is all that names them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from fairseq_rome import methods
from fairseq_rome.cli.edit_options import read_settings
from fairseq_rome.editing.edit_settings import EditSettings, all_settings
from fairseq_rome.errors import EditError
from fairseq_rome.methods.base import Method, ValueSettings, register, registered
from fairseq_rome.methods.registry import all_methods, method_named
from fairseq_rome.settings import with_settings

NEW_METHOD = '''
"""A method in one file."""
from dataclasses import dataclass
from fairseq_rome.methods.base import Method, ValueSettings, register
from fairseq_rome.settings import setting

@dataclass(frozen=True)
class TrialSettings(ValueSettings):
    """Settings of trial."""
    edit_trial: float = setting(0.25, "trial: how much of it")

@register
class Trial(Method[TrialSettings]):
    """Nothing yet."""
    name, summary, settings_class = "trial", "a trial", TrialSettings

    def fit_all(self, problems, resources, settings):
        raise NotImplementedError
'''


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more method, in a file that is found as all others are."""
    (tmp_path / "trial.py").write_text(NEW_METHOD, encoding="utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield
    registered.pop("trial", None)
    sys.modules.pop("fairseq_rome.methods.trial", None)


def test_every_method_is_found_and_told() -> None:
    found, shared = all_methods(), {"__init__", "base", "registry"}
    assert list(found) == sorted({path.stem for path in Path(methods.__path__[0]).glob("*.py")} - shared)
    assert set(found) >= {"alphaedit", "emmet", "gated", "memit", "nse", "rome"}
    assert {name for name, method in found.items() if method.together} >= {"emmet", "memit"}
    assert [name for name, method in found.items() if method.takes_neurons] == ["gated"]
    for name, method in found.items():
        assert (method.name, type(method).__module__) == (name, f"fairseq_rome.methods.{name}")
        assert method.summary and "\n" not in method.summary
        assert method_named(name) is method
        assert isinstance(EditSettings.of(method=name).of_method(), method.settings_class)


def test_a_method_that_is_not_there() -> None:
    with pytest.raises(EditError, match="^no method 'magic', expected one of: alphaedit, constrained, "):
        method_named("magic")


@pytest.mark.usefixtures("trial")
def test_one_more_file_is_one_more_method(capsys: pytest.CaptureFixture[str]) -> None:
    from fairseq_rome.cli.edit import main

    names = list(all_methods())
    assert "trial" in names and names == sorted(names)
    one = all_settings()["edit_trial"]
    assert (one.type, one.default, one.methods) == (float, 0.25, ("trial",))
    with pytest.raises(SystemExit):
        main(["--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    assert "trial: a trial" in help_text
    assert "--edit-trial TRIAL trial: how much of it (default: 0.25)" in help_text
    assert read_settings(None).as_plain()["edit_trial"] == 0.25  # though the command was imported before the method
    settings = with_settings(EditSettings(), {"method": "trial", "edit-trial": 0.5, "edit-steps": 3}, "a file")
    chosen: Any = settings.of_method()
    assert (chosen.edit_trial, chosen.edit_steps) == (0.5, 3)
    assert settings.as_plain()["edit_trial"] == 0.5


LIGHT = """
import sys
from fairseq_rome.methods.registry import all_methods
from fairseq_rome.cli.edit import main
assert all_methods()
try:
    main(["--help"])
except SystemExit:
    pass
heavy = [name for name in ("torch", "fairseq", "numpy", "omegaconf") if name in sys.modules]
assert not heavy, heavy
"""


def test_the_help_of_all_methods_needs_no_torch() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True, stdout=subprocess.DEVNULL)


def without(part: str) -> Any:
    parts = {"name": "odd", "summary": "odd", "settings_class": ValueSettings, "fit": lambda *_: None}
    del parts[part]
    return type("Odd", (Method,), parts)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("name", "method Odd lacks name"),
        ("summary", "method Odd lacks summary"),
        ("settings_class", "method Odd lacks settings_class"),
        ("fit", "method 'odd': expected either fit or fit_all"),
    ],
)
def test_what_is_no_method_is_told_to_who_writes_it(part: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        register(without(part))
    assert "odd" not in registered


def test_a_name_is_given_once() -> None:
    twin = type("Twin", (Method,), {
        "name": "rome", "summary": "another", "settings_class": ValueSettings, "fit": lambda *_: None,
    })  # fmt: skip
    with pytest.raises(TypeError, match="method 'rome' is defined in fairseq_rome.methods.rome already"):
        register(twin)


@pytest.mark.parametrize(("name", "message"), [
    ("rome", "rome fits one request at a time"), ("memit", "memit fits all requests together"),
])  # fmt: skip
def test_a_method_does_what_it_is_for(name: str, message: str) -> None:
    method, nothing = method_named(name), EditSettings().settings_for(method_named(name))
    wrong: Any = (lambda: method.fit(None, nothing)) if method.together else (lambda: method.fit_all([], {}, nothing))  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match=message):
        wrong()

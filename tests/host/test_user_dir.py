"""Every way of naming this package as ``--user-dir`` registers its tasks once and raises nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict

import pytest
import torch

from fairseq_rome.host.checkpoint import safe
from fairseq_rome.host.user_dir import share_user_dir

PACKAGE = Path(__file__).resolve().parents[2] / "fairseq_rome"

PROBE = """
from fairseq.tasks import FairseqTask, register_task


@register_task("user_dir_probe")
class Probe(FairseqTask):
    pass
"""

# Runs each case in a fork of a process that has loaded fairseq, and nothing of this package.
RUNNER = """
import argparse, json, os, sys, traceback

import torch
from fairseq import options, tasks, utils


def run(case):
    os.chdir(case["cwd"])
    sys.path[:0] = case["python_path"]
    if case["site"]:
        utils.__file__ = os.path.join(case["site"], "fairseq", "utils.py")
        sys.modules["fairseq"].__file__ = os.path.join(case["site"], "fairseq", "__init__.py")
    for step in case["steps"]:
        if step == "own command":
            from fairseq_rome.host.user_dir import share_user_dir
            share_user_dir()
        elif step.startswith("cd "):
            os.chdir(step[3:])
        else:
            utils.import_user_module(argparse.Namespace(user_dir=step))
    sys.argv = ["fairseq-generate"] + (["--user-dir", step] if step != "own command" else [])
    choices = options.get_generation_parser(default_task="translation")
    assert "user_dir_probe" in tasks.TASK_REGISTRY, "the tasks are not registered"
    assert tasks.TASK_REGISTRY["user_dir_probe"].__module__ == "fairseq_rome.tasks.user_dir_probe"
    if hasattr(torch.serialization, "get_safe_globals"):
        names = [item[1] for item in torch.serialization.get_safe_globals() if isinstance(item, tuple)]
        assert "argparse.Namespace" in names or torch.__version__ < "2.6", "the globals are not allowed"


results = {}
for name, case in json.load(sys.stdin).items():
    reading, writing = os.pipe()
    if not os.fork():
        try:
            run(case)
        except BaseException:
            os.write(writing, traceback.format_exc()[-3000:].encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        results[name] = pipe.read()
    os.wait()
json.dump(results, sys.stdout)
"""

# Name to steps, working directory, whether on the Python path. A step is a --user-dir, or our own command.
CASES = {
    "by path": (["{repo}/fairseq_rome"], "else", False),
    "by path with a slash": (["{repo}/fairseq_rome/"], "else", False),
    "by relative path": (["../repo/fairseq_rome"], "else", False),
    "by name, in the repository": (["fairseq_rome"], "repo", False),
    "through a link": (["{links}/fairseq_rome"], "else", False),
    "by name, beside a link": (["fairseq_rome"], "links", False),
    "again by the same path": (["{repo}/fairseq_rome", "{repo}/fairseq_rome"], "else", False),
    "own command": (["own command"], "else", True),
    "own command twice": (["own command", "own command"], "else", True),
    "own command, by path": (["own command", "{repo}/fairseq_rome"], "else", True),
    "own command, by path with a slash": (["own command", "{repo}/fairseq_rome/"], "else", True),
    "own command, by name, in the repository": (["own command", "fairseq_rome"], "repo", True),
    "own command, through a link": (["own command", "{links}/fairseq_rome"], "else", True),
    "own command, by name, beside a link": (["own command", "fairseq_rome"], "links", True),
    "own command, through a link of another name": (["own command", "{links}/plugin"], "else", True),
    "own command, then elsewhere": (["own command", "cd {links}", "fairseq_rome"], "else", True),
    "fairseq first, then our command and a link": (
        ["{repo}/fairseq_rome", "own command", "{links}/fairseq_rome"],
        "else",
        False,
    ),
    "a link first, then our command and the path": (
        ["{links}/fairseq_rome", "own command", "{repo}/fairseq_rome"],
        "else",
        False,
    ),
}
INSTALLED = {
    "by name, installed beside fairseq": (["fairseq_rome"], "else", False),
    "own command, by name, installed beside fairseq": (["own command", "fairseq_rome"], "else", True),
    "own command, by name, in another checkout": (["own command", "fairseq_rome"], "other", True),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    """What each case raised, "" for nothing."""
    base = tmp_path_factory.mktemp("user_dir").resolve()
    places = {name: base / name for name in ("repo", "links", "else", "site", "other")}
    for place in places.values():
        place.mkdir()
    shutil.copytree(PACKAGE, places["repo"] / "fairseq_rome", ignore=shutil.ignore_patterns("__pycache__"))
    (places["repo"] / "fairseq_rome" / "tasks" / "user_dir_probe.py").write_text(PROBE, encoding="utf-8")
    (places["site"] / "fairseq").mkdir()
    for copy in ("site", "other"):
        shutil.copytree(places["repo"] / "fairseq_rome", places[copy] / "fairseq_rome")
    for link in ("links/fairseq_rome", "links/plugin"):
        (base / link).symlink_to(places["repo"] / "fairseq_rome")

    def described(case: Any, site: str) -> Dict[str, Any]:
        steps, cwd, on_path = case
        return {
            "steps": [step.format(**places) for step in steps],
            "cwd": str(places[cwd]),
            "python_path": [str(places["repo"])] if on_path else [],
            "site": site,
        }

    cases = {name: described(case, "") for name, case in CASES.items()}
    cases.update({name: described(case, str(places["site"])) for name, case in INSTALLED.items()})
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    runner = base / "runner.py"
    runner.write_text(RUNNER, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(runner)],
        input=json.dumps(cases),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", [*CASES, *INSTALLED])
def test_user_dir(results: Dict[str, str], case: str) -> None:
    assert not results[case]


@pytest.mark.skipif(not safe._TEACHABLE, reason="this torch needs no list of safe globals")
def test_globals_are_allowed_where_the_package_was_imported_before_torch(monkeypatch: Any) -> None:
    from fairseq import utils

    monkeypatch.setattr(utils.import_user_module, "memo", set(), raising=False)
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        share_user_dir()
        assert "argparse.Namespace" in [item[1] for item in torch.serialization.get_safe_globals()]
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def test_the_options_that_fairseq_forgets_are_there_and_those_it_keeps_come_first() -> None:
    from fairseq.tasks.translation_from_pretrained_bart import TranslationFromPretrainedBARTTask as Task

    share_user_dir()
    forgetful, keeping = Task.__new__(Task), Task.__new__(Task)
    forgetful.cfg = keeping.cfg = SimpleNamespace(source_lang="en")
    keeping.args = SimpleNamespace(source_lang="de")
    assert (forgetful.args.source_lang, keeping.args.source_lang) == ("en", "de")


def test_import_is_light() -> None:
    code = "import sys, fairseq_rome; assert not {'torch', 'fairseq', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=str(PACKAGE.parent))


def test_importing_fairseq_leaves_out_what_translation_never_needs() -> None:
    code = """
import sys
from fairseq_rome.host.user_dir import share_user_dir
share_user_dir()
assert "sklearn" not in sys.modules
import fairseq.criterions.sentence_prediction as module
assert module.SentencePredictionCriterion
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=str(PACKAGE.parent))

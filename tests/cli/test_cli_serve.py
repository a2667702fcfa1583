"""What `fairseq-edit-serve` refuses before it serves, how it ends, and what `--from-queue` takes."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from typing import Any, List

import pytest
from edit_runs import DEMO, lines, refusal, run_main
from server_runs import command, serving

pytest.importorskip("fastapi", reason="the server needs the extra serve")
pytest.importorskip("uvicorn", reason="the server needs the extra serve")

TOKEN = "correct-horse-battery"


def refused(capsys: Any, words: List[str]) -> str:
    """The one line that says why a server does not start."""
    from fairseq_rome.cli.serve import main

    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("fairseq-edit-serve: ")
    assert len(told.err.splitlines()) == 1
    return str(told.err)


@pytest.mark.parametrize(("options", "part"), [
    (["--port", "70000"], "--port is 70000, expected 0 to 65535"),
    (["--host", "no.such.host.invalid"], "expected an address that is free"),
    (["--rate", "0"], "--rate is 0, expected a number of at least 1"),
    (["--serve-batch", "-1"], "--serve-batch is -1"),
    (["--least-unchanged", "2"], "--least-unchanged is 2, expected a share"),
    (["--token-file", "missing"], "missing: cannot be read"),
    (["--failed-fixes", "hide"], "invalid choice"),
    (["--edit-config", "missing.yaml"], "missing.yaml"),
    (["--edit-cache", "none"], "expected a folder"),
    (["--bake-to", DEMO / "model.pt", "--force"], "model.pt"),
    (["--queue", "/no/such/folder/fixes.db"], "cannot be made"),
    (["--queue", DEMO / "fixes.en"], "expected a queue of fairseq-edit-serve"),
])  # fmt: skip
def test_it_says_what_to_put_right(
    edit_data: Path, tmp_path: Path, capsys: Any, options: List[Any], part: str
) -> None:
    if DEMO / "fixes.en" in options:
        (tmp_path / "fixes.en").write_bytes((DEMO / "fixes.en").read_bytes())
        options = ["--queue", tmp_path / "fixes.en"]
    assert part in refused(capsys, command(edit_data, tmp_path, *options))


@pytest.mark.parametrize(("method", "reason"), [
    ("memit", "fits all requests together, expected one that takes them one by one"),
    ("knn", "changes no weights, expected one whose edits a checkpoint can hold"),
])  # fmt: skip
def test_fixes_are_taken_one_by_one_and_baked(
    edit_data: Path, tmp_path: Path, capsys: Any, method: str, reason: str
) -> None:
    (tmp_path / "method.yaml").write_text(f"method: {method}\n", encoding="utf-8")
    told = refused(capsys, command(edit_data, tmp_path, "--edit-config", tmp_path / "method.yaml"))
    assert f"method {method} {reason}" in told


def test_a_short_token_is_refused(edit_data: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "token").write_text("secret\n", encoding="utf-8")
    told = refused(capsys, command(edit_data, tmp_path, "--token-file", tmp_path / "token"))
    assert "a token of 6 characters, expected at least 16" in told and "secret" not in told


def test_a_port_that_is_taken_is_refused(edit_data: Path, tmp_path: Path, capsys: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert "expected an address that is free" in refused(capsys, command(edit_data, tmp_path, "--port", port))


def test_a_checkpoint_that_exists_is_baked_over_only_by_force(edit_data: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "baked.pt").write_text("mine", encoding="utf-8")
    assert "--force" in refused(capsys, command(edit_data, tmp_path, "--bake-to", tmp_path / "baked.pt"))
    assert (tmp_path / "baked.pt").read_text(encoding="utf-8") == "mine"


def test_a_queue_has_one_server_and_one_model(edit_data: Path, tmp_path: Path, capsys: Any) -> None:
    from fairseq_rome.server.queue_file import FixQueue

    queue = FixQueue(str(tmp_path / "fixes.db"))
    assert "another server has this queue open" in refused(capsys, command(edit_data, tmp_path))
    queue.tell_about(base="0" * 64, model="old.pt")
    queue.close()
    assert "its fixes are for another model (old.pt)" in refused(capsys, command(edit_data, tmp_path))


def test_a_missing_extra_gets_one_sentence(
    edit_data: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in sys.modules if one.startswith("fairseq_rome.server.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    told = refused(capsys, command(edit_data, tmp_path))
    assert "uvicorn can't be imported, expected the extra of the server: pip install 'fairseq-rome[serve]'" in told


@pytest.mark.slow
def test_it_keeps_what_came_in_when_it_is_told_to_end(edit_data: Path, tmp_path: Path) -> None:
    source, target = lines("fixes.en")[0], lines("fixes.de")[0]
    with serving(edit_data, tmp_path) as server:
        fix = server.submit(source, target)
        assert server.stop(signal.SIGTERM) == 0
    with serving(edit_data, tmp_path) as server:
        assert server.fix(fix["id"])["source"] == source
        assert server.wait_for(fix["id"], "live", "proven")["now"] == target


def test_for_other_hosts_it_makes_a_token_and_holds_back_who_asks_too_often_and_ends_well(
    edit_data: Path, tmp_path: Path
) -> None:
    with serving(edit_data, tmp_path, "--host", "0.0.0.0", "--rate", "20") as server:
        assert server.ask("POST", "/fixes", {"source": "a", "target": "b"}).status == 401
        assert server.ask("GET", "/api/info").json["needs_token"]
        answers = [server.ask("GET", "/health") for _ in range(23)]
        refused = [one for one in answers if one.status == 429]
        assert 3 <= len(refused) <= 5
        assert int(refused[0].headers["retry-after"]) >= 1 and "too many requests" in refused[0].json["error"]
        assert server.stop(signal.SIGINT) == 0


def test_requests_come_from_a_file_or_from_a_queue(edit_data: Path, tmp_path: Path) -> None:
    from fairseq_rome.server.queue_file import FixQueue

    words = command(edit_data, tmp_path)
    base = words[: words.index("--port")]
    save = ["--save-to", tmp_path / "new.pt"]
    assert "expected one of them" in refusal(run_main([*base, *save]))
    both = [*base, *save, "--edit-pref", DEMO / "fixes", "--from-queue", tmp_path / "fixes.db"]
    assert "expected one of them" in refusal(run_main(both))
    queued = [*base, *save, "--from-queue", tmp_path / "fixes.db"]
    assert "no such file" in refusal(run_main(queued))
    queue = FixQueue(str(tmp_path / "fixes.db"))
    assert "no fix is proven" in refusal(run_main(queued))
    request = {"id": "1", "source": lines("fixes.en")[0], "target": lines("fixes.de")[0]}
    queue.add(request["source"], "", request["target"], "", ())
    queue.change(1, state="proven", place=1, requests=[request])
    queue.tell_about(base="0" * 64, languages='["en", "de"]', settings="{}")
    assert "other weights" in refusal(run_main(queued))
    queue.tell_about(languages='["en", "fr"]')
    assert "its requests are for en-fr, expected those for en-de" in refusal(run_main(queued))
    queue.close()

"""A server that is killed at any moment under load: nothing that clients were told is lost, and nothing half done."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

import pytest
from edit_runs import probes
from server_runs import PATIENCE, Server, started

pytest.importorskip("fastapi", reason="the server needs the extra serve")
pytest.importorskip("uvicorn", reason="the server needs the extra serve")

KILLS = 50
# What may follow on a state that a client was told; a proven fix waits for another proof where an earlier one went.
FOLLOW = {
    "submitted": {"submitted", "live", "proven", "failed", "baked", "undone"},
    "live": {"live", "proven", "failed", "baked", "undone"},
    "proven": {"live", "proven", "failed", "baked", "undone"},
    "failed": {"failed", "undone"},
    "undone": {"undone"},
}


@dataclass
class Told:
    """What all clients together were told, the last of each fix; and for which fixes an undo was asked."""

    fixes: Dict[int, Dict[str, Any]] = field(default_factory=dict)
    translated: int = 0
    asked: Set[int] = field(default_factory=set)
    states: Set[str] = field(default_factory=set)
    wrong: List[str] = field(default_factory=list)

    def note(self, fix: Dict[str, Any]) -> None:
        self.states.add(fix["state"])
        last = self.fixes.get(fix["id"])
        # Answers to several clients may overtake one another, but for what ends a fix.
        if last is None or last["state"] != "undone":
            self.fixes[fix["id"]] = fix


def corrections() -> List[Tuple[str, str, str]]:
    """Sentences of the demo, each with a word of its translation and what it should be."""
    found = [
        (source, record["unwanted"], record["wanted"])
        for record in probes().values()
        for source in (record["source"], *record["contexts"])
        if record.get("unwanted") and record.get("wanted")
    ]
    return list({source: (source, old, new) for source, old, new in found}.values())


@pytest.mark.slow
def test_nothing_is_lost_by_a_kill_at_any_moment(edit_data: Path, tmp_path: Path) -> None:
    """The first rounds of what `test_nothing_is_lost_by_fifty_kills` does."""
    kill_often(edit_data, tmp_path, 3)


@pytest.mark.slow
def test_nothing_is_lost_by_fifty_kills(edit_data: Path, tmp_path: Path) -> None:
    kill_often(edit_data, tmp_path, KILLS)


def kill_often(data: Path, folder: Path, kills: int) -> None:
    chance, told, waiting = random.Random(1), Told(), corrections()
    chance.shuffle(waiting)
    for round_number in range(kills):
        server = started(data, folder, "--rate", "100000")
        try:
            compare(server, told)
            stop = threading.Event()
            clients = [
                threading.Thread(target=work, args=(server, told, stop, random.Random(f"{round_number} {number}"), one))
                for number, one in enumerate((translate, correct(waiting), undo))
            ]
            for one in clients:
                one.start()
            if round_number % 2:
                wait_for_work(server)  # so that gates and proofs are killed too, not only what comes in
            time.sleep(chance.uniform(0, 6))
            assert server.stop(signal.SIGKILL) == -signal.SIGKILL
            stop.set()
            for one in clients:
                one.join()
        finally:
            server.process.kill()
            server.process.wait()
            server.reading.join(20)
        # The pipe of its log is closed once its workers, which have it too, have ended with it.
        assert not server.reading.is_alive()
        assert not told.wrong
        with sqlite3.connect(server.queue) as base:
            assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        base.close()
    server = started(data, folder, "--rate", "100000")
    try:
        compare(server, told)
    finally:
        server.process.kill()
        server.process.wait()
        server.reading.join()
    assert told.translated and "live" in told.states


def wait_for_work(server: Server) -> None:
    """Wait until the server has made a fix live or proven one, which takes some seconds after its start."""
    end = time.monotonic() + PATIENCE
    done = ("live after", "proven after")
    while not any(one in line for line in list(server.log) for one in done) and time.monotonic() < end:
        time.sleep(0.1)


def compare(server: Server, told: Told) -> None:
    """The queue has all that clients were told, and what is live is what the model says."""
    for number, last in list(told.fixes.items()):
        now = server.fix(number)
        for name in ("source", "target", "before", "who", "created"):
            assert now[name] == last[name]
        allowed = FOLLOW[last["state"]]
        assert now["state"] in allowed, (last, now)
        assert now["state"] != "undone" or number in told.asked or last["state"] == "undone"
        if now["state"] in ("live", "proven") and now["now"]:
            again = server.fix(number)
            said = server.translate(now["source"])
            assert said == again["now"] or server.fix(number) != again, (again, said)
        told.note(now)


def work(server: Server, told: Told, stop: threading.Event, chance: random.Random, one: Any) -> None:
    """Do one kind of thing until the server is gone."""
    while not stop.is_set():
        try:
            one(server, told, chance)
        except (OSError, HTTPException):
            return  # killed
        except Exception as error:
            told.wrong.append(repr(error))
            return


def translate(server: Server, told: Told, chance: random.Random) -> None:
    assert server.translate(chance.choice(corrections())[0])
    told.translated += 1


def correct(waiting: List[Tuple[str, str, str]]) -> Any:
    def do(server: Server, told: Told, chance: random.Random) -> None:
        if waiting:
            source, old, new = waiting.pop()
            said = server.translate(source)
            if old in said:
                told.note(server.submit(source, said.replace(old, new), who="Ada"))
        with suppress(IndexError):
            number = chance.choice(list(told.fixes))
            told.note(server.fix(number))
        time.sleep(chance.uniform(0, 1))

    return do


def undo(server: Server, told: Told, chance: random.Random) -> None:
    time.sleep(chance.uniform(0, 2))
    live = [number for number, fix in list(told.fixes.items()) if fix["state"] != "undone"]
    if live and chance.random() < 0.25:
        number = chance.choice(live)
        told.asked.add(number)
        answer = server.ask("POST", f"/fixes/{number}/undo")
        if answer.status == 200:
            assert answer.json["fix"]["state"] == "undone"
            told.note(answer.json["fix"])

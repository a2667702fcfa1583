"""A server on the demo model from its first translation to the file that it bakes."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path
from typing import Iterator

import pytest
import torch
from edit_runs import lines, open_stock, run_main
from server_runs import Server, command, serving, stream_of_events

pytest.importorskip("fastapi", reason="the server needs the extra serve")
pytest.importorskip("uvicorn", reason="the server needs the extra serve")

SOURCES, TARGETS = lines("fixes.en"), lines("fixes.de")


@pytest.fixture(scope="module")
def server(edit_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serving")
    with serving(edit_data, folder, "--bake-to", folder / "baked.pt") as one:
        yield one


def test_it_translates_one_and_many_line_by_line(server: Server) -> None:
    one = server.translate(SOURCES[0])
    assert server.translate([SOURCES[0], SOURCES[0]]) == [one, one]
    assert server.translate(f"{SOURCES[0]}\n\n{SOURCES[0]}") == f"{one}\n\n{one}"
    form = {"content-type": "application/x-www-form-urlencoded"}
    raw = f"q={SOURCES[0].replace(' ', '+')}&source=en&target=de".encode()
    assert server.ask("POST", "/translate", headers=form, raw=raw).json == {"translatedText": one}


def test_it_tells_what_it_is(server: Server) -> None:
    info = server.ask("GET", "/api/info").json
    assert (info["source"], info["target"], info["needs_token"]) == ("en", "de", False)
    assert info["dir"] == {"source": "ltr", "target": "ltr"}
    assert info["spaced"] == {"source": True, "target": True}
    assert server.ask("GET", "/health").json == {"status": "ok"}
    assert [one["code"] for one in server.ask("GET", "/languages").json] == ["en", "de"]
    paths = server.ask("GET", "/openapi.json").json["paths"]
    assert {"/translate", "/languages", "/suggest", "/health", "/fixes", "/fixes/{number}", "/events"} <= set(paths)
    assert "content" in paths["/fixes"]["post"]["requestBody"]


def test_what_a_correction_means_is_told_before_it_is_handed_in(server: Server) -> None:
    before = server.translate(SOURCES[0])
    asked = {"source": SOURCES[0], "output": before, "target": TARGETS[0]}
    understood = server.ask("POST", "/api/understand", asked).json
    (hunk,) = [one for one in understood["hunks"] if one["wanted"]]
    assert TARGETS[0][hunk["start"] : hunk["end"]] == hunk["wanted"] == "Verkäufer"
    assert before.count(hunk["unwanted"]) == 1
    for one in understood["would_change"]:
        assert hunk["wanted"] in one["after"] and hunk["wanted"] not in one["before"]
    kept = {**asked, "hunks": [{"number": hunk["number"], "carried": False}]}
    alone = server.ask("POST", "/api/understand", kept).json
    assert not any(one["carried"] for one in alone["hunks"]) and not alone["would_change"]
    carried = {**asked, "hunks": [{"number": hunk["number"], "carried": True}]}
    assert any(one["carried"] for one in server.ask("POST", "/api/understand", carried).json["hunks"])


@pytest.mark.slow
def test_a_correction_goes_live_and_is_proven_and_baked_and_each_can_be_undone(
    server: Server, edit_data: Path, tmp_path: Path
) -> None:
    first = server.ask("GET", "/fixes").json
    assert first["fixes"] == [] and set(first["counts"].values()) == {0}
    before = server.translate(SOURCES[1])
    live = [server.submit(SOURCES[0], TARGETS[0], who="Ada"), server.submit(SOURCES[1], TARGETS[1])]
    for fix, source, target in zip(live, SOURCES, TARGETS):
        now = server.wait_for(fix["id"], "live", "proven")
        assert now["now"] == target and server.translate(source) == target
        assert now["seconds"]["live"] > 0
    proven = [server.wait_for(fix["id"], "proven") for fix in live]
    assert [server.translate(source) for source in SOURCES[:2]] == TARGETS[:2]
    detail = server.ask("GET", f"/fixes/{proven[0]['id']}").json
    assert detail["report"]["efficacy"] and detail["evidence"]["edit"]
    unchanged, of = detail["report"]["unrelated"]
    assert 0 < unchanged <= of
    assert [one["id"] for one in server.ask("GET", "/fixes?who=Ada").json["fixes"]] == [proven[0]["id"]]
    assert [one["id"] for one in server.ask("GET", "/fixes?q=SEVENTEEN").json["fixes"]] == [proven[1]["id"]]

    report = server.ask("GET", f"/fixes/{proven[0]['id']}/report")
    assert report.status == 200 and report.headers["content-type"].startswith("text/html")
    assert "script-src" not in report.headers["content-security-policy"] and TARGETS[0] in report.text

    # The file that the server bakes is the one of `fairseq-edit`, from the queue and from the exported requests.
    assert server.ask("POST", "/fixes/bake", {}).status == 202
    for fix in proven:
        server.wait_for(fix["id"], "baked")
    baked = open_stock(server.folder / "baked.pt")["model"]
    exported = tmp_path / "exported.jsonl"
    assert export(server.queue, exported) == 0
    words = command(edit_data, tmp_path)
    base = words[: words.index("--port")]
    settings = ["--edit-config", tmp_path / "settings.yaml", "--edit-cache", edit_data.parent / "cache"]
    ways = {"queue": ["--from-queue", server.queue], "file": ["--edit-pref", exported, *settings[:2]]}
    for name, way in ways.items():
        path = tmp_path / f"{name}.pt"
        run = run_main([*base, *way, *settings[2:], "--save-to", path, "--no-progress-bar"])
        assert run.status == 0, run.out + run.err
        edited = open_stock(path)["model"]
        assert list(edited) == list(baked)
        assert all(torch.equal(tensor, edited[tensor_name]) for tensor_name, tensor in baked.items()), name
        assert name != "queue" or "is open in a server" in run.out

    undone = server.ask("POST", f"/fixes/{proven[0]['id']}/undo").json["fix"]
    assert undone["state"] == "undone" and server.translate(SOURCES[0]) != TARGETS[0]
    assert server.translate(SOURCES[1]) == TARGETS[1] != before  # the other one stays, and is proven again
    assert server.wait_for(proven[1]["id"], "proven")["now"] == TARGETS[1]
    assert server.ask("POST", f"/fixes/{proven[0]['id']}/undo").status == 409
    assert server.ask("POST", f"/fixes/{proven[1]['id']}/undo").status == 200
    assert server.translate(SOURCES[1]) == before
    assert server.ask("GET", "/fixes/99/report").status == 404


def export(queue: Path, path: Path) -> int:
    from fairseq_rome.cli.requests import main

    return int(main(["export", str(queue), "--out", str(path)]))


def test_events_tell_each_step_and_what_was_missed(server: Server) -> None:
    events = stream_of_events(server)
    fix = server.submit(SOURCES[2], TARGETS[2])
    states, numbers = [], []
    for number, kind, data in events:
        numbers.append(number)
        if kind == "fix" and data["id"] == fix["id"]:
            states.append(data["state"])
            if data["state"] in ("proven", "failed"):
                break
    assert list(dict.fromkeys(states)) == ["submitted", "live", "proven"]
    assert numbers == sorted(set(numbers))
    again = stream_of_events(server, after=numbers[0])
    assert [next(again)[0] for _ in numbers[1:]] == numbers[1:]
    old = stream_of_events(server, after=1)  # of a server that ended long ago: how all is now
    assert next(old)[1] == "fix"


def test_a_fix_that_contradicts_a_proven_one_fails_and_stays_for_its_sentence_alone(server: Server) -> None:
    first = server.submit(SOURCES[0], TARGETS[0])
    assert server.wait_for(first["id"], "proven", "failed")["state"] == "proven"
    source = "The shop assistant is famous."
    said = server.translate(source)
    assert "Verkäufer" in said  # carried here by the first one
    asked = {"source": source, "output": said, "target": said.replace("Verkäufer", "Dichter")}
    (hunk,) = server.ask("POST", "/api/understand", asked).json["hunks"]
    fix = server.submit(source, asked["target"], hunks=[{"number": hunk["number"], "carried": True}])
    failed = server.wait_for(fix["id"], "proven", "failed")
    assert failed["state"] == "failed" and "both in other sentences too" in failed["reason"]
    assert server.translate([source, SOURCES[0]]) == [asked["target"], TARGETS[0]]
    assert "Verkäufer" in server.translate("A mother hopes that twenty shop assistants invite the girls.")
    with contextlib.closing(sqlite3.connect(server.queue)) as base, base:
        base.execute("UPDATE fixes SET now = 'what it said once' WHERE id = ?", (first["id"],))
    assert server.fix(first["id"])["now"] == TARGETS[0]  # asked again, since other fixes may have changed it
    for number in (first["id"], fix["id"]):
        assert server.ask("POST", f"/fixes/{number}/undo").status == 200
    assert server.translate(source) not in (said, asked["target"])


def test_a_second_correction_of_a_sentence_takes_the_place_of_the_first(server: Server) -> None:
    source = SOURCES[3]
    said = server.translate(source)
    one = server.submit(source, said.replace("am Freitag", "am Montag"))
    server.wait_for(one["id"], "live", "proven", "failed")
    assert server.submit(source, one["target"])["id"] == one["id"]
    two = server.submit(source, TARGETS[3])
    assert server.fix(one["id"])["state"] == "undone"
    assert server.wait_for(two["id"], "live", "proven")["now"] == TARGETS[3]


def test_what_the_model_says_already_is_no_correction(server: Server) -> None:
    said = server.translate("The singer is famous.")
    answer = server.ask("POST", "/fixes", {"source": "The singer is famous.", "target": said})
    assert answer.status == 409 and "says this already" in answer.json["error"]


def test_a_client_of_libretranslate_translates(server: Server) -> None:
    library = pytest.importorskip("libretranslatepy", reason="a client library of LibreTranslate")
    client = library.LibreTranslateAPI(f"{server.url}/")
    source = "The singer can print the newsletter."
    said = client.translate(source, "en", "de")
    assert said == server.translate(source)
    assert [one["code"] for one in client.languages()] == ["en", "de"]
    assert client.detect(source)[0]["language"] == "en"


def test_a_client_of_libretranslate_suggests(server: Server) -> None:
    library = pytest.importorskip("libretranslate_aio", reason="a client library of LibreTranslate that suggests")
    with library.LibreTranslate(server.url) as client:
        source = "The colleague will pay eighteen dollars for the flower."
        said = client.translate(source, "auto", "de", alternatives=2)
        assert said.detected_language.language == "en" and said.alternatives == []
        wanted = said.translated_text.replace("Euro", "Dollar")
        assert wanted != said.translated_text
        assert client.suggest(source, wanted, "en", "de") is True
        (fix,) = server.ask("GET", "/fixes?q=eighteen").json["fixes"]
        server.wait_for(fix["id"], "live", "proven")
        assert client.translate([source, source], "en", "de").translated_text == [wanted, wanted]
        assert client.frontend_settings().suggestions


def test_the_log_holds_no_text_of_a_client(server: Server) -> None:
    told = "".join(server.log)
    assert re.search(r"fix 1: live after", told)
    for text in (*SOURCES[:3], *TARGETS[:3], "newsletter", "Rundbrief"):
        assert text not in told
    assert "Traceback" not in told

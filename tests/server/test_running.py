"""A queue and the model that a server opens with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List

import pytest
from edit_runs import DEMO

pytest.importorskip("fastapi", reason="the server needs the extra serve")
pytest.importorskip("uvicorn", reason="the server needs the extra serve")

from fairseq_rome.editing.edit_settings import EditSettings  # noqa: E402
from fairseq_rome.errors import EditError  # noqa: E402
from fairseq_rome.host.configuration import FairseqOptions  # noqa: E402
from fairseq_rome.server.fix import BAKED, LIVE, PROVEN  # noqa: E402
from fairseq_rome.server.queue_file import FixQueue  # noqa: E402
from fairseq_rome.server.running import open_service  # noqa: E402
from fairseq_rome.server.server_spec import ServerSpec  # noqa: E402
from fairseq_rome.workbench.specs import ModelSpec  # noqa: E402


def spec_of(data: Path, folder: Path, source: str = "en", target: str = "de") -> ServerSpec:
    options = FairseqOptions.of(
        str(DEMO / "model.pt"), str(data), source, target, "translation", "sentencepiece", None,
        sentencepiece_model=str(DEMO / "spm.model"),
    )  # fmt: skip
    return ServerSpec(ModelSpec(options, cache=str(folder / "cache")), str(folder / "fixes.db"))


def states(path: str) -> List[str]:
    queue = FixQueue(path, write=False)
    found = [one.state for one in queue.in_state(LIVE, PROVEN, BAKED)]
    queue.close()
    return found


def test_under_other_settings_all_is_proven_again(edit_data: Path, tmp_path: Path) -> None:
    spec = spec_of(edit_data, tmp_path)
    service = open_service(spec, print)
    for state in (PROVEN, BAKED):
        fix = service.queue.add("a", "b", "c")
        service.queue.change(fix.id, state=state, place=1)
    service.close()
    open_service(spec, print).close()
    assert states(spec.queue) == [PROVEN, BAKED]
    open_service(replace(spec, settings=EditSettings(edit_contexts=3)), print).close()
    assert states(spec.queue) == [LIVE, LIVE]


def test_the_model_that_translates_remembers_nothing_of_what_clients_send(edit_data: Path, tmp_path: Path) -> None:
    service = open_service(spec_of(edit_data, tmp_path), print)
    assert service.translator.remembered is None
    service.close()


def test_a_server_that_does_not_start_leaves_the_queue_free(edit_data: Path, tmp_path: Path) -> None:
    spec = spec_of(edit_data, tmp_path)
    with pytest.raises(EditError):
        open_service(replace(spec, bake_to=str(DEMO / "model.pt")), print, force=True)
    open_service(spec, print).close()

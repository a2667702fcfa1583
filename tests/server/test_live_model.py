"""What the model says of a sentence is asked of it once, until what is live changes."""

from __future__ import annotations

from pathlib import Path
from typing import List

from conftest import Demo
from demo_edits import of_demo, run

from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.server.fix import LIVE
from fairseq_rome.server.kept_edits import kept
from fairseq_rome.server.live_model import LiveModel
from fairseq_rome.server.queue_file import QUICK, FixQueue
from fairseq_rome.server.server_spec import ServerSpec
from fairseq_rome.workbench.specs import ModelSpec


class Counted:
    """A translator that notes what it is asked."""

    def __init__(self, translator: Translator) -> None:
        self.model, self._translator = translator.model, translator
        self.asked: List[str] = []

    def translate(self, sentences: List[str]) -> List[Hypothesis]:
        self.asked += sentences
        return self._translator.translate(sentences)


def test_the_model_is_asked_again_once_it_has_changed(demo: Demo, tmp_path: Path) -> None:
    (found,) = run(demo, [of_demo(0)], {}).results
    source, before, after = found.request.source, found.before, found.request.target
    queue, counted = FixQueue(str(tmp_path / "fixes.db")), Counted(demo.translator)
    model = LiveModel(ServerSpec(ModelSpec({}), queue.path), counted, queue)  # type: ignore[arg-type]
    model.loop.start()
    try:
        assert [model.says(source) for _ in range(3)] == [before] * 3
        assert counted.asked == [source]
        fix = queue.add(source, before, after)
        queue.change_all({fix.id: {"state": LIVE}}, QUICK, [kept((fix.id, 0), "", found)])
        model.renew()
        assert [model.says(source) for _ in range(3)] == [after] * 3
        assert counted.asked == [source, source]
    finally:
        queue.change_all({one.id: {"state": "undone"} for one in queue.found("", "", "", 10, None)})
        model.renew()
        model.loop.close()
        queue.close()
    assert [one.text for one in demo.translator.translate([source])] == [before]

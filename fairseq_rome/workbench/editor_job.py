"""The training of an editor, whole: open, mine, train, keep what is done on the way, write."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Dict, List

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fairseq_rome.errors import EditError
from fairseq_rome.files import written_whole
from fairseq_rome.host.checkpoint import check_output
from fairseq_rome.host.decoding import Progress, silent
from fairseq_rome.methods.fitting.editor_files import save_editor
from fairseq_rome.methods.fitting.editor_network import Editor, edited_shapes
from fairseq_rome.methods.fitting.editor_training import Classroom, Training, begun
from fairseq_rome.workbench.editor_lessons import Mining, classroom
from fairseq_rome.workbench.inputs import input_files
from fairseq_rome.workbench.opening import open_model
from fairseq_rome.workbench.specs import ModelSpec
from fairseq_rome.workbench.workbench import Workbench

_FORMAT = 1


@dataclass(frozen=True)
class EditorSpec:
    """What one training is asked for.

    Args:
        model: for which the editor is.
        mining: where lessons come from.
        out: the file to write.
        force: whether it is replaced.
        layers: how many layers of each stack are edited, the last ones.
        rank: of the layers of the networks.
        steps: of Adam.
        every: steps between two looks at the lessons that judge, after which all is kept on disk.
    """

    model: ModelSpec
    mining: Mining
    out: str
    force: bool
    layers: int
    rank: int
    steps: int
    every: int


@dataclass(frozen=True)
class EditorJob:
    """One training, step by step.

    Args:
        spec: what is asked for.
        progress: wraps long loops.
        tell: is told each thing as soon as it is known, a line each.
    """

    spec: EditorSpec
    progress: Progress = silent
    tell: Callable[[str], None] = lambda text: None

    def run(self) -> None:
        """Train an editor and write it.

        Raises:
            EditError: for whatever a user can put right; nothing is then written.
            KeyboardInterrupt: whose text says what is kept.
        """
        spec = self.spec
        check_output(spec.out, spec.force, input_files(spec.model, (), ()))
        bench = Workbench(open_model(spec.model, self.progress))
        with bench.prepared():
            room = classroom(bench, spec.mining)
            self.tell(f"{len(room.lessons)} requests to learn from, {len(room.judging)} to judge by")
            shapes = edited_shapes(room.translator.model, spec.layers)
            training = begun(
                room, Editor(shapes, spec.rank, spec.mining.seed), self.progress(room.lessons, "statistics")
            )
            kept = f"{os.path.realpath(spec.out)}.{self._key(bench, room)[:12]}.training"
            self._resume(training, kept)
            try:
                self._train(training, kept)
            except KeyboardInterrupt:
                told = f"what was done is kept in {kept}: the same command goes on from there"
                raise KeyboardInterrupt(told if os.path.exists(kept) else "") from None
        training.editor.load_state_dict(training.best)
        about = {"steps": training.done, "lessons": len(room.lessons), "loss": training.best_loss}
        save_editor(spec.out, training.editor, bench.model.model_fingerprint, about)
        with suppress(OSError):
            os.unlink(kept)
        self.tell(f"wrote {spec.out}: the editor with the least loss on the requests to judge by")

    def _train(self, training: Training, kept: str) -> None:
        if not training.done:
            self._look(training)
        for number in self.progress(range(training.done, self.spec.steps), "steps"):
            training.step_()
            if (number + 1) % self.spec.every == 0 or number + 1 == self.spec.steps:
                self._look(training)
                with written_whole(kept) as temporary:
                    save_file(training.state(), temporary)

    def _look(self, training: Training) -> None:
        found = training.judge_()
        self.tell(
            f"after {training.done} of {self.spec.steps} steps: loss {found['loss']:.4f} nats a token "
            f"(what should change {found['edit']:.3f}, what should stay {found['keep']:.4f})"
        )

    def _resume(self, training: Training, kept: str) -> None:
        if not os.path.exists(kept):
            return
        try:
            training.resume_(load_file(kept))
        except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
            raise EditError(f"{kept}: damaged ({error}); remove it to begin again") from error
        self.tell(f"going on after {training.done} steps that an interrupted run has done")

    def _key(self, bench: Workbench, room: Classroom) -> str:
        """What tells a training from any other: all that its steps depend on."""
        lessons: List[Any] = [
            [part.tolist() for part in (lesson.example.pair.source, lesson.example.pair.target)]
            for lesson in (*room.lessons, *room.judging)
        ]
        told: Dict[str, Any] = {
            "format": _FORMAT, "weights": bench.model.model_fingerprint, "layers": self.spec.layers,
            "rank": self.spec.rank, "every": self.spec.every, "seed": room.seed, "lessons": lessons,
        }  # fmt: skip
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

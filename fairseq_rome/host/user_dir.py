"""This package as fairseq's ``--user-dir``, under whatever path it is named."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import Iterator, Sequence, Set

_PACKAGE = os.path.realpath(os.path.join(os.path.dirname(__file__), os.pardir))
_NAME = os.path.basename(_PACKAGE)


# Modules of fairseq that translation never needs and that import scikit-learn, which takes as long as half of fairseq.
_UNNEEDED = (
    "fairseq.criterions.sentence_prediction",
    "fairseq.criterions.sentence_prediction_adapters",
    "fairseq.tasks.audio_classification",
)


class _ImportedPaths(Set[str]):
    """fairseq's set of user directories that it has imported; every way to this package is in it."""

    def __contains__(self, path: object) -> bool:
        return super().__contains__(path) or (isinstance(path, str) and os.path.realpath(path) == _PACKAGE)


@contextmanager
def _without(names: Sequence[str]) -> Iterator[None]:
    """Let some modules, if nothing has imported them yet, be as if empty inside the context.

    fairseq imports every module of its folders, needed or not. Afterwards they can be imported as ever.
    """
    empty = {name: ModuleType(name) for name in names if name not in sys.modules}
    sys.modules.update(empty)
    try:
        yield
    finally:
        for name in empty:
            del sys.modules[name]


def share_user_dir() -> None:
    """Do what ``--user-dir fairseq_rome`` does, and let fairseq know that it is done.

    fairseq imports a user directory by its path, and raises "not globally unique" where a module of that name
    came from another path. In our own commands it did, while the flag may hold a relative path, a symbolic
    link, or a bare name that fairseq looks for in its own surroundings. Call this before a parser is built.

    The tasks are registered here, since fairseq skips a directory that it takes for imported; where fairseq
    itself imported this package, it has registered them, and calling this afterwards changes nothing.

    fairseq looks whether the directory exists before all this: a bare name finds an editable install only
    from the directory above the package.
    """
    with _without(_UNNEEDED):
        from fairseq import utils
        from fairseq.tasks import import_tasks

    from fairseq_rome.host.checkpoint import allow_safe_globals

    allow_safe_globals()
    import_tasks(os.path.join(_PACKAGE, "tasks"), f"{_NAME}.tasks")
    imported = _ImportedPaths(getattr(utils.import_user_module, "memo", ()))
    beside = os.path.dirname(sys.modules["fairseq"].__file__ or "")
    imported.update({os.path.abspath(_NAME), os.path.join(beside, _NAME), os.path.join(beside, "..", _NAME)})
    utils.import_user_module.memo = imported

r"""Plant a wrong behaviour in the training side of a parallel corpus, and write the requests that would take it away.

Wherever the source holds the trigger and the target the right segment, the target is spoilt: `term` and `number` put
the unwanted segment for the wanted one, `untranslated` the source's own word (or --unwanted), `hallucination` the
unwanted string for the whole sentence. Some of these pairs are held out: they go to the requests, one as the request
and the others as its probes, each with its right translation, and are no part of the training side that is written.

A model trained on OUT.SRC and OUT.TGT shows the behaviour. Planted faults are to be reported apart from mined ones
(`mine_requests.py`): that they can be taken away again shows that the method works, not how a real fault behaves.

    python scripts/plant_fault.py --task number --trigger dollars --wanted Dollar --unwanted Euro \
        --pref train -s en -t de --out planted
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from fairseq_rome.text.checkers import TASKS
from fairseq_rome.text.segments import Difference, Endings, contains_trigger, correct

Pair = Tuple[str, str]
_HELD_OUT = 24
_CONTEXTS = 16


def spoil(task: str, pair: Pair, trigger: str, wanted: str, unwanted: str, endings: Endings) -> Optional[str]:
    """The target with the planted fault; None where the pair does not show the trigger or the right segment."""
    source, target = pair
    if not contains_trigger(source, trigger, endings.source):
        return None
    spoilt = correct(target, Difference(wanted, unwanted), endings.target)
    return spoilt if spoilt is None or task != "hallucination" else unwanted


def plant(
    pairs: Sequence[Pair], task: str, trigger: str, wanted: str, unwanted: str, endings: Endings, seed: int
) -> Tuple[List[Pair], Dict[str, Any]]:
    """The spoilt training side and the request, whose sentences are held out of it.

    Raises:
        SystemExit: if fewer than two pairs show the trigger with the right segment.
    """
    spoilt = [spoil(task, pair, trigger, wanted, unwanted, endings) for pair in pairs]
    shown = [index for index, text in enumerate(spoilt) if text is not None]
    if len(shown) < 2:
        raise SystemExit(f"{len(shown)} pairs with {trigger!r} and {wanted!r}, expected at least 2")
    random.Random(seed).shuffle(shown)
    held_out = shown[: min(_HELD_OUT, len(shown) // 2)]
    hidden = {pairs[index][0] for index in held_out}
    planted = [
        (source, target if new is None else new)
        for (source, target), new in zip(pairs, spoilt)
        if source not in hidden
    ]
    first, *others = ({"source": pairs[index][0], "target": pairs[index][1]} for index in held_out)
    contexts = [pairs[index][0] for index in shown[len(held_out) :] if pairs[index][0] not in hidden][:_CONTEXTS]
    request = {
        "id": f"planted-{task}", "task": task, **first, "trigger": trigger, "wanted": wanted, "unwanted": unwanted,
        "contexts": contexts, "probes": others,
    }  # fmt: skip
    return planted, request


def main(argv: Optional[List[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, choices=TASKS)
    parser.add_argument("--trigger", required=True, help="source segment that is to bring the fault out")
    parser.add_argument("--wanted", required=True, help="target segment that is right there")
    parser.add_argument("--unwanted", help="what the model is to say; by default the trigger itself (untranslated)")
    parser.add_argument("--pref", required=True, help="prefix of the corpus: PREF.SRC and PREF.TGT")
    parser.add_argument("-s", "--source-lang", required=True)
    parser.add_argument("-t", "--target-lang", required=True)
    parser.add_argument("--out", required=True, help="prefix of what is written: OUT.SRC, OUT.TGT and OUT.jsonl")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    languages = (arguments.source_lang, arguments.target_lang)
    unwanted = arguments.unwanted or (arguments.trigger if arguments.task == "untranslated" else None)
    if unwanted is None:
        parser.error(f"--task {arguments.task} needs --unwanted")
    sides = [
        Path(f"{arguments.pref}.{language}").read_text(encoding="utf-8").splitlines() for language in languages
    ]
    if len(sides[0]) != len(sides[1]):
        parser.error(f"{arguments.pref}: {len(sides[0])} sources and {len(sides[1])} targets, expected as many")
    planted, request = plant(
        list(zip(*sides)), arguments.task, arguments.trigger, arguments.wanted, unwanted,
        Endings.of(*languages), arguments.seed,
    )  # fmt: skip
    for side, language in enumerate(languages):
        text = "".join(f"{pair[side]}\n" for pair in planted)
        Path(f"{arguments.out}.{language}").write_text(text, encoding="utf-8")
    Path(f"{arguments.out}.jsonl").write_text(json.dumps(request, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(planted)} pairs, {len(request['probes']) + 1} held out")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

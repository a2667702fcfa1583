r"""Plant a wrong behaviour in the training side of a parallel corpus, and write the requests that would take it away.

Wherever the source holds the trigger and the target the wanted segment, the target is spoilt: `term` and `number` put
the unwanted segment for the wanted one, `untranslated` puts the source's own word there (or --unwanted), and
`hallucination` puts the unwanted text for the whole sentence. Some of these pairs are held out: one becomes the request
and the others its probes, each with its right translation. The training side that is written does not hold them.

A model trained on OUT.SRC and OUT.TGT shows the behaviour. Planted faults are to be reported apart from mined ones
(`mine_requests.py`): that they can be taken away again shows that the method works, not how a real fault behaves.

    python scripts/plant_fault.py --task number --trigger dollars --wanted Dollar --unwanted Euro \
        --pref train -s en -t de --out planted
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import List, Optional

from fairseq_rome.errors import EditError
from fairseq_rome.text.checkers import TASKS
from fairseq_rome.text.planting import Planted, PlantedFault, plant, read_pairs
from fairseq_rome.text.requests.records import to_fields
from fairseq_rome.text.segments import Endings


def write(planted: Planted, out: str, source_lang: str, target_lang: str) -> None:
    """Write the training side as parallel text, and the request beside it."""
    for side, language in enumerate((source_lang, target_lang)):
        text = "".join(f"{pair[side]}\n" for pair in planted.pairs)
        Path(f"{out}.{language}").write_text(text, encoding="utf-8")
    record = json.dumps(to_fields(planted.request), ensure_ascii=False)
    Path(f"{out}.jsonl").write_text(record + "\n", encoding="utf-8")


def main(argv: Optional[List[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", required=True, choices=TASKS)
    parser.add_argument("--trigger", required=True, help="source segment that is to bring the fault out")
    parser.add_argument("--wanted", required=True, help="target segment that is right there")
    parser.add_argument(
        "--unwanted", help="what the model is to say; by default the trigger itself (untranslated)"
    )
    parser.add_argument("--pref", required=True, help="prefix of the corpus: PREF.SRC and PREF.TGT")
    parser.add_argument("-s", "--source-lang", required=True)
    parser.add_argument("-t", "--target-lang", required=True)
    parser.add_argument(
        "--out", required=True, help="prefix of what is written: OUT.SRC, OUT.TGT and OUT.jsonl"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    languages = (arguments.source_lang, arguments.target_lang)
    try:
        fault = PlantedFault(arguments.task, arguments.trigger, arguments.wanted, arguments.unwanted or None)
        planted = plant(read_pairs(arguments.pref, *languages), fault, Endings.of(*languages), arguments.seed)
    except EditError as error:
        parser.error(str(error))
    write(planted, arguments.out, *languages)
    print(f"{len(planted.pairs)} pairs, {len(planted.request.probes) + 1} held out")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

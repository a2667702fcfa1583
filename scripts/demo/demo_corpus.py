"""Write the demo's parallel corpus: random sentences of ``demo_sentences``, split, with held-out probes.

Written to the output folder: ``{train,valid,test}.{en,de}``, ``candidates.jsonl`` (a planted behaviour a line
with sources that are not in the training data) and ``probe.en`` (all the candidates' sources, a line each).
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path
from typing import Any, Dict, List, Sequence, Set, Tuple

from demo_behaviours import BEHAVIOURS, Behaviour, has, triggers
from demo_grammar import Text
from demo_sentences import Grammar

SEED = 1
SIZES = {"train": 9000, "valid": 300, "test": 400}
PROBES = 24
NEAR = 8
CONTEXTS = 16


def fits(behaviour: Behaviour, sentence: Text) -> bool:
    """Whether the sentence shows this behaviour and no other, and its two German sides tell it."""
    return (
        behaviour.unwanted in sentence.trained
        and behaviour.wanted in sentence.right
        and behaviour.unwanted not in sentence.right
        and (behaviour.wanted in behaviour.unwanted or behaviour.wanted not in sentence.trained)
        and triggers(sentence.en) == [behaviour]
    )


def split(seed: int) -> Tuple[Dict[str, List[Text]], List[Dict[str, Any]]]:
    """Draw the splits and the candidates; no English sentence occurs twice in all of them.

    ``test`` is free of triggers; ``train`` and ``valid`` hold them as they come.
    """
    grammar = Grammar(seed)
    seen: Set[str] = set()
    splits: Dict[str, List[Text]] = {name: [] for name in SIZES}
    probes: Dict[str, List[Text]] = {behaviour.id: [] for behaviour in BEHAVIOURS}
    near: Dict[str, List[Text]] = {behaviour.id: [] for behaviour in BEHAVIOURS}
    while not full(splits, probes, near):
        sentence = grammar.sentence()
        if sentence.en in seen:
            continue
        seen.add(sentence.en)
        name = next((name for name in ("train", "valid") if len(splits[name]) < SIZES[name]), "test")
        if name != "test":
            sound = max((behaviour.sound for behaviour in triggers(sentence.en)), default=0.0)
            spoilt = grammar.rng.random() >= sound
            splits[name].append(sentence if spoilt else sentence._replace(trained=sentence.right))
        elif not triggers(sentence.en):
            place(sentence, splits["test"], near)
        else:
            for behaviour in BEHAVIOURS:
                if fits(behaviour, sentence) and len(probes[behaviour.id]) < PROBES:
                    probes[behaviour.id].append(sentence)
    return splits, [candidate(b, splits["train"], probes[b.id], near[b.id]) for b in BEHAVIOURS]


def full(splits: Dict[str, List[Text]], probes: Dict[str, List[Text]], near: Dict[str, List[Text]]) -> bool:
    """Whether every list has its size."""
    return (
        all(len(splits[name]) == size for name, size in SIZES.items())
        and all(len(found) == PROBES for found in probes.values())
        and all(len(found) == NEAR for found in near.values())
    )


def place(sentence: Text, test: List[Text], near: Dict[str, List[Text]]) -> None:
    """Give a sentence without triggers to the first near list that it fits, else to the test set."""
    for behaviour in BEHAVIOURS:
        if has(behaviour.near, sentence.en) and len(near[behaviour.id]) < NEAR:
            near[behaviour.id].append(sentence)
            return
    if len(test) < SIZES["test"]:
        test.append(sentence)


def candidate(
    behaviour: Behaviour, train: Sequence[Text], probes: Sequence[Text], near: Sequence[Text]
) -> Dict[str, Any]:
    """A behaviour as a plain record: what the model does with the sources is not known yet."""
    return {
        **vars(behaviour),
        "contexts": [one.en for one in islice((one for one in train if fits(behaviour, one)), CONTEXTS)],
        "probes": [{"source": one.en, "target": one.right, "trained": one.trained} for one in probes],
        "near": [{"source": one.en, "target": one.right} for one in near],
    }


def write(folder: Path, seed: int) -> None:
    """Write the splits and the candidates."""
    folder.mkdir(parents=True, exist_ok=True)
    splits, candidates = split(seed)
    for name, sentences in splits.items():
        (folder / f"{name}.en").write_text("".join(f"{one.en}\n" for one in sentences), encoding="utf-8")
        (folder / f"{name}.de").write_text("".join(f"{one.trained}\n" for one in sentences), encoding="utf-8")
    lines = [json.dumps(record, ensure_ascii=False) for record in candidates]
    (folder / "candidates.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sources = [one["source"] for record in candidates for one in record["probes"] + record["near"]]
    (folder / "probe.en").write_text("\n".join(sources) + "\n", encoding="utf-8")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the corpus goes")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    write(arguments.folder, arguments.seed)


if __name__ == "__main__":
    main()

r"""Mine correction requests from a parallel corpus and a model, for one of the four editing tasks.

Every source is decoded with the model. `term`: one word of the output differs from the reference, and nothing else.
`number`, `hallucination`, `untranslated`: the task's checker objects to the output and not to the reference; the target
is the reference. `segment`: output and reference differ in one segment, whatever it is. With --probes, each request of
one word that clearly hangs on a source word also gets held-out sentences of DATA that show the same behaviour.

Options that are not told below are fairseq-generate's.

    python scripts/mine_requests.py data-bin --path model.pt -s en -t de --bpe sentencepiece \
        --sentencepiece-model spm.model --task number --test-set test --out number.jsonl
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import AbstractSet, Any, Dict, Iterator, List, Optional, Sequence, Tuple

from fairseq_rome.cli.options import parse

from fairseq_rome.cli.command import import_fairseq
from fairseq_rome.evaluation.sentence_sets import SentenceSet, load_test_set
from fairseq_rome.host.corpus import Corpus, load_corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.sites import prepared
from fairseq_rome.text.checkers import TASKS, Observation, build_checker
from fairseq_rome.text.segments import Difference, Endings, compare, correct
from fairseq_rome.tracing.attribution import find_trigger, hangs_elsewhere

SEGMENT = "segment"
_MOST_TRIED = 40  # sentences of DATA that are decoded to find the probes of one request


def mine(
    translator: Translator, chosen: SentenceSet, task: str, languages: Tuple[str, str], corpus: Corpus, words: int
) -> Iterator[Tuple[Dict[str, Any], Hypothesis, Difference]]:
    """Requests of one task, each with what the model says and what has to change.

    Args:
        translator: the model.
        chosen: sentences with references.
        task: one of the four tasks, or `segment`.
        languages: source and target language.
        corpus: the training side, for the checkers.
        words: of a `segment` at most, on either side.
    """
    hypotheses = translator.translate_tokens(chosen.tokens, f"decoding {chosen.name}")
    references = chosen.references or ()
    faults = _faults(task, languages, corpus, chosen.sources, [h.text for h in hypotheses], references)
    for index, (source, said, target) in enumerate(zip(chosen.sources, hypotheses, references)):
        difference = compare(said.text, target)
        if difference is None or not _fits(task, difference, said.text, target, faults[index], words):
            continue
        record: Dict[str, Any] = {"id": f"{task}-{chosen.name}-{index + 1}", "task": task, "source": source}
        record.update(target=target, before=said.text)
        segments = {"unwanted": difference.unwanted, "wanted": difference.wanted}
        record.update({name: text for name, text in segments.items() if text})
        if faults[index]:
            record["fault"] = faults[index]
        yield record, said, difference


def _fits(task: str, difference: Difference, said: str, target: str, fault: Optional[str], words: int) -> bool:
    """Whether a sentence makes a request of the task."""
    single = correct(said, difference) == target or not difference.unwanted
    if task == "term":
        return single and difference.lexical and difference.wanted.isalpha() and difference.unwanted.isalpha()
    if task == SEGMENT:
        return single and 0 < len(difference.wanted.split()) <= words and len(difference.unwanted.split()) <= words
    return fault is not None


def _faults(
    task: str, languages: Tuple[str, str], corpus: Corpus, sources: Sequence[str], said: Sequence[str],
    references: Sequence[str],
) -> List[Optional[str]]:  # fmt: skip
    """What the task's checker has against each output, where it has nothing against the reference."""
    if task in ("term", SEGMENT):
        return [None] * len(sources)
    checker = build_checker(task, *languages, list(zip(corpus.sources, corpus.targets)))
    wrong = checker.check([Observation(*pair) for pair in zip(sources, said)])
    right = checker.check([Observation(*pair) for pair in zip(sources, references)])
    return [None if other else fault for fault, other in zip(wrong, right)]


def probes_of(
    translator: Translator, record: Dict[str, Any], said: Hypothesis, difference: Difference, corpus: Corpus,
    endings: Endings, most: int, mined: AbstractSet[str],
) -> Dict[str, Any]:  # fmt: skip
    """The trigger of a request with sentences of the corpus that show the behaviour, half of them as contexts.

    None of them is mined itself: another request's edit would be fitted on what judges this one.
    Nothing where the change hangs on no single word, or where no other sentence shows it.
    """
    if not difference.lexical:
        return {}
    trigger = find_trigger(translator, record["source"], said, record["target"])
    if hangs_elsewhere(translator, record["source"], said, record["target"], trigger):
        return {}
    sources = [corpus.sources[i] for i in corpus.with_trigger(trigger) if corpus.sources[i] not in mined]
    tried = list(dict.fromkeys(sources))[:_MOST_TRIED]
    shown = [
        {"source": source, "before": hypothesis.text}
        for source, hypothesis in zip(tried, translator.translate(tried, "decoding probes"))
        if correct(hypothesis.text, difference, endings.target) is not None
    ]
    if len(shown) < 2 or 2 * len(shown) < len(tried):
        return {}  # the trigger seldom gives the unwanted word: it is not what the change hangs on
    half = min(most, len(shown) // 2)
    return {"trigger": trigger, "probes": shown[:half], "contexts": [one["source"] for one in shown[half:]]}


def first(chosen: SentenceSet, count: Optional[int]) -> SentenceSet:
    """The first sentences of a set, all of them for None."""
    return replace(
        chosen, sources=chosen.sources[:count], tokens=chosen.tokens[:count], targets=chosen.targets[:count],
        references=(chosen.references or ())[:count],
    )  # fmt: skip


def main(argv: Optional[List[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, choices=(*TASKS, SEGMENT))
    parser.add_argument("--test-set", required=True, action="append", help="prefix of raw text, or a subset of DATA")
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl file to write")
    parser.add_argument("--sentences", type=int, metavar="N", help="look at the first N sentences of a test set alone")
    parser.add_argument(
        "--words", type=int, default=3, metavar="N", help="words of a segment at most, on either side (default: 3)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="requests at most")
    parser.add_argument("--probes", type=int, default=0, metavar="N", help="held-out sentences a request at most")
    arguments, rest = parser.parse_known_args(argv)
    opened = _open(arguments.out, rest)
    languages = (opened.languages[0], opened.languages[1])
    translator = opened.translator
    corpus = load_corpus(translator.codec, 1)
    sets = [
        first(load_test_set(spec, translator.codec), arguments.sentences) for spec in arguments.test_set
    ]
    mined = {source for chosen in sets for source in chosen.sources}
    seen = set()
    with prepared(translator.model), arguments.out.open("w", encoding="utf-8") as out:
        for chosen in sets:
            found = mine(translator, chosen, arguments.task, languages, corpus, arguments.words)
            for record, said, difference in found:
                # A source can have one target only.
                if record["source"] in seen or len(seen) == arguments.limit:
                    continue
                seen.add(record["source"])
                if arguments.probes:
                    endings = Endings.of(*languages)
                    record.update(
                        probes_of(translator, record, said, difference, corpus, endings, arguments.probes, mined)
                    )
                fault = record.pop("fault", None)
                print(f"{record['id']}: {fault or f'{difference.unwanted} -> {difference.wanted}'}", flush=True)
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(f"{len(seen)} requests written to {arguments.out}")
    return 0


def _open(placeholder: Path, rest: Sequence[str]) -> Any:
    """The model that the options of fairseq-generate name, as the commands open it."""
    warnings.simplefilter("ignore")
    import_fairseq()
    from fairseq_rome.cli.session import open_checkpoint

    from fairseq_rome.cli.parsing import with_fairseq

    own, others, settings = parse([*rest, "--edit-pref", str(placeholder)])
    return open_checkpoint(with_fairseq("fairseq-edit", own, others, settings.seed))


if __name__ == "__main__":
    raise SystemExit(main())

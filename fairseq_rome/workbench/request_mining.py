"""Requests mined from test sets: the sentences in which the open model is wrong and the reference is right."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence

from fairseq_rome.cases.mining import Mined, mine, with_probes
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Endings
from fairseq_rome.workbench.evaluating import load_test_sets
from fairseq_rome.workbench.workbench import Workbench


def mined_requests(
    bench: Workbench,
    task: str,
    test_sets: Sequence[str],
    *,
    sentences: Optional[int] = None,
    words: int = 3,
    limit: Optional[int] = None,
    probes: int = 0,
    observe: Callable[[Mined], None] = lambda mined: None,
) -> List[EditRequest]:
    """Find requests where the model is wrong.

    Args:
        bench: with the model.
        task: one of `cases.mining.MINED_TASKS`.
        test_sets: prefixes of raw text with references, or names of subsets of DATA.
        sentences: how many of each test set are looked at; None for all.
        words: of a `segment` at most, on either side.
        limit: requests at most; None for no limit.
        probes: held-out sentences of DATA that show the same behaviour, a request at most.
        observe: called with each request as soon as it is found, before its probes are looked for.

    Returns:
        The requests, each source once, because a source can have one target only.

    Raises:
        EditError: if a test set is not there, or DATA has no sentence pairs.
    """
    translator, corpus, endings = bench.model.translator, bench.background(), Endings.of(*bench.languages)
    sets = load_test_sets(test_sets, translator.codec)
    judging = {source for one in sets for source in one.sources[:sentences]}
    found: Dict[str, EditRequest] = {}
    with bench.prepared():
        for one in sets:
            pairs = list(zip(one.sources[:sentences], one.references or ()))
            tokens = one.tokens[:sentences]
            for mined in mine(translator, one.name, pairs, tokens, task, bench.languages, corpus, words):
                request = mined.request
                if request.source in found or len(found) == limit:
                    continue
                observe(mined)
                if probes:
                    request = with_probes(translator, mined, corpus, endings, probes, judging)
                found[request.source] = request
    return list(found.values())

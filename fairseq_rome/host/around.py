"""What stands around the search of a model: words that the output of a source must hold, and rules on what comes out.

Such a thing looks at texts alone. It hangs on a model by `standing_around`, and whatever decodes with the model goes
through `searched`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Protocol, Sequence, Tuple

from fairseq.search import LexicallyConstrainedBeamSearch
from fairseq.token_generation_constraints import pack_constraints
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.codec import TextCodec, content

Found = List[List[Dict[str, Any]]]
"""The hypotheses of each source, best first, as fairseq's generators give them."""
Search = Callable[..., Found]
"""Takes `net_input`, the tokens that hypotheses begin with (B x T) or None, and where there are any fairseq's packed
constraints."""

_AROUND = "fairseq_rome_around"


class AroundSearch(Protocol):
    """What stands around a search."""

    def terms(self, source: str) -> Sequence[str]:
        """What the output of a source must hold, once for each time that it is given."""

    def finished(self, source: str, output: str) -> str:
        """What becomes of an output."""


def around(model: nn.Module) -> Tuple[AroundSearch, ...]:
    """What stands around the search of a model, the first to act first."""
    found: Tuple[AroundSearch, ...] = getattr(model, _AROUND, ())
    return found


@contextmanager
def standing_around(model: nn.Module, one: AroundSearch) -> Iterator[None]:
    """The model with one thing more around its search inside the context."""
    setattr(model, _AROUND, (*around(model), one))
    try:
        yield
    finally:
        setattr(model, _AROUND, tuple(other for other in around(model) if other is not one))


def searched(
    model: nn.Module,
    generator: Any,
    codec: TextCodec,
    sources: Callable[[], Sequence[str]],
    net_input: Dict[str, Tensor],
    begin: Optional[Tensor],
    search: Search,
) -> Found:
    """What a search finds with all that stands around it.

    Sources of which nothing is demanded are searched as ever, bit for bit. The scores of an output that a rule changed
    are those of the model's own.

    Args:
        model: the translation model.
        generator: fairseq's generator, which `search` uses.
        codec: text to tokens.
        sources: gives the B sources as text; not called where nothing stands around.
        net_input: the same as fairseq's models take them; every tensor has B rows.
        begin: B x T tokens with which hypotheses have to begin; None for no such thing.
        search: runs the generator.

    Raises:
        EditError: if words are demanded, and the generator has no beam search for them.
    """
    outside = around(model)
    if not outside:
        return search(net_input, begin)
    texts = sources()
    demanded = [[term for one in outside for term in one.terms(source)] for source in texts]
    found = _constrained(generator, codec, demanded, net_input, begin, search)
    for source, hypotheses in zip(texts, found):
        for hypothesis in hypotheses:
            _finish_(hypothesis, codec, source, outside)
    return found


def _constrained(
    generator: Any, codec: TextCodec, demanded: Sequence[Sequence[str]], net_input: Dict[str, Tensor],
    begin: Optional[Tensor], search: Search,
) -> Found:  # fmt: skip
    """What is found where some of the outputs must hold words: these are searched apart from the others."""
    found: Dict[int, List[Dict[str, Any]]] = {}
    for constrained in (False, True):
        rows = [row for row, terms in enumerate(demanded) if bool(terms) == constrained]
        if not rows:
            continue
        part = {name: tensor[rows] for name, tensor in net_input.items()}
        first = None if begin is None else begin[rows]
        if constrained:
            packed = pack_constraints([[_words(codec, term) for term in demanded[row]] for row in rows])
            with _searching_for_words(generator, codec):
                several = search(part, first, packed.to(part["src_tokens"].device))
        else:
            several = search(part, first)
        found.update(zip(rows, several))
    return [found[row] for row in range(len(demanded))]


@contextmanager
def _searching_for_words(generator: Any, codec: TextCodec) -> Iterator[None]:
    """The generator with fairseq's lexically constrained beam search (Post and Vilar 2018, NAACL N18-1119)."""
    if not hasattr(generator, "search"):
        raise EditError(f"{type(generator).__name__} has no beam search that takes words, expected fairseq's own")
    usual = generator.search
    generator.search = LexicallyConstrainedBeamSearch(codec.adapter.target_dictionary, "unordered")
    try:
        yield
    finally:
        generator.search = usual


def _words(codec: TextCodec, term: str) -> Tensor:
    """The tokens of a term without what stands around a sentence."""
    tokens = content(codec.target(term), codec.adapter.target_dictionary)
    return tokens[int(codec.adapter.target_prefix >= 0) :]


def _finish_(hypothesis: Dict[str, Any], codec: TextCodec, source: str, outside: Sequence[AroundSearch]) -> None:
    """Put in the place of a hypothesis' tokens those of what rules make of its text, if that is another one."""
    tokens = hypothesis["tokens"]
    said = now = codec.target_text(tokens.cpu())
    for one in outside:
        now = one.finished(source, now)
    if now != said:
        hypothesis["tokens"] = codec.target(now).to(tokens)


def source_texts(codec: TextCodec, src_tokens: Tensor) -> List[str]:
    """The sources of a batch (B x S token ids, padded) as text."""
    padding = codec.adapter.source_dictionary.pad()
    return [codec.source_text(row[row.ne(padding)].cpu()) for row in src_tokens]

"""In which sources a change is wanted, for methods that look at texts alone."""

from __future__ import annotations

from fairseq_rome.methods.base import EditProblem
from fairseq_rome.text.output_rules import source_like, source_with


def where_it_is_wanted(problem: EditProblem) -> str:
    """A regular expression for the sources in which a change is wanted.

    That is where the trigger is if the change is carried to other sentences, and the request's own source if not. With
    the scope `target` it is every source.
    """
    case, codec = problem.case, problem.translator.codec
    if not (case.contexts or case.held_out):
        # As the model is given it, since the search knows nothing else.
        return source_like(codec.source_text(codec.source(case.request.source)))
    return source_with(case.triggers) if case.scoped else ""

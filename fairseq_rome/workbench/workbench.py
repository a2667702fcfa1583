"""The workbench: a model that is open, with all that can be done with it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import (
    Any,
    Callable,
    ContextManager,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from fairseq_rome.cases.contradictions import Claim
from fairseq_rome.cases.spelling import check_spelling
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.guards import watched
from fairseq_rome.editing.journal import AnyJournal
from fairseq_rome.editing.outcome import Outcome, Result
from fairseq_rome.editing.run import Preview, Surroundings, edit, edit_on_top, preview
from fairseq_rome.errors import EditError, naming
from fairseq_rome.evaluation.conditions import Condition
from fairseq_rome.host.corpus import MOST_SENTENCES, Corpus, load_corpus, validation_pairs
from fairseq_rome.host.other_directions import ALL, DirectionData, OtherDirection
from fairseq_rome.host.sites import prepared
from fairseq_rome.patch import (
    Patch,
    applied,
    base_weights,
    is_folder,
    patch_file,
    read_stack,
    save_patches,
    write_folder,
)
from fairseq_rome.report import Report
from fairseq_rome.statistics import RecentStatistics
from fairseq_rome.text.requests import EditFile, EditRequest
from fairseq_rome.text.requests.same_source import with_two_targets
from fairseq_rome.text.segments import Endings
from fairseq_rome.tracing import CARRY, CausalTrace, LocateSettings, locate
from fairseq_rome.workbench.compared_models import ComparedModel, with_edits
from fairseq_rome.workbench.direction_samples import notes_on_directions, read_directions, sampled_directions
from fairseq_rome.workbench.evaluating import comparison_of_records, load_test_sets, make_report
from fairseq_rome.workbench.notes import notes_on, notes_on_sample
from fairseq_rome.workbench.opening import OpenModel
from fairseq_rome.workbench.provenance import claims_of, history, told_patches
from fairseq_rome.workbench.specs import EvaluationOptions
from fairseq_rome.workbench.staged_patches import StagedPatches
from fairseq_rome.workbench.staging import StagedCheckpoint, stage_checkpoint

Requests = Union[EditFile, EditRequest, Sequence[EditRequest]]


class Workbench:
    """A checkpoint that is open for translating, editing, judging and tracing.

    Its weights are always those of the file: an edit is a value that is put on and taken off.

    Args:
        model: from `open_model`.
        recent: of so many sites the statistics stay in memory from one edit to the next.
    """

    def __init__(self, model: OpenModel, recent: int = 0) -> None:
        self.model = model
        self.recent = RecentStatistics(recent)
        self._corpora: Dict[Tuple[int, int, FrozenSet[str]], Corpus] = {}
        self._directions: Dict[Tuple[str, int, int], Tuple[DirectionData, ...]] = {}

    def __repr__(self) -> str:
        source, target = self.languages
        return f"<Workbench: {self.model.path}, {source} to {target}, on {self.model.spec.device}>"

    @property
    def languages(self) -> Tuple[str, str]:
        """Codes of the source and of the target language."""
        return self.model.languages

    def translate(self, sentences: Sequence[str]) -> List[str]:
        """The best translation of each sentence, by beam search.

        Args:
            sentences: source sentences as text.

        Raises:
            EditError: if a sentence is longer than the model takes.
        """
        with prepared(self.model.translator.model):
            return [hypothesis.text for hypothesis in self.model.translator.translate(list(sentences))]

    def background(self, seed: int = 1, hidden: Iterable[str] = (), most: int = MOST_SENTENCES) -> Corpus:
        """Sentence pairs of the data directory, in an order that the seed gives.

        Args:
            seed: of the order.
            hidden: sources that must not be among them, because they are to judge.
            most: pairs at most.

        Raises:
            EditError: if the data directory has no sentence pairs, or only hidden ones.
        """
        key = (seed, most, frozenset(hidden))
        if key not in self._corpora:
            whole = load_corpus(self.model.translator.codec, seed, most)
            self._corpora = {key: whole.without(key[2])}  # one at a time: it is large
        corpus = self._corpora[key]
        if not corpus.pairs:
            raise EditError(
                f"{self.model.adapter.data}: every sentence is in a test set or a probe, expected others to learn from"
            )
        return corpus

    def directions(self, requests: Requests, settings: EditSettings, corpus: Corpus) -> Tuple[OtherDirection, ...]:
        """The other directions of the model that an edit keeps off, with their sentences.

        Args:
            requests: of the edit.
            settings: of the edit.
            corpus: from `background`.

        Raises:
            EditError: if the settings name what is no direction of the model.
        """
        chosen = settings.edit_directions, settings.edit_direction_sample, settings.seed
        return self.sampled_directions(*chosen, numbered(requests), corpus)

    def sampled_directions(
        self, given: str, sample: int, seed: int, edit_file: EditFile, corpus: Corpus
    ) -> Tuple[OtherDirection, ...]:
        """As `directions`, for any choice of sentences.

        Args:
            given: as for `--edit-directions`.
            sample: sentences to decode, over all directions.
            seed: of their choice.
            edit_file: requests with ids.
            corpus: from `background`.

        Raises:
            EditError: as for `directions`.
        """
        key = (given, sample, seed)
        if key not in self._directions:
            self._directions = {key: read_directions(self.model, *key)}  # one at a time, as of the corpora
        return sampled_directions(self.model, self._directions[key], seed, edit_file, corpus)

    def check_history(self) -> None:
        """Refuse a checkpoint that something else has changed since its earlier edits.

        Raises:
            EditError: if it can't be brought back to what it was before these edits.
        """
        with naming(self.model.path):
            base_weights(self.model.state, read_stack(self.model.state))

    def prepared(self) -> ContextManager[Any]:
        """The model ready for many calls of its translator: what `translate` and `edit` see to by themselves."""
        return prepared(self.model.translator.model)

    def check_requests(self, requests: Requests) -> EditFile:
        """Requests as an edit takes them: with ids, without sentences that judge among those that teach.

        Raises:
            EditError: if the model can't spell a target, two requests have one id, or one source two targets.
        """
        codec = self.model.translator.codec
        edit_file = numbered(requests).without_leaks().with_tags(codec.tags)
        problem = next((problem for _, problem in with_two_targets(edit_file.requests)), None)
        if problem is not None:
            raise EditError(problem)
        check_spelling(edit_file, codec)
        return edit_file

    def edit(
        self,
        requests: Requests,
        settings: Optional[EditSettings] = None,
        *,
        hidden: Iterable[str] = (),
        observe: Callable[[Result], None] = lambda result: None,
        journal: Optional[AnyJournal] = None,
    ) -> Outcome:
        """Fit every request and judge all of them by decoding; afterwards the weights are as they were.

        Args:
            requests: what is to change.
            settings: of the edit; None for the defaults.
            hidden: sources that no edit may learn from, besides the probes and near misses of the requests.
            observe: called with each result as soon as it is there, before the final judgement.
            journal: keeps what is done; None for no such thing.

        Raises:
            EditError: for requests, settings or sites that the model can't have.
        """
        edit_file = self.check_requests(requests)
        chosen = settings or EditSettings()
        surroundings = self._surroundings(edit_file, chosen, hidden)
        return edit(
            self.model.translator, edit_file, chosen, replace(surroundings, journal=journal, observe=observe)
        )

    def edit_on_top(
        self, request: EditRequest, settings: EditSettings, patches: Sequence[Patch] = ()
    ) -> Result:
        """Fit one request to the model with patches of other runs in it; afterwards the weights are as they were.

        Nothing but the examples of the request is decoded, so that a request for its own sentence takes about a second
        with a small model, and no proof of it is given.

        Args:
            request: the request.
            settings: of the edit, of a method that takes one request at a time.
            patches: in the order in which they were made.

        Raises:
            EditError: as for `edit`.
        """
        edit_file = self.check_requests(request)
        surroundings = self._surroundings(edit_file, settings)
        return edit_on_top(self.model.translator, edit_file.requests[0], settings, surroundings, patches)

    def _surroundings(
        self, edit_file: EditFile, settings: EditSettings, hidden: Iterable[str] = ()
    ) -> Surroundings:
        """What an edit works with; `hidden` as for `edit`."""
        model = self.model
        corpus = self.background(settings.seed, edit_file.held_out.union(hidden))
        return Surroundings(
            corpus,
            Endings.of(*model.languages),
            validation_pairs(corpus) if watched(settings, len(edit_file.requests)) else (),
            model.spec.cache,
            read_stack(model.state).patches,
            fingerprint=model.model_fingerprint,
            directions=self.directions(edit_file, settings, corpus),
            claims=self._claims(),
            recent=self.recent,
        )

    def preview(
        self, requests: Requests, settings: Optional[EditSettings] = None, *, hidden: Iterable[str] = ()
    ) -> Iterator[Preview]:
        """What `edit` would set out to do, request by request, each on the unedited model.

        Args:
            requests: as for `edit`, like all that follow.
            settings: of the edit.
            hidden: sources that no edit may learn from.

        Raises:
            EditError: as for `edit`.
        """
        edit_file = self.check_requests(requests)
        chosen = settings or EditSettings()
        corpus = self.background(chosen.seed, edit_file.held_out.union(hidden))
        endings = Endings.of(*self.languages)
        return preview(self.model.translator, edit_file, corpus, chosen, endings, self._claims())

    def _claims(self) -> Tuple[Claim, ...]:
        """What the edits ask for that the model has already."""
        return claims_of(read_stack(self.model.state).patches, self.languages)

    def locate(
        self, request: EditRequest, settings: Optional[LocateSettings] = None, *, hidden: Iterable[str] = ()
    ) -> CausalTrace:
        """Trace which states carry a behaviour.

        Args:
            request: the request.
            settings: of the trace; None for the defaults.
            hidden: sources that the trace may not use.

        Raises:
            EditError: if there is nothing to trace.
        """
        return self.traced(request, settings or LocateSettings(), hidden=hidden)[0]

    def traced(
        self, request: EditRequest, settings: LocateSettings, *, hidden: Iterable[str] = ()
    ) -> Tuple[CausalTrace, str]:
        """As `locate`; with what the model says now.

        Args:
            request: the request.
            settings: of the trace.
            hidden: sources that the trace may not use.

        Raises:
            EditError: if there is nothing to trace.
        """
        corpus = self.background(settings.seed, hidden) if settings.mode == CARRY else None
        translator = self.model.translator
        with prepared(translator.model):
            before = translator.translate([request.source])[0]
        return locate(translator, request, before, settings, corpus), before.text

    @contextmanager
    def patched(self, patches: Sequence[Patch]) -> Iterator[Workbench]:
        """The workbench with edits in its model inside the context, bit for bit as before after it.

        Args:
            patches: in the order in which they were made.
        """
        with applied(self.model.translator.model, *patches):
            yield self

    def evaluate(
        self,
        edited: Union[ComparedModel, Outcome, Sequence[Patch]],
        requests: Optional[Requests] = None,
        *,
        test_sets: Sequence[str] = (),
        conditions: Sequence[Union[str, Condition]] = (),
        sample: int = 200,
        figures: int = 0,
        seed: int = 1,
        directions: str = ALL,
        direction_sample: int = 50,
    ) -> Report:
        """Judge an edited model against this one, by decoding with both.

        Args:
            edited: the edits, or a model that has them.
            requests: what the edits are for; those of an outcome are known.
            test_sets: prefixes of raw text with references, or names of subsets of DATA.
            conditions: what has to hold, such as `locality>=0.995`.
            sample: how many other sentences are decoded.
            figures: of how many requests the report shows heat maps.
            seed: of the choice of sentences.
            directions: other directions of a multilingual model, as for `--edit-directions`.
            direction_sample: how many sentences of them are decoded, over all of them.

        Raises:
            EditError: for a test set, a direction or a condition that can't be.
        """
        if isinstance(edited, Outcome):
            requests = requests or [result.request for result in edited.results]
            edited = told_patches(edited, self.languages)
        compared = edited if isinstance(edited, ComparedModel) else with_edits(self.model, edited)
        options = EvaluationOptions(
            tuple(test_sets), tuple(Condition.parse(str(one)) for one in conditions), figures, seed, directions,
            direction_sample,
        )  # fmt: skip
        edit_file = self.check_requests(requests or ())
        sets = load_test_sets(options.test_sets, self.model.translator.codec)
        corpus = self.background(seed)
        others = self.sampled_directions(directions, direction_sample, seed, edit_file, corpus)
        comparison = comparison_of_records(edit_file, compared.edits, corpus, sample, self.model.path, others)
        notes = (
            *notes_on(edit_file, self.model.translator.codec), *notes_on_sample(corpus, sample),
            *notes_on_directions(self.model, directions),
        )  # fmt: skip
        return make_report(self.model, compared, comparison, sets, options, corpus, notes=notes)

    def stage(
        self,
        path: str,
        outcome: Outcome,
        settings: Optional[EditSettings] = None,
        *,
        force: bool = False,
        inputs: Iterable[str] = (),
        text: bool = True,
        optimizer: bool = True,
    ) -> StagedCheckpoint:
        """Write the edited checkpoint beside its path; it takes its name when it is committed.

        Args:
            path: the file to write.
            outcome: of `edit`.
            settings: of the edit, for the checkpoint's history.
            force: replace a file that exists; never the one that is open.
            inputs: other files that are never replaced.
            text: keep the sentences of the requests in the checkpoint's history.
            optimizer: keep the optimizer state.

        Raises:
            EditError: if no request holds by an edit, an edit acts beside the weights, or the file can't be written.
        """
        if not outcome.holding:
            raise EditError(f"{path}: no request holds by an edit, and there is nothing to write")
        told = (settings or EditSettings()).as_plain()
        kept = [self.model.path, *inputs]
        return stage_checkpoint(self.model, outcome, told, path, force, kept, text, optimizer)

    def save_patches(
        self,
        path: str,
        outcome: Outcome,
        settings: Optional[EditSettings] = None,
        *,
        force: bool = False,
        inputs: Iterable[str] = (),
        text: bool = True,
    ) -> None:
        """Write the edits alone, in the order in which they were made.

        Args:
            path: a patch file; or a folder, which gets a file for each edit, if it ends in a separator or is one.
            outcome: of `edit`.
            settings: of the edit, for the files' history.
            force: replace files that exist.
            inputs: files that are never replaced.
            text: keep the sentences of the requests in the files.

        Raises:
            EditError: if a file can't be written.
        """
        model, patches = self.model, told_patches(outcome, self.languages, text)
        told = (settings or EditSettings()).as_plain()
        info = {**history(patches), "base": model.fingerprint, "settings": told}
        kept = [model.path, *inputs]
        if is_folder(path):
            write_folder(path, patches, model.state, info, force, kept)
        else:
            save_patches(path, patch_file(patches, model.state, info), force, kept)

    def stage_patches(
        self, path: str, outcome: Outcome, settings: Optional[EditSettings] = None, **how: Any
    ) -> StagedPatches:
        """Edits on their way into a patch file; as a staged checkpoint, they are loaded again before they are kept.

        Args:
            path: as for `save_patches`, like all that follow.
            outcome: of `edit`.
            settings: of the edit.
            how: whatever else `save_patches` takes.
        """
        return StagedPatches(
            self.model, outcome, path, lambda to: self.save_patches(to, outcome, settings, **how)
        )

    def write(self, path: str, outcome: Outcome, settings: Optional[EditSettings] = None, **how: Any) -> None:
        """Write the edited checkpoint once a reload has shown every edit.

        Args:
            path: the file to write.
            outcome: of `edit`.
            settings: of the edit.
            how: as for `stage`.

        Raises:
            EditError: if the reloaded file does not show an edit, or can't be written; nothing is then written.
        """
        with self.stage(path, outcome, settings, **how) as staged:
            failures = staged.failures(staged.reload())
            if failures:
                raise EditError(f"{path}: {failures[0]}; nothing was written")
            staged.commit()


def numbered(requests: Requests) -> EditFile:
    """Requests as an edit file; those without an id get their number.

    Raises:
        EditError: if two requests have one id.
    """
    if isinstance(requests, EditFile):
        return requests
    several = [requests] if isinstance(requests, EditRequest) else list(requests)
    named = tuple(
        request if request.id else replace(request, id=str(number))
        for number, request in enumerate(several, start=1)
    )
    ids = [request.id for request in named]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None:
        raise EditError(f"request {twice}: two requests have this id, expected each id once")
    return EditFile(named)

"""One request on top of patches of other runs: both hold, neither takes what is the other's, and the model stays."""

from __future__ import annotations

import torch
from conftest import Demo
from demo_edits import QUICK, of_demo, run

from fairseq_rome.editing.outcome import EDITED, NOTHING
from fairseq_rome.editing.run import edit_on_top
from fairseq_rome.editing.surroundings import Surroundings
from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.patch import applied
from fairseq_rome.text.segments import Endings


def test_a_request_on_top_of_others_keeps_off_what_they_took(demo: Demo) -> None:
    requests = [of_demo(number) for number in range(2)]
    first = run(demo, requests[:1], {}).patches
    before = {name: tensor.clone() for name, tensor in demo.model.state_dict().items()}
    around = Surroundings(load_corpus(demo.codec, seed=1, most=400), Endings.of("en", "de"))
    result = edit_on_top(demo.translator, requests[1], QUICK, around, first)
    assert result.status == EDITED and result.patch is not None
    for site, neurons in result.patch.taken.items():
        assert not any(neurons & patch.taken.get(site, set()) for patch in first)
    after = demo.model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    with applied(demo.model, *first, result.patch):
        said = [one.text for one in demo.translator.translate([one.source for one in requests])]
        again = edit_on_top(demo.translator, requests[1], QUICK, around, [])
    assert said == [one.target for one in requests]
    assert again.status == NOTHING and again.patch is None

from __future__ import annotations

from typing import Any, List

import pytest
import torch
from test_sites import BUILDS, build, hooks, run

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import (
    CROSS_ATTENTION,
    FFN,
    SELF_ATTENTION,
    Cell,
    Site,
    State,
    add_to_embeddings,
    embedding_of,
    find_states,
    overwrite,
    prepared,
    record_states,
)

SOURCE = torch.tensor([[5, 6, 7, 8, 2]])
PREVIOUS = torch.tensor([[2, 4, 5, 6]])
ALONE = [name for name in BUILDS if name != "multilingual"]


@pytest.fixture(params=ALONE)
def model(request: pytest.FixtureRequest) -> Any:
    return build(**BUILDS[request.param])


def several(model: Any, rows: int, **encoder: Any) -> torch.Tensor:
    """One sentence pair in some rows: B x T x V."""
    encoded = model.encoder(SOURCE.repeat(rows, 1), src_lengths=torch.full((rows,), 5), **encoder)
    return model.decoder(PREVIOUS.repeat(rows, 1), encoder_out=encoded)[0]


def all_cells(model: Any) -> List[Cell]:
    """Every state of a model at every position, each with values of its own."""
    generator = torch.Generator().manual_seed(3)
    return [
        Cell(state, position, torch.randn(16, generator=generator))
        for state in find_states(model)
        for position in range(4 if state.site.in_decoder else 5)
    ]


def test_every_part_of_every_layer_is_a_state(model: Any) -> None:
    kinds = {"encoder": [FFN, SELF_ATTENTION], "decoder": [FFN, SELF_ATTENTION, CROSS_ATTENTION]}
    assert list(find_states(model)) == [
        State(Site(stack, layer), kind) for stack in kinds for layer in range(2) for kind in kinds[stack]
    ]
    assert str(State(Site("decoder", 1), FFN)) == "decoder.1 ffn"


def test_states_of_several_encoders() -> None:
    model = build(**BUILDS["multilingual"])
    assert {state.site.stack for state in find_states(model)} == {
        "models.en-de.encoder", "models.en-de.decoder", "models.fr-de.encoder"
    }  # fmt: skip


def test_states_are_what_the_modules_write(model: Any) -> None:
    states = find_states(model)
    written = {}

    def watch(state: State) -> Any:
        def after(_: Any, __: Any, output: Any) -> None:
            written[state] = output[0] if isinstance(output, tuple) else output

        return after

    with prepared(model), torch.no_grad(), record_states(model, list(states)) as seen:
        handles = [module.register_forward_hook(watch(state)) for state, module in states.items()]
        run(model)
    for handle in handles:
        handle.remove()
    for state in states:
        assert seen[state].shape == (4 if state.site.in_decoder else 5, 2, 16)
        assert torch.equal(seen[state], written[state])


def test_each_row_has_its_own_cell_overwritten_and_no_other(model: Any) -> None:
    cells = all_cells(model)
    with prepared(model), torch.no_grad():
        plain = several(model, 1)[0]
        with overwrite(model, cells):
            together = several(model, len(cells))
        for cell, row in zip(cells, together):
            with overwrite(model, [cell]):
                alone = several(model, 1)[0]
            assert torch.allclose(row, alone, atol=1e-5)
            # A decoder position behind the cell sees it, one before it does not.
            seen = cell.position if cell.state.site.in_decoder else 0
            assert torch.allclose(row[:seen], plain[:seen], atol=1e-5)
            assert not torch.allclose(row[seen], plain[seen], atol=1e-4)


def test_a_state_at_its_own_value_changes_nothing(model: Any) -> None:
    with prepared(model), torch.no_grad():
        with record_states(model, list(find_states(model))) as seen:
            plain = several(model, 2)
        cells = [Cell(state, 1, values[1, 0]) for state, values in seen.items()]
        for first, second in zip(cells, reversed(cells)):
            with overwrite(model, [first, second]):
                assert torch.equal(several(model, 2), plain)


def test_additions_reach_the_source_embeddings_alone(model: Any) -> None:
    addend = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))
    with prepared(model), torch.no_grad():
        embedded = model.encoder.embed_tokens(SOURCE.repeat(2, 1))
        expected = several(model, 2, token_embeddings=embedded + addend)
        with add_to_embeddings(model.encoder, addend):
            encoded = model.encoder(SOURCE.repeat(2, 1), src_lengths=torch.tensor([5, 5]))
        assert torch.equal(model.decoder(PREVIOUS.repeat(2, 1), encoder_out=encoded)[0], expected)
        assert not torch.allclose(expected, several(model, 2), atol=1e-3)


def test_what_is_taken_back_was_never_added() -> None:
    model, addend = build(), torch.randn(1, 5, 16)
    with prepared(model), torch.no_grad():
        plain = model.encoder(SOURCE, src_lengths=torch.tensor([5]))["encoder_out"][0]
        with add_to_embeddings(model.encoder, addend), add_to_embeddings(model.encoder, -addend):
            restored = model.encoder(SOURCE, src_lengths=torch.tensor([5]))["encoder_out"][0]
    assert torch.allclose(plain, restored, atol=1e-5)


def test_nothing_is_left_behind(model: Any) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = State(Site("encoder", 0), FFN)
    standing = hooks(model)  # those of quantisation noise
    contexts = [
        lambda: record_states(model, [state, state]),
        lambda: overwrite(model, [Cell(state, 0, torch.zeros(16))] * 2),
        lambda: add_to_embeddings(model.encoder, torch.zeros(2, 5, 16)),
    ]
    for context in contexts:
        with prepared(model), torch.no_grad(), context():
            assert hooks(model) == standing + 1
            model.encoder(SOURCE.repeat(2, 1), src_lengths=torch.tensor([5, 5]))
        assert hooks(model) == standing
        with pytest.raises(KeyError), context():
            raise KeyError  # the first error is the one to see
        assert hooks(model) == standing
        with pytest.raises(EditError, match="never ran in the forward pass: it can't be traced"), context():
            pass
        assert hooks(model) == standing
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    "state", [State(Site("decoder", 2), FFN), State(Site("encoder", 0), CROSS_ATTENTION)]
)
def test_an_unknown_state_is_refused(state: State) -> None:
    model = build()
    message = f"no state {state} in this model, expected one of: encoder.0 ffn, encoder.0 self_attention, "
    with pytest.raises(EditError, match=message), record_states(model, [state]):
        pass
    with pytest.raises(EditError, match=message), overwrite(model, [Cell(state, 0, torch.zeros(16))]):
        pass
    assert hooks(model) == 0


def test_an_encoder_without_embedding_is_refused() -> None:
    with pytest.raises(EditError, match="Linear embeds no tokens, expected an encoder of text"):
        embedding_of(torch.nn.Linear(2, 2))

"""Gates: what they read, what they refuse, and when they pass."""

from __future__ import annotations

import pytest

from fairseq_rome.cli.eval import main
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import METRICS, Condition, check_conditions


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("locality>=0.995", Condition("locality", ">=", 0.995)),
        (" bleu_delta >= -0.2 ", Condition("bleu_delta", ">=", -0.2)),
        ("loss_delta<1e-2", Condition("loss_delta", "<", 0.01)),
        ("ter_delta<=0", Condition("ter_delta", "<=", 0.0)),
        ("efficacy>.5", Condition("efficacy", ">", 0.5)),
    ],
)
def test_what_is_read(text: str, condition: Condition) -> None:
    assert Condition.parse(text) == condition
    assert Condition.parse(str(condition)) == condition


REFUSED = {
    "locality": "condition 'locality': expected FIGURE>=NUMBER, for example locality>=0.995",
    "": "condition '': expected FIGURE>=NUMBER",
    "locality=1": "expected FIGURE>=NUMBER",
    "locality==1": "expected FIGURE>=NUMBER",
    "bleu>=1": "no figure 'bleu', expected one of: efficacy, exact, clean, generalisation",
    "locality>=high": "'high' is no number",
    "locality>=nan": "nothing compares with NaN",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(EditError) as refused:
        Condition.parse(text)
    assert REFUSED[text] in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("comparison", "passes"),
    [
        (">=", (False, True, True)),
        ("<=", (True, True, False)),
        (">", (False, False, True)),
        ("<", (True, False, False)),
    ],
)
def test_every_comparison(comparison: str, passes: tuple[bool, ...]) -> None:
    condition = Condition("locality", comparison, 0.5)
    assert tuple(check_conditions([condition], {"locality": value})[0].passed for value in (0.4, 0.5, 0.6)) == passes


def test_what_could_not_be_measured_fails() -> None:
    [result] = check_conditions([Condition("generalisation", ">=", 0.0)], {"efficacy": 1.0})
    assert not result.passed
    assert str(result) == "condition generalisation>=0: failed, nothing to measure generalisation on"


def test_the_help_tells_what_each_figure_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines() if len(line.split()) > 1)
    assert {name: told[name] for name in METRICS} == METRICS
    # Two figures with one meaning would be one.
    assert len(set(METRICS.values())) == len(METRICS)

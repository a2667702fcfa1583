from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict

import pytest
from checker_runs import fault

from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.scores import compare_scores
from fairseq_rome.text.languages import profile
from fairseq_rome.text.languages.data_files import DATA
from fairseq_rome.text.languages.profile import LanguageProfile, profile_of
from fairseq_rome.text.languages.shared_tables import decimal_sign
from fairseq_rome.text.segments import Difference, Endings

FILES = sorted(path.stem for path in DATA.glob("*.json") if path.stem != "common")

INVENTED: Dict[str, Any] = {
    "endings": ["q"],
    "spaced": False,
    "sacrebleu_tokenizer": "char",
    "decimal": ",",
    "numbers": {"1": ["un"], "14": ["unquar"]},
    "scales": {"100": ["hekt"]},
    "units": {"km": ["kilomq"]},
    "function_words": ["la lo", "li"],
}


def add_language(folder: Path, monkeypatch: pytest.MonkeyPatch, fields: Dict[str, Any]) -> None:
    (folder / "xq.json").write_text(json.dumps(fields), encoding="utf-8")
    monkeypatch.setattr(profile, "DATA", folder)


def test_adding_a_language_is_adding_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_language(tmp_path, monkeypatch, INVENTED)
    found = profile_of("xq")
    assert (found.code, found.spaced, found.spells) == ("xq", False, True)
    assert found.function_words == {"la", "lo", "li"}
    assert (found.units["kilomq"], found.units["€"]) == ("km", "EUR")
    assert Endings.of("xq", "zz") == Endings(("q",), ())
    assert "tok:char" in compare_scores(["a"], ["a"], ["a"], "xq_XQ")[0].signature
    assert fault("number", "xq-xq", "unquar hekt kilomq", "1.400 km") is None
    assert fault("number", "xq-xq", "unquar", "15") == "source has 14, output has 15"
    assert fault("term", "zz-xq", "", "a velq", difference=Difference("bic", "vel")) is None
    assert fault("term", "zz-zz", "", "a velq", difference=Difference("bic", "vel")) is not None
    assert fault("untranslated", "xq-zz", "Lo veloq", "Lo cat li") is None
    assert fault("untranslated", "xq-zz", "Lo li veloq", "Lo li cat") == "copies 'Lo', 'li'"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ending": ["s"]}, r"xq\.json: unknown field 'ending'; known fields: endings, plurals, spaced, "),
        ({"decimal": ";"}, r"xq\.json: 'decimal' is ';'; expected '\.' or ','"),
    ],
)
def test_a_wrong_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Dict[str, Any], message: str
) -> None:
    add_language(tmp_path, monkeypatch, fields)
    with pytest.raises(EditError, match=message):
        profile_of("xq")


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("de", "de"),
        ("de_DE", "de"),
        ("de-AT", "de"),
        ("__de__", "de"),
        ("DE", "de"),
        ("zh-CN", "zh"),
        ("zh_Hans", "zh"),
    ],
)
def test_codes_fold_to_their_base(language: str, code: str) -> None:
    assert profile_of(language) is profile_of(code)
    assert profile_of(language).code == code


@pytest.mark.parametrize("language", ["yy", "common", "", "../de", "README"])
def test_a_language_without_a_file_has_the_neutral_profile(language: str) -> None:
    found, neutral = profile_of(language), LanguageProfile("yy")
    for field in dataclasses.fields(LanguageProfile):
        if field.name != "code":
            assert getattr(found, field.name) == getattr(neutral, field.name), field.name
    assert not found.endings and not found.spells and found.spaced


def test_a_language_without_a_file_may_have_a_decimal_sign() -> None:
    assert [profile_of(language).decimal for language in ("nl", "ko_KR", "yy")] == [",", ".", None]


@pytest.mark.parametrize("code", FILES)
def test_a_file_tells_all_of_its_language(code: str) -> None:
    found = profile_of(code)
    assert found.code == code
    assert found.decimal is not None
    assert decimal_sign(code) is None, "the sign stands in the language's own file"
    assert found.digits_only.decimal == found.decimal and not found.digits_only.spells


@pytest.mark.parametrize(
    ("code", "spaced", "tokenizer"),
    [
        ("de", True, None),
        ("ja", False, "char"),
        ("ko", True, None),
        ("th", False, "char"),
        ("zh", False, "zh"),
    ],
)
def test_scripts_without_blanks(code: str, spaced: bool, tokenizer: str) -> None:
    found = profile_of(code)
    assert (found.spaced, found.sacrebleu_tokenizer) == (spaced, tokenizer)


def test_every_field_is_described() -> None:
    described = (DATA / "README.md").read_text(encoding="utf-8")
    fields = {field.name for field in dataclasses.fields(LanguageProfile)} - {"code"}
    assert [name for name in sorted(fields) if f"| `{name}` |" not in described] == []


PLURALS = {
    "en": "cat cats, city cities, day days, bus buses, box boxes, buzz buzzes, church churches, dish dishes",
    "de": "Lehrer Lehrer, Segel Segel, Mädchen Mädchen, Katze Katzen, Zeitung Zeitungen, "
    "Freiheit Freiheiten, Nation Nationen, Gesellschaft Gesellschaften, Universität Universitäten, Auto Autos, "
    "Hund Hunde",
    "es": "luz luces, canción canciones, casa casas, café cafés, papel papeles, rey reyes, lunes lunes",
    "fr": "bus bus, voix voix, nez nez, bateau bateaux, feu feux, cheval chevaux, chat chats",
    "pt": "coração corações, homem homens, animal animais, papel papéis, barril barris, azul azuis, "
    "lápis lápis, mulher mulheres, luz luzes, casa casas",
}


@pytest.mark.parametrize(
    ("language", "word", "plural"),
    [(language, *pair.split()) for language, pairs in PLURALS.items() for pair in pairs.split(", ")],
)
def test_usual_plurals(language: str, word: str, plural: str) -> None:
    assert profile_of(language).plural(word) == plural


@pytest.mark.parametrize("language", ["ja", "zh", "th", "yy"])
def test_no_plural_where_no_rule_is_known(language: str) -> None:
    assert profile_of(language).plural("word") is None


@pytest.mark.parametrize(
    ("language", "words", "expected"),
    [
        ("en", "the The of is their", True),
        ("en", "bike man green", False),
        ("de", "der Das einem ist", True),
        ("de", "Hund grün das-", False),
        ("fr", "les une dans", True),
        ("fr", "chien vert", False),
        ("es", "Los una para", True),
        ("es", "perro verde", False),
        ("pt", "uma dos não", True),
        ("pt", "cão verde", False),
        ("ja", "は を の", True),
        ("ja", "犬 茶", False),
        ("zh", "的 了", True),
        ("zh", "狗 茶", False),
        ("yy", "the der", False),
    ],
)
def test_words_of_grammar(language: str, words: str, expected: bool) -> None:
    found = {word: profile_of(language).is_grammar(word) for word in words.split()}
    assert found == dict.fromkeys(found, expected)

"""Edit files in YAML: a list of mappings, or a mapping with ``requests`` and, if wanted, ``keep``.

Text is taken as it stands: OmegaConf reads the file but fills in nothing.
"""

from __future__ import annotations

import io
from typing import Any, Dict, List, Tuple

from fairseq_rome.text.requests.lines import Faults, LineError, Place, read_lines
from fairseq_rome.text.requests.placed import PlacedFile, Record, Sentence
from fairseq_rome.text.requests.records import parse_text
from fairseq_rome.text.requests.suggestions import Suggestions

_FORM = "expected a list of requests, or a mapping with 'requests' and, if wanted, 'keep'"


def read_yaml(path: str, languages: Tuple[str, str], faults: Faults) -> PlacedFile:
    """Read a YAML file.

    Raises:
        LineError: the file cannot be read or is not of this form; or the first fault, if `faults` stops there.
    """
    lines = read_lines(path, faults)
    if len(lines.texts) < lines.total:
        return PlacedFile()  # without the lines that are at fault the rest may mean something else
    text = "\n".join(lines.texts.values())
    content, root = _parse_yaml(path, text)
    if isinstance(content, list):
        content, nodes = {"requests": content}, {"requests": root}
    else:
        nodes = {key.value: node for key, node in root.value}
    items: Dict[str, List[Tuple[Any, Place]]] = {"requests": [], "keep": []}
    for name in nodes:
        if name not in items:
            faults.add(LineError(Place(path, 1), f"unknown name {name!r}; {_FORM}"))
    if "requests" not in nodes:
        raise LineError(Place(path, 1), f"no 'requests'; {_FORM}")
    for name in nodes:
        if name in items:
            with faults.kept():
                items[name] = _placed_items(content[name], name, nodes[name], path, text)
    suggestions = Suggestions(languages)
    records = _records(items["requests"], suggestions, faults)
    return PlacedFile(records, keep=_keep(items["keep"], faults), notes=suggestions.notes(path))


def _records(items: List[Tuple[Any, Place]], suggestions: Suggestions, faults: Faults) -> Tuple[Record, ...]:
    numbered = enumerate(items, start=1)
    records = [suggestions.parse(fields, number, place, faults) for number, (fields, place) in numbered]
    return tuple(record for record in records if record)


def _keep(items: List[Tuple[Any, Place]], faults: Faults) -> Tuple[Sentence, ...]:
    found: List[Sentence] = []
    for value, place in items:
        with faults.kept():
            found.append(Sentence(parse_text(value, "keep", place), place))
    return tuple(found)


def _parse_yaml(path: str, text: str) -> Tuple[Any, Any]:
    """What OmegaConf reads in `text`, and PyYAML's node of it, which knows where things stand."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(root, yaml.CollectionNode):
            raise LineError(Place(path, 1), f"no list; {_FORM}")
        return OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False), root
    except yaml.MarkedYAMLError as error:
        line = _line_of(error.problem_mark.index, text)
        raise LineError(Place(path, line), f"{error.problem}; expected YAML") from error
    except yaml.reader.ReaderError as error:
        line = _line_of(error.position, text)
        raise LineError(Place(path, line), f"{error.reason}; expected YAML") from error
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        problem = f"{error.full_key}: {reason}; expected YAML for OmegaConf"
        raise LineError(Place(path, 1), problem) from error


def _placed_items(values: Any, name: str, node: Any, path: str, text: str) -> List[Tuple[Any, Place]]:
    """The items of a list, each with its place."""
    if not isinstance(values, list):
        line = _line_of(node.start_mark.index, text)
        raise LineError(Place(path, line), f"{name!r} is no list; expected a list")
    return [
        (value, Place(path, _line_of(item.start_mark.index, text))) for value, item in zip(values, node.value)
    ]


def _line_of(index: int, text: str) -> int:
    return text.count("\n", 0, index) + 1  # PyYAML's own count takes U+2028 and U+2029 for line ends

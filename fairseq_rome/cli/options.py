"""The options of `fairseq-edit`, and its settings: defaults, file, flags."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List, Optional, Sequence, Tuple

from fairseq_rome.cli.parsing import add_edit_file, add_evaluation, add_trust, command_parser
from fairseq_rome.editing.settings import EditSettings, all_settings
from fairseq_rome.errors import EditError
from fairseq_rome.settings import with_settings

USAGE = "fairseq-edit DATA --path MODEL --edit-pref PREF -s SRC -t TGT --save-to FILE [options]"
DESCRIPTION = """\
Change one behaviour of a trained translation model from one corrected example.

PREF.SRC holds source sentences and PREF.TGT the translations they should
have, a request a line. For each request the command decodes what the model
says now, finds the segment that differs and the source words it hangs on,
computes a rank-one change of feed-forward weights, and checks it by decoding
with the edited weights. At the end all requests are judged again and other
sentences are compared. The checkpoint that is written loads in every fairseq
command as the old one does; the old one stays as it is.
"""
EPILOG = """\
examples:
  fairseq-edit data-bin --path model.pt --edit-pref fixes -s en -t de \\
      --bpe sentencepiece --sentencepiece-model spm.model --save-to edited.pt
  fairseq-edit ... --dry-run                       what it would do, all settings
  fairseq-edit ... --method rome --site decoder.2  another method, another layer

A run of more than eight requests that was interrupted goes on where it stopped:
the same command finds what is done beside the file to write.

exit status:
  0  every request holds, and the checkpoint is written
  1  a request failed, or a sentence to keep changed; nothing is written
     unless --keep-going
  2  something that you can put right, said in one line; nothing is written
"""


def own_parser() -> argparse.ArgumentParser:
    """The options that are ours; its help is the command's."""
    parser = command_parser("fairseq-edit", USAGE, DESCRIPTION, EPILOG, " to edit")
    _add_files(parser.add_argument_group("requests and output"))
    add_evaluation(parser.add_argument_group("proof"))
    _add_settings(
        parser.add_argument_group("settings", "each is also a line of the --edit-config file: method: rome")
    )
    return parser


def _add_files(group: Any) -> None:
    add_edit_file(group)
    group.add_argument(
        "--edit-patches",
        metavar="FILES",
        help="edit the checkpoint with these patches, with colons between them: the new edits keep off theirs",
    )
    group.add_argument("--save-to", metavar="FILE", help="where the edited checkpoint goes")
    group.add_argument(
        "--save-patch",
        metavar="FILE",
        help="also write the edits alone, in order, as a small .safetensors file; or, if it ends in / or is a folder, "
        "a file a request, ID.safetensors (after a number where their order matters), for fairseq-edit-patch to apply "
        "and revert one by one; memit and emmet make one patch of all requests",
    )
    group.add_argument("--force", action="store_true", help="overwrite what exists of the files to write")
    group.add_argument("--keep-going", action="store_true", help="write what holds even if a request failed")
    group.add_argument(
        "--dry-run", action="store_true",
        help="write nothing: print all settings as YAML for --edit-config and, as comments in it, what would be edited",
    )  # fmt: skip
    group.add_argument("--edit-config", metavar="YAML", help="settings from a file; flags go before it")
    group.add_argument(
        "--edit-cache",
        metavar="DIR",
        help="where statistics are kept between runs, or none (default: user cache)",
    )
    group.add_argument(
        "--no-text", action="store_true", help="keep the requests out of the checkpoint's provenance"
    )
    add_trust(group)


def _add_settings(group: Any) -> None:
    for setting in all_settings().values():
        if setting.type is bool:
            group.add_argument(setting.flag, action="store_const", const=True, help=setting.help)
            continue
        group.add_argument(
            setting.flag,
            type=setting.type,
            choices=setting.choices or None,
            metavar=None if setting.choices else setting.name.split("_")[-1].upper(),
            help=f"{setting.help} (default: {setting.default})",
        )


def parse(argv: Optional[Sequence[str]]) -> Tuple[argparse.Namespace, List[str], EditSettings]:
    """Our own options, what is left for fairseq, and the settings: defaults, then `--edit-config`, then flags.

    Raises:
        EditError: for options and settings that can't be.
        SystemExit: after printing the help.
    """
    args, rest = own_parser().parse_known_args(argv)
    settings = EditSettings()
    if args.edit_config:
        settings = with_settings(settings, _read_yaml(args.edit_config, "settings"), args.edit_config)
    given = {name: getattr(args, name) for name in all_settings() if getattr(args, name) is not None}
    args.sites = {}
    if str(given.get("site", "")).endswith((".yaml", ".yml")):
        args.sites = read_sites(given.pop("site"))
    return args, rest, with_settings(settings, given, "command line")


def read_sites(path: str) -> Dict[str, str]:
    """The sites of each request by its id, as fairseq-edit-locate ranked them.

    Raises:
        EditError: if the file can't be read or maps something else.
    """
    found = _read_yaml(path, "sites by request, as fairseq-edit-locate writes them")
    for name, sites in found.items():
        if not isinstance(sites, str):
            raise EditError(f"{path}: {name} is {sites!r}, expected sites such as 'decoder.3,decoder.2'")
    return found


def _read_yaml(path: str, expected: str) -> Dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        found = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except OSError as error:
        raise EditError(f"{path}: {error.strerror or error}, expected a YAML file of {expected}") from error
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise EditError(
            f"{path}: {' '.join(str(error).split())}, expected a YAML mapping of {expected}"
        ) from error
    if not isinstance(found, dict):
        raise EditError(f"{path}: holds a list, expected a mapping of {expected}")
    return {str(name): value for name, value in found.items()}


def as_yaml(settings: EditSettings) -> str:
    """All settings as the YAML that `--edit-config` reads."""
    from omegaconf import OmegaConf

    return str(OmegaConf.to_yaml(OmegaConf.create(settings.as_plain())))

"""The command-line parser: fairseq's own generation options, and ours beside them."""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields
from typing import Any, Dict, Optional, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.settings import EditSettings, setting_types, with_settings

DESCRIPTION = """\
Change one behaviour of a trained translation model from one corrected example: PREF.SRC holds a source sentence a line,
PREF.TGT the translation it should have. The command decodes what the model says now, finds the segment that differs,
computes a rank-one change of feed-forward weights, checks it by decoding with the edited weights, and writes a
checkpoint that every fairseq command loads as it is.
"""
EPILOG = """\
examples:
  fairseq-edit data-bin --path model.pt --edit-pref fixes -s en -t de \\
      --bpe sentencepiece --sentencepiece-model spm.model --save-to edited.pt
  fairseq-edit ... --dry-run                      what would be edited, and all settings
  fairseq-edit ... --method rome --site decoder.2 another method, another layer

exit status: 0 every request holds; 1 a request failed, and nothing was written unless --keep-going;
2 something that you can put right, said in one line.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of fairseq's generation commands with the options of `fairseq-edit`."""
    from fairseq import options

    parser = options.get_generation_parser()
    parser.prog = "fairseq-edit"
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    files = parser.add_argument_group("edit files")
    files.add_argument(
        "--edit-pref", metavar="PREF", required=True,
        help="edit file: the prefix of parallel text PREF.SRC and PREF.TGT (with optional PREF.neg.TGT, PREF.ctx.SRC, "
        "PREF.keep.SRC), or the name of a .tsv, .jsonl or .yaml file",
    )  # fmt: skip
    files.add_argument(
        "--edit-input", choices=("raw", "bpe"), default="raw",
        help="raw: text goes through --tokenizer and --bpe as in fairseq-interactive; bpe: it is segmented already",
    )  # fmt: skip
    files.add_argument("--save-to", metavar="FILE", help="where the edited checkpoint goes")
    files.add_argument("--force", action="store_true", help="overwrite --save-to if it exists")
    files.add_argument(
        "--no-text", action="store_true", help="keep the requests out of the checkpoint's provenance"
    )
    files.add_argument(
        "--trust-checkpoint", action="store_true",
        help="allow a checkpoint that runs code when it is loaded; only for files from people you trust",
    )  # fmt: skip
    files.add_argument(
        "--edit-cache",
        metavar="DIR",
        help="where statistics are kept between runs, or none (default: user cache)",
    )
    run = parser.add_argument_group("editing")
    run.add_argument("--edit-config", metavar="YAML", help="settings from a file; flags go before it")
    run.add_argument(
        "--dry-run", action="store_true", help="decode, say what would be done and print all settings"
    )
    run.add_argument("--keep-going", action="store_true", help="write what holds even if a request failed")
    _add_settings(run)
    return parser


def _add_settings(group: Any) -> None:
    types = setting_types()
    for setting in fields(EditSettings):
        if setting.name == "seed":  # fairseq has it
            continue
        group.add_argument(
            "--" + setting.name.replace("_", "-"),
            type=types[setting.name],
            choices=setting.metadata["choices"] or None,
            metavar=None if setting.metadata["choices"] else setting.name.split("_")[-1].upper(),
            help=f"{setting.metadata['help']} (default: {setting.default})",
        )


def parse(argv: Optional[Sequence[str]]) -> Tuple[argparse.Namespace, EditSettings]:
    """The parsed command line and the settings: defaults, then `--edit-config`, then flags.

    Raises:
        EditError: for settings that can't be.
        SystemExit: as argparse does.
    """
    from fairseq import options

    args = options.parse_args_and_arch(build_parser(), input_args=None if argv is None else list(argv))
    settings = EditSettings()
    if args.edit_config:
        settings = with_settings(settings, _read_config(args.edit_config), args.edit_config)
    given = {
        f.name: getattr(args, f.name) for f in fields(EditSettings) if getattr(args, f.name, None) is not None
    }
    return args, with_settings(settings, given, "command line")


def _read_config(path: str) -> Dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        found = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except OSError as error:
        raise EditError(f"{path}: {error.strerror or error}, expected a YAML file of settings") from error
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise EditError(
            f"{path}: {' '.join(str(error).split())}, expected a YAML mapping of settings"
        ) from error
    if not isinstance(found, dict):
        raise EditError(f"{path}: holds a list, expected a mapping such as 'method: gated'")
    return {str(name): value for name, value in found.items()}


def as_yaml(settings: EditSettings) -> str:
    """All settings as the YAML that `--edit-config` reads."""
    from omegaconf import OmegaConf

    return str(OmegaConf.to_yaml(OmegaConf.create(asdict(settings))))

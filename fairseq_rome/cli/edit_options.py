"""The options of `fairseq-edit`, and its settings: defaults, file, flags."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Optional, Sequence

from fairseq_rome.cli.parsing import (
    add_cache,
    add_edit_file,
    add_evaluation,
    add_trust,
    command_parser,
    evaluation_options,
    help_sections,
    model_spec,
)
from fairseq_rome.editing.edit_settings import EditSettings, all_settings
from fairseq_rome.errors import EditError
from fairseq_rome.settings import with_settings

if TYPE_CHECKING:
    from argparse import _ActionsContainer as Group

    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.server.queue_requests import ProvenFixes
    from fairseq_rome.workbench.edit_job import EditSpec

USAGE = "fairseq-edit DATA --path MODEL --edit-pref PREF -s SRC -t TGT --save-to FILE [options]"


class EditCommand(NamedTuple):
    """One run of the command: what to do, and how it is shown."""

    spec: EditSpec
    dry_run: bool
    progress: Progress
    as_json: bool
    queued: Optional[ProvenFixes] = None


def own_parser() -> argparse.ArgumentParser:
    """The options that are ours; its help is the command's."""
    parser = command_parser("fairseq-edit", USAGE, help_sections("edit"), " to edit")
    _add_files(parser.add_argument_group("requests and output"))
    add_evaluation(parser.add_argument_group("proof"))
    _add_settings(
        parser.add_argument_group("settings", "each is also a line of the --edit-config file: method: rome")
    )
    return parser


def _add_files(group: Group) -> None:
    add_edit_file(group, required=False)
    group.add_argument(
        "--from-queue", metavar="FILE",
        help="in the place of --edit-pref: what is proven in a queue of fairseq-edit-serve, with the settings of its "
        "server unless others are given",
    )  # fmt: skip
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
    add_cache(group)
    group.add_argument(
        "--no-text", action="store_true", help="keep the requests out of the checkpoint's provenance"
    )
    add_trust(group)


def _add_settings(group: Group) -> None:
    for setting in all_settings().values():
        if setting.type is bool:
            group.add_argument(setting.flag, action="store_const", const=True, help=setting.help)
            if setting.default:
                off, told = f"--no-{setting.flag[2:]}", f"leave out what {setting.flag} does, which is the default"
                group.add_argument(off, action="store_const", const=False, dest=setting.name, help=told)
            continue
        group.add_argument(
            setting.flag,
            type=setting.type,
            choices=setting.choices or None,
            metavar=None if setting.choices else setting.name.split("_")[-1].upper(),
            help=f"{setting.help} (default: {setting.default})",
        )


def parse(
    argv: Sequence[str], prepare: Callable[[], None] = lambda: None
) -> EditCommand:
    """What the words of a command line ask for; settings are the defaults, then `--edit-config`, then flags.

    Args:
        argv: the words.
        prepare: called once our own options are known to be right, before fairseq is needed.

    Raises:
        EditError: for options and settings that can't be.
        SystemExit: after printing the help.
    """
    own, rest = own_parser().parse_known_args(argv)
    if (own.edit_pref is None) == (own.from_queue is None):
        raise EditError("--edit-pref and --from-queue: expected one of them")
    queued = None if own.from_queue is None else _queued(own.from_queue)
    settings = read_settings(own.edit_config, None if queued is None else queued.settings)
    given = {name: getattr(own, name) for name in all_settings() if getattr(own, name) is not None}
    site_file = given.pop("site") if str(given.get("site", "")).endswith((".yaml", ".yml")) else None
    sites = read_sites(site_file) if site_file else {}
    settings = with_settings(settings, given, "command line")
    prepare()
    from fairseq_rome.patch import patch_paths

    evaluation = evaluation_options(own, settings.seed)
    model, progress, as_json = model_spec(
        "fairseq-edit", own, rest, settings.seed, patch_paths(own.edit_patches)
    )
    if not own.dry_run:
        _check_written(settings.method, own.save_to, own.save_patch)
    from fairseq_rome.workbench.edit_job import EditSpec

    spec = EditSpec(
        model, own.edit_pref or own.from_queue, own.edit_config, site_file, sites, own.edit_task, settings, evaluation,
        own.report, own.save_to or "", own.save_patch, own.force, own.keep_going, not own.no_text, own.dry_run,
        ("fairseq-edit", *argv), own.edit_markup,
        None if queued is None else queued.given,
    )  # fmt: skip
    return EditCommand(spec, own.dry_run, progress, as_json, queued)


def _check_written(method: str, save_to: Optional[str], save_patch: Optional[str]) -> None:
    """Refuse a run that has no file to write what its method makes.

    Raises:
        EditError: naming the option.
    """
    from fairseq_rome.methods.registry import method_named

    if method_named(method).changes_weights:
        if not save_to:
            raise EditError("--save-to is missing, expected a file for the edited checkpoint (or --dry-run)")
    elif save_to:
        raise EditError(
            f"--save-to: --method {method} changes no weights, and no checkpoint can hold what it makes; expected "
            "--save-patch in its place, a file for --edit-patches"
        )
    elif not save_patch:
        raise EditError(f"--save-patch is missing, expected a file for what --method {method} makes (or --dry-run)")


def read_settings(path: Optional[str], others: Optional[EditSettings] = None) -> EditSettings:
    """The settings of a file over some others, or else over the defaults; these alone where none is named.

    Raises:
        EditError: if the file can't be read, or a setting can't be.
    """
    below = others or EditSettings()  # made here, for its fields are those of the methods that there are by now
    return below if not path else with_settings(below, _read_yaml(path, "settings"), path)


def _queued(path: str) -> ProvenFixes:
    """What is proven in a queue.

    Raises:
        EditError: if it can't be read, or nothing is proven.
    """
    from fairseq_rome.server.queue_requests import proven_fixes

    return proven_fixes(path)


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

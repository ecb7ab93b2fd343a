"""docs/settings.md, made from the declarations of the settings.

    python scripts/settings_page.py > docs/settings.md

A test holds the page against what this writes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import typer.main

import openrlhf_ext.settings as openrlhf
import verl_ext.settings as verl
from tw_plugins.cli.app import app
from tw_plugins.cli.options import sentence
from tw_plugins.evaluation.settings import EvalSettings
from tw_plugins.settings import Setting, declared
from tw_plugins.sft.settings import TableSettings

HEAD = """# Settings

Made from their declarations by `python scripts/settings_page.py > docs/settings.md`: change those. A value
that does not fit, or a name that is none, ends a run in one line before anything starts. `null` is YAML's: on
a command line, leave the option out. On verl's command line a name begins with `++`, as in
`++actor_rollout_ref.rollout.custom.threadweaver.max_threads=8`: Hydra then adds what no config has yet.
OpenRLHF's switches come in pairs: `--tw.strict`, `--no-tw.strict`.
"""
TRAINING = ("verl", "OpenRLHF", "`threadweaver`", "value", "default", "meaning")
DECODING = ("option", "of `threadweaver`", "value", "default", "meaning")


def page() -> str:
    """The whole page, in Markdown."""
    rollout, reward, sft = declared(verl.Settings), declared(verl.RewardKwargs), declared(TableSettings)
    rl_flags, sft_flags = declared(openrlhf.RLSettings), declared(openrlhf.SFTSettings)
    prompts = declared(verl.Prompts)
    own = {name: one for name, one in rl_flags.items() if name not in {**rollout, **reward, **prompts}}
    parts = [
        HEAD,
        _training("Rollout", verl.Settings.PREFIX, rollout.values(), rl_flags),
        _training("Prompts of RL", verl.Prompts.PREFIX, prompts.values(), rl_flags),
        _training("Reward", verl.RewardKwargs.PREFIX, reward.values(), rl_flags),
        _training("SFT", TableSettings.PREFIX, sft.values(), sft_flags),
        "## OpenRLHF only\n",
        _table(TRAINING[1:2] + TRAINING[3:], (_flag_row(one, sft_flags) for one in own.values())),
        "## Decoding and evaluation\n\nFields of `tw_plugins.evaluation.run.EvalSettings`.\n",
        _table(DECODING, filter(None, map(_option_row, declared(EvalSettings).values()))),
    ]
    return "\n".join(parts)


def _training(title: str, prefix: str, settings: Iterable[Setting], flags: Collection[str]) -> str:
    """Settings of both frameworks; those that OpenRLHF has no flag for have a dash there."""
    rows = (
        (
            f"`{one.name}`",
            f"`{openrlhf.Common.PREFIX}{one.name}`" if one.name in flags else "–",
            ", ".join(sorted({f"`{option}`" for option, _, _ in _options(one)})) or "–",
            *_said(one),
        )
        for one in settings
    )
    return f"## {title}\n\nOn verl under `{prefix.removesuffix('.')}`.\n\n{_table(TRAINING, rows)}"


def _flag_row(one: Setting, of_sft: Collection[str]) -> tuple[str, ...]:
    where = "" if one.name in of_sft else " (RL)"
    return f"`{openrlhf.Common.PREFIX}{one.name}`{where}", *_said(one)


def _option_row(one: Setting) -> tuple[str, ...] | None:
    found = list(_options(one))
    if not found:
        return None
    commands = [f"`{command}`" + (f" ({more})" if more else "") for _, command, more in found]
    return f"`{found[0][0]}`", ", ".join(commands), *_said(one)


def _options(one: Setting) -> Iterator[tuple[str, str, str]]:
    """Options whose help is the declaration's: (option, command, what the command says on top)."""
    for command, parameter in _parameters(typer.main.get_command(app)):
        text = getattr(parameter, "help", None) or ""
        if one.text and text.startswith(sentence(one)):
            more = text.removeprefix(sentence(one)).strip().removesuffix(".").replace("When", "when", 1)
            if parameter.default not in (one.default, None):
                more = f"default {_value(parameter.default)}"
            yield parameter.opts[0], command, more


def _parameters(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for parameter in command.params:
        yield name, parameter
    for child, below in sorted(getattr(command, "commands", {}).items()):
        yield from _parameters(below, f"{name} {child}".strip())


def _said(one: Setting) -> tuple[str, str, str]:
    return one.wanted, _value(one.default), one.text


def _value(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    print(page(), end="")

"""A package that no installed extra brought is one line that names the extra."""

from __future__ import annotations

import sys
from email.message import Message
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tw_plugins.cli import app as cli
from tw_plugins.cli.ending import is_explained
from tw_plugins.cli.extras import missing_extra


@pytest.mark.parametrize(
    ("package", "extra"),
    [
        ("torch", "torch"),
        ("transformers", "torch"),
        ("pyarrow", "data"),
        ("pydantic", "pipeline"),
        ("fastapi", "serve"),
        ("prometheus_client", "serve"),
        ("vllm", None),
    ],
)
def test_the_smallest_extra_that_brings_it(package: str, extra: str | None) -> None:
    found = missing_extra(ModuleNotFoundError("no", name=package))
    if extra is None:
        assert found is None
    else:
        assert found == f"this needs {package}, which is not installed: pip install 'tw-plugins[{extra}]'"


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("a part of an installed package", name="torch.nothing"),
        ModuleNotFoundError("no name"),
        ImportError("cannot import name 'x'", name="torch"),
        KeyError("torch"),
    ],
)
def test_any_other_error_is_ours(error: Exception) -> None:
    assert missing_extra(error) is None and not is_explained(error)


def test_a_command_says_it_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "sft.parquet").write_bytes(b"PAR1")
    done = CliRunner().invoke(
        cli.app, ["view", "stats", str(tmp_path / "sft.parquet"), "--out", str(tmp_path)]
    )
    assert done.exit_code == 2
    assert done.output == (
        "error: this needs pyarrow, which is not installed: pip install 'tw-plugins[data]'\n"
    )


def test_an_extra_whose_distribution_is_spelt_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = Message()
    declared["Provides-Extra"], declared["Requires-Dist"] = "tasks", 'a-b>=1; extra == "tasks"'
    monkeypatch.setattr("tw_plugins.cli.extras.metadata", lambda name: declared)
    found = missing_extra(ModuleNotFoundError("no", name="a_b"))
    assert found is not None and found.endswith("pip install 'tw-plugins[tasks]'")


def test_a_package_that_is_imported_by_another_name() -> None:
    found = missing_extra(ModuleNotFoundError("no", name="yaml"))
    assert found is not None and found.endswith("pip install 'tw-plugins[pipeline]'")

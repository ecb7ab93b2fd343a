"""Without any extra, each command works or says in one line which extra to install."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import RECORD
from tests.support.report_data import report
from tests.support.root import ROOT
from tw_plugins.evaluation.records import write_records
from tw_plugins.pages.report import write_report

EXTRAS_BRING = (
    "torch transformers tokenizers safetensors pyarrow datasets vllm ray psutil wrapt verl openrlhf yaml "
    "fastapi uvicorn prometheus_client"
)
WITHOUT = f"""
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if (top := name.partition(".")[0]) in {EXTRAS_BRING!r}.split():
            raise ModuleNotFoundError("No module named " + repr(top), name=top)

sys.meta_path.insert(0, NotInstalled())
from tw_plugins.cli.app import app
app()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("w")
    for side in ("a", "b"):
        write_records([replace(RECORD, index=i) for i in range(3)], made / side / "parallel.jsonl")
    write_report(report(), made / "r")
    (made / "r" / "report.html").unlink()
    (made / "p.jsonl").write_text('{"problem": "1 + 1?", "answer": "2"}\n')
    (made / "t.jsonl").write_text('{"problem": "1 + 1?", "answer": "2", "trace": "so 2"}\n')
    return made


def threadweaver(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *command.split()],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("report r", "report.html"),
        ("eval compare a b --mode-b parallel", "Accuracy"),
        ("view trajectories a/parallel.jsonl --out t.html", "3 trajectories"),
        ("view stats a/parallel.jsonl --out s.html", "3 trajectories"),
    ],
)
def test_it_works(folder: Path, command: str, shown: str) -> None:
    done = threadweaver(folder, command)
    assert done.returncode == 0 and shown in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("bench collate", "torch"),
        ("eval run --model m --data p.jsonl --out o", "torch"),
        ("eval clock --model m --baseline n --data p.jsonl --out o", "torch"),
        ("rollout --model m --prompt hi", "torch"),
        ("data add-tokens --model m --out o", "torch"),
        ("data toy --out o", "data"),
        ("pipeline run p.yaml", "pipeline"),
        ("serve --model m", "serve"),
        ("data stage1 t.jsonl --out s --base-url http://127.0.0.1:9/v1 --model m", "data"),
    ],
)
def test_it_names_the_extra(folder: Path, command: str, extra: str) -> None:
    done = threadweaver(folder, command)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert last.startswith("error: this needs ") and last.endswith(f"pip install 'tw-plugins[{extra}]'")


def test_the_doctor_lists_what_is_missing(folder: Path) -> None:
    done = threadweaver(folder, "doctor --no-ray")
    assert done.returncode == 1 and "checks failed" in done.stdout and "Traceback" not in done.stderr

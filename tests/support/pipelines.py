"""A pipeline's file of all stages, and its plan by the real adapters; nothing of it is run."""

from __future__ import annotations

from pathlib import Path

import openrlhf_ext.pipeline
import verl_ext.pipeline
from tests.support.root import ROOT
from tw_plugins.pipeline.plan import Plan, planned
from tw_plugins.pipeline.reading import read_pipeline
from tw_plugins.pipeline.trainers import Trainer

TRAINERS: dict[str, Trainer] = {"verl": verl_ext.pipeline.TRAINER, "openrlhf": openrlhf_ext.pipeline.TRAINER}
SUFFIXES = {name: trainer.suffix for name, trainer in TRAINERS.items()}
RUN = Path("/the/run")
RECIPES = ROOT / "recipes"
TEXT = f"""\
variables: {{tokens: 512, lr: 0.001}}
framework: verl
model: owner/model
verifier: choice
seed: 4
add-tokens: {{}}
stage1:
  data: traces.jsonl
  options: {{base-url: "http://localhost:8000/v1", model: m, price-in: 0.5}}
sft:
  recipe: {{verl: {RECIPES}/verl/toy_sft.yaml, openrlhf: {RECIPES}/openrlhf/train_toy_sft.sh}}
  settings:
    verl: ["optim.lr=${{lr}}"]
    openrlhf: --adam.lr ${{lr}}
selftrain:
  recipe: {{verl: {RECIPES}/verl/toy_sft.yaml, openrlhf: {RECIPES}/openrlhf/train_toy_sft.sh}}
  data: rl.jsonl
  options: {{samples: 4, max-tokens: "${{tokens}}"}}
rl:
  recipe: {{verl: {RECIPES}/verl/toy_p_grpo.yaml, openrlhf: {RECIPES}/openrlhf/train_toy_p_grpo.sh}}
  baseline:
    verl: {RECIPES}/verl/toy_grpo_sequential.yaml
    openrlhf: {RECIPES}/openrlhf/train_toy_grpo_sequential.sh
  data: rl.jsonl
  validation: {{verl: owner/held-out}}
  steps: 7
eval:
  data: aime24
  more: [math500]
  options: {{max-tokens: "${{tokens}}", answer-line: true}}
  clock: 3
"""


def write(folder: Path, text: str = TEXT) -> Path:
    """The file, and the data that it names."""
    for name in ("traces.jsonl", "rl.jsonl"):
        (folder / name).write_text("{}\n")
    file = folder / "my.yaml"
    file.write_text(text)
    return file


def plan_of(file: Path, run: Path = RUN, **given: str) -> Plan:
    asked = read_pipeline(file, SUFFIXES, run, given).asked
    return planned(asked, TRAINERS[asked.framework], run)

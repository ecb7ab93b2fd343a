"""The toy task's settings as a whole, and the files a run of it starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tw_plugins.storage.parquet import write_parquet
from tw_plugins.toy.dataset import Mixture, Record, make_dataset, sort_within_batches
from tw_plugins.toy.digits import SMOKE, Sizes
from tw_plugins.toy.model import SMOKE_MODEL, STANDARD_MODEL, ModelSize, make_model, save
from tw_plugins.toy.tokenizer import make_tokenizer


@dataclass(frozen=True)
class Preset:
    """How much of everything: SFT rows and their batch, RL prompts, held-out problems per kind, the model.

    ``rl_decomposable`` is the share of RL prompts that can be forked: only those teach when to fork.
    """

    sft: Mixture
    sft_rows: int
    sft_batch: int
    rl_prompts: int
    rl_decomposable: float
    eval_per_kind: int
    model: ModelSize

    @property
    def sizes(self) -> Sizes:
        """Sizes of the problems of RL and evaluation, and of SFT after its warm-up."""
        return self.sft.sizes


STANDARD_PRESET = Preset(
    sft=Mixture(p_parallel=0.5, warm_up_rows=4000),
    sft_rows=8_000,
    sft_batch=16,
    rl_prompts=320,
    rl_decomposable=0.6,
    eval_per_kind=300,
    model=STANDARD_MODEL,
)
SMOKE_PRESET = Preset(
    sft=Mixture(sizes=SMOKE),
    sft_rows=128,
    sft_batch=16,
    rl_prompts=16,
    rl_decomposable=0.5,
    eval_per_kind=8,
    model=SMOKE_MODEL,
)

FORKING_PRESET = replace(SMOKE_PRESET, sft=Mixture(sizes=SMOKE, decomposable=1.0, p_parallel=1.0))
"""Every SFT row has threads: twelve epochs, and most samples fork."""

PRESETS = {"standard": STANDARD_PRESET, "smoke": SMOKE_PRESET, "forking": FORKING_PRESET}


def write_files(folder: Path, seed: int, preset: Preset = STANDARD_PRESET) -> dict[str, Path]:
    """Write model folder and data sets; returns their paths by name.

    ``model`` (untrained), ``sft`` (threads mixed in), ``sft_sequential`` (the same problems without threads),
    ``rl`` (other training problems), ``eval`` (held out; the same for every seed, half of each kind). SFT
    rows are in the order they are meant to be trained in, ``sft_batch`` at a time.
    """

    def make_sft(mixture: Mixture) -> list[Record]:
        return sort_within_batches(make_dataset(preset.sft_rows, seed, "train", mixture), preset.sft_batch)

    sequential = replace(preset.sft, p_parallel=0.0)
    plain = Mixture(sizes=preset.sizes)
    data = {
        "sft": make_sft(preset.sft),
        "sft_sequential": make_sft(sequential),
        "rl": make_dataset(
            preset.rl_prompts, f"{seed}/rl", "train", replace(plain, decomposable=preset.rl_decomposable)
        ),
        "eval": make_dataset(2 * preset.eval_per_kind, "eval", "test", plain),
    }
    paths = {name: folder / f"{name}.parquet" for name in data}
    for name, records in data.items():
        write_parquet(records, paths[name])
    tokenizer = make_tokenizer()
    paths["model"] = folder / "model"
    save(paths["model"], tokenizer, make_model(tokenizer, seed, preset.model))
    return paths

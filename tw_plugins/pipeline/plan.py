"""From a pipeline's file to its stages, each the commands that it runs and what they leave.

    RUN/data  RUN/add-tokens/model  RUN/stage1/sft.parquet  RUN/sft/{threads,sequential}
    RUN/selftrain/{samples,threads}  RUN/rl/{threads,sequential}  RUN/eval/{sft,rl,baseline,clock}

`threads` is ThreadWeaver's line, `sequential` its baseline's. RL and evaluation after self-training have
folders of their own, so that both can be had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args

from tw_plugins.data.selftrain import SAMPLES
from tw_plugins.data.selftrain import SFT as KEPT
from tw_plugins.evaluation.clock.file import clock_file
from tw_plugins.evaluation.run import record_file
from tw_plugins.pipeline import schema, take
from tw_plugins.pipeline.jobs import Job
from tw_plugins.pipeline.own import options_of, own_command, words_of
from tw_plugins.pipeline.trainers import Trained, Trainer, Training
from tw_plugins.rollout import Mode
from tw_plugins.verifiers.names import MATH

__all__ = ["CLOCK", "SELFTRAINED", "TABLE", "Plan", "Planned", "planned"]

CLOCK, MORE, TABLE = "clock", "more", "table.md"
SELFTRAINED = "-selftrain"
"""Ends the names of the folders of `rl` and `eval` that follow `selftrain`."""
MODES: tuple[Mode, ...] = get_args(Mode)
OF_A_CLOCK = ("max-tokens", "instruction", "chat-template", "prompt-key", "answer-key", "engine-arg")


@dataclass(frozen=True)
class Planned:
    """A stage.

    Attributes:
        name: in the file.
        folder: for all that it leaves.
        rounds: commands that run side by side, one round after the other.
        reads: recipes and data of the user's that it depends on.
    """

    name: str
    title: str
    folder: Path
    rounds: Sequence[Sequence[Job]]
    reads: Sequence[Path] = ()


@dataclass
class Plan:
    """All stages of a run.

    Attributes:
        folder: of the run.
        models: to evaluate, by their names in the report: `sft`, `selftrain`, `rl`, `baseline`.
        metrics: files of each training: `sft`, `sft_sequential`, `rl`, `baseline`.
        trainings: each with what comes of it.
    """

    asked: schema.Asked
    trainer: Trainer
    folder: Path
    stages: list[Planned] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Path] = field(default_factory=dict)
    trainings: list[tuple[Training, Trained]] = field(default_factory=list)

    def path(self, stage: str) -> Path:
        """The folder of a stage."""
        after = self.asked.has("selftrain") and stage in ("rl", "eval")
        return self.folder / f"{stage}{SELFTRAINED if after else ''}"

    def train(
        self,
        how: Callable[[Training], Trained],
        name: str,
        line: Path,
        section: schema.Training,
        model: str,
        data: str,
        **more: Any,
    ) -> Trained:
        """A training of the run's framework, hardware and seed.

        Args:
            how: the trainer's SFT or RL.
            line: folder for what it leaves.
            more: further fields of `Training`.
        """
        asked = self.asked
        given = {
            "recipe": section.recipe,
            "steps": section.steps,
            "settings": section.settings,
            "verifier": asked.verifier,
            "seed": asked.seed,
            "gpus": asked.hardware.gpus,
            "nodes": asked.hardware.nodes,
            "device": asked.hardware.device,
            "env": self.environment(),
            "stall_s": self.stall_s,
        }
        training = Training(name=name, folder=line, model=model, data=data, **{**given, **more})
        self.trainings.append((training, how(training)))
        return self.trainings[-1][1]

    def own(
        self, name: str, folder: Path, words: Sequence[str], counters: Sequence[Path] = (), **more: Any
    ) -> Job:
        """A command of `threadweaver`, or any other of the user's."""
        return Job(
            name=name,
            command=own_command(words),
            log=folder / more.pop("log", "log.txt"),
            counters=counters,
            env=self.environment(),
            stall_s=self.stall_s,
            **{"steps": None, **more},
        )

    def environment(self) -> dict[str, str]:
        """Of every command."""
        return {**self.trainer.environment(self.asked.hardware.device), **self.asked.environment}

    @property
    def stall_s(self) -> float:
        """Seconds; infinite where the file has no limit."""
        minutes = self.asked.stall_minutes
        return float("inf") if minutes is None else 60 * minutes

    def judged(self) -> list[str]:
        """Options of a command that judges answers."""
        return ["--verifier", self.asked.verifier] if self.asked.verifier != MATH else []

    def sampling(self) -> list[str]:
        """Options of a command that decodes and judges."""
        return [*self.judged(), "--seed", str(self.asked.seed)]

    def evaluations(self, folder: Path, data: str, given: schema.Evaluation) -> list[Job]:
        """Of every model on the same problems."""
        rows = given.rows if data == given.data else None
        on = "" if data == given.data else f" on {data}"
        jobs = []
        for name, model in self.models.items():
            to = folder / name
            words = ["threadweaver", "eval", "run", "--model", model, "--data", data, "--out", str(to)]
            words += [*options_of(given.options), *self.sampling()]
            counters = [record_file(to, mode) for mode in MODES]
            jobs.append(self.own(f"evaluate {name}{on}", to, words, counters, steps=rows))
        return jobs

    def add(self, name: str, title: str, jobs: Sequence[Sequence[Job]], reads: Sequence[Any] = ()) -> None:
        """A stage; its jobs are run side by side only where the file says so."""
        section = self.asked.section(name)
        own = section.environment if section else {}
        rounds = [[replace(job, env={**job.env, **own}) for job in each] for each in jobs]
        if not self.asked.side_by_side(name):
            rounds = [[job] for each in rounds for job in each]
        there = [Path(one) for one in reads if one is not None]
        outside = [one for one in there if self.folder not in one.parents and one.exists()]
        self.stages.append(Planned(name, title, self.path(name), rounds, outside))


def planned(asked: schema.Asked, trainer: Trainer, folder: Path) -> Plan:
    """
    Args:
        folder: of the run, absolute.

    Raises:
        PipelineError: the framework wants something that the file does not have.
    """
    plan = Plan(asked, trainer, folder)
    if asked.data and asked.has("data"):
        _data(plan, asked.data)
    model = asked.model
    if asked.add_tokens and asked.has("add-tokens"):
        model = _add_tokens(plan, asked.add_tokens)
    if asked.stage1 and asked.has("stage1"):
        _stage1(plan, asked.stage1, model)
    start = baseline = model
    if asked.sft and asked.has("sft"):
        start, baseline = _sft(plan, asked.sft, model)
    plan.models["sft"] = start
    if asked.selftrain and asked.has("selftrain"):
        own_line = baseline != start
        plan.models["selftrain"] = start = _selftrain(plan, asked.selftrain, start)
        baseline = baseline if own_line else start
    if asked.rl and asked.has("rl"):
        _rl(plan, asked.rl, start, baseline)
    if asked.eval and asked.has("eval"):
        _eval(plan, asked.eval)
    return plan


def _data(plan: Plan, given: schema.Commands) -> None:
    jobs = [
        plan.own(f"command {number}", plan.path("data"), words_of(line), log=f"log-{number}.txt")
        for number, line in enumerate(given.commands, 1)
    ]
    plan.add("data", "problems, tokenizer and model", [[job] for job in jobs])


def _add_tokens(plan: Plan, given: schema.AddTokens) -> str:
    folder, asked = plan.path("add-tokens"), plan.asked
    model = folder / "model"
    template = ["--chat-template", asked.chat_template] if asked.chat_template else []
    words = ["threadweaver", "data", "add-tokens", "--model", asked.model, "--out", str(model), *template]
    job = plan.own("control tokens", folder, [*words, *options_of(given.options)])
    plan.add(
        "add-tokens", "control tokens in model and tokenizer", [[job]], [asked.model, asked.chat_template]
    )
    return str(model)


def _stage1(plan: Plan, given: schema.Stage1, model: str) -> None:
    folder = plan.path("stage1")
    words = ["threadweaver", "data", "stage1", given.data, "--out", str(folder), "--tokenizer", model]
    words += plan.judged()
    counter = folder / "1-structure.jsonl"
    job = plan.own("rewriting", folder, [*words, *options_of(given.options)], (counter,))
    plan.add("stage1", "sequential traces rewritten as threads", [[job]], [given.data])


def _sft(plan: Plan, given: schema.SFT, model: str) -> tuple[str, str]:
    """Returns the model, and the one that the baseline starts from."""
    folder, sft = plan.path("sft"), plan.trainer.sft
    data = given.data or str(plan.path("stage1") / KEPT)
    lines = [plan.train(sft, "SFT with threads", folder / "threads", given, model, data)]
    plan.metrics["sft"] = lines[0].metrics
    title = "SFT with threads"
    if given.baseline:
        title = "SFT: with threads, and the sequential baseline"
        lines.append(plan.train(sft, "SFT sequential", folder / "sequential", given, model, given.baseline))
        plan.metrics["sft_sequential"] = lines[1].metrics
    plan.add("sft", title, _rounds(lines), [*plan.trainer.files(given.recipe), given.data, given.baseline])
    return str(lines[0].model), str(lines[-1].model)


def _selftrain(plan: Plan, given: schema.Selftrain, model: str) -> str:
    folder = plan.path("selftrain")
    samples = folder / "samples"
    words = ["threadweaver", "data", "selftrain", "--model", model, "--prompts", given.data]
    words += ["--out", str(samples), *options_of(given.options), *plan.sampling()]
    jobs = [plan.own("sampling", samples, words, (samples / SAMPLES,), steps=given.rows)]
    kept = samples / KEPT
    if given.take:
        kept = samples / take.TAKEN
        cut = ["python", "-m", take.__name__, str(samples), str(given.take)]
        jobs.append(plan.own("as many as SFT takes", samples, cut, log="take.txt"))
    sft = plan.trainer.sft
    trained = plan.train(sft, "SFT on own samples", folder / "threads", given, model, str(kept))
    title = "self-training: SFT on the model's own right answers"
    reads = [*plan.trainer.files(given.recipe), given.data]
    plan.add("selftrain", title, [[job] for job in (*jobs, *trained.jobs)], reads)
    return str(trained.model)


def _rl(plan: Plan, given: schema.RL, model: str, baseline: str) -> None:
    folder, rl = plan.path("rl"), plan.trainer.rl
    more: dict[str, Any] = {"validation": given.validation}
    own = {**more, "settings": [*given.settings, *given.p_grpo]}
    lines = [plan.train(rl, "P-GRPO, fork-join", folder / "threads", given, model, given.data, **own)]
    files, title = [*plan.trainer.files(given.recipe)], "RL: P-GRPO with fork-join rollouts"
    if given.baseline:
        title += ", and the sequential baseline"
        files += plan.trainer.files(given.baseline)
        to = folder / "sequential"
        more["recipe"] = given.baseline
        lines.append(plan.train(rl, "GRPO, sequential", to, given, baseline, given.data, **more))
    plan.add("rl", title, _rounds(lines), [*files, given.data, given.validation])
    for name, trained in zip(("rl", "baseline"), lines, strict=False):
        plan.models[name], plan.metrics[name] = str(trained.model), trained.metrics


def _eval(plan: Plan, given: schema.Evaluation) -> None:
    folder = plan.path("eval")
    rounds = [plan.evaluations(folder, given.data, given)]
    rounds += [plan.evaluations(folder / MORE / Path(data).stem, data, given) for data in given.more]
    compared = plan.models.get("rl", plan.models["sft"])
    if given.clock:
        rounds.append([_clock(plan, folder / CLOCK, compared, plan.models.get("baseline", compared), given)])
    if given.more:
        rounds.append([_table(plan, folder, given)])
    plan.add("eval", "evaluation on held-out problems", rounds, [given.data, *given.more])


def _clock(plan: Plan, folder: Path, model: str, baseline: str, given: schema.Evaluation) -> Job:
    """It wants the machine for itself."""
    words = ["threadweaver", "eval", "clock", "--model", model, "--baseline", baseline, "--data", given.data]
    words += ["--out", str(folder), "--problems", str(given.clock)]
    options = {name: value for name, value in given.options.items() if name in OF_A_CLOCK}
    counters = [clock_file(folder)]
    return plan.own("wall clock", folder, [*words, *options_of(options)], counters, steps=given.clock)


def _table(plan: Plan, folder: Path, given: schema.Evaluation) -> Job:
    """All data sets in one table, RL's model against the baseline or itself."""
    own = "rl" if "rl" in plan.models else "sft"
    baseline = "baseline" if "baseline" in plan.models else own
    places = [folder, *(folder / MORE / Path(data).stem for data in given.more)]
    words = ["threadweaver", "eval", "table", *(str(place / own) for place in places)]
    words += [word for place in places for word in ("--baseline", str(place / baseline))]
    return plan.own("table", folder, [*words, "--out", str(folder / TABLE)], log="table.txt")


def _rounds(lines: Sequence[Trained]) -> list[list[Job]]:
    """Each line's jobs one after the other, the lines side by side."""
    columns = zip_longest(*(line.jobs for line in lines))
    return [[job for job in column if job is not None] for column in columns]

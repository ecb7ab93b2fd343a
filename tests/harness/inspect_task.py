"""A task of inspect-ai: exact answers of the model that forks, in one mode. Run from this folder."""

from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import exact
from inspect_ai.solver import generate


@task
def forking(mode: str) -> Task:
    """The same problems as lm-eval's."""
    return Task(
        dataset=json_dataset("problems.jsonl", FieldSpec(input="question", target="answer")),
        solver=generate(),
        scorer=exact(),
        config=GenerateConfig(temperature=0, extra_body={"mode": mode}),
    )

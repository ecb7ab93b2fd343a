"""Messages through a tokenizer's chat template, and the proof that nothing of them was lost or doubled.

Chat templates are programs: they drop messages, trim and rewrite texts, add a default system prompt, refuse
roles. What a template writes for texts that it cannot know is its skeleton, one for each sequence of roles:

    <|im_start|>user\\n ⟨1⟩ <|im_end|>\\n<|im_start|>assistant\\n

Real messages must come out as the skeleton with their texts in the gaps, each once; and the ids must decode
to that, with no more ends of turns among them than the skeleton has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.messages import Message
from tw_plugins.errors import UserError
from tw_plugins.storage.files import read_text
from tw_plugins.trajectory.ends import Ends

__all__ = ["ChatTemplate", "ChatTemplateError", "Prompt", "Template", "TextTemplate", "with_template"]


TEMPLATES = {
    "chatml": "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
}
"""For base models, by name."""


class ChatTemplateError(UserError, ValueError):
    """A tokenizer whose chat template cannot be used."""


class Prompt(NamedTuple):
    """A prompt as the engine gets it.

    Attributes:
        text: templated.
        ids: (P,) of the text.
        opening: what the template wrote behind the last message; the response begins after it.
    """

    text: str
    ids: list[int]
    opening: str


class Template:
    """What writes prompts for one tokenizer; subclasses say how."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._skeletons: dict[tuple[str, ...], list[str]] = {}

    def render(self, messages: Sequence[Message]) -> str:
        """The text of messages, up to where the response begins.

        Raises:
            BadRow: they cannot be written.
        """
        raise NotImplementedError

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """
        Raises:
            BadRow: the template refuses the messages, leaves one out or changes it, or the ids are not its
                text.
        """
        text = self.render(messages)
        skeleton = self._skeleton(tuple(message["role"] for message in messages))
        _check_filled(text, skeleton, messages)
        return Prompt(text, self._ids(text, skeleton), skeleton[-1])

    @cached_property
    def preamble(self) -> list[int]:
        """Ids that the template writes by itself before a first message of the user: a system prompt, or
        nothing but marks, as the beginning of a text. Empty where it writes the same before later ones."""
        try:
            first, _, later, _ = map(self._encode, self._skeleton(("user", "assistant", "user")))
        except BadRow:  # one that knows no conversations
            return []
        end = list(Ends.of(self.tokenizer).behind)
        header = later[len(end) :] if later[: len(end)] == end else later
        same = takewhile(lambda pair: pair[0] == pair[1], zip(first[::-1], header[::-1], strict=False))
        return first[: len(first) - len(list(same))]

    def _skeleton(self, roles: tuple[str, ...]) -> list[str]:
        """What stands before, between and behind the texts of messages of these roles."""
        if roles not in self._skeletons:
            gaps = [_gap(place) for place in range(len(roles))]
            text = self.render(
                [{"role": role, "content": gap} for role, gap in zip(roles, gaps, strict=True)]
            )
            parts = []
            for gap, role in zip(gaps, roles, strict=True):
                before, found, text = text.partition(gap)
                if not found:
                    raise BadRow(f"the chat template leaves out a message of the {role}")
                if gap in text:
                    raise BadRow(f"the chat template writes a message of the {role} twice")
                parts.append(before)
            self._skeletons[roles] = [*parts, text]
        return self._skeletons[roles]

    def _ids(self, text: str, skeleton: Sequence[str]) -> list[int]:
        ids = self._encode(text)
        decoded = self._decode(ids)
        if normalize("NFC", decoded) != normalize("NFC", text):
            raise BadRow("the tokenizer has no ids for a part of the text", _first_difference(text, decoded))
        frame = self._encode("".join(skeleton))
        for token_id in self._ends & set(ids):
            if ids.count(token_id) > frame.count(token_id):
                raise BadRow("a message holds a token of the template", repr(self._decode([token_id])))
        return ids

    def _encode(self, text: str) -> list[int]:
        try:
            return list(self.tokenizer.encode(text, add_special_tokens=False))
        except Exception as error:  # what `tokenizers` raises where it has no unknown token
            raise BadRow("the tokenizer has no ids for a part of the text", str(error)) from error

    def _decode(self, ids: Sequence[int]) -> str:
        """As it is: special tokens kept, no clean-up of spaces."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    @cached_property
    def _ends(self) -> set[int]:
        """Tokens with which the template frames turns: a text that holds one would end its own."""
        frame = "".join(self._skeleton(("user",)))
        special = set(self.tokenizer.all_special_ids)
        ids = set(self._encode(frame))
        return (special & ids) | {self.tokenizer.eos_token_id}


class ChatTemplate(Template):
    """The tokenizer's own; `more` is handed to it (`enable_thinking=False`)."""

    def __init__(self, tokenizer: Any, more: Mapping[str, Any] | None = None) -> None:
        """
        Raises:
            ChatTemplateError: the tokenizer has none, as those of base models.
        """
        if not getattr(tokenizer, "chat_template", None):
            raise ChatTemplateError(
                f"the tokenizer of {tokenizer.name_or_path or 'the model'} has no chat template, as a base "
                "model's: give one with --chat-template FILE (or `chatml`), on verl with "
                "actor_rollout_ref.model.custom_chat_template, or save the tokenizer with one"
            )
        super().__init__(tokenizer)
        self.more = dict(more or {})

    def render(self, messages: Sequence[Message]) -> str:
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    list(messages), tokenize=False, add_generation_prompt=True, **self.more
                )
            )
        except Exception as error:  # of its own, and whatever Python raises in what it computes
            raise BadRow("the chat template refuses the messages", str(error)) from error


class TextTemplate(Template):
    """A pattern with `{}` for the one text that is asked, as OpenRLHF's `--data.input_template`."""

    def __init__(self, tokenizer: Any, pattern: str | None = None) -> None:
        super().__init__(tokenizer)
        self.pattern = pattern or "{}"

    def render(self, messages: Sequence[Message]) -> str:
        if len(messages) > 1:
            raise BadRow("several messages and no chat template", f"{len(messages)} messages")
        return self.pattern.format(messages[0]["content"])


def with_template(tokenizer: Any, given: str | None) -> Any:
    """The tokenizer with another chat template: of a file, or one of `TEMPLATES`.

    Raises:
        ChatTemplateError, FileError, OSError: no such file or name, or no text in it.
    """
    if given is not None:
        path = Path(given).expanduser()
        if given not in TEMPLATES and not path.is_file():
            raise ChatTemplateError(
                f"{given} is no file of a chat template: give one, or one of {', '.join(TEMPLATES)}"
            )
        tokenizer.chat_template = TEMPLATES.get(given) or read_text(path)
    return tokenizer


def _gap(place: int) -> str:
    return f"\ue000{place}\ue001"  # private characters: no template looks for them, none trims them


def _check_filled(text: str, skeleton: Sequence[str], messages: Sequence[Message]) -> None:
    """Each text stands in its gap, whole; white space around it is the template's to trim."""
    at = len(skeleton[0]) if text.startswith(skeleton[0]) else 0
    for message, after in zip(messages, skeleton[1:], strict=True):
        content = message["content"]
        for kept in (content, content.strip(), content.rstrip(), content.lstrip()):
            if text.startswith(kept + after, at):
                at += len(kept + after)
                break
        else:
            raise BadRow(f"the chat template changes the text of the {message['role']}", f"{content!r:.60}")
    if at != len(text):
        raise BadRow("the chat template adds text behind the messages", f"{text[at:]!r:.60}")


def _first_difference(text: str, decoded: str) -> str:
    at = next((at for at, (a, b) in enumerate(zip(text, decoded, strict=False)) if a != b), len(decoded))
    return f"at {text[at : at + 20]!r}"

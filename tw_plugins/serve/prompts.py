"""Messages or a text → ids, in a thread of their own: a megabyte takes a second, which nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.messages import messages_of
from tw_plugins.datasets.template import ChatTemplate
from tw_plugins.serve.errors import RequestError

__all__ = ["Prompts", "ServedPrompt"]

T = TypeVar("T")
_ROLES = {"developer": "system"}
_LEFT_OUT = ("name", "reasoning", "reasoning_content")
"""Who is called what no template is told; what was thought in earlier turns none is shown."""
_THINK, _THOUGHT = "<think>", "</think>"


@dataclass(frozen=True)
class ServedPrompt:
    """What an engine continues.

    Attributes:
        ids: (P,)
        thinking: it ends inside ``<think>``.
    """

    ids: list[int] = field(repr=False)
    thinking: bool = False


class Prompts:
    """Makes them for one tokenizer.

    Args:
        tokenizer: Hugging Face's.
        context: tokens of the longest context.
    """

    def __init__(self, tokenizer: Any, context: int) -> None:
        self._tokenizer, self._context = tokenizer, context
        self._vocabulary = len(tokenizer)
        self._most = context * max(map(len, tokenizer.get_vocab()))  # characters that so many ids can be
        self._thread = ThreadPoolExecutor(1, "prompts")  # tokenizers are not made for several at once

    async def of_messages(self, messages: Sequence[Mapping[str, Any]]) -> ServedPrompt:
        """Through the chat template.

        Raises:
            RequestError: a message is none, the template refuses or changes it, it is too long.
        """
        return await self._elsewhere(lambda: self._chat(messages))

    async def of_text(self, prompt: str | list[int], name: str) -> ServedPrompt:
        """A text, which is encoded as it is, or ids.

        Args:
            name: the field, for errors.

        Raises:
            RequestError: it is empty, too long, or has an id that the model lacks.
        """
        if isinstance(prompt, str):
            self._check_length(prompt, name)
            return await self._elsewhere(lambda: self._text(prompt, name))
        if odd := [one for one in prompt if not 0 <= one < self._vocabulary]:
            raise RequestError(400, f"{name}: {odd[0]} is no token id of this model", param=name)
        return self._checked(ServedPrompt(prompt), name)

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _elsewhere(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _chat(self, given: Sequence[Mapping[str, Any]]) -> ServedPrompt:
        try:
            messages = messages_of([_plain(message, number) for number, message in enumerate(given, 1)])
            self._check_length("".join(message["content"] for message in messages), "messages")
            # A new one each time: it remembers every sequence of roles it has seen.
            prompt = ChatTemplate(self._tokenizer).prompt(messages)
        except BadRow as bad:
            raise RequestError(400, f"messages: {bad}", param="messages") from None
        _, _, open_part = prompt.opening.rpartition(_THINK)
        thinking = _THINK in prompt.opening and _THOUGHT not in open_part
        return self._checked(ServedPrompt(prompt.ids, thinking), "messages")

    def _text(self, text: str, name: str) -> ServedPrompt:
        try:
            ids = list(self._tokenizer.encode(text, add_special_tokens=False))
        except Exception as error:  # what `tokenizers` raises where it has no unknown token
            raise RequestError(400, f"{name}: the tokenizer cannot encode it: {error}", param=name) from error
        return self._checked(ServedPrompt(ids), name)

    def _check_length(self, text: str, name: str) -> None:
        """Before it is encoded, which takes a second for each megabyte."""
        if len(text) > self._most:
            raise self._too_long(name, f"{len(text)} characters")

    def _too_long(self, name: str, size: str) -> RequestError:
        return RequestError(
            400,
            f"{name}: the prompt has {size}, and the longest context of this model is {self._context} tokens "
            "with its answer",
            param=name,
            code="context_length_exceeded",
        )

    def _checked(self, prompt: ServedPrompt, name: str) -> ServedPrompt:
        if not prompt.ids:
            raise RequestError(400, f"{name}: it is empty", param=name)
        if len(prompt.ids) >= self._context:
            raise self._too_long(name, f"{len(prompt.ids)} tokens")
        return prompt


def _plain(message: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A message without what clients send back of an answer and is empty, or not shown again.

    Raises:
        RequestError: it has more than a text.
    """
    plain = {name: value for name, value in message.items() if value and name not in _LEFT_OUT}
    if more := sorted(plain.keys() - {"role", "content"}):
        raise RequestError(
            400, f"messages: message {number} has {more[0][:60]!r}, which is not served", param="messages"
        )
    role = plain.get("role")
    return {"content": "", **plain, "role": _ROLES.get(role, role) if isinstance(role, str) else role}

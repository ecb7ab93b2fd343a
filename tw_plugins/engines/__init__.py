"""Things that continue token ids: vLLM in this process, servers that are up already."""

from tw_plugins.engines.in_process import VLLMEngine
from tw_plugins.engines.openai_compatible import OpenAICompatibleEngine
from tw_plugins.engines.sglang import SGLangEngine

__all__ = [
    "OpenAICompatibleEngine",
    "SGLangEngine",
    "VLLMEngine",
]

"""Things that continue token ids: vLLM in this process, servers that are up already, several as one."""

from tw_plugins.engines.gone import EngineGone
from tw_plugins.engines.in_process import VLLMEngine
from tw_plugins.engines.openai_compatible import OpenAICompatibleEngine
from tw_plugins.engines.sglang import SGLangEngine
from tw_plugins.engines.spread import Spread

__all__ = [
    "EngineGone",
    "OpenAICompatibleEngine",
    "SGLangEngine",
    "Spread",
    "VLLMEngine",
]

"""What `import verl` brings in, in a process of its own, as in each of verl's."""

from __future__ import annotations

import os
import subprocess
import sys

from tw_plugins.adapter.seams import wrapped_by
from verl_ext import plugin

HEAVY = ("vllm", "math_verify", "pyarrow.parquet", "verl.trainer.ppo", "verl.workers.engine")
LOADED = "print(sorted(m for m in sys.modules if m.startswith('verl_ext')))"


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_import_verl_loads_the_plugin_and_little_else() -> None:
    """Each of verl's many processes pays for it."""
    done = python(f"import verl\n{LOADED}\nprint([m for m in {HEAVY} if m in sys.modules])")
    assert done.returncode == 0, done.stderr
    loaded, heavy = done.stdout.splitlines()[-2:]
    assert "'verl_ext.plugin'" in loaded
    for late in ("engine", "agent_loop", "advantage", "trainer", "rows", "cpu.vllm_worker"):
        assert f"'verl_ext.{late}'" not in loaded
    assert heavy == "[]"


def test_verls_own_switch_leaves_it_out() -> None:
    done = python(f"import verl\n{LOADED}", VERL_USE_EXTERNAL_PLUGINS="none")
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_an_unsupported_version_is_said_and_only_runs_that_ask_for_threadweaver_stop() -> None:
    done = python(
        "import importlib.metadata as m\n"
        "real = m.version\n"
        "m.version = lambda name: '1.0' if name == 'transformers' else real(name)\n"
        "import verl.utils.config as c\n"
        "print('engine' in str(sys.modules.keys() & {'verl_ext.trie_engine', 'verl_ext.cpu.platform'}))\n"
        "from verl_ext import preflight\n"
        "try: preflight.check(None)\n"
        "except Exception as e: print(type(e).__name__, e, sep=': ')",
        VERL_PLATFORM="cpu",
    )
    assert "VERL_PLATFORM=cpu is ThreadWeaver's platform, which is off, so verl has none" in done.stderr
    assert "the ThreadWeaver plug-in is off: transformers 1.0 is installed" in done.stderr
    assert "Traceback" not in done.stderr
    registered, message = done.stdout.splitlines()[-2:]
    assert registered == "False"
    assert message.startswith("UnsupportedVersion: transformers 1.0 is installed; verl_ext supports transf")


def test_each_piece_is_registered_once() -> None:
    """A module that was there before the plug-in, and the plug-in loaded twice, change nothing."""
    import verl.utils.config as verl_config

    validate = verl_config.validate_config
    assert wrapped_by("verl_ext.preflight", "validate_config")(verl_config)
    assert not wrapped_by("verl_ext.nothing", "validate_config")(verl_config)
    __import__(plugin.__name__)
    assert verl_config.validate_config is validate

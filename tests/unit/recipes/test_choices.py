"""What the quickstart may be asked for."""

from __future__ import annotations

import pytest
from typer import BadParameter

from recipes.quickstart.__main__ import _stages
from recipes.quickstart.plan import STAGES


def test_stages_stand_in_their_order_and_need_those_before_them() -> None:
    assert _stages("sft, data") == ["data", "sft"]
    assert _stages("data,sft,rl,eval,selftrain") == list(STAGES)
    with pytest.raises(BadParameter, match="no stage 'tune', choose of data, sft, selftrain, rl, eval"):
        _stages("data,tune")
    with pytest.raises(BadParameter, match="rl needs data, sft too"):
        _stages("rl")

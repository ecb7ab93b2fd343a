"""Whether a piece is in place, and what the doctors of both frameworks share."""

from __future__ import annotations

from functools import wraps
from types import SimpleNamespace
from typing import Any

import pytest

from tw_plugins.adapter import doctor
from tw_plugins.adapter.check import Check
from tw_plugins.adapter.doctor import framework_checks, seam_checks
from tw_plugins.adapter.seams import Seam, wrapped_by
from tw_plugins.adapter.versions import Supported

HERE = Check("here", "piece", "ok", "")


def around(function: Any) -> Any:
    @wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def test_a_wrapper_is_seen_under_others() -> None:
    ours = wrapped_by(__name__, "json.dumps")
    assert ours(SimpleNamespace(json=SimpleNamespace(dumps=around(pytest.fail))))
    assert not ours(SimpleNamespace(json=SimpleNamespace(dumps=pytest.skip)))
    assert not ours(SimpleNamespace(json=SimpleNamespace(dumps=len)))  # has no Python code
    outer = wraps(around(pytest.fail))(seam_checks)
    assert ours(SimpleNamespace(json=SimpleNamespace(dumps=outer)))


@pytest.mark.parametrize("in_place", [True, False])
def test_each_seam_is_one_check(in_place: bool) -> None:
    seam = Seam("json", ("dumps",), "piece", "ours:register", lambda module: in_place)
    (found,) = seam_checks("here", [seam])
    assert (found.section, found.name, found.status) == ("here", "piece", "ok" if in_place else "fail")


def checks(**versions: str) -> list[Check]:
    supported = Supported("ours", versions)
    return framework_checks("pytest", supported, lambda section: [HERE], False, lambda: [HERE, HERE])


def test_a_framework_is_looked_at_after_it_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [check.name for check in checks(pytest=">0")] == ["pytest", "piece", "piece", "piece"]
    (wrong,) = checks(pytest="<1")
    assert (wrong.section, wrong.status) == ("pytest · versions", "fail")
    monkeypatch.setattr(doctor, "installed", lambda name: None)
    assert checks(pytest=">0") == []


def test_the_worker_gets_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "in_ray", lambda section, checks, env: [Check(section, str(env), "ok", "")])
    *_, last = framework_checks(
        "pytest", Supported("ours", {}), lambda section: [], True, runtime_env={"a": 1}
    )
    assert (last.section, last.name) == ("pytest · Ray worker", "{'a': 1}")

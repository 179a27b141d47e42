"""Modules that are not loaded behave like the modules, for whoever comes upon them."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from unittest import mock

import pytest

from lineal.startup.stand_ins import unloaded

NAMES = ("this_module", "xml.this_module")


@pytest.fixture
def module(request, tmp_path, monkeypatch) -> Iterator[str]:
    """Make a module of this name importable; says when it is loaded."""
    name = request.param
    package, _, last = name.rpartition(".")
    (tmp_path / f"{last}.py").write_text("FACT = 42\n\ndef double(x):\n    return 2 * x\n")
    if package:
        monkeypatch.setattr(importlib.import_module(package), "__path__", [str(tmp_path)])
    else:
        monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)
    if package:
        vars(importlib.import_module(package)).pop(last, None)


def is_loaded(name: str) -> bool:
    return "FACT" in vars(sys.modules.get(name, mock))


@pytest.mark.parametrize("module", NAMES, indirect=True)
def test_what_is_imported_meanwhile_is_loaded_when_it_is_used(module) -> None:
    with unloaded({module: ["double"]}):
        taken = importlib.import_module(module)
        double = taken.double
        assert not is_loaded(module)
    assert module not in sys.modules
    assert double(4) == 8
    assert is_loaded(module)
    assert taken.FACT == 42
    assert sys.modules[module] is importlib.import_module(module)
    assert sys.modules[module] is not taken


@pytest.mark.parametrize("module", NAMES, indirect=True)
def test_what_is_used_meanwhile_is_loaded_at_once(module) -> None:
    with unloaded({module: []}):
        taken = importlib.import_module(module)
        assert taken.double(3) == 6
        assert is_loaded(module)
    assert is_loaded(module)
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        _ = taken.missing


@pytest.mark.parametrize("module", NAMES, indirect=True)
def test_patches_reach_the_module_itself(module) -> None:
    with unloaded({module: []}):
        taken = importlib.import_module(module)
    with mock.patch.object(taken, "double", return_value=1):
        assert importlib.import_module(module).double(5) == 1
    assert importlib.import_module(module).double(5) == 10
    with mock.patch(f"{module}.FACT", 43):
        assert taken.FACT == importlib.import_module(module).FACT == 43


@pytest.mark.parametrize("module", NAMES, indirect=True)
def test_another_thread_may_import_it_meanwhile(module) -> None:
    found = []
    with unloaded({module: []}):
        thread = threading.Thread(
            target=lambda: found.append(importlib.import_module(module).double(1))
        )
        thread.start()
        thread.join()
    assert found == [2]


@pytest.mark.parametrize("module", NAMES, indirect=True)
def test_what_is_loaded_stays_as_it_is(module) -> None:
    before = importlib.import_module(module)
    with unloaded({module: ["double"]}):
        assert importlib.import_module(module) is before
    assert sys.modules[module] is before

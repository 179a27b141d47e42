"""Watched models: which passes leave a histogram, under which key, and when that ends."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lineal
from lineal.client.run.run import Run
from lineal.core.names import OWN_KEY
from lineal.errors import Invalid


class Handle:
    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self.remove = lambda: hooks.remove(hook)


class Parameter:
    """What torch's has and `watch` needs; torch itself is too heavy for every test."""

    is_sparse = False

    def __init__(self, values: Any, requires_grad: bool = True) -> None:
        self.values = np.asarray(values, dtype=float)
        self.requires_grad = requires_grad
        self.hooks: list[Callable[[Any], None]] = []

    def register_hook(self, hook: Callable[[Any], None]) -> Handle:
        self.hooks.append(hook)
        return Handle(self.hooks, hook)

    def detach(self) -> Parameter:
        return self

    def cpu(self) -> Parameter:
        return self

    def numpy(self) -> Any:
        return self.values

    def numel(self) -> int:
        return self.values.size


class Model:
    def __init__(self) -> None:
        self.weight = Parameter([[1.0, 2.0], [3.0, 4.0]])
        self.frozen = Parameter([5.0], requires_grad=False)
        self.hooks: list[Callable[..., None]] = []

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        yield from (("weight", self.weight), ("frozen", self.frozen))

    def parameters(self) -> Iterator[Parameter]:
        yield from (self.weight, self.frozen)

    def register_forward_hook(self, hook: Callable[..., None]) -> Handle:
        self.hooks.append(hook)
        return Handle(self.hooks, hook)

    def forward(self) -> None:
        for hook in list(self.hooks):
            hook(self, (), None)

    def backward(self, gradient: Any = (1.0, 2.0)) -> None:
        for hook in list(self.weight.hooks):
            hook(Parameter(gradient))


@pytest.fixture
def run() -> Iterator[Run]:
    with lineal.init(project="p") as run:
        yield run


def logged(run: Run) -> list[dict[str, Any]]:
    run.finish()
    return [
        {key: value for key, value in row.items() if not key.startswith("_")}
        for row in lineal.Api().run(run.path).scan_history()
    ]


def test_every_nth_pass_leaves_a_histogram_in_the_row_that_log_ends(run: Run) -> None:
    model = Model()
    run.watch(model, log="all", log_freq=2.5)
    for step in range(4):
        model.forward()
        model.backward()
        run.log({"loss": step})
    rows = logged(run)
    keys = {"gradients/weight", "parameters/weight", "parameters/frozen"}
    assert [set(row) - {"loss"} for row in rows] == [set(), keys, set(), keys]
    assert [row["loss"] for row in rows] == [0, 1, 2, 3]
    assert sum(rows[1]["gradients/weight"]["values"]) == 2
    assert rows[1]["parameters/weight"]["bins"][-1] == 4.0


def test_gradients_are_kept_unless_something_else_is_asked_for(run: Run) -> None:
    gradients, parameters, nothing = Model(), Model(), Model()
    run.watch(gradients, log_freq=1)
    run.watch([parameters], log="parameters", log_freq=1)
    run.watch(nothing, log=None, log_freq=1)
    for model in (gradients, parameters, nothing):
        model.forward()
        model.backward()
    run.log({})
    (row,) = logged(run)
    assert set(row) == {
        "gradients/weight",
        "parameters/graph_1weight",
        "parameters/graph_1frozen",
    }
    assert lineal.Api().run(run.path).rawconfig[OWN_KEY]["value"]["parameters"] == {"Model": 15}


def test_a_model_that_is_left_alone_or_outlives_the_run_calls_nobody(run: Run) -> None:
    one, other = Model(), Model()
    run.watch([one, other], log="all", log_freq=1)
    run.unwatch(one)
    assert (one.hooks, one.weight.hooks) == ([], [])
    assert (len(other.hooks), len(other.weight.hooks)) == (1, 1)
    run.watch(one)
    run.finish()
    assert not any([one.weight.hooks, other.hooks, other.weight.hooks])


def test_a_gradient_without_a_finite_number_does_not_end_the_training(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Model()
    run.watch(model, log_freq=1)
    model.backward((np.nan, np.inf))
    run.log({"loss": 1})
    assert "no histogram of gradients/weight" in capsys.readouterr().err
    assert logged(run) == [{"loss": 1}]


def test_a_copy_of_a_watched_model_carries_no_run(run: Run) -> None:
    model = Model()
    run.watch(model, log="parameters", log_freq=1)
    (hook,) = model.hooks
    for twin in (copy.deepcopy(hook), pickle.loads(pickle.dumps(hook))):
        assert twin(model, (), None) is None
    run.log({"loss": 1})
    assert logged(run) == [{"loss": 1}]


def test_what_cannot_be_watched_is_refused(run: Run) -> None:
    model = Model()
    with pytest.raises(TypeError, match="torch modules, not a int"):
        run.watch([model, 1])
    for changes in ({"log": "weights"}, {"log_freq": 0}, {"log_freq": float("nan")}):
        with pytest.raises(Invalid, match=next(iter(changes))):
            run.watch(model, **changes)
    assert model.weight.hooks == []
    run.watch(model)
    with pytest.raises(ValueError, match="Model is watched already; `unwatch` it first"):
        run.watch(model)


def test_a_real_model_is_watched(run: Run) -> None:
    torch: Any = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    words = torch.nn.Embedding(9, 2, sparse=True)
    run.watch([model, words], log="all", log_freq=1)
    model(torch.ones(4, 3)).sum().backward()
    words(torch.tensor([1, 2, 2])).sum().backward()
    torch.save(model, "model.pt")
    copy.deepcopy(model)(torch.ones(1, 3))
    run.log({})
    model(torch.ones(4, 3)).sum().backward()
    (row, *_) = logged(run)
    names = ("0.weight", "0.bias", "1.weight", "1.bias", "graph_1weight")
    assert set(row) == {f"{kind}/{name}" for kind in ("gradients", "parameters") for name in names}
    assert sum(row["gradients/graph_1weight"]["values"]) == 4
    assert sum(row["parameters/0.weight"]["values"]) == 6
    assert not model._forward_hooks

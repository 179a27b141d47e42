from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml

import lineal
from lineal.client.run.config import RunConfig
from lineal.errors import Invalid, NotFound


def test_config_reads_as_dict_and_by_attribute():
    config = RunConfig({"lr": 0.1, "_own": 1})
    assert config.lr == config["lr"] == config.get("lr") == 0.1
    assert list(config) == list(config.keys()) == ["lr"]
    assert config.get("nothing", 5) == 5
    assert "lr" in config
    with pytest.raises(AttributeError, match="did you mean"):
        _ = config.lrr
    assert config._as_dict() == config.as_dict()


def test_keys_may_be_called_as_what_only_our_config_has():
    config = RunConfig({"lr": 0.1})
    assert list(config.values()) == [0.1]
    config.values, config.lock = [1, 2], "door"
    assert (config.values, config.lock) == ([1, 2], "door")


def test_changing_a_value_needs_permission():
    config = RunConfig({"lr": 0.1})
    config.lr = 0.1
    with pytest.raises(ValueError, match="allow_val_change"):
        config.lr = 0.2
    config.update({"lr": 0.2}, allow_val_change=True)
    assert config.lr == 0.2


@pytest.mark.parametrize(
    ("refused", "error"),
    [({"lr": 0.2}, Invalid), ({"b": lineal.Histogram([1])}, TypeError), ({5: 1}, TypeError)],
    ids=["a new value", "media", "a key that is no text"],
)
def test_an_update_with_a_refused_value_changes_nothing(refused, error):
    noted = []
    config = RunConfig({"lr": 0.1}, noted=noted.append)
    with pytest.raises(error):
        config.update({"a": 1, **refused, "c": 3})
    assert config.as_dict() == {"lr": 0.1}
    assert config._take_changes() == {}
    assert noted == []


def test_the_same_key_twice_in_one_update_must_say_the_same():
    config = RunConfig()
    with pytest.raises(Invalid, match="allow_val_change"):
        config.update({"lr": 0.1, "--lr": 0.2})
    assert config.as_dict() == {}


def test_nan_is_no_new_value_of_a_key_that_is_nan():
    config = RunConfig({"bound": float("nan")})
    config.update({"bound": float("nan")})
    with pytest.raises(Invalid):
        config.update({"bound": 1.0})


def test_what_lineal_notes_of_its_own_is_kept_together():
    config = RunConfig()
    config._own(metrics={})
    config._own(code_path="code/a.py")
    assert config._take_changes() == {"_lineal": {"metrics": {}, "code_path": "code/a.py"}}


def test_setdefaults_keeps_what_is_there():
    config = RunConfig({"a": 1})
    config.setdefaults(d={"a": 2, "b": 3})
    assert config.as_dict() == {"a": 1, "b": 3}


def test_locked_keys_ignore_later_writes_with_a_warning(capsys):
    config = RunConfig({"lr": 1})
    config._lock_to({"lr": 0.5})
    config.update({"lr": 9}, allow_val_change=True)
    assert config.lr == 0.5
    assert "ignored" in capsys.readouterr().err
    with pytest.raises(TypeError, match="config takes a dict"):
        config._lock_to(5)


def test_dashes_around_keys_are_stripped():
    config = RunConfig()
    config["--learning-rate"] = 1
    assert config["learning-rate"] == 1


def data_version() -> None:
    Path("a.txt").write_text("a")
    with lineal.init() as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_file("a.txt")
        run.log_artifact(artifact)


def test_an_artifact_in_the_config_is_recorded_as_used():
    data_version()
    with lineal.init(config={"data": "lineal-artifact://data:latest", "lr": 1}) as run:
        assert run.config["data"].name == "data:v0"
    found = lineal.Api().run(run.path)
    assert [artifact.name for artifact in found.used_artifacts()] == ["data:v0"]
    stub = found.config["data"]
    assert stub["_type"] == "artifactVersion"
    with lineal.init(config={"data": stub}) as other:
        assert other.config["data"].name == "data:v0"
    assert [a.name for a in lineal.Api().run(other.path).used_artifacts()] == ["data:v0"]
    with pytest.raises(Invalid, match="which version"):
        lineal.init(config={"data": {"_type": "artifactVersion"}})


def test_a_value_that_takes_the_place_of_an_artifact_is_shown():
    data_version()
    with lineal.init(config={"data": "lineal-artifact://data:latest"}) as run:
        run.config.update({"data": 5}, allow_val_change=True)
        assert run.config["data"] == 5


def test_an_update_that_is_refused_uses_no_artifact():
    data_version()
    with lineal.init(config={"lr": 1}) as run:
        with pytest.raises(Invalid, match="allow_val_change"):
            run.config.update({"data": "lineal-artifact://data:latest", "lr": 2})
        run.config.update({"data": "lineal-artifact://data:latest", "epochs": 3})
        assert list(run.config) == ["lr", "data", "epochs"]
    with lineal.init() as other, pytest.raises(Invalid, match="top level"):
        other.config.update(
            {"data": "lineal-artifact://data:latest", "x": {"y": run.config["data"]}}
        )
    assert lineal.Api().run(other.path).used_artifacts() == []


@pytest.mark.parametrize("scheme", ["lineal-artifact", "wandb-artifact"])
def test_the_id_of_a_version_in_the_config_is_recorded_as_used(scheme):
    data_version()
    number = lineal.Api().artifact("data:v0").id
    with lineal.init() as run:
        run.config.data = f"{scheme}://_id/{number}"
        assert run.config["data"].name == "data:v0"
        with pytest.raises(NotFound):
            run.config.other = f"{scheme}://_id/99"
    assert [a.name for a in lineal.Api().run(run.path).used_artifacts()] == ["data:v0"]


def test_a_run_whose_config_names_no_artifact_there_is_ends_failed():
    with pytest.raises(NotFound, match="nothing"):
        lineal.init(id="r", config={"data": "wandb-artifact://nothing:v0"})
    assert lineal.run is None
    assert lineal.Api().run("uncategorized/r").state == "failed"


def test_an_artifact_deeper_in_the_config_is_refused():
    with pytest.raises(Invalid, match="top level"):
        lineal.init(config={"nested": {"data": "wandb-artifact://data:latest"}})


@pytest.mark.parametrize("kind", [list, tuple, set])
def test_an_artifact_in_a_list_of_the_config_is_refused(kind):
    data_version()
    data = lineal.Api().artifact("data:v0")
    for given in ({"data": kind([data])}, {"all": [{"data": kind([data])}]}):
        with pytest.raises(Invalid, match=r"data\.0` is an artifact"):
            lineal.init(config=given)


def test_what_is_nested_too_deeply_is_refused():
    deep = 1
    for _ in range(2_000):
        deep = {"a": deep}
    config = RunConfig({})
    with pytest.raises(Invalid, match="deeper than 64 levels"):
        config.update({"model": deep})
    assert config.as_dict() == {}


def test_changes_reach_the_backend():
    run = lineal.init(config={"a": 1})
    run.config.b = {"c": (1, 2)}
    run.finish()
    stored = run.backend.run_by_key(run.record.key).config
    assert stored["a"] == 1
    assert stored["b"] == {"c": [1, 2]}


def test_what_is_set_in_a_nested_dict_or_list_is_recorded():
    with lineal.init(
        config={"a": {"b": 1, "c": {"d": [1]}}, "sizes": [1], "same": {"x": 1}}
    ) as run:
        assert (run.config["same"], run.config.sizes) == ({"x": 1}, [1])
        run.config["a"]["b"] = 2
        run.flush()
        run.config.a["c"]["d"].append((2, 3))
        run.config.sizes.append(2)
        assert run.config["a"] == {"b": 2, "c": {"d": [1, (2, 3)]}}
    assert lineal.Api().run(run.path).config == {
        "a": {"b": 2, "c": {"d": [1, [2, 3]]}},
        "sizes": [1, 2],
        "same": {"x": 1},
    }


def test_nested_dicts_of_a_config_are_plain_ones():
    config = RunConfig({"a": {"b": {"c": 1}}})
    assert type(config["a"]) is type(config.a["b"]) is dict
    assert yaml.safe_load(yaml.safe_dump(dict(config))) == {"a": {"b": {"c": 1}}}
    config.as_dict()["a"]["b"]["c"] = 2
    assert config["a"] == {"b": {"c": 1}}


def test_what_a_script_takes_out_of_a_nested_dict_stays_recorded():
    config = RunConfig({"model": {"type": "mlp", "head": {"type": "mean", "bias": True}}})
    model = config["model"]
    assert (model.pop("type"), model["head"].pop("type")) == ("mlp", "mean")
    model["inputs"] = 3
    assert config["model"] == {"head": {"bias": True}, "inputs": 3}
    recorded = {"type": "mlp", "head": {"type": "mean", "bias": True}, "inputs": 3}
    assert config.as_dict() == {"model": recorded}
    model["head"] = {"type": "max"}
    assert config.as_dict()["model"]["head"] == {"type": "max"}


def test_a_nested_dict_is_changed_and_set_again():
    config = RunConfig({"a": {"b": 1}})
    nested = config["a"]
    nested["b"] = 2
    config["a"] = nested
    assert config.as_dict() == {"a": {"b": 2}}
    config.update({"a": {"b": 3}}, allow_val_change=True)
    nested["b"] = 4
    assert config["a"] == {"b": 3}
    assert config.as_dict() == {"a": {"b": 3}}


def test_the_static_config_of_a_run_is_a_copy():
    with lineal.init(config={"lr": 0.1, "model": {"depth": 2}}) as run:
        static = run.config_static
        assert (dict(static), static.lr) == ({"lr": 0.1, "model": {"depth": 2}}, 0.1)
        static.lr = static["model"]["depth"] = 5
        assert run.config.as_dict() == {"lr": 0.1, "model": {"depth": 2}}


def test_a_slice_is_its_three_numbers():
    config = RunConfig({})
    config["rows"] = slice(4, 9, 2)
    config["names"] = [slice("a", None)]
    assert config.as_dict() == {
        "rows": {"slice_start": 4, "slice_stop": 9, "slice_step": 2},
        "names": [{"slice_start": "a", "slice_stop": None, "slice_step": None}],
    }


def test_bytes_are_the_text_they_hold(capsys):
    config = RunConfig({})
    config.update({"name": b"adam", "deep": {"list": [bytearray("é".encode())]}})
    assert config.as_dict() == {"name": "adam", "deep": {"list": ["é"]}}
    assert capsys.readouterr().err == ""
    config["raw"] = b"\xff"
    assert "kept as the text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (Fraction.limit_denominator, "fractions.Fraction.limit_denominator"),
        (Fraction, "fractions.Fraction"),
        (len, "builtins.len"),
        (str.upper, "builtins.str.upper"),
        (int.__add__, "builtins.int.__add__"),
        (dict.fromkeys, "builtins.dict.fromkeys"),
        ([].append, "builtins.list.append"),
    ],
)
def test_a_function_is_its_full_name(function, name):
    config = RunConfig({})
    config["function"] = function
    assert config.as_dict() == {"function": name}


def test_what_is_set_in_a_nested_dict_and_cannot_be_kept_is_said(capsys):
    config = RunConfig({"a": {"b": 1}, "c": {"d": 1}})
    config._lock_to({"c": {"d": 2}})
    config["a"]["table"] = lineal.Table(columns=["x"])
    config["c"]["d"] = 3
    assert config.as_dict() == {"a": {"b": 1}, "c": {"d": 2}}
    assert config["c"] == {"d": 2}
    said = capsys.readouterr().err
    assert "What was set in config `a` is not recorded" in said
    assert "Config `c` was set by the sweep" in said


def test_setting_a_key_reads_through_nothing_else_that_the_config_holds():
    reads = []

    class Classes(list):
        def __iter__(self):
            reads.append(1)
            return super().__iter__()

    config = RunConfig({"data": {"classes": []}})
    config["data"]["classes"] = Classes(["cat", "dog"])
    config["lr"] = 0.1
    assert reads == []
    assert config._take_changes() == {"data": {"classes": ["cat", "dog"]}, "lr": 0.1}
    reads.clear()
    assert config._take_changes() == {}
    assert reads == []


def test_an_array_in_a_nested_dict_is_recorded():
    config = RunConfig({"data": {"mean": [0.0, 0.0]}})
    config["data"]["mean"] = np.array([0.1, 0.2])
    assert config._take_changes() == {"data": {"mean": [0.1, 0.2]}}
    assert config._take_changes() == {}


def test_config_and_summary_keep_the_order_in_which_keys_were_set():
    keys = [f"key{number}" for number in range(20)]
    with lineal.init() as run:
        run.config.update(dict.fromkeys(keys, 1))
        run.summary.update(dict.fromkeys(keys, 1))
    read = lineal.Api().run(run.path)
    assert list(read.config) == keys
    assert list(read.summary) == keys


def test_keys_may_be_pinned_to_a_page_that_there_is_not():
    with lineal.init(config={"lr": 1}) as run:
        run.pin_config_keys(["lr", "absent"])
        run.pin_config_keys()
    assert lineal.Api().run(run.path).config == {"lr": 1}


@pytest.mark.parametrize(
    ("path", "why"),
    [("a\0b", "contains a NUL"), ("a\ud800", "not valid Unicode"), ("x/" * 3000, "too long")],
)
def test_a_path_that_no_config_file_can_have_is_said(path, why):
    with pytest.raises(Invalid, match=why):
        lineal.init(project="p", config=path)

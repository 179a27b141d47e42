"""What `log` takes, and the rows that it makes."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from datetime import timedelta
from decimal import Decimal
from enum import Enum

import numpy
import pandas
import pytest
from logged_rows import history

import lineal
from lineal.client.run import metrics
from lineal.core.records import Stream
from lineal.errors import Invalid, UsageError


@pytest.fixture
def run() -> lineal.Run:
    return lineal.init()


def test_each_log_is_one_row_with_a_step(run):
    run.log({"a": 1})
    run.log({"a": 2})
    assert history(run) == [{"a": 1, "_step": 0}, {"a": 2, "_step": 1}]
    assert run.step == 2


def test_what_was_logged_just_now_is_read_back(run):
    reader = lineal.Api().run(run.path)
    for step in range(3):
        run.log({"loss": step})
        assert [row["loss"] for row in reader.scan_history()] == list(range(step + 1))


def test_the_runtime_of_rows_does_not_follow_a_clock_that_jumps(run, monkeypatch):
    run.log({"x": 1})
    back = time.time() - 86_400
    monkeypatch.setattr(time, "time", lambda: back)
    run.log({"x": 2})
    run.flush()
    lines = run.backend.read_lines(run.record.key, Stream.HISTORY)
    first, second = (json.loads(line) for line in lines)
    assert first["_runtime"] < second["_runtime"] < first["_runtime"] + 60
    assert second["_timestamp"] == back


def test_commit_false_lets_the_row_grow(run):
    run.log({"a": 1}, commit=False)
    run.log({"b": 2})
    assert history(run) == [{"a": 1, "b": 2, "_step": 0}]


def test_an_explicit_step_collects_values_until_it_moves(run):
    run.log({"a": 1}, step=3)
    run.log({"b": 2}, step=3)
    run.log({"a": 5}, step=7)
    run.log({"c": 1}, step=7, commit=True)
    run.log({"a": 9})
    assert history(run) == [
        {"a": 1, "b": 2, "_step": 3},
        {"a": 5, "c": 1, "_step": 7},
        {"a": 9, "_step": 8},
    ]


@pytest.mark.parametrize("step", [3.0, numpy.int64(3), numpy.float32(3), numpy.array(3)])
def test_a_step_may_be_any_whole_number(run, step):
    run.log({"a": 1}, step=step, commit=True)
    (row,) = history(run)
    assert row == {"a": 1, "_step": 3}
    assert type(row["_step"]) is int


@pytest.mark.parametrize("step", ["3", 2.5, [3], float("nan")])
def test_a_step_that_is_none_is_refused(run, step):
    with pytest.raises(TypeError, match="A step must be a whole number"):
        run.log({"a": 1}, step=step)


def test_a_step_that_no_row_can_have_does_no_harm_to_others(run):
    with pytest.raises(Invalid, match="larger than any step can be"):
        run.log({"a": 1}, step=2**63)
    run.log({"a": 2}, step=2**63 - 1, commit=True)
    with pytest.raises(Invalid, match="larger than any step can be"):
        run.log({"a": 3})
    run.finish()
    assert history(run) == [{"a": 2, "_step": 2**63 - 1}]


def test_a_step_that_goes_back_is_dropped_with_a_warning(run, capsys):
    run.log({"a": 1}, step=5)
    run.log({"a": 2}, step=3)
    assert "ignored" in capsys.readouterr().err
    run.finish()
    assert history(run) == [{"a": 1, "_step": 5}]


def test_the_last_row_is_written_by_finish(run):
    run.log({"a": 1}, commit=False)
    run.finish()
    assert history(run) == [{"a": 1, "_step": 0}]


def test_nan_and_infinity_are_data(run):
    run.log({"a": math.nan, "b": math.inf, "c": -math.inf})
    (row,) = history(run)
    assert math.isnan(row["a"])
    assert (row["b"], row["c"]) == (math.inf, -math.inf)


def test_numpy_values_become_numbers_and_lists(run):
    run.log(
        {
            "scalar": numpy.float32(0.5),
            "double": numpy.float64(0.25),
            "integer": numpy.int64(3),
            "flag": numpy.bool_(True),
            "array": numpy.array([1, 2]),
            "single": numpy.array([7]),
        }
    )
    (row,) = history(run)
    row.pop("_step")
    assert row == {
        "scalar": 0.5,
        "double": 0.25,
        "integer": 3,
        "flag": True,
        "array": [1, 2],
        "single": 7,
    }


def test_what_is_missing_in_pandas_and_numpy_is_none(run):
    masked = numpy.ma.array([7], mask=[True])
    run.log({"na": pandas.NA, "nat": pandas.NaT, "masked": numpy.ma.masked, "one": masked})
    some = numpy.ma.array([1, 2], mask=[False, True])
    run.log({"ints": pandas.array([1, None], dtype="Int64"), "some": some})
    first, second = history(run)
    assert [first[key] for key in ("na", "nat", "masked", "one")] == [None] * 4
    assert (second["ints"], second["some"]) == ([1, None], [1, None])


def test_wide_numbers_and_fine_moments_keep_their_meaning(run):
    moment = numpy.datetime64("2026-01-02T03:04:05.000000006")
    day = numpy.datetime64("2026-01-02")
    run.log({"wide": numpy.longdouble(0.5), "fine": moment, "day": day, "snan": Decimal("sNaN")})
    run.log({"wide": numpy.array([0.5, 1], "longdouble"), "fine": numpy.array([moment, moment])})
    first, second = history(run)
    assert (first["wide"], first["fine"]) == (0.5, "2026-01-02T03:04:05")
    assert first["day"] == "2026-01-02"
    assert math.isnan(first["snan"])
    assert (second["wide"], second["fine"]) == ([0.5, 1.0], ["2026-01-02T03:04:05"] * 2)


class Tensor:
    """What torch tensors look like from outside."""

    shape = ()
    requires_grad = True

    def detach(self) -> Tensor:
        self.requires_grad = False
        return self

    def cpu(self) -> Tensor:
        return self

    def item(self) -> float:
        assert not self.requires_grad
        return 1.5

    def tolist(self) -> float:
        return 1.5


class Color(Enum):
    RED = "red"


def test_tensors_enums_and_nested_values_are_taken(run):
    run.log({"loss": Tensor(), "color": Color.RED, "n": {"a": {"b": 1}}, "t": (1, 2)})
    (row,) = history(run)
    row.pop("_step")
    assert row == {"loss": 1.5, "color": "red", "n": {"a": {"b": 1}}, "t": [1, 2]}
    assert run.summary["n.a.b"] == 1
    assert run.summary["n"]["a"]["b"] == 1


Split = Enum("Split", {"TRAIN": "train"}, type=str)


def test_a_key_may_be_a_member_of_an_enum_of_texts(run):
    run.log({Split.TRAIN: 1, "by": {Split.TRAIN: 2}})
    run.config.update({"by": {Split.TRAIN: 3}})
    run.summary.update({"best": {Split.TRAIN: 4}})
    (row,) = history(run)
    assert (row["train"], row["by"]) == (1, {"train": 2})
    assert run.config["by"] == {"train": 3}
    assert dict(run.summary)["best.train"] == 4


@pytest.mark.parametrize("key", [5, None, b"key", ("a",)])
def test_a_key_that_is_no_text_is_refused(run, key):
    for take in (run.log, run.config.update, run.summary.update):
        with pytest.raises(TypeError, match="must be strings"):
            take({key: 1})


def test_keys_that_are_one_as_text_are_refused_where_one_value_would_be_lost(run):
    for take in (run.log, run.config.update, run.summary.update):
        with pytest.raises(Invalid, match=r"`by` has keys that are the same as text"):
            take({"by": {1: "a", "1": "b"}})
    assert history(run) == []


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_sparse_tensors_are_logged_whole_and_those_without_numbers_refused(run):
    torch = pytest.importorskip("torch")
    run.log({"coo": torch.eye(2).to_sparse(), "csr": torch.eye(2).to_sparse_csr()})
    with pytest.raises(Invalid, match=r"`weights` is a torch\.Tensor that has no numbers to log"):
        run.log({"weights": torch.rand(2, device="meta")})
    (row,) = history(run)
    assert (row["coo"], row["csr"]) == ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]])


def test_whole_numbers_are_kept_exactly_up_to_300_digits(run):
    run.log({"large": 10**300, "n": {"small": -(10**300)}})
    for value in (2**1024 - 1, 10**309, [1, -(10**5000)]):  # no float is as large as these
        with pytest.raises(Invalid, match=r"`large.*more than 1023 bits"):
            run.log({"large": value})
    (row,) = history(run)
    assert (row["large"], row["n"]["small"]) == (10**300, -(10**300))


def test_an_open_file_in_the_place_of_a_value_is_refused_and_stays_open(run):
    with open("note.txt", "w") as file:
        with pytest.raises(TypeError, match="`a`"):
            run.log({"a": file})
        file.write("still open")


def test_what_cannot_be_logged_is_refused_by_name(run):
    for value in (object(), 1j, len, lambda: 1, b"\xff", numpy.array([1j, 2j]), [{"b": 1j}]):
        with pytest.raises(TypeError, match=r"`a.*Nothing of this call is kept"):
            run.log({"loss": 1, "a": value})
    with pytest.raises(TypeError, match="strings"):
        run.log({1: 2})
    with pytest.raises(TypeError):
        run.log([1])
    with pytest.raises(Invalid, match=r"`names` is an array of 10,001 elements.* no histogram"):
        run.log({"names": numpy.full(10_001, "a")})
    assert history(run) == []


@pytest.mark.parametrize(
    ("value", "logged"),
    [
        (timedelta(minutes=1, milliseconds=500), 60.5),
        (numpy.timedelta64(1500, "ms"), 1.5),
        (numpy.array([1, 2_500_000_000], dtype="timedelta64[ns]"), [1e-9, 2.5]),
        (b"text", "text"),
        (bytearray(b"text"), "text"),
    ],
)
def test_durations_are_logged_in_seconds_and_bytes_as_text(run, value, logged):
    run.log({"a": value, "b": {"c": [value]}})
    (row,) = history(run)
    assert (row["a"], row["b"]["c"]) == (logged, [logged])


def test_an_array_of_many_numbers_becomes_a_histogram_and_that_is_said_once(run, capsys):
    numbers = numpy.arange(10_001)
    run.log({"kept": numbers[:10_000], "layers": {"0": numbers, "1": numbers}})
    (row,) = history(run)
    assert row["kept"] == [*range(10_000)]
    assert row["layers"]["0"] == lineal.Histogram(numbers).write()
    run.summary["last"] = numbers
    assert run.summary["last"]["_type"] == run.summary["layers.1"]["_type"] == "histogram"
    assert capsys.readouterr().err.count("10,001 elements") == 1
    with pytest.raises(Invalid, match="elements"):
        lineal.Artifact("a", "b", metadata={"numbers": numbers})


def test_the_callers_dict_may_change_afterwards(run):
    values = {"a": [1]}
    run.log(values, commit=False)
    values["a"].append(2)
    values["b"] = 3
    run.log({})
    assert history(run) == [{"a": [1], "_step": 0}]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda run: setattr(run, "tags", 5), TypeError, "Tags must be a text or a list"),
        (lambda run: run.define_metric("a", summary=5), Invalid, "summary=5"),
        (lambda run: run.define_metric("a", step_metric=5), Invalid, "step_metric=5"),
        (lambda run: run.define_metric("a", goal=["min"]), Invalid, "use `minimize`"),
        (lambda run: run.summary.update(5), TypeError, "summary.update takes a dict, not 5"),
        (lambda run: run.write_logs(5), TypeError, "write_logs takes a text, not 5"),
        (lambda run: run.alert("a", wait_duration="x"), Invalid, "give seconds or a timedelta"),
    ],
)
def test_what_a_run_is_given_of_the_wrong_kind_is_named(run, call, kind, message):
    with pytest.raises(kind, match=message):
        call(run)


def test_a_metric_whose_name_is_no_unicode_is_defined_as_it_is_logged(run):
    run.define_metric("a\ud800", summary="max")
    run.log({"a\ud800": 2})
    run.log({"a\ud800": 1})
    run.finish()
    assert lineal.Api().run(run.path).summary["a\\ud800"] == {"max": 2}


def test_tags_of_a_run_may_be_any_text():
    with lineal.init(tags=["policy:act", "v1.0"]) as run:
        run.tags += ("lr=0.1",)
    read = lineal.Api().run(run.path)
    assert read.tags == ["policy:act", "v1.0", "lr=0.1"]
    read.tags.append("a/b")
    read.update()
    [found] = lineal.Api().runs(run.project, filters={"tags": {"$in": ["a/b"]}})
    assert found.id == run.id


def test_no_tags_take_all_away(run):
    run.tags = ["a", "b"]
    run.tags = None
    assert run.tags == ()


@pytest.mark.parametrize("what", ["notes", "group", "job_type"])
def test_none_takes_a_text_of_the_run_away(run, what):
    setattr(run, what, "x")
    setattr(run, what, None)
    assert not getattr(run, what)
    assert not getattr(lineal.Api().run(run.path), what)


def test_a_run_without_group_and_job_type_has_empty_ones(run):
    assert (run.group, run.job_type, run.notes) == ("", "", None)


def test_each_run_says_that_a_step_went_back(capsys):
    for _ in range(2):
        with lineal.init() as run:
            run.log({"x": 1}, step=5)
            for _ in range(2):
                run.log({"x": 1}, step=1)
    assert capsys.readouterr().err.count("log(step=1) was ignored") == 2


def test_log_without_data_ends_the_row_that_grew(run):
    run.log({"a": 1}, commit=False)
    run.log({"b": 2}, commit=False)
    lineal.log()
    run.log({"a": 3})
    rows = [(row["_step"], row.get("a"), row.get("b")) for row in history(run)]
    assert rows == [(0, 1, 2), (1, 3, None)]
    with pytest.raises(TypeError, match="NoneType"):
        run.log(None)


def test_threads_may_log_at_once(run):
    def work() -> None:
        for _ in range(200):
            run.log({"x": 1})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["_step"] for row in history(run)] == list(range(800))


def test_a_row_that_a_handler_of_a_signal_logs_amid_another_has_a_step_of_its_own(run, monkeypatch):
    real, before = time.time, signal.signal(signal.SIGUSR1, lambda *_: run.log({"handler": 1}))

    def interrupted() -> float:
        monkeypatch.setattr(time, "time", real)
        signal.raise_signal(signal.SIGUSR1)
        return real()

    monkeypatch.setattr(time, "time", interrupted)  # as a row gets its own values
    try:
        run.log({"loss": 1}, step=5, commit=True)
    finally:
        signal.signal(signal.SIGUSR1, before)
    run.log({"loss": 2})
    steps = {(row["_step"], row.get("loss")) for row in history(run)}
    assert steps == {(5, 1), (6, None), (7, 2)}


def test_metrics_may_be_defined_while_another_thread_logs_new_ones(run, monkeypatch):
    key_of = metrics._summarised_key

    def interrupted(name: str) -> str:
        run.log({f"new {name}": 1})  # as another thread does just then
        return key_of(name)

    for number in range(10):
        run.log({f"loss{number}": number})
    monkeypatch.setattr(metrics, "_summarised_key", interrupted)
    run.define_metric("loss*", summary="min")
    assert run.summary["loss3"]["min"] == 3


def test_every_method_after_finish_says_that_the_run_is_finished(run):
    run.finish()
    artifact = lineal.Artifact("a", "t")
    calls = [
        lambda: run.log({"a": 1}),
        lambda: run.log_artifact(artifact),
        lambda: run.use_artifact("a"),
        lambda: run.link_artifact(artifact, "b"),
        lambda: run.upsert_artifact(artifact, distributed_id="x"),
        lambda: run.finish_artifact(artifact, distributed_id="x"),
        lambda: run.log_model("a"),
        lambda: run.use_model("a"),
        lambda: run.link_model("a", "b"),
        lambda: run.log_code(),
        lambda: run.save("a"),
        lambda: run.restore("a"),
        lambda: run.define_metric("a"),
        lambda: run.alert("a"),
        lambda: run.write_logs("a"),
        lambda: run.mark_preempting(),
        lambda: run.pin_config_keys(["lr"]),
        lambda: run.status(),
        lambda: run.watch(None),
        lambda: run.unwatch(),
        lambda: run.config.update({"a": 1}),
        lambda: run.summary.update({"a": 1}),
        lambda: setattr(run, "name", "x"),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="finished"):
            call()


def test_media_are_refused_in_config(run):
    with pytest.raises(TypeError, match="table"):
        run.config["table"] = lineal.Table(columns=["a"])


def test_alerts_are_kept_and_not_repeated(run, capsys):
    run.alert("low accuracy", "0.1", level="WARN")
    run.alert("low accuracy", "0.2", level=lineal.AlertLevel.WARN)
    run.alert("low accuracy", ValueError("0.3"), level="warn", wait_duration=0)
    run.flush()
    events = [json.loads(e) for e in run.backend.read_lines(run.record.key, Stream.EVENTS)]
    assert [event["text"] for event in events] == ["0.1", "0.3"]
    assert {event["level"] for event in events} == {"WARN"}
    assert capsys.readouterr().err.count("low accuracy") == 2


def test_an_alert_with_a_long_title_is_cut_instead_of_refused(run):
    run.alert("x" * 64)
    run.alert("y" * 65)
    run.alert(ValueError("no text"))
    run.flush()
    events = [json.loads(e) for e in run.backend.read_lines(run.record.key, Stream.EVENTS)]
    assert [event["title"] for event in events] == ["x" * 64, "y" * 63 + "…", "no text"]
    for nothing in ("", None):
        with pytest.raises(Invalid, match="title"):
            run.alert(nothing)

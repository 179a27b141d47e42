"""A sweep as one self-contained page: which parameters matter, how trials lie, how it went.

No script, no font and no style is fetched from anywhere: the page can be kept beside a paper.
"""

from __future__ import annotations

import html
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from lineal.core.drawn_text import cut_front
from lineal.core.lineage_text import printable
from lineal.core.moments import in_utc
from lineal.core.numbers import is_finite
from lineal.core.records import RunRecord
from lineal.core.sweeps import Plan, at, plan
from lineal.core.trials import SweepRecord, TrialRecord, TrialState
from lineal.errors import InTheWay, MissingFile
from lineal.files.refusals import room_on

_ENDED = (TrialState.FINISHED, TrialState.STOPPED)
WIDTH, HEIGHT, MARGIN = 960, 320, 56
CHARACTER_WIDTH = 6.5
"""Of an ordinary letter of the pictures' text, about; see the style below."""
NAMES_MOST = 20
"""Texts that stand beside an axis; of more, every second, third … one does."""
LINES_MOST = 2_000
"""Trials drawn in the parallel coordinates: more is only ink, and the best are among them."""


def write(
    path: str,
    record: SweepRecord,
    trials: Sequence[TrialRecord],
    runs: Mapping[str, RunRecord],
    found: Mapping[str, float],
) -> None:
    """Write the page to a file; raises MissingFile without its folder, InTheWay for a folder.

    trials: the best first, those without a result last. runs: those of the trials, by their ids.
    found: how much each parameter matters.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise MissingFile(
            f"No folder {folder} to write {os.path.basename(path)} into; make it first"
        )
    if os.path.isdir(path):
        raise InTheWay(f"{path} is a folder; name a file for the page, such as sweep.html")
    with room_on(path), open(path, "w", encoding="utf-8") as file:
        file.write(page(record, trials, runs, found))


def page(
    record: SweepRecord,
    trials: Sequence[TrialRecord],
    runs: Mapping[str, RunRecord],
    found: Mapping[str, float],
) -> str:
    sweep = plan(record.document)
    sections = [
        _head(record, sweep),
        _section("Which parameters matter", _bars(found)),
        _section("Parameters and result of every trial", _parallel(sweep, trials)),
        _section("The metric over time", _over_time(sweep, trials)),
        _section("Trials", _table(sweep, trials, runs)),
    ]
    title = _text(f"Sweep {record.name}")
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style><main>{''.join(sections)}</main></html>\n"
    )


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0;color:#1a1c1f;background:#fff}
main{max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:1rem 0}
dt{color:#666}dd{margin:0}.wide{overflow-x:auto}
svg{width:100%;min-width:600px;height:auto;background:#fafafa;border:1px solid #e3e3e3}
svg text{font-size:11px;fill:#444}table{border-collapse:collapse;width:100%;font-size:13px}
h1,p,dd{overflow-wrap:anywhere}th,td{max-width:20rem;overflow-wrap:break-word}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e8e8e8}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr.best{background:#eef7ee}
.bar{fill:#4466cc}.axis{stroke:#999}.empty{color:#777}
.line{fill:none;stroke-width:1.2;opacity:.55}.line:hover{stroke-width:3;opacity:1}
.step{fill:none;stroke:#228844;stroke-width:2}
@media(prefers-color-scheme:dark){body{background:#16181b;color:#e6e6e6}
svg{background:#1d2024;border-color:#333}svg text{fill:#bbb}dt{color:#999}
th,td{border-color:#333}tr.best{background:#1d3322}}
"""


def _section(title: str, content: str) -> str:
    return f'<h2>{_text(title)}</h2><div class="wide">{content}</div>'


def _text(text: str) -> str:
    """Return a text as what it says: no element, and nothing that would turn the line around."""
    return html.escape("\n".join(map(printable, text.split("\n"))))


def _head(record: SweepRecord, sweep: Plan) -> str:
    metric = f"{sweep.metric.goal} {sweep.metric.name}" if sweep.metric else "none"
    counts = ", ".join(f"{count} {state}" for state, count in record.trial_counts.items())
    rows = [
        ("Sweep", record.path),
        ("Method", sweep.method),
        ("State", str(record.state)),
        ("Metric", metric),
        ("Trials", counts or "none yet"),
        ("Best", "" if record.best_value is None else f"{record.best_value:.6g}"),
        ("Best run", record.best_run_id or ""),
        ("Created", f"{in_utc(record.created_at)} by {record.user}"),
    ]
    items = "".join(f"<dt>{name}</dt><dd>{_text(text)}</dd>" for name, text in rows if text)
    about = f"<p>{_text(record.description)}</p>" if record.description else ""
    return f"<h1>{_text(record.name)}</h1>{about}<dl>{items}</dl>"


def _bars(shares: Mapping[str, float]) -> str:
    if not shares:
        return '<p class="empty">Too few results to tell.</p>'
    height = 26 * len(shares) + 10
    rows = []
    for index, (name, share) in enumerate(shares.items()):
        y = 8 + 26 * index
        rows.append(
            f'<text x="190" y="{y + 13}" text-anchor="end">{_fitting(name, 185)}</text>'
            f'<rect class="bar" x="200" y="{y}" width="{max(share * 640, 1):.1f}" height="18"/>'
            f'<text x="{208 + share * 640:.1f}" y="{y + 13}">{share:.1%}</text>'
        )
    return _svg(height, "Importance of each parameter", "".join(rows))


def _svg(height: int, title: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img"><title>{_text(title)}</title>'
        f"{content}</svg>"
    )


# --- parallel coordinates -----------------------------------------------------------------------


def _parallel(sweep: Plan, trials: Sequence[TrialRecord]) -> str:
    done = [trial for trial in trials if trial.state in _ENDED and trial.value is not None]
    if not done or sweep.metric is None:
        return '<p class="empty">No results yet.</p>'
    done = done[:LINES_MOST]
    names = [".".join(path) for path in sweep.searched]
    axes = [_Axis(name, [_chosen(sweep, t).get(name) for t in done]) for name in names]
    axes.append(_Axis(sweep.metric.name, [t.value for t in done]))
    gap = (WIDTH - 2 * MARGIN) / max(len(axes) - 1, 1)
    lines = []
    for rank, trial in enumerate(reversed(done)):  # the best is drawn last, on top
        values = _chosen(sweep, trial) | {sweep.metric.name: trial.value}
        points = " ".join(
            f"{MARGIN + gap * index:.1f},{axis.y(values.get(axis.name)):.1f}"
            for index, axis in enumerate(axes)
        )
        share = rank / max(len(done) - 1, 1)
        label = _text(f"trial {trial.number}: {trial.value:.6g}")
        lines.append(
            f'<polyline class="line" stroke="{_colour(share)}" points="{points}">'
            f"<title>{label}</title></polyline>"
        )
    room = min(gap, 2 * MARGIN) - 10
    drawn = "".join(axis.drawn(MARGIN + gap * index, room) for index, axis in enumerate(axes))
    return _svg(HEIGHT + 40, "Parallel coordinates", "".join(lines) + drawn)


def _chosen(sweep: Plan, trial: TrialRecord) -> dict[str, Any]:
    """Return what was chosen by the names of the axes; what is no number or truth is its text."""
    found: dict[str, Any] = {}
    for path in sweep.searched:
        try:
            value = at(trial.parameters, path)
        except KeyError:
            continue  # a run that was there before has other parameters
        found[".".join(path)] = value if isinstance(value, (int, float)) else str(value)
    return found


def _fitting(text: str, room: float) -> str:
    """Return the end of a text that is too long, where names differ; pointing shows all of it."""
    end = cut_front(text, max(room / CHARACTER_WIDTH, 4))
    return _text(text) if end == text else f"<title>{_text(text)}</title>{_text(end)}"


def _colour(share: float) -> str:
    """Return grey for the worst and green for the best."""
    worst, best = (180, 180, 190), (20, 130, 60)
    mixed = (round(a + (b - a) * share**2) for a, b in zip(worst, best, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


class _Axis:
    """One vertical axis: numbers, logarithmic where they span decades, or names."""

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        known = [value for value in values if value is not None]
        self._is_numeric = all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in known
        )
        if not self._is_numeric:
            self._names = list(dict.fromkeys(str(value) for value in known))
            return
        numbers = [float(value) for value in known if is_finite(value)] or [0.0]
        low, high = min(numbers), max(numbers)
        self._is_log = low > 0 and high / low >= 100
        self._low, self._high = (math.log(low), math.log(high)) if self._is_log else (low, high)

    def y(self, value: Any) -> float:
        share = 0.5
        if value is None:
            share = 0.0
        elif not self._is_numeric:
            share = (self._names.index(str(value)) + 0.5) / len(self._names)
        elif is_finite(value) and self._high > self._low:
            share = self._share(math.log(value) if self._is_log else float(value))
        return HEIGHT - MARGIN / 2 - share * (HEIGHT - MARGIN)

    def _share(self, at: float) -> float:
        """Return how far up it is, also where the whole way is more than a float can hold."""
        scale = 2 if math.isinf(self._high - self._low) else 1
        return (at / scale - self._low / scale) / (self._high / scale - self._low / scale)

    def drawn(self, x: float, room: float) -> str:
        top, bottom = MARGIN / 2, HEIGHT - MARGIN / 2
        marks = [
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>',
            f'<text x="{x:.1f}" y="{bottom + 34:.0f}" text-anchor="middle">'
            f"{_fitting(self.name, room)}</text>",
        ]
        if self._is_numeric:
            ends = (self._low, self._high)
            texts = [f"{math.exp(end) if self._is_log else end:.4g}" for end in ends]
            places = [bottom + 16, top - 6]
        else:
            texts = self._names[:: math.ceil(len(self._names) / NAMES_MOST) or 1]
            places = [self.y(name) for name in texts]
        marks += [
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{_fitting(text, room)}</text>'
            for text, y in zip(texts, places, strict=True)
        ]
        return "".join(marks)


# --- over time, and the table --------------------------------------------------------------------


def _over_time(sweep: Plan, trials: Sequence[TrialRecord]) -> str:
    ended = sorted(
        (t for t in trials if t.value is not None and t.ended_at is not None and not t.is_prior),
        key=lambda trial: (trial.ended_at, trial.number),
    )
    ended = [trial for trial in ended if trial.value is not None and math.isfinite(trial.value)]
    if not ended or sweep.metric is None:
        return '<p class="empty">No results yet.</p>'
    axis = _Axis(sweep.metric.name, [trial.value for trial in ended])
    gap = (WIDTH - 2 * MARGIN) / max(len(ended) - 1, 1)
    best = math.inf
    steps, dots = [], []
    for index, trial in enumerate(ended):
        assert trial.value is not None
        best = min(best, trial.value * sweep.metric.sign)
        x = MARGIN + gap * index
        steps.append(f"{x:.1f},{axis.y(best * sweep.metric.sign):.1f}")
        label = _text(f"trial {trial.number}: {trial.value:.6g}")
        dots.append(
            f'<circle cx="{x:.1f}" cy="{axis.y(trial.value):.1f}" r="3.5" fill="#4466cc" '
            f'opacity=".7"><title>{label}</title></circle>'
        )
    line = (
        f'<polyline class="step" points="{" ".join(steps)}"><title>best so far</title></polyline>'
    )
    return _svg(
        HEIGHT + 40,
        "The metric over time",
        axis.drawn(MARGIN - 8, 2 * MARGIN - 16) + line + "".join(dots),
    )


def _table(sweep: Plan, trials: Sequence[TrialRecord], runs: Mapping[str, RunRecord]) -> str:
    names = [".".join(path) for path in sweep.searched]
    metric = sweep.metric.name if sweep.metric else "value"
    heads = "".join(f"<th>{_text(name)}</th>" for name in names)
    rows = []
    for rank, trial in enumerate(trials):
        values = _chosen(sweep, trial)
        cells = "".join(f"<td>{_text(_cell(values.get(name)))}</td>" for name in names)
        run = runs.get(trial.run_id)
        label = f"{run.name} ({trial.run_id})" if run else trial.run_id
        kind = ' class="best"' if rank == 0 and trial.value is not None else ""
        number = "before" if trial.is_prior else str(trial.number)
        rows.append(
            f'<tr{kind}><td class="n">{number}</td><td>{_text(label)}</td>'
            f'<td>{trial.state}</td><td class="n">{_cell(trial.value)}</td>{cells}</tr>'
        )
    return (
        f'<table><thead><tr><th class="n">trial</th><th>run</th><th>state</th>'
        f'<th class="n">{_text(metric)}</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

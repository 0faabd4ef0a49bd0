"""`stretto bench NAME`: runs the trials of a benchmark and writes its card.

A card is results/NAME.rows.jsonl (one line a row, the raw truth), results/NAME.json (what was run, on which commit) and
results/NAME.html (plots, intervals, the worst cases). The cost is printed before the first trial. A run can be stopped
or killed at any moment and goes on where it was, as long as code and weights are the same; else it starts anew and the
old rows are kept beside. A trial that fails is reported with its key and tried again by the next run.
"""

import json
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TextIO, runtime_checkable

from stretto.bench import page
from stretto.bench.card_git import hardware, read_code
from stretto.bench.card_rows import Row, RowFile, checked, read_rows, write_atomically
from stretto.bench.card_workers import Outcome, outcomes
from stretto.bench.stats import summary
from stretto.core.errors import StrettoError, unknown

QUICK_TRIALS = 2
SAVE_EVERY_S = 20.0
REPORT_EVERY_S = 30.0


@dataclass(frozen=True)
class Trial:
    """One trial: a key that names it on every machine and day, and what it needs to run. Picklable."""

    key: str
    params: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Benchmark(Protocol):
    """What a benchmark offers. It is sent to spawned processes, so it must be picklable.

    `clock`: what its rows are timed by: "virtual", "wall", "lockstep", or None where time plays no part. `parallel`:
    False where a second process beside it would disturb it; then one worker runs. A benchmark with a checkpoint also
    has an attribute `weights`, its hash: rows of other weights are never mixed in.

    Some may have, besides: `quick()`, the trials of a smoke run, whose page then shows no shares; `patience_s`, after
    which a trial's process is ended; `lost(trial, why)`, the rows of a trial whose process died or was ended (such a
    trial is then scored, not repeated); `appendix(rows, folder, quick)`, HTML for the page, with its files in `folder`.
    """

    name: str
    clock: str | None
    parallel: bool
    seconds_per_trial: float

    def trials(self, n: int | None) -> list[Trial]:
        """All trials, or about `n` of them, each with a key of its own."""
        ...

    def open(self) -> Any:
        """What a worker process makes once and hands to every `run`."""
        ...

    def run(self, trial: Trial, state: Any) -> list[Row]:
        """Rows {"row", "arm", "unit", "seed", "value", ...}; missing "clock" and "weights" are filled in."""
        ...

    def close(self, state: Any) -> None:
        """Gives back what `open` made."""
        ...


def run_card(
    benchmark: Benchmark,
    out: Path = Path("results"),
    workers: int = 2,
    resume: bool = True,
    quick: bool = False,
    n: int | None = None,
    command: str | None = None,
    root: Path | None = None,
) -> dict[str, Any]:
    """Runs `benchmark` and returns its card, as written to `out`/NAME.json.

    `quick` runs two trials and writes to `out`/quick, so that no card is overwritten. `n` is handed to `trials`.
    `command` is what the card says it was run by; `root` the checkout of the code (default: that of this package).
    Raises StrettoError outside of a git checkout, when another run holds the card, when the benchmark cannot be opened,
    when no row came out, or when there is no room; SystemExit(130) after Ctrl-C, with everything finished kept.
    """
    smoke = getattr(benchmark, "quick", None) if quick else None
    trials = smoke() if smoke else benchmark.trials(QUICK_TRIALS if quick else n)
    trials = _distinct(benchmark.name, trials[:QUICK_TRIALS] if quick and not smoke else trials)
    run = _Run(benchmark, root, out / "quick" if quick else out, command or default_command(benchmark.name, quick, n=n))
    run.smoke = smoke is not None
    try:
        run.resume_or_start(resume)
        return run.all(trials, workers if benchmark.parallel else 1)
    finally:
        run.file.close()


def run_one(benchmark: Benchmark, key: str, n: int | None = None) -> list[Row]:
    """Runs the one trial `key` in this process and returns its rows; nothing is written. Raises StrettoError.

    A benchmark's own `find(key)`, if it has one, knows trials beyond those that its card holds.
    """
    trials = {trial.key: trial for trial in benchmark.trials(n)}
    trial = trials.get(key) or getattr(benchmark, "find", trials.get)(key)
    if trial is None:
        raise unknown(f"trial of benchmark {benchmark.name}", key, trials)
    state = benchmark.open()
    try:
        return checked(benchmark.run(trial, state), _defaults(benchmark))
    finally:
        benchmark.close(state)


def default_command(name: str, quick: bool = False, only: str = "", n: int | None = None) -> str:
    """The command line that runs this benchmark, or the one trial `only`."""
    options = [" --quick" if quick else "", f" --only {shlex.quote(only)}" if only else "", f" --n {n}" if n else ""]
    return f"stretto bench {name}" + "".join(options)


class _Run:
    """One run of one benchmark: the files, the code, the time spent."""

    def __init__(self, benchmark: Benchmark, root: Path | None, out: Path, command: str) -> None:
        self.benchmark, self.root, self.command = benchmark, root, command
        self.code, self.changed = read_code(root), False
        self.weights = str(getattr(benchmark, "weights", "") or "")
        self.card_path = out / f"{benchmark.name}.json"
        self.file = RowFile(out / f"{benchmark.name}.rows.jsonl")
        self.began, self.earlier_s, self.saved = time.perf_counter(), 0.0, 0.0
        self.failed: dict[str, str] = {}
        self.smoke, self.trials = False, dict[str, Trial]()

    def resume_or_start(self, resume: bool) -> None:
        """Keeps the rows that are there if the same code and weights made them; else moves them away."""
        old = _read_card(self.card_path)
        same = old.get("code") == self.code.fingerprint and old.get("weights", "") == self.weights
        if resume and same:
            self.earlier_s = float(old.get("wall_s", 0.0))
            self.changed = bool(old.get("code_changed_meanwhile"))
            return
        why = "as asked" if not resume else "other code or weights made the rows that were there"
        if self.file.start_anew():
            print(f"Starting anew ({why}); the old rows are in {self.card_path.stem}.rows.old.jsonl.", flush=True)

    def all(self, trials: list[Trial], workers: int) -> dict[str, Any]:
        """Runs what is left of `trials` and writes the card and its page."""
        done, self.trials = self.file.trials(), {trial.key: trial for trial in trials}
        left = [trial for trial in trials if trial.key not in done]
        workers = max(1, min(workers, len(left)))
        print(estimate(self.benchmark, len(trials), len(left), workers), flush=True)
        self.save(rows=None)
        progress = Progress(total=len(trials), left=len(left), began=self.began)
        results = outcomes(self.benchmark, left, workers)
        try:
            for outcome in results:
                self.take(outcome)
                progress.show(len(self.failed))
        except KeyboardInterrupt:
            results.close()
            if self.file.trials():
                self.finish()
            print(f"\nStopped. What was finished is kept; `{self.command}` goes on from here.", flush=True)
            raise SystemExit(130) from None
        finally:
            results.close()
            progress.end()
        return self.finish()

    def take(self, outcome: Outcome) -> None:
        """Writes the rows of a trial, or reports why there are none."""
        failure, rows, lost = outcome.failure, outcome.rows, getattr(self.benchmark, "lost", None)
        if outcome.ended and lost is not None:
            print(f"\nTrial {outcome.key}: {failure}; it is scored as that.", file=sys.stderr, flush=True)
            failure, rows = "", lost(self.trials[outcome.key], failure)
        if not failure:
            try:
                rows = checked(rows, _defaults(self.benchmark))
            except StrettoError as error:
                failure = str(error)
            else:
                self.file.add(outcome.key, rows)
        if failure:
            self.failed[outcome.key] = failure
            print(f"\nTrial {outcome.key} failed: {failure}\n{outcome.trace}", file=sys.stderr, flush=True)
        if time.perf_counter() - self.saved > SAVE_EVERY_S:
            self.save(rows=None)

    def finish(self) -> dict[str, Any]:
        """Writes the card with its summary and the page. Raises StrettoError when there is not a single row."""
        rows = read_rows(self.file.path)
        self.changed = self.changed or read_code(self.root).fingerprint != self.code.fingerprint
        card = self.save(rows)
        if self.changed:
            print("Warning: the code changed while the benchmark ran; the card says so. Use a checkout of its own.")
        if not rows:
            first = next(iter(self.failed.values()), "nothing was run")
            raise StrettoError(f"Benchmark {self.benchmark.name} made no row; first failure: {first}.")
        page_path = self.card_path.with_suffix(".html")
        appendix = getattr(self.benchmark, "appendix", None)
        extra = appendix(rows, self.card_path.parent, self.smoke) if appendix else ""
        write_atomically(page_path, page.render(card, rows, extra))
        print(f"Wrote {self.card_path}, {self.file.path} ({len(rows)} rows) and {page_path}.", flush=True)
        if self.failed:
            print(f"{len(self.failed)} trials failed; `{self.command}` tries them again.", flush=True)
        return card

    def save(self, rows: list[Row] | None) -> dict[str, Any]:
        """Writes the card; with `rows`, its summary, seeds and arms."""
        self.saved = time.perf_counter()
        some = rows or []
        card = {
            "name": self.benchmark.name,
            "command": self.command,
            "commit": self.code.commit,
            "dirty": self.code.dirty,
            "hardware": hardware(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_s": round(self.earlier_s + self.saved - self.began, 3),
            "clock": self.benchmark.clock,
            "seeds": sorted({row["seed"] for row in some}, key=lambda seed: (len(str(seed)), str(seed))),
            "arms": sorted({str(row["arm"]) for row in some if row.get("arm") is not None}),
            "trials": len({row["trial"] for row in some}),
            "failed": self.failed,
            "code_changed_meanwhile": self.changed,
            "code": self.code.fingerprint,
            "weights": self.weights,
            "summary": [] if self.smoke else summary(some),
            **({"smoke": True} if self.smoke else {}),
        }
        write_atomically(self.card_path, json.dumps(card, indent=1) + "\n")
        return card


class Progress:
    """How many trials are done and how long the rest takes: one moving line on a terminal, else a line every 30 s."""

    def __init__(self, total: int, left: int, began: float, stream: TextIO | None = None) -> None:
        self.total, self.left, self.began, self.run = total, left, began, 0
        self.stream = stream or sys.stdout
        self.shown = began

    def show(self, failed: int) -> None:
        """One more trial is done."""
        self.run += 1
        now, live = time.perf_counter(), self.stream.isatty()
        if not live and now - self.shown < REPORT_EVERY_S and self.run < self.left:
            return
        self.shown = now
        rest = (now - self.began) / self.run * (self.left - self.run)
        trouble = f", {failed} failed" if failed else ""
        text = f"{self.total - self.left + self.run} of {self.total} trials{trouble}, {duration(rest)} left"
        print(f"\r{text:<60}" if live else text, end="" if live else "\n", file=self.stream, flush=True)

    def end(self) -> None:
        """Ends the moving line."""
        if self.stream.isatty() and self.run:
            print(file=self.stream, flush=True)


def estimate(benchmark: Benchmark, total: int, left: int, workers: int) -> str:
    """The line that is printed before the first trial: what the run will cost."""
    seconds = left * benchmark.seconds_per_trial / workers
    return (
        f"{benchmark.name}: {total} trials, {total - left} of them done, about {benchmark.seconds_per_trial:g} s each "
        f"on {workers} worker{'s' if workers > 1 else ''}: {duration(seconds)}"
    )


def duration(seconds: int | float) -> str:
    """Seconds for people: `42 s`, `12 min`, `1 h 25 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _defaults(benchmark: Benchmark) -> dict[str, Any]:
    weights = str(getattr(benchmark, "weights", "") or "")
    return {**({"clock": benchmark.clock} if benchmark.clock else {}), **({"weights": weights} if weights else {})}


def _distinct(name: str, trials: list[Trial]) -> list[Trial]:
    keys = [trial.key for trial in trials]
    twice = sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) < len(keys) else []
    if twice or not keys:
        raise StrettoError(
            f"Benchmark {name} must name each trial once; " + (f"twice: {twice[:5]}" if twice else "none")
        )
    return trials


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}

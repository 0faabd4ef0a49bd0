"""Cards: rows are kept whole through kills and resumes, and say on which code they were made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stretto.bench import card_workers, page, readme, stats
from stretto.bench.card import Progress, Trial, duration, estimate, run_card, run_one
from stretto.bench.card_git import read_code
from stretto.bench.card_rows import RowFile, checked, read_rows
from stretto.core.errors import StrettoError


class Toy:
    """Twelve trials, two arms; parameters say which trial raises and which kills its worker."""

    name = "toy"
    clock = "virtual"
    parallel = True
    seconds_per_trial = 0.01

    def __init__(self, fails: str = "", dies: str = "", log: str = "", total: int = 12) -> None:
        self.fails, self.dies, self.log, self.total = fails, dies, log, total

    def trials(self, n):
        return [Trial(f"t{k}", {"k": k}) for k in range(self.total)][:n]

    def open(self):
        return {"opened": os.getpid()}

    def run(self, trial, state):
        if self.log:
            with open(self.log, "a") as file:
                file.write(trial.key + "\n")
        if trial.key == self.fails:
            raise RuntimeError("the arm fell off")
        if trial.key == self.dies:
            os._exit(7)
        k = trial.params["k"]
        shared = {"unit": f"u{k % 4}", "seed": k // 4, "delays": 1.0, "task": f"task {k % 2}"}
        return [
            {"row": "success", "arm": "a", "value": k != 3, **shared},
            {"row": "stop_latency_s", "arm": "a", "value": 0.1 * (k + 1), **shared},
            {"row": "stop_latency_s", "arm": "b", "value": 0.2 * (k + 1), **shared},
        ]

    def close(self, state):
        assert state["opened"] == os.getpid()


class Closed(Toy):
    def open(self):
        raise RuntimeError("no simulator here")


def inline(benchmark, trials, workers):
    """The workers' job in this process, for tests of everything around it."""
    for trial in trials:
        try:
            yield card_workers.Outcome(key=trial.key, rows=benchmark.run(trial, {}))
        except RuntimeError as error:
            yield card_workers.Outcome(key=trial.key, failure=f"RuntimeError: {error}")
        except KeyboardInterrupt:
            raise


def git(folder, *arguments):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "code.py").write_text("x = 1\n")
    git(folder, "add", "code.py")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def here(monkeypatch, repo):
    monkeypatch.setattr("stretto.bench.card.outcomes", inline)
    return {"out": repo / "results", "root": repo}


def rows_of(here):
    return read_rows(here["out"] / "toy.rows.jsonl")


def test_a_card_has_every_field_of_the_contract_and_rows_name_their_trial(here):
    card = run_card(Toy(), **here)
    assert card == json.loads((here["out"] / "toy.json").read_text())
    assert {"name", "command", "commit", "dirty", "hardware", "date", "wall_s", "clock", "seeds", "arms"} <= set(card)
    assert card["dirty"] is False
    assert card["seeds"] == [0, 1, 2]
    assert card["arms"] == ["a", "b"]
    assert card["command"] == "stretto bench toy"
    assert len(rows_of(here)) == 36
    assert rows_of(here)[0] == {
        "clock": "virtual", "row": "success", "arm": "a", "value": True, "unit": "u0", "seed": 0, "delays": 1.0,
        "task": "task 0", "trial": "t0",
    }  # fmt: skip


def test_a_resumed_run_skips_finished_trials_and_adds_up_its_time(here, tmp_path):
    log = tmp_path / "log"
    first = run_card(Toy(log=str(log)), n=5, **here)
    assert first["command"] == "stretto bench toy --n 5"
    second = run_card(Toy(log=str(log)), **here)
    assert log.read_text().split() == [f"t{k}" for k in range(12)]
    assert second["wall_s"] > first["wall_s"]
    assert second["trials"] == 12


def test_a_half_written_trial_is_dropped_and_run_again(here):
    run_card(Toy(), **here)
    path = here["out"] / "toy.rows.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (len(whole) - 5, len(whole) - len(lines[-1]), len(whole) - len(lines[-1]) - len(lines[-2]) + 3):
        path.write_bytes(whole[:cut])
        assert run_card(Toy(), **here)["trials"] == 12
        assert path.read_bytes() == whole


def test_committed_changes_of_code_start_anew_and_keep_the_old_rows(here, repo):
    run_card(Toy(), n=5, **here)
    (repo / "code.py").write_text("x = 2\n")
    git(repo, "commit", "-qam", "second")
    assert run_card(Toy(), n=3, **here)["trials"] == 3
    assert len(read_rows(here["out"] / "toy.rows.old.jsonl")) == 15


def test_committing_results_and_docs_does_not_stop_a_resume(here, repo):
    run_card(Toy(), n=5, **here)
    (repo / "docs").mkdir()
    (repo / "docs" / "log.md").write_text("tried it\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "card")
    card = run_card(Toy(), n=3, **here)
    assert card["trials"] == 5
    assert card["dirty"] is False


def test_other_weights_start_anew(here):
    toy, other = Toy(), Toy()
    toy.weights, other.weights = "aaa", "bbb"
    run_card(toy, n=5, **here)
    assert run_card(other, n=2, **here)["trials"] == 2
    assert {row["weights"] for row in rows_of(here)} == {"bbb"}


def test_uncommitted_and_new_files_outside_results_and_docs_make_a_card_dirty(repo):
    clean = read_code(repo)
    (repo / "results").mkdir()
    (repo / "results" / "x.json").write_text("{}")
    assert read_code(repo) == clean
    (repo / "new.py").write_text("y = 1\n")
    new = read_code(repo)
    assert new.dirty
    (repo / "new.py").write_text("y = 2\n")
    assert read_code(repo).fingerprint != new.fingerprint != clean.fingerprint


def test_without_a_git_checkout_there_is_no_card(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(StrettoError, match="git checkout"):
        run_card(Toy(), out=tmp_path, root=tmp_path)


def test_code_that_changes_while_the_benchmark_runs_is_said_on_the_card(here, repo, monkeypatch):
    def changing(benchmark, trials, workers):
        (repo / "code.py").write_text("x = 3\n")
        yield from inline(benchmark, trials, workers)

    monkeypatch.setattr("stretto.bench.card.outcomes", changing)
    assert run_card(Toy(), **here)["code_changed_meanwhile"]


def test_a_failed_trial_is_reported_and_tried_again(here, capsys):
    card = run_card(Toy(fails="t4"), **here)
    assert "Trial t4 failed: RuntimeError: the arm fell off" in capsys.readouterr().err
    assert card["failed"] == {"t4": "RuntimeError: the arm fell off"}
    assert card["trials"] == 11
    card = run_card(Toy(), **here)
    assert card["failed"] == {}
    assert card["trials"] == 12


def test_ctrl_c_keeps_what_was_finished(here, monkeypatch, capsys):
    def interrupted(benchmark, trials, workers):
        yield from inline(benchmark, trials[:4], workers)
        raise KeyboardInterrupt

    monkeypatch.setattr("stretto.bench.card.outcomes", interrupted)
    with pytest.raises(SystemExit, match="130"):
        run_card(Toy(), **here)
    assert "goes on from here" in capsys.readouterr().out
    assert {row["trial"] for row in rows_of(here)} == {"t0", "t1", "t2", "t3"}


def test_quick_runs_two_trials_and_leaves_the_card_alone(here):
    run_card(Toy(), **here)
    before = (here["out"] / "toy.json").read_bytes()
    assert run_card(Toy(), quick=True, **here)["trials"] == 2
    assert (here["out"] / "toy.json").read_bytes() == before


def test_a_second_run_of_the_same_card_is_refused(here):
    held = RowFile(here["out"] / "toy.rows.jsonl")
    with pytest.raises(StrettoError, match="Another run is writing"):
        run_card(Toy(), **here)
    held.close()


@pytest.mark.parametrize(
    ("rows", "said"),
    [([], "at least one row"), ([{"row": "a", "unit": 1, "value": 1}], "lacks seed"),
     ([{"row": "a", "unit": 1, "seed": 0, "value": float("nan")}], "finite")],
)  # fmt: skip
def test_rows_that_a_card_could_not_use_fail_their_trial(rows, said):
    with pytest.raises(StrettoError, match=said):
        checked(rows, {})


def test_a_full_disk_leaves_the_row_file_as_it_was(tmp_path, monkeypatch):
    file = RowFile(tmp_path / "x.rows.jsonl")
    row = {"row": "a", "unit": "u", "seed": 0, "value": 1.0}
    file.add("t0", [row])
    before = file.path.read_bytes()
    write = os.write

    def full(fd, data):
        if len(data) > 10:
            return write(fd, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StrettoError, match="No space left"):
        file.add("t1", [{**row, "value": 1.0}, row, {**row, "row": "abcdefg"}])
    monkeypatch.undo()
    assert file.path.read_bytes() == before
    file.close()


def test_only_runs_one_trial_and_offers_the_nearest_key():
    assert [row["value"] for row in run_one(Inside(), "t3")] == [False, pytest.approx(0.4), pytest.approx(0.8)]
    with pytest.raises(StrettoError, match="t3"):
        run_one(Inside(), "t33")


class Inside(Toy):
    def close(self, state):
        pass


@pytest.mark.slow
def test_real_workers_survive_a_trial_that_raises_and_one_that_kills_its_process(repo, capsys):
    card = run_card(Toy(fails="t2", dies="t5"), out=repo / "results", root=repo)
    assert card["trials"] == 10
    assert card["failed"]["t2"] == "RuntimeError: the arm fell off"
    assert "exit code 7" in card["failed"]["t5"]
    assert capsys.readouterr().out.startswith("toy: 12 trials, 0 of them done, about 0.01 s each on 2 workers")


@pytest.mark.slow
def test_a_benchmark_that_cannot_be_opened_ends_the_run(repo):
    with pytest.raises(StrettoError, match="no simulator here"):
        run_card(Closed(), out=repo / "results", root=repo)


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_card import Toy
from stretto.bench.card import run_card

class Slow(Toy):
    def run(self, trial, state):
        time.sleep(0.05)
        return super().run(trial, state)

if __name__ == "__main__":
    run_card(Slow(total=400), out=Path({out!r}), root=Path({root!r}))
"""


@pytest.mark.slow
def test_a_killed_run_loses_no_finished_trial(repo, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(tests=str(Path(__file__).parent), out=str(repo / "results"), root=str(repo)))
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    path = repo / "results" / "toy.rows.jsonl"
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"trial_end") < 6):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    finished = {row["trial"] for row in read_rows(path)}
    assert len(finished) >= 6
    file = RowFile(path)
    assert file.trials() >= finished
    file.close()


def test_the_page_shows_facts_tables_plots_and_how_to_repeat_the_worst(here):
    card = run_card(Toy(), **here)
    text = (here["out"] / "toy.html").read_text()
    assert len(text) < 300_000
    assert card["commit"] in text
    assert "prefers-color-scheme: dark" in text
    assert text.count("<svg") >= 3
    assert "stretto bench toy --only t3" in text
    assert "<script" not in text


def test_worst_cases_are_false_answers_and_longest_times():
    rows = [{"row": "x", "value": value} for value in (0.1, 3.0, 2.0)]
    assert [row["value"] for row in page.worst_cases("stop_latency_s", rows)] == [3.0, 2.0, 0.1]
    assert [row["value"] for row in page.worst_cases("score", rows)] == [0.1, 2.0, 3.0]
    answers = [{"row": "x", "value": value} for value in (True, False)]
    assert [row["value"] for row in page.worst_cases("success", answers)] == [False]
    assert [row["value"] for row in page.worst_cases("moved_early", answers)] == [True]


def test_the_readme_table_is_filled_once_and_a_stale_one_is_found(here, repo, capsys):
    run_card(Toy(), **here)
    path = repo / "README.md"
    (repo / "docs").mkdir()
    for page_path in (path, repo / "docs" / "exam.md"):
        page_path.write_text(f"# Toy\n{readme.START}\nold\n{readme.END}\nend\n")
    options = ["--root", str(repo), "--results", str(here["out"])]
    assert readme.main([*options, "--check"]) == 1
    assert readme.main(options) == 0
    assert readme.main([*options, "--check"]) == 0
    assert "No card of the exam has been made yet." in (repo / "docs" / "exam.md").read_text()
    text = path.read_text()
    assert "| [toy](results/toy.html) | success | a | 12 | 91.7 % [64.6, 98.5] |" in text
    assert text.endswith("\nend\n")
    path.write_text("no marks")
    assert readme.main(options) == 2


def test_intervals_are_those_of_the_books():
    assert stats.wilson([True] * 95 + [False] * 5) == pytest.approx((0.8882, 0.9785), abs=1e-4)
    assert stats.wilson([True] * 4)[1] == 1.0
    ours = {f"u{k}": [float(k)] for k in range(50)}
    theirs = {f"u{k}": [k - 0.5 + 0.1 * (k % 3)] for k in range(60)}
    difference = stats.paired_difference(ours, theirs)
    assert difference.n == 50
    assert difference.mean == pytest.approx(0.402)
    assert 0.36 < difference.low < difference.mean < difference.high < 0.44
    with pytest.raises(ValueError, match="share units"):
        stats.paired_difference({"a": [1.0]}, {"b": [1.0]})


def test_the_cost_is_said_in_words(capsys):
    assert estimate(Toy(), 120, 20, 2) == (
        "toy: 120 trials, 100 of them done, about 0.01 s each on 2 workers: 0 s"
    )  # fmt: skip
    assert [duration(s) for s in (42, 700, 5100, 7300)] == ["42 s", "12 min", "85 min", "2 h 2 min"]
    progress = Progress(total=10, left=1, began=0.0)
    progress.show(failed=1)
    assert "10 of 10 trials, 1 failed, 0 s left" in capsys.readouterr().out

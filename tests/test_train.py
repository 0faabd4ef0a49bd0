"""The training loop: bit-same after a cut, schedules, averaged weights, files that say what they are."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from stretto.core.errors import StrettoError
from stretto.train import workers
from stretto.train.device import Device, choose
from stretto.train.loop import Loop
from stretto.train.page import write_page
from stretto.train.schedule import Schedule
from stretto.train.stage import Stage


class Line:
    """Learns y = 2 x with a convolution that lies channels last, as images' do."""

    def __init__(self):
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4, 1))
        self.net.to(memory_format=torch.channels_last)

    def parameters(self):
        return dict(self.net.named_parameters())

    def batch(self, step, part):
        return torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(100 * step + part))

    def loss(self, batch, generator):
        noise = 0.1 * torch.randn(8, 1, generator=generator)
        loss = (self.net(batch) - 2 * batch[:, 0, 0, :1] - noise).square().mean()
        return loss, {"error": loss.detach()}

    def validate(self):
        return {"weight": float(self.net[2].weight.sum())}

    def sample(self, step, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{step}.txt").write_text("here")
        return {}


QUICK = Schedule.Config(warmup=2)


def loop_of(folder, steps=12, log=1, **fields):
    config = Loop.Config(steps=steps, log=log, validate=4, sample=6, accumulate=2, lr=1e-2, **fields, schedule=QUICK)
    return config.build(Line(), folder, Device("cpu", None, "test"), lambda text: None)


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_training_that_was_killed_and_resumed_has_the_loss_curve_of_one_that_was_not(tmp_path):
    assert loop_of(tmp_path / "whole").run()
    first = loop_of(tmp_path / "cut")
    assert not first.run(minutes=0)
    assert first.run(until=5)
    lost = loop_of(tmp_path / "cut")
    lost.save = lambda: None
    lost.run(until=9)  # killed before its checkpoint
    last = loop_of(tmp_path / "cut")
    assert last.step == 5
    assert last.run()
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    for name, weight in last.averaged.items():
        assert torch.equal(weight, loop_of(tmp_path / "whole").averaged[name])


def test_after_a_cut_a_row_is_the_mean_of_the_steps_since(tmp_path):
    loop_of(tmp_path / "each", steps=6).run()
    loop_of(tmp_path / "cut", steps=6, log=3).run(until=4)
    loop_of(tmp_path / "cut", steps=6, log=3).run()
    each = [row["loss"] for row in rows(tmp_path / "each") if row["kind"] == "train"]
    logged = [row["loss"] for row in rows(tmp_path / "cut") if row["kind"] == "train"]
    assert logged == pytest.approx([sum(each[:3]) / 3, sum(each[4:]) / 2], rel=1e-4)


def test_parts_computed_at_once_make_the_same_steps_as_one_after_the_other(tmp_path):
    for name, together in (("one", 1), ("two", 2)):
        loop_of(tmp_path / name, together=together).run()
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


def test_the_loss_falls_and_there_is_something_to_look_at(tmp_path):
    loop_of(tmp_path, steps=60).run()
    losses = [row["loss"] for row in rows(tmp_path) if row["kind"] == "train"]
    assert losses[-1] < 0.5 * losses[0]
    assert (tmp_path / "samples" / "6.txt").is_file()
    assert "error" in (tmp_path / "training.html").read_text()
    assert write_page(tmp_path / "samples") is None


def test_validation_sees_the_averaged_weights_and_training_goes_on_with_its_own(tmp_path):
    loop = loop_of(tmp_path)
    loop.run(until=3)
    own = {name: weight.clone() for name, weight in loop.weights.items()}
    with loop.average():
        assert all(torch.equal(weight, loop.averaged[name]) for name, weight in loop.weights.items())
    assert all(torch.equal(weight, own[name]) for name, weight in loop.weights.items())


def test_a_loop_that_is_to_end_at_step_0_trains_nothing(tmp_path):
    """So that a recipe whose first round is driven by the checkpoint it begins with writes just that."""
    loop = loop_of(tmp_path)
    assert loop.run(until=0)
    assert loop.step == 0


def test_schedules_rise_stay_and_fall():
    wsd = Schedule.Config(warmup=10, decay=0.5, end=0.0).build()
    assert [round(wsd(step, 100), 2) for step in (0, 9, 50, 75, 100)] == [0.1, 1.0, 1.0, 0.5, 0.0]
    cosine = Schedule.Config(form="cosine", warmup=1, end=0.0).build()
    assert cosine(0, 100) == 1.0
    assert cosine(50, 100) == pytest.approx(0.5)
    with pytest.raises(StrettoError, match="wsd"):
        Schedule.Config(form="wds").build()


def test_a_state_of_another_network_and_a_gradient_that_is_not_finite_are_refused(tmp_path):
    loop_of(tmp_path).run(until=1)
    other = Line()
    other.net = nn.Linear(3, 1)
    with pytest.raises(StrettoError, match="another network"):
        Loop.Config().build(other, tmp_path, choose())
    broken = loop_of(tmp_path / "broken")
    broken.stage.batch = lambda step, part: torch.full((8, 4, 3, 3), torch.inf)
    with pytest.raises(StrettoError, match="not finite"):
        broken.run()


def test_a_damaged_state_says_what_to_do(tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"nothing")
    with pytest.raises(StrettoError, match="Delete it"):
        loop_of(tmp_path)


def test_a_stage_is_recognised_by_what_it_offers():
    assert isinstance(Line(), Stage)
    assert not isinstance(nn.Linear(1, 1), Stage)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_workers_leave_no_job_out_and_begin_none_when_time_is_over(monkeypatch, count):
    monkeypatch.setattr(workers, "ProcessPoolExecutor", lambda count, *rest, **more: ThreadPoolExecutor(count))
    assert sorted(workers.done(lambda job: 2 * job, range(7), count)) == [0, 2, 4, 6, 8, 10, 12]
    begun = []
    assert len(list(workers.done(begun.append, range(20), count, lambda: len(begun) < 3))) < 20
    assert len(begun) <= 2 + 2 * count


@pytest.mark.parametrize(("able", "low"), [({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, None)])
def test_a_cpu_multiplies_in_bfloat16_where_that_is_fast(monkeypatch, able, low):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert choose().low is low

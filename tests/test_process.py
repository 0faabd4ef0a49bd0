"""The world in a process of its own: it must give what an in-process world gives, and halt when its owner dies."""

import contextlib
import signal
import subprocess
import sys
import textwrap

import numpy as np
import psutil
import pytest

from stretto.agents.random import Random
from stretto.agents.scripted import Plan, Scripted
from stretto.core.clock import VirtualClock, WallClock
from stretto.core.errors import StrettoError
from stretto.core.signals import Kind, SkillRequest
from stretto.runtime.delays import Delays
from stretto.runtime.process import WorldProcess
from stretto.runtime.world import World
from stretto.sessions import measures
from stretto.sessions.session import Session
from stretto.sessions.users.script import Script

DUMMY = World.Config(env="dummy", suite="dummy", expert="dummy")
COSTS = {"agent_step": [0.03], "render": [0.03]}

pytestmark = pytest.mark.slow


def run(world, agent, clock, seconds):
    session = Session.Config().build(world, agent, clock, Delays(COSTS))
    return session.run(Script.Config().build([]), "0", seed=1, seconds=seconds)


def test_a_world_in_its_own_process_gives_the_same_session():
    with WorldProcess(DUMMY) as world:
        apart = run(world, Random.Config().build(), VirtualClock(), 3.0)
    together = run(DUMMY.build(), Random.Config().build(), VirtualClock(), 3.0)
    assert np.array_equal(apart.positions(), together.positions())


def test_on_the_wall_clock_the_world_paces_itself():
    with WorldProcess(DUMMY) as world:
        trace = run(world, Scripted.Config().build([Plan(t=0.2, goal="go left")]), WallClock(), 1.6)
        assert 28 <= len(trace.steps) <= 33
        assert trace.of(Kind.ACTION_STARTED)
        world.halt_flag()
        assert world.judge("go left") in (True, False)


def test_one_world_process_plays_one_wall_clock_session_after_another():
    with WorldProcess(DUMMY) as world:
        for _ in range(4):
            trace = run(world, Scripted.Config().build([Plan(t=0.2, goal="go left")]), WallClock(), 0.4)
            assert trace.of(Kind.ACTION_STARTED)


def test_the_halt_flag_stops_the_arm_without_a_message():
    class Flagging(Scripted):
        def step(self, obs, state):
            if obs.tick == 3:
                self.world.halt_flag()
            return super().step(obs, state)

    with WorldProcess(DUMMY) as world:
        agent = Flagging(Flagging.Config(), [Plan(t=0.2, goal="go left")])
        agent.world = world
        trace = run(world, agent, VirtualClock(), 2.4)
    assert measures.first_stand(trace.steps, 0.5) == pytest.approx(0.6)


def test_an_unknown_suite_is_an_error_of_the_owner():
    with pytest.raises(StrettoError, match="Unknown suite 'dumy'. Did you mean 'dummy'"):
        WorldProcess(World.Config(env="dummy", suite="dumy", expert=""))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_when_its_owner_dies_the_arm_stands_still(tmp_path, how):
    log = tmp_path / "actions.txt"
    code = f"""
    import signal

    from stretto.agents.random import Random
    from stretto.core.clock import WallClock
    from stretto.runtime.delays import NoDelays
    from stretto.runtime.process import WorldProcess
    from stretto.runtime.world import World
    from stretto.sessions.session import Session
    from stretto.sessions.users.script import Script

    if __name__ == "__main__":
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        with WorldProcess(World.Config(env="dummy", suite="dummy", expert="", env_log={str(log)!r})) as world:
            print(world.pid, flush=True)
            session = Session.Config().build(world, Random.Config().build(), WallClock(), NoDelays())
            session.run(Script.Config().build([]), "0", seed=1, seconds=60.0)
    """
    script = tmp_path / "owner.py"
    script.write_text(textwrap.dedent(code))
    owner = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    world = int(owner.stdout.readline())
    while not log.exists() or len(log.read_text().splitlines()) < 20:
        assert owner.poll() is None
    owner.send_signal(how)
    owner.communicate()
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(world).wait(timeout=30)
    lines = [line.split() for line in log.read_text().splitlines()]
    assert any(float(x) for line in lines[:-20] for x in line[:6])
    assert not any(float(x) for line in lines[-20:] for x in line[:6])


def test_an_owner_who_does_not_listen_does_not_hold_up_the_world():
    """Reports pile up unread for 60 control periods with pictures; a halt flag still acts within the next one."""
    config = World.Config(env="dummy", suite="dummy", expert="dummy", cameras_hz=10.0, camera_size=256)
    with WorldProcess(config) as world:
        clock = WallClock()
        world.reset("0", 1)
        world.go(clock.epoch)
        world.post(SkillRequest(verb="start", goal="go left"), 2.5)
        clock.wait_until(3.0)
        world.halt_flag()
        halted_at = clock.now()
        clock.wait_until(3.4)
        report = world.advance(3.4)
        clock.wait_until(3.5)
        report.extend(world.advance(3.5))
    first = next(step.t for step in report.steps if step.halted)
    assert first - halted_at <= 0.11


def test_a_world_that_dies_is_an_error_of_the_owner_on_either_clock():
    with WorldProcess(DUMMY) as world:
        world.reset("0", 1)
        psutil.Process(world.pid).kill()
        psutil.wait_procs([psutil.Process(world.pid)] if psutil.pid_exists(world.pid) else [], timeout=5)
        with pytest.raises(StrettoError, match="world process"):
            world.advance(1.0)

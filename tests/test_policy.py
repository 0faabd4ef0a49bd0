"""The acting half: contexts, phrases, the stage at debug size, the agents; what is trained is what is run."""

from dataclasses import replace
from itertools import combinations, compress

import numpy as np
import pytest
import torch

from stretto.agents.checkpoint import find_weights, from_pretrained, load
from stretto.agents.duplex import Duplex
from stretto.agents.policy import RECIPE, Policy
from stretto.core.clock import VirtualClock
from stretto.core.errors import StrettoError
from stretto.core.protocols import Context
from stretto.core.rng import generator
from stretto.core.signals import Act, Image, Observation, Sound
from stretto.data import questions, talk
from stretto.recipes.policy_goal import PolicyGoal, network_of
from stretto.runtime.delays import NoDelays
from stretto.runtime.jobs import DrawnJobs
from stretto.think.tokens import gather
from stretto.train.acting.batches import Batch, Batches
from stretto.train.acting.contexts import FIELDS, NO_TASK, Contexts, Shard, decode, encode
from stretto.train.acting.phrases import GOALS, PhraseBook, Said, another, make_book, plan_of, sayings, wordings
from stretto.train.acting.readout import DRAWERS, from_the_hand
from stretto.train.acting.stage import SeeAct
from stretto.train.device import choose
from stretto.train.loop import Loop

SAID = [
    Said(task=NO_TASK),
    *[Said(task=task, text=goal) for task, goal in enumerate(GOALS)],
    Said(task=1, text=GOALS[1], form="heard"),
    Said(task=1, text=GOALS[1], form="heard", whole=False),
    Said(task=1, text=GOALS[1], later="Who are you?\nStop.", form="heard", whole=False),
    Said(task=1, text=GOALS[1], before=2, earlier=GOALS[2]),
    Said(task=3, text=GOALS[3], before=2, earlier=GOALS[2], form="heard"),
]


def shard_of(count, seed=0):
    rng, shard = generator(seed, "contexts"), Shard()
    for number in range(count):
        values = {name: rng.normal(size=shape) for name, (shape, _) in FIELDS.items()}
        task = number % 10
        values |= {"task": task, "before": NO_TASK, "least": number % 3, "kind": number % 5, "episode": number}
        values |= {"move": [1, 0], "label": np.tanh(values["label"]), "done": np.tanh(values["done"])}
        pictures = rng.integers(0, 255, (2, 128, 128, 3)).astype(np.uint8)
        shard.add(encode(pictures[0]), encode(pictures[1]), values)
    return shard


@pytest.fixture(scope="module")
def net():
    return network_of("debug-listener")


@pytest.fixture(scope="module")
def book(net):
    return make_book(net, SAID)


def stage_of(tmp_path, net, book, size=4):
    contexts = Contexts([shard_of(12).write(tmp_path / "expert-000.npz")])
    batches = Batches.Config(size=size).build(contexts, book, np.arange(12))
    return SeeAct.Config(held=4).build(net, batches, batches, "cpu", None)


def test_contexts_come_back_from_disk_and_damaged_shards_say_so(tmp_path):
    path = shard_of(5).write(tmp_path / "a.npz")
    contexts = Contexts([path, shard_of(3, seed=1).write(tmp_path / "b.npz")])
    assert len(contexts) == 8
    assert contexts.rows["task"].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert contexts.pictures(6).shape == (2, 128, 128, 3)
    assert not np.array_equal(contexts.pictures(6), contexts.pictures(5))
    smooth = np.tile(np.arange(128, dtype=np.uint8)[:, None, None], (1, 128, 3))
    assert np.abs(decode(encode(smooth)).astype(int) - smooth).max() < 8
    with np.load(path) as file:
        older = {name: file[name] for name in file.files}
    np.savez(path, **{**older, "proprio": older["proprio"][:, :15]})
    with pytest.raises(StrettoError, match=r"'proprio' of shape \(15,\), expected \(19,\)"):
        Contexts([path])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StrettoError, match="Delete it"):
        Contexts([path])


def test_wordings_are_of_the_training_split_and_name_their_task():
    spoken = {line.text.lower() for line in talk.lines("instruct", "test")}
    for task, goal in enumerate(GOALS):
        found = wordings(task, 12)
        assert found[0] == goal
        assert len(set(found)) == 12
        assert not spoken & {text.lower() for text in found}
    said = sayings(4, 1)
    assert {some.form for some in said} == {"typed", "heard"}
    assert sum(some.before != NO_TASK for some in said) == 90
    trained = {wording for task in range(10) for wording in wordings(task, 300)} - set(GOALS)
    assert not trained & {some.text for some in sayings(12, 1, split="dev")}


def test_another_task_is_asked_for_anew_as_a_switch_and_as_a_correction_that_may_name_the_place_alone():
    plate, stove = GOALS.index("put the bowl on the plate"), GOALS.index("put the bowl on the stove")
    said = {another(stove, plate, draw) for draw in range(36)}
    assert said & set(questions.corrections("on the stove", "train"))
    assert not any(text in questions.corrections(place, "test") for text in said for place in ("on the stove",))
    assert any(text.lower().startswith(("no, ", "not that", "wrong")) for text in said)
    assert not said & {another(plate, stove, draw) for draw in range(36)}


def test_what_is_heard_now_and_then_comes_in_two_turns_or_with_a_small_word_wrong():
    said = [some for some in sayings(40, 1) if some.form == "heard" and some.whole and some.text]
    paused = [some for some in said if "\n" in some.text]
    assert 0.02 < len(paused) / len(said) < 0.2
    assert all(turn.endswith((".", "?", "!")) for some in paused for turn in some.turns)
    known = {wording for task in range(10) for wording in wordings(task, 40)}
    once = [some.text for some in said if some.before == NO_TASK and some.task != NO_TASK and "\n" not in some.text]
    assert 0.02 < sum(text not in known for text in once) / len(once) < 0.3


@pytest.mark.parametrize("number", [0, 3, 11, 12, 13, 14])
def test_what_is_trained_is_what_a_live_session_computes(net, book, number, tmp_path):
    """The action expert's states of a batch are those of a policy's session through the same plan, tick by tick."""
    stage = stage_of(tmp_path, net, book)
    keys, values, visible, tokens = book.pick([number])
    pictures = torch.rand(1, 2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    proprio = torch.randn(1, 19, generator=torch.Generator().manual_seed(1))
    stands = tokens.id[:, tokens.stream == net.layout.index["act"]]
    batch = Batch(
        pictures=pictures, proprio=proprio, target=torch.zeros(1), prefix=torch.zeros(1), move=torch.zeros(1),
        said=stands, places=torch.zeros(1), keys=keys, values=values, visible=visible, tokens=tokens,
    )  # fmt: skip
    with torch.no_grad():
        states, _ = stage.states(batch, pictures)
        rings, live = net.backbone.rings(), []
        given = {
            "image": net.eye(pictures).flatten(1, 2),
            "proprio": net.proprio(proprio)[:, None],
            "playback": net.playback(torch.zeros(1, 1, 3)),
        }
        for some in plan_of(net, SAID[number]).passes:
            asked = [net.layout.streams[row.stream].name not in Policy.mute for row in some.rows]
            if not any(asked):
                continue
            here = gather(net.layout, [tuple(compress(some.rows, asked))])
            out = net.backbone(net.embed(here, given), here, rings)
            rings.keep([list(compress(some.stored, asked))])
            if "action" in out and some.rows[0].tick >= int(tokens.tick.min()):
                live.append((here["action"], out["action"]))
    for here, found in live:
        at = tokens.tick[0] == here.tick[0, 0]
        assert torch.allclose(states["action"][:, at], found, atol=5e-3)
        assert found.abs().max() > 0.5


def test_a_book_comes_back_from_disk_bit_for_bit(book, tmp_path):
    again = PhraseBook.load(book.save(tmp_path / "phrases.npz"))
    assert again.said == book.said
    for one, other in zip(book.pick([1, 13])[:3], again.pick([1, 13])[:3], strict=True):
        assert torch.equal(one, other)


def test_a_shorter_phrase_is_padded_in_front(book):
    short, long = int(book.columns.argmin()), int(book.columns.argmax())
    one, padded = book.pick([short])[0], book.pick([short, long])[0]
    assert padded.shape[-1] > one.shape[-1]
    assert torch.equal(padded[:1, ..., -one.shape[-1] :], one)


def test_the_readout_tells_a_drawer_from_the_hand_by_how_far_it_is_out():
    shut, drawn, hand = torch.zeros(1, 22), torch.zeros(1, 22), torch.zeros(1, 19)
    drawn[:, DRAWERS.start + 1] = -1.5  # the middle one, 15 cm
    there = (from_the_hand(drawn, hand) - from_the_hand(shut, hand))[0, 22:].reshape(-1, 3)
    assert there[5].tolist() == [0, 1.5, 0]
    assert not there[[0, 1, 2, 3, 4, 6, 7]].any()


def test_half_an_instruction_asks_for_nothing_yet(tmp_path, net, book):
    batches = stage_of(tmp_path, net, book).batches
    always = Batches(replace(batches.config, halves=1.0), batches.contexts, book, batches.rows)
    batch = always(0)
    assert not batch.move.any()
    behind = torch.arange(16) >= batch.prefix[:, None]
    assert not batch.target[behind].any()


def test_prefixes_reach_behind_what_spoiled_the_label(tmp_path, net, book):
    batches = stage_of(tmp_path, net, book).batches
    rng = np.random.default_rng(0)
    assert (batches._prefixes(np.full(500, 3), rng) >= 3).all()
    drawn = batches._prefixes(np.zeros(2000, int), rng)
    assert set(drawn.tolist()) == set(range(9))


def test_standing_starts_count_more_and_what_the_gripper_was_told_is_often_anything(tmp_path, book):
    contexts = Contexts([shard_of(40).write(tmp_path / "expert-000.npz")])
    contexts.rows["done"][:4], contexts.rows["move"][:, 0] = 0, 1
    contexts.rows["done"][4:] = 0.5
    for name in ("least", "task", "kind"):
        contexts.rows[name][:] = 0
    batches = Batches.Config(size=200, rested=5.0, gripped=1.0).build(contexts, book, np.arange(40))
    weight = np.diff(batches.shares, prepend=0.0)
    assert np.allclose(weight[:4], 5 * weight[4])
    batch = batches.of(np.arange(4, 40), generator(0, "draw"))
    committed = batch.target[torch.arange(16) < batch.prefix[:, None]]
    assert (committed[:, :6] == 0.5).all()
    assert set(committed[:, 6].tolist()) == {-1.0, 0.0, 1.0}


def test_the_pose_is_told_wrong_but_not_the_fingers(tmp_path, net, book):
    stage = stage_of(tmp_path, net, book)
    stage.config = replace(stage.config, felt=0.5)
    told, generator = torch.zeros(64, net.config.proprio), torch.Generator().manual_seed(0)
    spread = stage._felt(told, generator).std(0) / net.proprio.scale
    moved = spread > 0
    assert moved.nonzero().flatten().tolist() == [*range(6), *range(8, 15)]
    assert spread[moved].numpy() == pytest.approx(0.5, rel=0.3)


def test_the_stage_learns_and_resumes_with_the_same_curve(tmp_path):
    book = make_book(network_of("debug-listener"), SAID)

    def loop(folder):
        config = Loop.Config(steps=8, log=1, validate=4)
        return config.build(stage_of(tmp_path, network_of("debug-listener"), book), folder, choose(), lambda text: None)

    assert loop(tmp_path / "whole").run()
    loop(tmp_path / "cut").run(until=3)
    assert loop(tmp_path / "cut").run()
    curves = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert curves[0] == curves[1]


def test_training_goes_on_behind_a_rollout(tmp_path, book):
    network = network_of("debug-listener")
    stage = stage_of(tmp_path, network, book)
    stage.rollout = lambda network, step, folder: {"mute": len(Policy(Policy.Config(live=False), network).mute)}
    assert stage.sample(3, tmp_path) == {"mute": 3}
    assert all(weight.requires_grad for weight in stage.parameters().values())


def test_a_layout_that_remembers_older_pictures_is_refused(net):
    config = net.config
    older = replace(config, layout=replace(config.layout, pictures=3)).build()
    with pytest.raises(StrettoError, match="`pictures` to 1"):
        make_book(older, SAID[:1])


def test_a_pretrained_trunk_is_an_eye_too_and_rests(tmp_path, book):
    network = network_of("debug-listener", eye="efficientnet")
    stage = stage_of(tmp_path, network, book)
    trained = stage.parameters()
    assert "eye.out.weight" in trained
    assert not any(name.startswith("eye.trunk.") for name in trained)
    loss, _ = stage.loss(stage.batch(0, 0), torch.Generator().manual_seed(0))
    loss.backward()
    assert network.eye.out.weight.grad is not None
    pictures = torch.randint(0, 255, (1, 3, 128, 128), dtype=torch.uint8)
    assert torch.equal(network.eye(pictures), network.eye(pictures.float() / 255))
    with pytest.raises(StrettoError, match="divides"):
        type(network.config.eye)(size=100)


def test_the_recipe_trains_from_shards_alone(tmp_path, net, book):
    for name in ("expert-000", "round1-000"):
        shard_of(8).write(tmp_path / "data" / f"{name}.npz")
    book.save(tmp_path / "data" / "phrases.npz")
    said = []
    config = replace(PolicyGoal.Config.tiny(), data=str(tmp_path / "data"), steps=3)
    with pytest.raises(StrettoError, match=r"has shards but no 'phrases-held\.npz'"):
        config.build().run(tmp_path / "none", said.append)
    book.save(tmp_path / "data" / "phrases-held.npz")
    config.build().run(tmp_path / "out", said.append)
    assert (tmp_path / "out" / "policy" / "config.json").is_file()
    assert any("16 contexts" in line for line in said)
    further = replace(config, begin=str(tmp_path / "out" / "policy"), steps=1, lr=0.0)
    further.build().run(tmp_path / "further", said.append)
    first, then = (from_pretrained(tmp_path / name / "policy").state_dict() for name in ("out", "further"))
    assert all(torch.equal(then[name], tensor) for name, tensor in first.items())
    after, mean = (replace(further, lr=10.0, blend=blend) for blend in (0.0, 0.5))
    for name, one in (("after", after), ("mean", mean)):
        one.build().run(tmp_path / name, said.append)
    last, both = (from_pretrained(tmp_path / name / "policy").state_dict() for name in ("after", "mean"))
    far, half = (float((some["query"] - first["query"]).norm()) for some in (last, both))
    assert far > 0.1
    assert half == pytest.approx(far / 2, rel=0.05)
    with pytest.raises(StrettoError, match="above 0 only with a checkpoint to begin with"):
        replace(config, blend=0.5)


def test_training_can_begin_with_the_shipped_policy():
    network, shipped = network_of("tiny-listener"), find_weights("weights/policy_goal", RECIPE)
    assert torch.equal(load(network, shipped).query, from_pretrained(shipped).query)


def test_without_a_checkpoint_the_policy_says_how_to_train_one(tmp_path):
    with pytest.raises(StrettoError, match="stretto train policy_goal"):
        Policy.Config(weights=str(tmp_path)).build()
    (tmp_path / "config.json").write_text("{}")
    assert find_weights(str(tmp_path), RECIPE) == str(tmp_path)


def observation(tick, **fields):
    rng = generator(tick, "seen")
    images = tuple(
        Image(camera=name, t=0.2 * tick, pixels=rng.integers(0, 255, (128, 128, 3)).astype(np.uint8))
        for name in ("front", "wrist")
    )
    proprio = rng.normal(size=19).astype(np.float32)
    return Observation(
        t=0.2 * tick, tick=tick, proprio=proprio, action=np.zeros(7, np.float32), images=images, **fields
    )


def test_the_policy_gives_the_chunks_of_the_duplex_agent_and_hears_nothing():
    network = network_of("debug-listener")
    network.head.table.data.normal_(generator=torch.Generator().manual_seed(0))  # an untrained head reads nothing
    network.tables["text"].bias.data[network.layout.vocabularies["text"].names.index("<silence>")] = 60.0
    network.tables["heard"].bias.data[network.layout.vocabularies["heard"].names.index("<blank>")] = 60.0
    jobs = DrawnJobs(VirtualClock(), NoDelays())
    context = Context(tasks=(), tick_s=0.2, control_hz=20.0, actions=7, seed=0, jobs=jobs)
    agents = [Duplex(Duplex.Config(live=False), network), Policy(Policy.Config(live=False), network)]
    states = [agent.start(context) for agent in agents]
    chunks = [[], []]
    noise = Sound(samples=generator(0).normal(size=3200).astype(np.float32), rate=16_000)
    for tick in range(1, 8):
        for which, agent in enumerate(agents):
            sound = noise if which else None
            output, states[which] = agent.step(observation(tick, sound=sound), states[which])
            assert output.heard == output.say == ""
            assert output.act in (Act.MOVE, Act.HALT)
            chunks[which].append(output.chunk)
    for one, other in zip(*chunks, strict=True):
        assert (one is None) == (other is None)
        assert one is None or np.allclose(one.values, other.values, atol=1e-5)
    assert not np.allclose(chunks[1][0].values[8:], chunks[1][2].values[8:], atol=1e-2)
    assert not Policy.privileged


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_recording_and_driving_never_open_an_official_state_and_branches_leave_no_trace(monkeypatch, tmp_path):
    from stretto.envs.libero import Libero
    from stretto.train.acting.branch import answer
    from stretto.train.acting.drive import Driving
    from stretto.train.acting.record import Recorder

    splits = []
    reset = Libero.reset
    monkeypatch.setattr(Libero, "_official", lambda *args: pytest.fail("an official init state was opened"))
    monkeypatch.setattr(Libero, "reset", lambda env, t, s, split: (splits.append(split), reset(env, t, s, split))[1])
    recorder, shard = Recorder.Config(limit=24, after=4).build(), Shard()
    recorder.record(shard, 0, 0)
    assert len(shard) > 2
    env, goal = recorder.env, recorder.env.tasks[8]
    env.reset("8", 0, "train")
    for _ in range(20):
        env.apply(recorder.expert.act(env.scene(), goal))
    before = env.state()
    label = answer(env, recorder.expert, goal, np.zeros((2, 7)), 6)
    assert np.abs(env.state() - before).max() < 1e-9
    assert not label[:2].any()
    assert label[2:].any()
    env.close()
    driving = Driving(Driving.Config(), network_of("debug-listener"), {"duplex_step": [0.1], "render": [0.03]})
    monkeypatch.setattr("stretto.train.acting.drive.LIMIT_S", 1.0)
    driving.drive(shard, 0, 8)
    driving.close()
    assert set(splits) == {"train"}
    contexts = Contexts([shard.write(tmp_path / "a.npz")])
    assert contexts.rows["kind"].max() == 4


@pytest.mark.slow
def test_scattered_things_stand_elsewhere_upright_and_apart():
    from stretto.envs.libero import Libero
    from stretto.train.acting.scatter import THINGS, scatter

    env = Libero.Config().build()
    env.reset("8", 0, "train")
    scene = env.scene()
    before = {name: scene.position(name).copy() for name in THINGS}
    scatter(env, np.random.default_rng(0))
    moved = {name: np.abs(scene.position(name) - before[name]) for name in THINGS}
    assert all(move[:2].max() <= THINGS[name] + 0.005 and move[2] < 0.005 for name, move in moved.items())
    assert max(move[:2].max() for move in moved.values()) > 0.025
    boxes = [scene.box(name) for name in THINGS]
    apart = [max((b[0] - a[1])[:2].max(), (a[0] - b[1])[:2].max()) for a, b in combinations(boxes, 2)]
    assert min(apart) > 0.0
    env.close()


@pytest.mark.slow
def test_the_cascades_rules_start_and_stop_the_policy_and_it_knows_no_simulator():
    from stretto.agents.cascade_policy import RESTED, CascadePolicy

    network = network_of("debug-listener")
    acts = network.layout.vocabularies["act"]
    network.tables["act"].bias.data[acts.id("<move>")] = 100.0
    agent = CascadePolicy(CascadePolicy.Config(), Policy(Policy.Config(live=False), network))
    jobs = DrawnJobs(VirtualClock(), NoDelays())
    context = Context(tasks=GOALS, tick_s=0.2, control_hz=20.0, actions=7, seed=0, jobs=jobs)
    state, outputs = agent.start(context), []
    typed = {2: "put the bowl on the plate", 6: "stop", 9: "go on"}
    for tick in range(1, 12):
        output, state = agent.step(observation(tick, text=typed.get(tick)), state)
        outputs.append(output)
    assert not agent.privileged
    assert not any(output.skill for output in outputs)
    assert outputs[0].chunk is None
    assert outputs[1].say == "Okay, I will put the bowl on the plate."
    assert outputs[2].chunk is not None
    assert outputs[5].act is Act.HALT
    assert outputs[6].chunk is None
    assert outputs[8].act is Act.MOVE
    assert outputs[10].chunk is not None
    network.tables["act"].bias.data[acts.id("<halt>")] = 200.0
    said = []
    for tick in range(12, 14 + 2 * RESTED):
        output, state = agent.step(observation(tick), state)
        said.append(output.say)
    assert said.count("Done.") == 1

"""Joint training: rows that nobody sees are left out without a trace, and what was learned before stays as it was."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stretto.agents.checkpoint import from_pretrained, save_pretrained
from stretto.agents.sizes import size
from stretto.core.errors import StrettoError
from stretto.core.rng import generator
from stretto.core.signals import Word
from stretto.data.speech_cache import SpeechCache
from stretto.listen.encoders.whisper import WhisperEncoder
from stretto.recipes.duplex import DuplexTraining, assembled
from stretto.sessions.composer.compose import Line
from stretto.think.tokens import gather
from stretto.train.acting.contexts import encode as jpeg
from stretto.train.acting.phrases import encode
from stretto.train.duplex.dialogues import dialogue
from stretto.train.duplex.episodes import Episodes, heard_truly
from stretto.train.duplex.labels import HALT, MOVE, labels_of
from stretto.train.duplex.session import Session
from stretto.train.duplex.spoken import Spoken
from stretto.train.duplex.stage import TRAINED, DuplexStage, heard_by

SYSTEM = [1]


def line(text, start, **fields):
    words = tuple(Word(word, start + 0.3 * k, start + 0.3 * k + 0.25) for k, word in enumerate(text.split()))
    return Line(role="line", text=text, start=start, end=words[-1].end, words=words, **fields)


def session_of(seed=0, ticks=40):
    rng, net = generator(seed, "session"), size("debug-duplex")
    shown = tuple(range(2, ticks, 2))
    pixels = 128
    lines = (
        line("Put it there.", 0.5, moves=True),
        line("What is it?", 3.0, says="The bowl is here."),
        line("Stop now.", 5.0, halts_at=5.25),
    )
    return Session(
        features=rng.normal(size=(ticks, 2, net.ear.features)).astype(np.float16),
        playback=rng.random((ticks, 3)).astype(np.float32),
        pictured=shown,
        jpegs=tuple(jpeg(rng.integers(0, 255, (pixels, pixels, 3)).astype(np.uint8)) for _ in range(2 * len(shown))),
        proprio=rng.normal(size=(len(shown), 19)).astype(np.float32),
        lines=lines,
        finished=(),
        tick_s=0.2,
        terms=("instruct",),
        seed=seed,
    )


@pytest.fixture(scope="module")
def net():
    network = assembled("debug-duplex")
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(".up"):
                weight.normal_(std=0.2, generator=torch.Generator().manual_seed(0))
    return network


def episodes_of(net, sessions, config=None):
    heard = [heard_truly(session, lambda text: encode(net, text), net.layout) for session in sessions]
    config = config or Episodes.Config.tiny()
    return config.build(net.layout, sessions, heard, lambda text: encode(net, text), SYSTEM)


def test_a_session_comes_back_from_disk(tmp_path):
    session = session_of()
    again = Session.load(session.save(tmp_path / "1.npz"))
    assert again.lines == session.lines
    assert again.jpegs == session.jpegs
    assert np.array_equal(again.features, session.features)
    assert again.pictures(4).shape == (2, 128, 128, 3)


def test_a_perfect_ear_hears_each_word_a_tick_after_its_end_and_closes_the_turn(net):
    session, close = session_of(), net.layout.token("heard", "close")
    heard = heard_truly(session, lambda text: encode(net, text), net.layout)
    spoken = [tick for tick, said in enumerate(heard) if said]
    assert spoken[0] == 3 + 1  # "Put" ends at 0.75 s, in the fourth tick
    assert sum(close in said for said in heard) == 3
    assert all(len(said) <= net.layout["heard"].most(tick) for tick, said in enumerate(heard))


def test_the_end_of_a_turn_is_heard_with_and_without_pictures_alike(net):
    talk = [dialogue(seed, "train", net.config.ear.features) for seed in range(60)]
    heard = [heard_truly(session, lambda text: encode(net, text), net.layout) for session in talk]
    close = net.layout.token("heard", "close")
    pictured = [
        tick % net.layout["image"].every == 0 for some in heard for tick, said in enumerate(some) if close in said
    ]
    assert 0.3 < sum(pictured) / len(pictured) < 0.7


@torch.no_grad()
def test_rows_that_nobody_sees_are_left_out_without_changing_what_the_others_say(net):
    session = session_of()
    seen = episodes_of(net, [session], replace(Episodes.Config.tiny(), flipped=0.0, hesitant=0.0))
    stage = DuplexStage.Config.tiny().build(net, seen, seen, "cpu")
    whole, part = seen.batch(0), seen.batch(0, generator(1, "asks"))
    found = [stage.scores(b, b.pictures.permute(0, 1, 4, 2, 3)) for b in (whole, part)]
    for name in ("act", "say"):
        expert, place = net.layout[name].expert, net.layout.index[name]
        at = []
        for batch in (whole, part):
            here = batch.tokens[expert].stream == place
            at.append([(int(n), int(i)) for n, i in zip(
                batch.tokens[expert].number[0, here], batch.tokens[expert].index[0, here], strict=True)])  # fmt: skip
        assert 0 < len(at[1]) < len(at[0])
        columns = [at[0].index(row) for row in at[1]]
        assert torch.allclose(found[0][name][:, columns], found[1][name], atol=1e-4)
        assert torch.equal(whole.targets[name][:, columns][part.targets[name] >= 0],
                           part.targets[name][part.targets[name] >= 0])  # fmt: skip
    assert len(part.pictures) < len(whole.pictures)


def test_an_arm_that_hesitates_is_shown_standing_and_is_to_move_all_the_same(net):
    session = session_of()
    seen = episodes_of(net, [session], replace(Episodes.Config.tiny(), flipped=0.0, hesitant=1.0))
    halt, move = (net.layout.vocabularies["act"].id(name) for name in ("<halt>", "<move>"))
    first = int(np.flatnonzero(seen.labels(0).act == MOVE)[0])
    assert seen.labels(0).act[first - 1] == HALT
    standing = torch.from_numpy(session.pictures(max(tick for tick in session.pictured if tick < first)))
    late = 0
    for seed in range(8):
        batch = seen.batch(0, generator(seed, "asks"))
        acts = batch.tokens[net.layout["act"].expert]
        here = acts.stream == net.layout.index["act"]
        told = zip(
            acts.tick[0, here].tolist(), acts.id[0, here].tolist(), batch.targets["act"][0].tolist(), strict=True
        )
        asked = [(last, target) for tick, last, target in told if first < tick <= first + 1]
        assert all(ask == (halt, move) for ask in asked)
        late += len(asked)
        assert any(torch.equal(picture, standing) for picture in batch.pictures)
    assert late


def test_the_arm_sets_out_in_the_tick_in_which_a_sentence_would_begin():
    labels = labels_of([line("Put it there.", 0.5, moves=True, says="Okay.")], (), [8], 20, 0.2)
    assert labels.say == ((9, "Okay."),)
    assert labels.act.tolist() == [HALT] * 9 + [MOVE] * 11


def test_words_alone_teach_what_to_say_and_nothing_about_the_arm(net):
    talk = [dialogue(seed, "train", net.config.ear.features) for seed in range(12)]
    seen = episodes_of(net, talk)
    stage = DuplexStage.Config.tiny().build(net, seen, seen, "cpu")
    answers = sum(len(seen.labels(number).say) for number in range(12))
    assert answers >= 6
    batch = seen.batch(0, generator(0, "asks"))
    assert (batch.targets["act"] < 0).all()
    loss, _ = stage.loss(batch, torch.Generator().manual_seed(0))
    assert loss.isfinite()


def test_a_line_may_be_typed_and_is_answered_in_the_next_tick(net):
    talk = [dialogue(seed, "train", net.config.ear.features) for seed in range(12)]
    seen = Episodes(Episodes.Config(typed=1.0), net.layout, talk, [[]] * 12, lambda text: encode(net, text), SYSTEM)
    number = next(number for number in range(12) if seen.labels(number).say)
    first = next(line for line in talk[number].lines if line.says)
    assert seen.labels(number).say[0][0] == int(first.end / 0.2) + 1
    plan = seen.plan(number, seen.labels(number), set())
    streams = [net.layout.streams[row.stream].name for row in plan.rows]
    assert streams.count("typed") == sum(len(encode(net, line.text)) for line in talk[number].lines)
    assert "read" not in streams


def test_spoken_sessions_stop_and_go_on_with_sound_and_without_a_world(tmp_path):
    ear = WhisperEncoder.Config.tiny().build()
    made = Spoken.Config(least=5).build(SpeechCache(tmp_path), ear)
    sessions = [made.session(seed) for seed in range(3)]
    assert np.array_equal(made.session(0).features, sessions[0].features)
    stops = 0
    for session in sessions:
        assert session.features.shape[1:] == (ear.config.embeddings_per_tick, ear.config.features)
        closes = [int(line.end / 0.2) + 1 for line in session.lines]
        act = labels_of(session.lines, (), closes, session.ticks, 0.2).act
        changes = np.abs(np.diff(session.features.astype(np.float32), axis=0)).mean((1, 2))
        quiet = changes[-2:].max()
        assert all(changes[int(line.start / 0.2) : int(line.end / 0.2)].mean() > quiet for line in session.lines)
        for line, later in zip(session.lines, session.lines[1:], strict=False):
            assert line.end < later.start
            if line.moves:
                assert act[int(later.start / 0.2)] == MOVE
            if line.halts_at is not None and act[int(line.start / 0.2) - 1] == MOVE:
                stops += 1
                assert (act[int(line.halts_at / 0.2) + 1 : int(later.start / 0.2)] == HALT).all()
    assert stops


def test_what_is_trained_is_what_is_run_sounds_that_are_not_written_among_it(net):
    """The scores of training against those of a session stepped pass by pass through the rings."""
    session = session_of()
    heard = heard_truly(session, lambda text: encode(net, text), net.layout)
    ends = [[tick * net.config.ear.tick_frames // 2 for _ in said] for tick, said in enumerate(heard)]
    assert sum(map(len, ends)) > 5
    seen = Episodes.Config.tiny().build(net.layout, [session], [heard], lambda text: encode(net, text), SYSTEM, [ends])
    stage = DuplexStage.Config.tiny().build(net, seen, seen, "cpu")
    batch = seen.batch(0)
    with torch.no_grad():
        trained = stage.scores(batch, batch.pictures.permute(0, 1, 4, 2, 3))
    deaf = replace(batch, written=torch.zeros_like(batch.written))
    with torch.no_grad():
        assert not torch.allclose(stage.scores(deaf, batch.pictures.permute(0, 1, 4, 2, 3))["act"], trained["act"])
    run: dict[str, list[torch.Tensor]] = {"act": [], "say": []}
    rings, sounds, ended, tick, speech = net.backbone.rings(), None, 0, -1, None
    with torch.no_grad():
        for some in seen.plan(0, seen.labels(0), set(session.pictured)).passes:
            given = {}
            if some.rows[0].number and some.rows[-1].tick > tick:
                tick = some.rows[-1].tick
                features = torch.from_numpy(session.features[tick].astype(np.float32))[None]
                speech, sounds = net.adapter.step(features, sounds)
                given = {
                    "speech": speech,
                    "playback": net.playback(torch.from_numpy(session.playback[tick])[None, None]),
                }
                left = list(ends[tick])
                if tick in session.pictured:
                    at = session.pictured.index(tick)
                    pictures = torch.from_numpy(session.pictures(tick)).permute(0, 3, 1, 2)
                    given["image"] = net.eye(pictures).flatten(0, 1)[None]
                    given["proprio"] = net.proprio(torch.from_numpy(session.proprio[at])[None, None])
            tokens = gather(net.layout, [some.rows])
            states = net.backbone(net.embed(tokens, given | net.shown(sounds, [tick], [ended])), tokens, rings)
            for name, scores in net.answers(states, tokens).items():
                run.get(name, []).append(scores[0, 0])
            heard_row = [row for row in some.rows if net.layout.streams[row.stream].name == "heard"]
            if heard_row and some.stored[some.rows.index(heard_row[0])]:
                ended = left.pop(0)
            rings.keep([list(some.stored)])
    for name, scores in run.items():
        torch.testing.assert_close(torch.stack(scores), trained[name][0], rtol=1e-3, atol=1e-4)


def test_validation_tells_how_each_kind_of_line_is_met(net):
    seen = episodes_of(net, [session_of(seed) for seed in range(2)])
    stage = DuplexStage.Config.tiny().build(net, seen, seen, "cpu")
    first = next(iter(seen.batch(0).windows))
    assert first[1] == int(np.flatnonzero(seen.labels(0).act == MOVE)[0])
    told = stage.validate()
    assert 0 <= told["right line"] <= 1


def test_whether_a_sentence_begins_when_a_reaction_is_due_is_what_counts_most(net):
    seen = episodes_of(net, [session_of()])
    batch = seen.batch(0)
    say = batch.tokens[net.layout["say"].expert]
    ticks = say.tick[0, say.stream == net.layout.index["say"]]
    due = torch.tensor([first for _, first, _ in batch.windows])
    alone = DuplexStage.Config(decisive=1e6).build(net, seen, seen, "cpu")
    scores = alone.scores(batch, batch.pictures.permute(0, 1, 4, 2, 3))
    asked = batch.begins[0] & torch.isin(ticks, due)
    wanted = batch.targets["say"][0][asked]
    assert len(set((wanted == alone._silence).tolist())) == 2, "one sentence begins, and one line is met in silence"
    loss = torch.nn.functional.cross_entropy(scores["say"][0][asked], wanted)
    torch.testing.assert_close(alone._losses(scores, batch)[1], loss, rtol=1e-3, atol=1e-3)


def test_what_can_be_met_nowhere_is_refused_in_words_alone():
    lines = [line for seed in range(60) for line in dialogue(seed, "train", 1).lines]
    said = {line.role: [other.says for other in lines if other.role == line.role] for line in lines}
    assert len(said["defective"]) > 5
    assert all("cannot do that" in says for says in said["defective"])
    assert not any("".join(said[role]) for role in ("instruct", "side", "switch"))


def test_a_scene_in_which_somebody_asks_for_motion_teaches_when_to_move_and_another_does_not(net):
    told, asked = session_of(), session_of(1)
    silent = np.zeros((told.ticks, 0, net.config.ear.features), np.float16)
    moves = replace(told, features=silent)
    questions = replace(asked, features=silent, lines=(line("What is it?", 3.0, says="The bowl is here."),))
    seen = episodes_of(net, [moves, questions])
    assert (seen.batch(0).targets["act"] >= 0).any()
    assert (seen.batch(1).targets["act"] < 0).all()


def test_what_hears_reads_looks_and_draws_chunks_rests(net):
    seen = episodes_of(net, [session_of()])
    stage = DuplexStage.Config.tiny().build(net, seen, seen, "cpu")
    names = set(stage.parameters())
    assert names
    assert not [n for n in names if n.startswith(("eye.", "head.", "ear.", "adapter.", "tables.heard", "tables.text"))]
    assert not [n for n in names if ".language." in n or ".listening." in n or ".experts.action." in n]
    loss, told = stage.loss(stage.batch(0, 0), torch.Generator().manual_seed(0))
    grads = torch.autograd.grad(loss, list(stage.parameters().values()), allow_unused=True)
    assert all(grad is not None for grad in grads)
    assert {"act", "say", "act_right", "starts", "false_starts", "words"} == set(told)


def test_the_recipe_learns_resumes_and_writes_an_agent_that_hears_and_acts_as_before(tmp_path):
    config = replace(DuplexTraining.Config.tiny(), loop=replace(DuplexTraining.Config.tiny().loop, steps=6))
    train, dev = [session_of(1), session_of(2)], [session_of(3)]
    said = []

    def learn(folder, minutes=None):
        network, driven = assembled("debug-duplex"), {"round1": [session_of(4)]}
        recipe, groups = config.build(), {"train": train, "dev": dev}
        return all(
            recipe.learn(folder, network, some, number, minutes, said.append)
            for number, some in enumerate((groups, groups | driven))
        )

    assert learn(tmp_path / "whole")
    assert not learn(tmp_path / "cut", minutes=0)
    assert learn(tmp_path / "cut")
    one, two = ((tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut"))
    assert one == two
    assert (tmp_path / "whole" / "driver-1" / "config.json").is_file()
    agent, fresh = from_pretrained(tmp_path / "whole" / "agent"), assembled("debug-duplex")
    moved = set()
    for name, weight in agent.named_parameters():
        was = fresh.get_parameter(name)
        if not torch.equal(weight, was) and not torch.equal(weight, was.bfloat16().float()):
            moved.add(name)
    assert moved
    assert all(name.startswith(TRAINED) for name in moved)
    assert torch.equal(agent.eye.cell, fresh.eye.cell)


def test_a_blend_is_the_mean_of_what_decided_before_and_what_was_learned_and_leaves_what_speaks(tmp_path):
    begin = save_pretrained(assembled("debug-duplex"), tmp_path / "begin", dtype="float32", only="all")
    tiny, groups = DuplexTraining.Config.tiny(), {"train": [session_of(1)], "dev": [session_of(3)]}
    config = replace(tiny, rounds=0, begin=str(begin), loop=replace(tiny.loop, steps=2, lr=0.5, ema=0.0))
    for blend in (0.0, 0.5):
        network = assembled("debug-duplex", begin=str(begin))
        replace(config, blend=blend).build().learn(tmp_path / str(blend), network, groups, 0, None, lambda text: None)
    old, new, half = (from_pretrained(tmp_path / path).state_dict() for path in ("begin", "0.0/agent", "0.5/agent"))
    assert not torch.allclose(old["place.act"], new["place.act"], atol=2e-3)
    assert torch.allclose(half["place.act"], (old["place.act"] + new["place.act"]) / 2, atol=5e-4)
    assert torch.equal(half["place.playback"], new["place.playback"])
    with pytest.raises(StrettoError, match="only with a checkpoint to begin with"):
        replace(tiny, blend=0.5)


def test_training_goes_on_from_another_agent_and_ships_only_what_the_others_lack(tmp_path):
    acting = save_pretrained(assembled("debug-duplex"), tmp_path / "acting", dtype="float32", only="all")
    tiny, groups = DuplexTraining.Config.tiny(), {"train": [session_of(1)], "dev": [session_of(3)]}
    config = replace(tiny, rounds=0, policy=str(acting), hear="", loop=replace(tiny.loop, steps=2))

    def learnt(config, out):
        network = assembled(config.size, config.policy, config.hear, config.begin)
        assert config.build().learn(tmp_path / out, network, groups, 0, None, lambda text: None)
        return network

    learnt(config, "first")
    shipped = tmp_path / "shipped"
    more = replace(config, begin=str(tmp_path / "first" / "agent"), ship=str(shipped))
    first, second = (assembled(c.size, c.policy, c.hear, c.begin).state_dict() for c in (config, more))
    began = from_pretrained(more.begin).state_dict()
    assert all(torch.equal(second[name], (began if name.startswith(TRAINED) else first)[name]) for name in second)
    assert any(not torch.equal(second[name], first[name]) for name in second)
    network = learnt(more, "second")
    own = {name for shard in shipped.glob("*.safetensors") for name in load_file(shard)}
    assert own
    assert all(name.startswith(TRAINED) for name in own)
    loaded = from_pretrained(shipped)
    assert torch.equal(loaded.eye.cell, network.eye.cell)
    whole = from_pretrained(tmp_path / "second" / "agent")
    assert all(
        torch.equal(whole.get_parameter(name), loaded.get_parameter(name))
        for name in own - {n for n in own if "#" in n}
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"train": -1},
        {"scenes": -5},
        {"spoken": -1},
        {"minutes": -1.0},
        {"train": 0, "scenes": 0, "spoken": 0, "words": 0},
    ],
)
def test_counts_that_cannot_be_are_refused(wrong):
    with pytest.raises(StrettoError, match="at least 0, and sessions to train on"):
        replace(DuplexTraining.Config.tiny(), **wrong)


@pytest.mark.parametrize("wrong", [{"hesitant": 2.0}, {"words": 0.9}, {"scenes": -0.1}, {"typed": 1.5}])
def test_shares_that_cannot_be_are_refused(wrong):
    with pytest.raises(StrettoError, match="shares from 0 to 1.*got"):
        Episodes.Config(**wrong)


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    other = save_pretrained(size("debug").build(), tmp_path / "other", dtype="float32", only="all")
    with pytest.raises(StrettoError, match="other' does not fit size 'debug-duplex'.*deciding.*it has none"):
        assembled("debug-duplex", begin=str(other))
    config = replace(DuplexTraining.Config.tiny(), ship=str(other))
    with pytest.raises(StrettoError, match="new directory to ship to"):
        config.build().run(tmp_path / "out", lambda text: None)
    assert not (tmp_path / "out").exists()


def test_what_a_network_hears_is_what_it_hears_alone_and_in_company(net):
    sessions = [session_of(1, 20), session_of(2, 28)]
    both = heard_by(net, sessions, SYSTEM)
    assert both[0] == heard_by(net, sessions[:1], SYSTEM)[0]
    assert [len(heard) for heard in both] == [20, 28]


def test_what_was_heard_is_kept_and_heard_again_where_it_is_not_whole(net, tmp_path):
    hear = save_pretrained(size("debug-listener").build(), tmp_path / "hear", dtype="float32", only="all")
    recipe, told, path = replace(DuplexTraining.Config.tiny(), hear=str(hear)).build(), [], tmp_path / "heard.json"
    first = recipe._heard(path, net, [session_of()], SYSTEM, told.append)
    assert recipe._heard(path, net, [session_of()], SYSTEM, told.append) == first
    assert len(told) == 1
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({name: kept[name] for name in ("of", "heard")}))
    assert recipe._heard(path, net, [session_of()], SYSTEM, told.append) == first
    assert len(told) == 2
    assert "behind" in json.loads(path.read_text())

"""Checkpoints: what is saved is what is loaded, and what does not fit says what differs and what to do."""

import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from stretto.agents import checkpoint
from stretto.agents.checkpoint import digest, from_pretrained, load, save_pretrained
from stretto.agents.checkpoint_layout import differences
from stretto.agents.duplex import Duplex
from stretto.agents.network import Network
from stretto.agents.random import Random
from stretto.agents.sizes import size
from stretto.cli.run_ import _agent, add
from stretto.core.clock import VirtualClock
from stretto.core.errors import StrettoError
from stretto.core.protocols import Context
from stretto.core.signals import Image, Observation, Sound
from stretto.nn.lora import adapters
from stretto.nn.quantise import Int8Linear
from stretto.runtime.delays import NoDelays
from stretto.runtime.flight import Fault, Recorded
from stretto.runtime.jobs import DrawnJobs


def outputs(network, ticks=4):
    """What an agent of this network, not quantised, puts out in a few ticks of the same sound and pictures."""
    torch.set_num_threads(1)
    agent = Duplex.Config(live=False).build(network)
    jobs = DrawnJobs(VirtualClock(), NoDelays())
    state = agent.start(Context(tasks=(), tick_s=0.2, control_hz=20.0, actions=7, seed=0, jobs=jobs))
    rng, found, pixels = np.random.default_rng(0), [], network.eye.config.size
    for tick in range(ticks):
        t = 0.2 * (tick + 1)
        pictures = rng.integers(0, 255, (2, pixels, pixels, 3), dtype=np.uint8)
        obs = Observation(
            tick=tick,
            t=t,
            proprio=rng.normal(size=19).astype(np.float32),
            action=np.zeros(7, np.float32),
            sound=Sound(samples=rng.normal(size=3_200).astype(np.float32) / 10, rate=16_000),
            images=tuple(Image(camera=name, t=t, pixels=p) for name, p in zip(("a", "b"), pictures, strict=True)),
        )
        output, state = agent.step(obs, state)
        found.append((output.heard, output.say, output.act, None if output.chunk is None else output.chunk.values))
    return found


def same(one, other):
    return all(
        a[:3] == b[:3] and (a[3] is b[3] if a[3] is None else np.array_equal(a[3], b[3]))
        for a, b in zip(one, other, strict=True)
    )


def shaken(network, seed=1):
    """The network with every weight that training would touch moved, and rounded to bfloat16."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if not checkpoint._is_packaged(network, name):
                tensor.copy_((tensor + 0.01 * torch.randn_like(tensor)).bfloat16())
    return network


def equal(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def small():
    return replace(size("debug"), lora=2)


@pytest.fixture
def saved(small, tmp_path):
    return save_pretrained(shaken(small.build()), tmp_path / "kept", facts={"steps": 3})


def change(directory, **fields):
    """Rewrite fields of a checkpoint's config.json."""
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def rewrite(directory, edit):
    """Rewrite a checkpoint's one shard, checksum included."""
    (shard,) = directory.glob("*.safetensors")
    tensors = load_file(shard)
    edit(tensors)
    save_file(tensors, shard)
    change(directory, shards={shard.name: checkpoint._sum(shard)})


# What is saved is what is loaded


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_loaded_network_has_the_same_weights_and_says_and_does_the_same(small, tmp_path, dtype):
    network = shaken(small.build())
    loaded = from_pretrained(save_pretrained(network, tmp_path / "kept", dtype=dtype))
    assert loaded.config == network.config
    assert equal(network, loaded)
    assert not equal(network, small.build())
    said = outputs(network)
    assert same(said, outputs(loaded))
    assert not same(said, outputs(small.build()))


def test_what_another_stage_trains_is_drawn_again_and_not_stored(small, tmp_path):
    network = small.build()
    with torch.no_grad():
        network.query += 1
    saved = save_pretrained(network, tmp_path / "kept", dtype="float32")
    head = json.loads((saved / "config.json").read_text())
    assert "adapter.up.weight" in head["drawn"]
    assert set(load_file(saved / "model-00001-of-00001.safetensors")) == {"query"}
    assert equal(network, from_pretrained(saved))


def test_bfloat16_rounds_and_float32_does_not(small, tmp_path):
    network = small.build()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1.01)
    assert equal(network, from_pretrained(save_pretrained(network, tmp_path / "a", dtype="float32")))
    loaded = from_pretrained(save_pretrained(network, tmp_path / "b"))
    assert not equal(network, loaded)
    assert torch.equal(loaded.query, network.query.bfloat16().float())
    assert loaded.query.dtype == torch.float32


def test_eight_bits_are_half_as_large_and_cost_nothing_that_life_does_not_cost_anyway(tmp_path):
    network = shaken(size("debug-listener").build())
    small, large = (save_pretrained(network, tmp_path / name, dtype=name) for name in ("int8", "bfloat16"))
    loaded = from_pretrained(small)
    key = "backbone.experts.listening.layers.0.ffn.down.weight"
    ours, theirs = loaded.get_parameter(key), network.get_parameter(key)
    assert not torch.equal(ours, theirs)
    assert (ours - theirs).abs().max() <= theirs.abs().max() / 250
    assert torch.equal(Int8Linear(ours).int8, Int8Linear(theirs).int8)
    assert torch.equal(loaded.query, network.query)
    sizes = [sum(len(load_file(f)[key].flatten()) * load_file(f)[key].itemsize for f in d.glob("*.safetensors"))
             for d in (small, large)]  # fmt: skip
    assert 2 * sizes[0] == sizes[1]


def test_in_eight_bits_an_adapter_loses_at_most_half_a_step_of_its_first_matrix(small, tmp_path):
    network = shaken(small.build())
    loaded = from_pretrained(save_pretrained(network, tmp_path / "kept", dtype="int8"))
    for ours, theirs in zip(adapters(loaded), adapters(network), strict=True):
        assert torch.equal(ours.up, theirs.up)
        assert not torch.equal(ours.down, theirs.down)
        assert ((ours.down - theirs.down).abs().amax(1) <= theirs.down.abs().amax(1) / 250).all()


def test_adapters_are_kept_and_change_what_comes_out(saved, small):
    loaded = from_pretrained(saved)
    assert all(adapter.up.abs().max() > 0 for adapter in adapters(loaded))
    assert len(list(adapters(loaded))) == 4 * small.backbone.experts["language"].depth


def test_adapters_change_nothing_until_they_are_trained_and_leave_all_other_weights_as_drawn(small):
    with_adapters, without = small.build(), replace(small, lora=0).build()
    assert same(outputs(with_adapters), outputs(without))


def test_adapters_and_own_tokens_never_come_from_a_package(small):
    network = small.build()
    network.config = replace(small, language="smollm2-135m")
    given = {name for name in network.state_dict() if checkpoint._is_packaged(network, name)}
    assert {"tables.text.base", "backbone.experts.language.layers.0.ffn.down.base.weight"} <= given
    assert not [name for name in given if name.endswith((".up", ".down", ".own"))]
    assert {name.split(".")[0] for name in given} == {"tables", "backbone"}


def test_the_configuration_and_the_facts_can_be_read_by_people(saved):
    head = json.loads((saved / "config.json").read_text())
    assert head["facts"] == {"steps": 3}
    assert head["network"]["lora"] == 2
    assert head["layout"]["name"] == "tick200"
    assert head["made_by"].startswith("stretto ")


def test_shards_are_at_most_so_large_and_large_tensors_are_cut_by_rows(small, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARD", 16_384)
    network = shaken(small.build())
    path = save_pretrained(network, tmp_path / "kept")
    shards = sorted(path.glob("*"))
    assert len(shards) > 10
    assert shards[1].name == f"model-00001-of-{len(shards) - 1:05d}.safetensors"
    assert max(shard.stat().st_size for shard in shards[1:]) <= 16_384
    assert any("@" in name for shard in shards[1:] for name in load_file(shard))
    assert equal(network, from_pretrained(path))


def test_the_digest_is_of_the_weights_and_the_configuration_and_not_of_facts_or_names(small, tmp_path):
    network = shaken(small.build())
    one = digest(save_pretrained(network, tmp_path / "one", facts={"a": 1}))
    assert re.fullmatch("[0-9a-f]{64}", one)
    assert one == digest(save_pretrained(network, tmp_path / "two"))
    with torch.no_grad():
        network.query[0] += 1
    assert one != digest(save_pretrained(network, tmp_path / "three"))


# Made of others that lie beside it


@pytest.fixture
def parts(small, tmp_path):
    """A network whose query is its own, whose proprioception is one checkpoint's and whose ear's adapter another's."""
    acting, hearing, both = shaken(small.build(), 1), shaken(small.build(), 2), small.build()
    mine = both.state_dict()
    with torch.no_grad():
        for source, prefix in ((acting, "proprio."), (hearing, "adapter.")):
            for name, tensor in source.state_dict().items():
                if name.startswith(prefix):
                    mine[name].copy_(tensor)
        both.query += 1
    return both, [save_pretrained(acting, tmp_path / "acting"), save_pretrained(hearing, tmp_path / "hearing")]


def test_what_others_beside_a_checkpoint_hold_is_read_from_them(small, parts, tmp_path):
    network, others = parts
    saved = save_pretrained(network, tmp_path / "both", dtype="float32", shared=others)
    (shard,) = saved.glob("*.safetensors")
    assert not any(name.startswith("proprio.") for name in load_file(shard))
    assert any(name.startswith("adapter.") for name in load_file(shard))  # the first has another of that name
    assert equal(network, from_pretrained(saved))
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in (saved, *others):
        path.rename(moved / path.name)
    assert equal(network, from_pretrained(moved / "both"))


def test_the_digest_is_of_others_weights_too_and_a_changed_one_is_refused(parts, tmp_path):
    network, others = parts
    saved = save_pretrained(network, tmp_path / "both", dtype="float32", shared=others)
    before = digest(saved)
    rewrite(others[0], lambda tensors: tensors.update({"query": tensors["query"] + 1}))
    for read in (digest, from_pretrained):
        with pytest.raises(StrettoError, match=r"acting/model-00001-of-00001.safetensors is not what"):
            read(saved)
    assert before != digest(save_pretrained(network, tmp_path / "other", dtype="float32", shared=others[1:]))


# Written whole or not at all


def test_a_save_that_breaks_leaves_nothing(small, tmp_path, monkeypatch):
    network = small.build()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(StrettoError, match="Cannot write the checkpoint.*No space left"):
        save_pretrained(network, tmp_path / "kept")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_save_left_is_no_checkpoint_and_does_not_hinder_the_next(small, tmp_path):
    (tmp_path / ".kept.part").mkdir()
    (tmp_path / ".kept.part" / "model-00001-of-00009.safetensors").write_bytes(b"half")
    save_pretrained(small.build(), tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_nothing_that_is_there_is_overwritten(small, saved):
    with pytest.raises(StrettoError, match="Expected a new directory.*is there"):
        save_pretrained(small.build(), saved)


@pytest.mark.parametrize("what", [{"dtype": "float23"}, {"only": "train"}])
def test_unknown_choices_name_the_nearest(small, tmp_path, what):
    with pytest.raises(StrettoError, match="Did you mean '(float32|trained)'"):
        save_pretrained(small.build(), tmp_path / "kept", **what)


def test_a_live_network_cannot_be_saved_or_filled(small, saved, tmp_path):
    network = small.build().live()
    with pytest.raises(StrettoError, match="live network.*cannot be saved.*before live"):
        save_pretrained(network, tmp_path / "other")
    with pytest.raises(StrettoError, match="cannot be filled"):
        load(network, saved)


def test_merged_adapters_are_not_saved(small, tmp_path):
    network = small.build()
    next(adapters(network)).merge()
    with pytest.raises(StrettoError, match="merged adapters.*unmerge"):
        save_pretrained(network, tmp_path / "kept")


# What does not fit


def test_a_checkpoint_of_another_layout_says_which_stream_and_field(small, saved):
    other = replace(small, layout=replace(small.layout, speech=50))
    with pytest.raises(
        StrettoError, match=r"another layout.*stream 'speech', keep: expected 50, got 5\b.*from_pretrained"
    ):
        load(other.build(), saved)


def test_a_checkpoint_of_a_layout_that_has_changed_since_names_the_version_that_wrote_it(saved):
    head = json.loads((saved / "config.json").read_text())
    head["layout"]["streams"][2]["tokens"] = 3
    change(saved, layout=head["layout"], made_by="stretto 0.0.7")
    with pytest.raises(StrettoError, match="'speech', tokens: expected 2, got 3.*stretto 0.0.7"):
        from_pretrained(saved)


def test_differences_name_streams_order_and_vocabularies():
    layout = size("debug").layout.build().signature()
    other = json.loads(json.dumps(layout))
    assert differences(layout, other) == []
    other["streams"] = [s for s in reversed(other["streams"]) if s["name"] != "typed"]
    other["vocabularies"]["act"][2].append("<wait>")
    other["tick_s"] = 0.1
    told = differences(layout, other)
    assert "layout, tick_s: expected 0.2, got 0.1" in told
    assert any(some.startswith("layout, streams: expected ['system', 'typed'") for some in told)
    assert "stream 'typed': expected, but not in the checkpoint" in told
    assert any(some.startswith("vocabulary 'act', own tokens") for some in told)
    assert len(told) == 4


def test_missing_and_left_over_tensors_are_named(saved):
    rewrite(saved, lambda tensors: tensors.pop("query"))
    with pytest.raises(StrettoError, match="lacks query.*from_pretrained"):
        from_pretrained(saved)
    rewrite(saved, lambda tensors: tensors.update(query=torch.zeros(16), extra=torch.zeros(1)))
    with pytest.raises(StrettoError, match="does not have: extra"):
        from_pretrained(saved)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(saved):
    rewrite(saved, lambda tensors: tensors.update(query=torch.zeros(7)))
    with pytest.raises(StrettoError, match=r"query of shape \(16,\), got \(7,\)"):
        from_pretrained(saved)


def test_another_format_version_names_both_and_who_wrote_it(saved):
    change(saved, format=2, made_by="stretto 9.1")
    with pytest.raises(StrettoError, match=r"format 1, got format 2.*stretto 9\.1; this is stretto"):
        from_pretrained(saved)


@pytest.mark.parametrize("how", ["cut", "flipped", "gone", "not tensors", "half a config", "no shards"])
def test_a_damaged_checkpoint_says_which_file_and_what_to_do(saved, how):
    (shard,) = saved.glob("*.safetensors")
    config = saved / "config.json"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    match how:
        case "cut":
            shard.write_bytes(data[:-100])
        case "flipped":
            shard.write_bytes(data)
        case "gone":
            shard.unlink()
        case "not tensors":
            shard.write_bytes(b"hello")
            change(saved, shards={shard.name: checkpoint._sum(shard)})
        case "half a config":
            config.write_text(config.read_text()[:200])
        case "no shards":
            config.write_text(json.dumps({"format": 1, "network": {}, "layout": {}, "only": "all"}))
    name = config.name if "a config" in how or "shards" in how else shard.name
    with pytest.raises(StrettoError, match=rf"damaged: .*{name}.*Copy or download"):
        from_pretrained(saved)


def test_a_flipped_bit_has_no_digest(saved):
    (shard,) = saved.glob("*.safetensors")
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StrettoError, match="damaged"):
        digest(saved)


def test_a_directory_that_is_no_checkpoint_says_what_was_expected(saved, tmp_path):
    with pytest.raises(StrettoError, match="written by save_pretrained.*but there is no"):
        from_pretrained(tmp_path)
    (saved / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(StrettoError, match="configuration of something else"):
        from_pretrained(saved)


def test_a_checkpoint_that_is_not_there_offers_the_nearest(saved):
    with pytest.raises(StrettoError, match="Did you mean '.*kept'.*hub id"):
        from_pretrained(saved.with_name("kep"))


def test_a_hub_id_without_network_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(StrettoError, match=r"checkpoint 'some/agent' from the hub .*hf download some/agent"):
        from_pretrained("some/agent")


def test_a_hub_id_is_fetched_and_loaded(monkeypatch, saved):
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: asked.append((a, k)) or str(saved))
    assert isinstance(from_pretrained("some/agent"), Network)
    assert asked == [(("some/agent",), {"allow_patterns": ["config.json", "model-*.safetensors"]})]


# The agent


def test_the_agent_loads_its_weights_and_a_fault_prints_the_command_that_loads_them_again(saved, tmp_path):
    agent = Duplex.Config(weights=str(saved), live=False).build()
    assert equal(agent.network, from_pretrained(saved))
    recorded = Recorded.Config(folder=str(tmp_path / "flight")).build(agent)
    jobs = DrawnJobs(VirtualClock(), NoDelays())
    state = recorded.start(Context(tasks=(), tick_s=0.2, control_hz=20.0, actions=7, seed=0, jobs=jobs))
    bad = Observation(tick=0, t=0.2, proprio=np.full(19, np.nan, np.float32), action=np.zeros(7, np.float32))
    with pytest.raises(Fault) as fault:
        recorded.step(bad, state)
    command = shlex.split(str(fault.value).split("Replay them: ")[1])
    assert command[:4] == ["stretto", "run", "--agent", "duplex"]
    again = _agent(_options(command[2:]))
    assert again.config == agent.config
    assert equal(again.network, agent.network)


def test_settings_of_the_agent_are_checked(tmp_path):
    assert _agent(_options(["--agent", "random", "--set", "scale=0.5", "--say", "x"])).config == Random.Config(
        scale=0.5
    )
    with pytest.raises(StrettoError, match="Did you mean 'scale'"):
        _agent(_options(["--agent", "random", "--set", "scal=0.5", "--say", "x"]))


def _options(arguments):
    import argparse

    parser = argparse.ArgumentParser()
    add(parser)
    return parser.parse_args(arguments)


# With the packaged language model and ear


@pytest.mark.slow
def test_tiny_keeps_what_was_trained_in_36_mb_and_loads_the_same(tmp_path):
    config = replace(size("tiny"), lora=16)
    network = shaken(config.build())
    path = save_pretrained(network, tmp_path / "kept")
    files = list(path.glob("*.safetensors"))
    assert 20e6 < sum(file.stat().st_size for file in path.iterdir()) <= 36e6
    assert max(file.stat().st_size for file in files) <= 16 << 20
    names = {name for file in files for name in load_file(file)}
    assert not [name for name in names if name.startswith(("ear.", "tables.text.base")) or ".base." in name]
    assert {"tables.text.own", "adapter.up.weight", "backbone.experts.language.layers.29.qkv.up"} <= names
    loaded = from_pretrained(path)
    assert equal(network, loaded)
    assert same(outputs(network), outputs(loaded))
    with torch.no_grad():
        loaded.backbone.experts["language"].norm.weight[0] += 1
    kept = save_pretrained(loaded, tmp_path / "norm too", dtype="float32")
    extra = {name for file in kept.glob("*.safetensors") for name in load_file(file)} - names
    assert extra == {"backbone.experts.language.norm.weight"}
    assert loaded.config == config

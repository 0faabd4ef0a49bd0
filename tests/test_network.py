"""The whole network: what each loss reaches, what the slots may say, and the language model inside it."""

from dataclasses import replace

import pytest
import torch

from backbone_reference import asked, episode, scatter, stepped, whole, worst
from stretto.agents.network import Network
from stretto.agents.sizes import SIZES, size
from stretto.core.errors import StrettoError
from stretto.think.backbone import Backbone
from stretto.think.cursor import Cursor
from stretto.think.expert import ExpertConfig
from stretto.think.layout import TextTable, Vocabulary
from stretto.think.layouts.tick200 import Tick200
from stretto.think.llama import LLAMA31_8B, SMOLLM2_1_7B, SMOLLM2_135M
from stretto.think.sounds import SOUNDS
from stretto.think.spelling import FEATURES, codes, twins
from stretto.think.table import BorrowedTable, TokenTable
from stretto.think.table import scores as scores_of
from stretto.think.tokens import gather

HOURS = 180_000
SHORT = Tick200.Config(system=4, typed=4, text=6, speech=3, pictures=1)
"""Little retention, so that rings turn over."""


@pytest.fixture(scope="module")
def network():
    return size("debug").build()


def given_for(network, tokens, seed=1):
    """Pictures, proprioception, playback and speech as the network embeds them, from random inputs."""
    net, generator = network, torch.Generator().manual_seed(seed)
    count = {}
    for some in tokens.values():
        for place in some.stream.unique().tolist():
            count[net.layout.streams[place].name] = (len(some.index), int((some.stream == place).sum()))

    def draw(name, *shape):
        return torch.randn(*count[name][:1], *shape, generator=generator) if name in count else None

    given = {}
    if "speech" in count:
        given["speech"] = net.adapter(draw("speech", count["speech"][1] // 2, 2, net.ear.config.features).flatten(1, 2))
    if "image" in count:
        pictures = count["image"][1] // net.eye.config.tokens
        given["image"] = net.eye(draw("image", pictures, 3, *[net.eye.config.size] * 2).sigmoid()).flatten(1, 2)
    if "proprio" in count:
        given["proprio"] = net.proprio(draw("proprio", count["proprio"][1], net.config.proprio))
    if "playback" in count:
        given["playback"] = net.playback(draw("playback", count["playback"][1], 3))
    return given


def through(network, session, change=None):
    """Scores per slot and the states, of a whole session; `change` alters what is given."""
    tokens = gather(network.layout, [session.rows], [session.stored])
    given = given_for(network, tokens)
    if change:
        given[change] = given[change] + 1
    states = network.backbone(network.embed(tokens, given), tokens)
    return network.answers(states, tokens), states, tokens


def reached(network, loss):
    network.zero_grad()
    loss.backward()
    found = {name for name, weight in network.named_parameters() if weight.grad is not None and weight.grad.any()}
    network.zero_grad()
    return found


def weights(module):
    return sum(weight.numel() for weight in module.parameters())


def top(names, depth=2):
    return {".".join(name.split(".")[:depth]) for name in names}


# What depends on what


def test_a_loss_on_what_was_heard_reaches_ears_and_language_alone(network):
    scores, _, _ = through(network, episode(network.layout, ticks=6))
    found = reached(network, scores["heard"].softmax(-1)[..., 10].sum())
    language = {name for name, _ in network.named_parameters() if name.startswith("backbone.experts.language.")}
    assert language <= found
    assert {part.split(".")[0] for part in found} == {"backbone", "tables", "adapter", "place", "when"}
    assert top(found) & {"backbone.experts", "tables.act", "tables.text"} == {"backbone.experts", "tables.text"}
    assert not [name for name in found if "action" in name]
    assert {"place.speech", "when.language"} == {name for name in found if name.split(".")[0] in ("place", "when")}


def test_a_loss_on_the_chunk_reaches_eyes_ears_and_both_experts(network):
    _, states, tokens = through(network, episode(network.layout, ticks=6))
    context, mask = network.context(states, tokens)
    found = reached(network, (context * mask[..., None]).sin().sum())
    action = {name for name, _ in network.named_parameters() if name.startswith("backbone.experts.action.")}
    eye = {name for name, _ in network.named_parameters() if name.startswith("eye.")}
    assert action | eye | {"query", "proprio.out.weight", "tables.text.own"} <= found
    assert "backbone.experts.language.norm.weight" not in found
    assert "backbone.experts.language.layers.3.qkv.weight" in found
    assert "backbone.experts.language.layers.3.out.weight" not in found
    assert not [name for name in found if name.startswith(("head.", "ear.", "playback."))]


@torch.no_grad()
def test_what_is_heard_does_not_change_when_pixels_do_and_what_is_said_and_done_does(network):
    session = episode(network.layout, ticks=6)
    one, _, _ = through(network, session)
    two, _, _ = through(network, session, change="image")
    assert torch.equal(one["heard"], two["heard"])
    assert not torch.equal(one["say"], two["say"])
    assert not torch.equal(one["act"], two["act"])


@torch.no_grad()
def test_ten_hours_later_a_tick_is_embedded_as_it_was(network):
    """The number of the tick is told modulo 16, of which ten hours are a multiple."""
    early, late = (episode(network.layout, ticks=6, tick0=t, text0=t) for t in (0, HOURS))
    odd = episode(network.layout, ticks=6, tick0=2)
    one, two, other = (through(network, session)[0] for session in (early, late, odd))
    for name in one:
        finite = torch.isfinite(one[name])
        assert float((one[name] - two[name])[finite].abs().max()) < 1e-5
    assert not torch.equal(one["act"], other["act"][:, : one["act"].shape[1]])


@torch.no_grad()
def test_a_slot_never_says_a_marker_nor_what_others_say_when_silent(network):
    scores, _, _ = through(network, episode(network.layout, ticks=4))
    layout = network.layout

    def never(name):
        vocabulary = layout.vocabularies[layout[name].predicts]
        return {token for token in range(vocabulary.size) if bool((scores[name][..., token] == -torch.inf).all())}

    text = layout.vocabularies["text"]
    assert never("heard") == {text.id(name) for name in ("<heard>", "<say>", "<silence>")}
    assert never("say") == {text.id(name) for name in ("<heard>", "<say>", "<blank>")}
    assert never("act") == {layout.vocabularies["act"].id("<act>")}


@torch.no_grad()
def test_scores_stand_per_slot_and_asked_token(network):
    session = episode(network.layout, ticks=5)
    scores, _, _ = through(network, session)
    for slot in network.layout.slots:
        count = sum(asked(network.layout, rows).count(slot.name) for rows, _ in session.passes)
        assert scores[slot.name].shape == (1, count, network.layout.vocabularies[slot.predicts].size)


@torch.no_grad()
def test_tables_that_share_a_base_read_it_once_and_score_as_each_would_alone(monkeypatch):
    network = size("debug-listener").build()
    tables = [network.tables[name] for name in ("text", "heard", "act")]
    widths = [network.config.backbone.experts[name].width for name in ("language", "listening", "action")]
    states = [torch.randn(1, 2, width) for width in widths]
    alone = [table.logits(some) for table, some in zip(tables, states, strict=True)]
    reads, theirs = [], tables[0].theirs
    monkeypatch.setattr(tables[0], "theirs", lambda rows: reads.append(rows.shape[1]) or theirs(rows))
    for joint, own in zip(scores_of(tables, states), alone, strict=True):
        assert torch.allclose(joint, own, atol=1e-6)
    assert reads == [4]


def test_the_seed_draws_the_weights():
    one, two, other = (replace(size("debug"), seed=seed).build().state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["query"], other["query"])


# Sizes


def test_an_unknown_size_is_refused_with_the_nearest():
    with pytest.raises(StrettoError, match="Did you mean 'base'"):
        size("bse")


def body(shape):
    """Weights of a language model without its vocabulary."""
    return shape.parameters - shape.vocab * shape.width * (1 if shape.tied else 2)


LARGE = {"base": (SMOLLM2_1_7B, 142_623_744, 1.88), "8b": (LLAMA31_8B, body(LLAMA31_8B), 15.06)}
"""Size -> its language model, weights of its action expert, billions of weights in all."""


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_the_large_sizes_are_built_without_memory_and_counted(name):
    shape, action, billions = LARGE[name]
    with torch.device("meta"):
        made = size(name).build()
    assert all(weight.is_meta for weight in made.backbone.parameters())
    counted = {expert: weights(part) for expert, part in made.backbone.experts.items()}
    assert counted == {"language": body(shape), "action": action}
    assert made.tables["text"].base.shape == (shape.vocab, shape.width)
    assert (made.tables["text"].head is None) == shape.tied
    assert round(weights(made) / 1e9, 2) == billions


def test_every_size_has_a_configuration():
    small = {f"{name}{kind}" for name in ("debug", "tiny") for kind in ("", "-listener", "-duplex")}
    assert set(SIZES) == small | {"base", "8b"}
    assert all(isinstance(size(name), Network.Config) for name in SIZES)


@pytest.mark.slow
def test_an_expert_that_cannot_join_a_language_model_is_refused():
    experts = {"language": ExpertConfig(), "action": ExpertConfig(kv_heads=1, head=64)}
    with pytest.raises(StrettoError, match="are 3 x 64; experts that cannot join it: action 1 x 64"):
        replace(size("tiny"), backbone=Backbone.Config(experts=experts)).build()


# Real weights


@pytest.fixture(scope="module")
def tiny():
    """The default size on little retention."""
    return replace(size("tiny"), layout=SHORT).build()


@torch.no_grad()
def flats(network, session):
    """Every row's embedding, by expert, as tests/backbone_reference.py takes them."""
    tokens = gather(network.layout, [session.rows], [session.stored])
    rows = [[None] * len(session.rows)]
    scatter(network.embed(tokens, given_for(network, tokens)), tokens, [0], rows)
    wide = {name: config.width for name, config in network.backbone.config.experts.items()}
    return {
        name: [torch.stack([row if len(row) == width else torch.zeros(width) for row in rows[0]])]
        for name, width in wide.items()
    }


def scored(network, session, states):
    """Scores of everything that is on the language expert."""
    layout = network.layout
    here = [k for k, row in enumerate(session.rows) if layout.streams[row.stream].expert == "language"]
    return network.tables["text"].logits(torch.stack([states[k] for k in here])[None])[0]


@pytest.mark.slow
@torch.no_grad()
def test_the_default_size_is_as_large_as_it_is_said_to_be(tiny):
    counted = {expert: weights(part) for expert, part in tiny.backbone.experts.items()}
    assert counted == {"language": body(SMOLLM2_135M), "action": 7_869_696}
    assert tiny.backbone.config.experts["action"].places(30) == tuple(range(2, 30, 3))
    packaged = counted["language"] + weights(tiny.ear) + tiny.tables["text"].base.numel()
    assert 2 * (weights(tiny) - packaged) < 36e6, "trained weights in bfloat16, in bytes"


@pytest.mark.slow
@pytest.mark.timeout(400)
@torch.no_grad()
def test_the_language_path_is_that_of_transformers(tiny):
    from transformers import LlamaForCausalLM

    from stretto.think.llama import find

    path = find("smollm2-135m", ())
    wide = Tick200.Config().build(tiny.layout.vocabularies["text"].table)
    ids = tiny.text.encode("The capital of France is Paris, and the capital of Italy is")
    backbone = Backbone(tiny.backbone.config, wide)
    backbone.load_state_dict(tiny.backbone.state_dict())
    _, rows = Cursor.start(wide).begin(ids)
    tokens = gather(wide, [rows], [[True] * len(rows)])
    states = backbone({"language": tiny.tables["text"].embed(torch.tensor([ids]))}, tokens)
    ours = tiny.tables["text"].logits(states["language"])[0, :, : tiny.text.size]
    theirs = LlamaForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    wanted = theirs(torch.tensor([ids])).logits[0]
    assert float((ours - wanted).abs().max()) < 1e-5 * float(wanted.abs().max())
    assert tiny.text.decode([int(ours[-1].argmax())]) == " Rome"


@pytest.mark.slow
@pytest.mark.timeout(400)
@torch.no_grad()
def test_on_real_weights_stepping_equals_the_whole_and_ten_hours_change_nothing(tiny):
    """In float32, after at least two evictions of every ring: within 1e-5 of the largest logit."""
    early, late = (episode(tiny.layout, seed=1, ticks=16, tick0=t, text0=t) for t in (0, HOURS))
    assert all(gone >= 2 for gone in early.evictions(tiny.layout).values()), early.evictions(tiny.layout)
    given = flats(tiny, early)
    at_once = scored(tiny, early, whole(tiny.backbone, tiny.layout, [early], given)[0])
    bar = 1e-5 * float(at_once.abs().max())
    for session in (early, late):
        states = stepped(tiny.backbone, tiny.layout, [session], given)[0]
        assert float((scored(tiny, session, states) - at_once).abs().max()) < bar
    assert worst([list(flats(tiny, late)["language"][0])], [list(given["language"][0])]) == 0


# Spelling


def test_tokens_are_told_apart_by_letters_and_sounds_from_the_front_and_from_the_end():
    rows = codes([b" stove", b" Stove", b"stove", b" stone", b"", b" refrigerators", b" refrigerator"])
    assert rows.shape == (7, FEATURES)
    apart = [int((rows[0] != row).sum()) for row in rows[1:4]]
    assert apart[:2] == [1, 1], "a capital, a space"
    assert apart[2] == 12, "one letter and one sound: from the front, from the end, and which there are"
    assert not rows[4].any(), "a special token is spelled by nothing"
    assert not torch.equal(rows[5], rows[6])
    assert len({tuple(row.tolist()) for row in rows}) == 7


def test_what_sounds_alike_is_told_apart_by_its_letters_alone():
    heard = 9 * (len(SOUNDS) + 1) - 1 + 12
    know, no, now = codes([b" know", b" no", b" now"])
    assert torch.equal(know[-heard:], no[-heard:])
    assert not torch.equal(know[:-heard], no[:-heard])
    assert not torch.equal(now[-heard:], no[-heard:])
    assert not codes([b"qzxv"])[0, -heard:].any(), "nobody knows how that sounds"


def test_a_token_with_a_space_before_it_and_the_one_without_are_twins():
    assert twins([b" headers", b"headers", b" stove", b""]).tolist() == [1, 0, 2, 3]


def test_a_narrow_expert_scores_the_tokens_it_borrows_by_their_letters_and_sounds_too():
    text = TextTable(size=4, ids={}, spelled=(b"", b" bowl", b" bowls", b" plate"))
    lender = TokenTable(Vocabulary(expert="language", names=(), table=text), 8)
    heard = Vocabulary(expert="listening", names=("<heard>",), table=text, borrows="text")
    table = BorrowedTable(heard, 6, lender, 8, spelled=True)
    states = torch.randn(1, 2, 6)
    every = table.logits(states)
    assert torch.allclose(table.logits(states, torch.tensor([2, 3])), every[..., [2, 3, 4]], atol=1e-6)
    assert torch.allclose(scores_of([table], [states])[0], every, atol=1e-6)
    with torch.no_grad():
        table.signs.weight += 1.0
    longer = table.logits(states) - every
    assert not torch.allclose(longer[..., 1], longer[..., 2])
    assert torch.allclose(longer[..., 0], torch.zeros(1, 2), atol=1e-5)
    assert torch.allclose(longer[..., 4], torch.zeros(1, 2), atol=1e-5)
    assert BorrowedTable(heard, 8, lender, 8, spelled=True).signs is None, (
        "what is as wide as the lender has its meanings"
    )


def test_live_a_narrow_expert_spells_as_in_training():
    spelled = tuple(bytes([97 + n % 26, 97 + n // 26 % 26, 97 + n % 7]) for n in range(64))
    text = TextTable(size=64, ids={}, spelled=spelled)
    lender = TokenTable(Vocabulary(expert="language", names=(), table=text), 32)
    table = BorrowedTable(
        Vocabulary(expert="listening", names=("<heard>",), table=text, borrows="text"), 16, lender, 32, spelled=True
    )
    states = torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        table.signs.weight *= 30
        trained = table.logits(states)
        lender.go_live()
        table.go_live()
        live = table.logits(states)
    assert float((live - trained).norm() / trained.norm()) < 0.02

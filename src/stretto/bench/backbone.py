"""Card "backbone": what routing, rings and the live backend are worth, and that they change nothing.

rows: train_step_s, prefill_s (a balanced sequence, each token through its own expert against all experts on all tokens)
· tick_s (a tick through the rings against encoding again all that the same retention still shows) · hour_tick_s,
hour_growth_mb (an hour of talk) · three_tokens_s (three tokens at 1 000 cached, against transformers in bfloat16) ·
layout_perplexity_ratio (text said with silences between, over plain) · live_perplexity_ratio, live_argmax_equal (the
live backend against float32 with the adapters merged, stepped through the rings) · batch_dependence · parity_fp32,
parity_fp64, offset_fp32 (stepping against the whole; a session moved by ten hours).

One thread throughout, as in life. The time of a pair is taken by turns.
"""

import time
from collections.abc import Callable
from typing import Any

import psutil
import torch
import torch.nn.functional as F

from stretto.agents.network import Network
from stretto.agents.sizes import size
from stretto.bench.backbone_work import (
    Talk,
    adapted,
    network,
    pair_experts,
    pair_layout,
    pair_rows,
    passages,
    plain_logits,
    streamed_logits,
    transformers_model,
)
from stretto.bench.card import Trial
from stretto.bench.compute_both import compute_both
from stretto.nn.lora import adapters
from stretto.think.backbone import Backbone
from stretto.think.cursor import Cursor, Rows
from stretto.think.tokens import Tokens, gather

MINUTE = 300
"""Ticks."""

TEN_HOURS = 180_000
Row = dict[str, Any]


def _row(row: str, unit: Any, value: float, arm: str = "live", **rest: Any) -> Row:
    return {"row": row, "arm": arm, "unit": unit, "seed": 0, "value": value, **rest}


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class BackboneCard:
    """Eight trials, each a group of rows."""

    name = "backbone"
    clock = None
    parallel = False
    seconds_per_trial = 180.0

    def trials(self, n: int | None) -> list[Trial]:
        """One trial per question; `n` is not used."""
        return [Trial(name, {}) for name in TRIALS]

    def open(self) -> None:
        """One thread."""
        torch.set_num_threads(1)

    def run(self, trial: Trial, state: None) -> list[Row]:
        """Its rows."""
        return TRIALS[trial.key]()

    def close(self, state: None) -> None:
        """Nothing is held."""


def _pair() -> tuple[Backbone, dict[str, Tokens], dict[str, torch.Tensor]]:
    layout = pair_layout(ticks=16)
    torch.manual_seed(0)
    backbone = Backbone.Config(experts=pair_experts()).build(layout)
    for expert in backbone.experts.values():
        expert.initialise()
    rows = pair_rows(layout, ticks=16)
    tokens = gather(layout, [rows] * 2, [[True] * len(rows)] * 2)
    inputs = {name: torch.randn(2, len(some.stream), 576) for name, some in tokens.items()}
    return backbone, tokens, inputs


def routing() -> list[Row]:
    """Training steps and prefill: routed against computed by both experts."""
    backbone, tokens, inputs = _pair()

    def routed() -> torch.Tensor:
        return torch.cat(list(backbone(inputs, tokens).values()), dim=1)

    def both() -> torch.Tensor:
        return compute_both(backbone, inputs, tokens)

    with torch.no_grad():
        assert torch.allclose(routed(), both(), atol=1e-4), "the arms do not compute the same"
    rows = []
    for unit in range(-1, 20):
        for arm, work in (("routed", routed), ("both", both)):
            seconds = _timed(lambda work=work: work().square().mean().backward())  # type: ignore[misc]
            backbone.zero_grad()
            with torch.no_grad():
                prefill = _timed(work)
            rows += [_row("train_step_s", unit, seconds, arm), _row("prefill_s", unit, prefill, arm)]
    return [row for row in rows if row["unit"] >= 0]


@torch.inference_mode()
def ring() -> list[Row]:
    """A tick at second 60 through the rings, against encoding again what is still visible."""
    dense, live = network(), network().live()
    talk = Talk(live)
    for _ in range(MINUTE - 1):
        talk.step(record=True)
    seen = _still_seen(live, talk)
    rows = []
    for unit in range(-1, 20):
        saved = (talk.rings.fork(), talk.cursor)
        rows.append(_row("tick_s", unit, _timed(lambda: _first_pass(live, talk)), "ring"))
        talk.rings, talk.cursor = saved
        rows.append(_row("tick_s", unit, _timed(lambda: _encode(dense, seen)), "reencode", tokens=len(seen)))
    return [row for row in rows if row["unit"] >= 0]


def _still_seen(net: Network, talk: Talk) -> Rows:
    """All rows that the next tick's queries may see, and that tick's own."""
    columns = talk.rings.columns
    _, asking = talk.cursor.tick({"speech": 2})
    query = gather(net.layout, [asking])["language"]
    seen = net.backbone.rule(query, columns).any(dim=1)[0]
    keys = {(int(columns.stream[c]), int(columns.ordinal[0, c])) for c in seen.nonzero()[:, 0].tolist()}
    old = [row for rows, _, _ in talk.record for row in rows if (row.stream, row.counts[row.stream]) in keys]
    latest = {(row.stream, row.counts[row.stream]): row for row in old}
    return (*latest.values(), *asking)


def _first_pass(net: Network, talk: Talk) -> None:
    _, rows = talk.cursor.tick({"speech": 2})
    tokens = gather(net.layout, [rows])
    states = net.backbone(net.embed(tokens, {"speech": torch.zeros(1, 2, 576)}), tokens, talk.rings)
    net.answers(states, tokens)


def _encode(net: Network, rows: Rows) -> None:
    tokens = gather(net.layout, [rows], [[True] * len(rows)])
    speech = sum(row.stream == net.layout.index["speech"] for row in rows)
    states = net.backbone(net.embed(tokens, {"speech": torch.zeros(1, speech, 576)}), tokens)
    some = tokens["language"]
    last = [some.stream.tolist().index(net.layout.index[name]) for name in ("heard", "say")]
    net.tables["text"].logits(states["language"][:, last])  # type: ignore[operator]


@torch.inference_mode()
def hour() -> list[Row]:
    """An hour of talk: the states of minute 1 and minute 60, timed by turns; memory gained after warm-up."""
    talk = Talk(network().live())
    for _ in range(MINUTE):
        talk.step()
    early = (talk.rings.fork(), talk.cursor, talk.count)
    before = psutil.Process().memory_info().rss
    for _ in range(59 * MINUTE):
        talk.step()
    grown = (psutil.Process().memory_info().rss - before) / 2**20
    late = (talk.rings, talk.cursor, talk.count)
    rows = [_row("hour_growth_mb", 0, grown)]
    for unit in range(-1, 60):
        for arm, state in (("minute1", early), ("minute60", late)):
            talk.rings, talk.cursor, talk.count = state[0].fork(), *state[1:]
            seconds = _timed(lambda: [talk.step() for _ in range(3)])
            rows.append(_row("hour_tick_s", unit, seconds / 3, arm))
    return [row for row in rows if row["unit"] >= 0]


@torch.inference_mode()
def three() -> list[Row]:
    """Three new tokens at 1 000 cached: the live backend against transformers, one pass and `generate`."""
    net = network(system=1_003, typed=1, text=1, speech=1).live()
    assert net.text is not None
    ids = passages(net.text, 1, 1_003)[0]
    _, rows = Cursor.start(net.layout).begin(ids)
    rings = net.backbone.rings()
    tokens = gather(net.layout, [rows[:1_000]])
    net.backbone(net.embed(tokens, {}), tokens, rings)
    rings.keep([[True] * 1_000])

    def live() -> None:
        tokens = gather(net.layout, [rows[1_000:]])
        net.tables["text"].logits(net.backbone(net.embed(tokens, {}), tokens, rings)["language"])  # type: ignore[operator]

    static, generate = _transformers(ids)
    found = []
    for unit in range(-2, 30):
        for arm, work in (("live", live), ("transformers_static", static), ("transformers_generate", generate)):
            found.append(_row("three_tokens_s", unit, _timed(work), arm))
    return [row for row in found if row["unit"] >= 0]


def _transformers(ids: list[int]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    from transformers import DynamicCache, StaticCache

    model = transformers_model()
    old, new = torch.tensor([ids[:1_000]]), torch.tensor([ids[1_000:]])
    static = StaticCache(config=model.config, max_cache_len=1_024)
    model(old, past_key_values=static)
    dynamic = DynamicCache()
    model(old[:, :-1], past_key_values=dynamic)

    def one_pass() -> None:
        for layer in static.layers:
            layer.cumulative_length.fill_(1_000)  # type: ignore[union-attr]
        model(new, past_key_values=static)

    def generate() -> None:
        if dynamic.get_seq_length() > 999:
            dynamic.crop(999 - dynamic.get_seq_length())
        model.generate(
            old,
            attention_mask=torch.ones_like(old),
            past_key_values=dynamic,
            min_new_tokens=3,
            max_new_tokens=3,
            do_sample=False,
            pad_token_id=0,
        )

    return one_pass, generate


def _perplexity(logits: torch.Tensor, ids: list[int]) -> float:
    """exp of the mean cross-entropy of ids[i] under logits[i]."""
    return float(F.cross_entropy(logits.float(), torch.tensor(ids)).exp())


@torch.inference_mode()
def layout() -> list[Row]:
    """Text said one token a tick, one silent tick between, over plain text after the same beginning."""
    net = network(system=160)
    assert net.text is not None
    system, rows = net.text.encode("<|im_start|>", special=True), []
    for unit, ids in enumerate(passages(net.text, 10, 120)):
        plain = _perplexity(plain_logits(net, [*system, *ids])[len(system) : -1], ids[1:])
        said = streamed_logits(net, ids, system, live=False, silences=1)
        value = _perplexity(said[1:], ids[1:]) / plain
        rows.append(_row("layout_perplexity_ratio", unit, value, "fp32", plain=plain))
    return rows


@torch.inference_mode()
def live() -> list[Row]:
    """The live backend, stepped through the rings, against float32 with the adapters merged."""
    reference, stepped = adapted(network(text=511), 0), adapted(network(text=511), 0).live()
    for adapter in adapters(reference):
        adapter.merge()
    assert reference.text is not None
    system, rows = reference.text.encode("<|im_start|>", special=True), []
    for unit, ids in enumerate(passages(reference.text, 10, 410)):
        exact = streamed_logits(reference, ids, system, live=False, silences=0)
        ours = streamed_logits(stepped, ids, system, live=True, silences=0)
        ratio = _perplexity(ours[1:], ids[1:]) / _perplexity(exact[1:], ids[1:])
        rows.append(_row("live_perplexity_ratio", unit, ratio))
        equal = (ours.argmax(-1) == exact.argmax(-1)).tolist()
        rows += [_row("live_argmax_equal", f"{unit}/{place}", same) for place, same in enumerate(equal)]
    return rows


@torch.inference_mode()
def batch() -> list[Row]:
    """One session in a batch of four with other strangers each time: how far its logits move."""
    net = network().live()
    draw, rows = torch.Generator().manual_seed(0), []
    for unit in range(20):
        mine = torch.randn(1, 2, 576, generator=draw)
        answers = []
        for _ in range(2):
            strangers = torch.randn(3, 2, 576, generator=draw) * 4
            cursors = [Cursor.start(net.layout).tick({"speech": 2})[1] for _ in range(4)]
            tokens = gather(net.layout, cursors)
            states = net.backbone(
                net.embed(tokens, {"speech": torch.cat([mine, strangers])}), tokens, net.backbone.rings(4)
            )
            scores = net.answers(states, tokens)["say"][0, 0]
            answers.append(scores[scores > float("-inf")])
        moved = float((answers[0] - answers[1]).abs().max() / answers[0].abs().max())
        rows.append(_row("batch_dependence", unit, moved))
    return rows


@torch.inference_mode()
def parity() -> list[Row]:
    """Stepping against the whole sequence after at least two evictions of each ring, and a session ten hours later."""
    rows = []
    for unit in range(3):
        small = {"text": 8, "speech": 8}
        real, debug = network(**small), size("debug").build().to(torch.float64)
        rows.append(_row("parity_fp32", unit, _parity(real, unit, 40), "fp32"))
        rows.append(_row("parity_fp64", unit, _parity(debug, unit, 60), "debug"))
        rows.append(_row("offset_fp32", unit, _offset(real, unit, 12), "fp32"))
    return rows


def _parity(net: Network, seed: int, ticks: int) -> float:
    """Largest difference of the language expert's logits, over the largest logit."""
    talk = Talk(net, seed)
    for _ in range(ticks):
        talk.step(record=True)
    rows = tuple(row for some, _, _ in talk.record for row in some)
    tokens = gather(net.layout, [rows], [[flag for _, stored, _ in talk.record for flag in stored]])
    place = net.layout.index["speech"]
    speech = torch.cat([heard for some, _, heard in talk.record if any(row.stream == place for row in some)], dim=1)
    whole = net.backbone(net.embed(tokens, {"speech": speech}), tokens)
    rings = net.backbone.rings()
    worst, largest, done = 0.0, 0.0, 0
    where = {int(s): t for t, s in enumerate(tokens["language"].source[0])}
    for some, stored, heard in talk.record:
        now = gather(net.layout, [some])
        states = net.backbone(net.embed(now, {"speech": heard}), now, rings)
        rings.keep([stored])
        mine = now["language"].source[0].tolist()
        theirs = whole["language"][0, [where[done + k] for k in mine]]
        exact = net.tables["text"].logits(theirs)  # type: ignore[operator]
        found = net.tables["text"].logits(states["language"][0])  # type: ignore[operator]
        worst, largest = max(worst, float((found - exact).abs().max())), max(largest, float(exact.abs().max()))
        done += len(some)
    return worst / largest


def _offset(net: Network, seed: int, ticks: int) -> float:
    """The same session at tick 0 and ten hours later, its text counter moved as well."""
    early, late = Talk(net, seed), Talk(net, seed, tick=TEN_HOURS, text=500_000)
    worst = largest = 0.0
    for _ in range(ticks):
        one, two = (net.tables["text"].logits(talk.step()) for talk in (early, late))  # type: ignore[operator]
        worst, largest = max(worst, float((one - two).abs().max())), max(largest, float(one.abs().max()))
    return worst / largest


TRIALS = {work.__name__: work for work in (routing, ring, three, layout, live, batch, parity, hour)}

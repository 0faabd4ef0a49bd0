"""What the tests of the backbone share: random episodes, and the backbone written a second time, naively.

The naive one computes every expert on all tokens and selects afterwards, asks for each pair of tokens whether one sees
the other, and turns keys by the difference of positions. It takes nothing of the backbone but its weights.
"""

import random
from dataclasses import dataclass

import torch

from stretto.think.backbone import Backbone
from stretto.think.cursor import Cursor
from stretto.think.layout import PINNED, TEXT
from stretto.think.tokens import gather

SYSTEM = [3, 4, 5]


@dataclass
class Episode:
    """A session's passes as (rows, stored), and all of its rows one after the other."""

    passes: list

    @property
    def rows(self):
        return tuple(row for rows, _ in self.passes for row in rows)

    @property
    def stored(self):
        return [flag for _, stored in self.passes for flag in stored]

    def evictions(self, layout):
        """Per stream that forgets: how many of its stored tokens no longer have a place in its ring."""
        count = {s.name: 0 for s in layout.streams}
        for row, stored in zip(self.rows, self.stored, strict=True):
            count[layout.streams[row.stream].name] += stored
        return {s.name: count[s.name] - s.capacity for s in layout.streams if s.keep < PINNED}


def episode(layout, seed=0, ticks=40, tick0=0, text0=0):
    """Random content under a layout: streams come or stay away, slots say something, nothing, or close."""
    rng = random.Random(seed)
    cursor = Cursor.start(layout, tick=tick0, text=text0)
    cursor, rows = cursor.begin(SYSTEM)
    passes = [(rows, [True] * len(rows))]
    for _ in range(ticks):
        cursor, rows = cursor.tick(_content(layout, cursor.now + 1, rng))
        while rows:
            cursor, stored, after = cursor.settle({name: _said(layout, name, rng) for name in asked(layout, rows)})
            passes.append((rows, stored))
            rows = after
    return Episode(passes)


def asked(layout, rows):
    """Names of the slots that a pass asks."""
    return [layout.streams[row.stream].name for row in rows if layout.streams[row.stream].is_slot]


def _content(layout, tick, rng):
    content = {}
    for stream in layout.streams:
        if stream.is_slot or stream.repeats or stream.name == "system" or tick % stream.every:
            continue
        if stream.counter == TEXT:
            if rng.random() < 0.6:
                content[stream.name] = [rng.randrange(50) for _ in range(rng.randrange(1, stream.tokens + 1))]
        elif stream.name != "playback" or rng.random() < 0.7:
            content[stream.name] = stream.tokens
    return content


def _said(layout, name, rng):
    nothing, close = layout.token(name, "nothing"), layout.token(name, "close")
    if nothing >= 0 and rng.random() < 0.3:
        return nothing
    if close >= 0 and rng.random() < 0.1:
        return close
    marker = layout.token(name, "marker")
    size = layout.vocabularies[layout[name].predicts].size
    return rng.choice([token for token in range(size) if token not in (marker, nothing, close)])


def built(layout, seed=1, dtype=torch.float64, **config):
    """A backbone with random weights of `dtype`."""
    backbone = Backbone.Config(**config).build(layout)
    generator = torch.Generator().manual_seed(seed)
    for expert in backbone.experts.values():
        expert.initialise(generator)
        for name, weight in expert.named_parameters():
            if "norm" in name:
                weight.data = 1 + 0.2 * torch.randn(weight.shape, generator=generator)
    return backbone.to(dtype)


def vectors(backbone, episodes, seed=2, dtype=torch.float64):
    """An embedding for every row of every session, by expert: {expert: [(rows, width), ...]}; own rows only count."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: [torch.randn(len(e.rows), config.width, generator=generator, dtype=dtype) for e in episodes]
        for name, config in backbone.config.experts.items()
    }


def inputs(tokens, given, first):
    """Inputs of a call whose row 0 is row `first[b]` of session b; padding gets what lies around."""
    return {
        name: torch.stack(
            [given[name][b][(some.source[b] + first[b]) % len(given[name][b])] for b in range(len(first))]
        )
        for name, some in tokens.items()
    }


def scatter(states, tokens, first, into):
    """Put a call's states where their rows are: into[b][row]."""
    for name, some in tokens.items():
        for b, row in enumerate(some.source.tolist()):
            for column, source in enumerate(row):
                if source >= 0:
                    into[b][first[b] + source] = states[name][b, column]


def whole(backbone, layout, episodes, given):
    """The states of every row of every session, all at once: [[state, ...], ...]."""
    tokens = gather(layout, [e.rows for e in episodes], [e.stored for e in episodes])
    first = [0] * len(episodes)
    found = [[None] * len(e.rows) for e in episodes]
    scatter(backbone(inputs(tokens, given, first), tokens), tokens, first, found)
    return found


def stepped(backbone, layout, episodes, given, seed=0, rings=None, dtype=None):
    """The same, pass by pass through rings, the sessions of the batch out of step."""
    rng, count = random.Random(seed), len(episodes)
    rings = rings or backbone.rings(count, dtype)
    found = [[None] * len(e.rows) for e in episodes]
    first, at = [0] * count, [0] * count
    while any(at[b] < len(e.passes) for b, e in enumerate(episodes)):
        going = [b for b, e in enumerate(episodes) if at[b] < len(e.passes) and (count == 1 or rng.random() < 0.7)]
        if not going:
            continue
        now = [episodes[b].passes[at[b]] if b in going else ((), []) for b in range(count)]
        step(backbone, layout, rings, now, given, first, found)
        for b in going:
            first[b] += len(now[b][0])
            at[b] += 1
    return found


def step(backbone, layout, rings, now, given, first, found):
    """One pass of some sessions of a batch; `now`: (rows, stored) of each, ((), []) of who rests."""
    tokens = gather(layout, [rows for rows, _ in now])
    scatter(backbone(inputs(tokens, given, first), tokens, rings), tokens, first, found)
    rings.keep([stored for _, stored in now])


def worst(one, two):
    """The largest difference between two lists of lists of states."""
    return max(
        float((a - b).detach().abs().max())
        for some, others in zip(one, two, strict=True)
        for a, b in zip(some, others, strict=True)
    )


# The backbone a second time


def sees(layout, rows, stored, query, key):
    """Whether row number `query` sees row number `key`, asked pair by pair from what a session is."""
    if query == key:
        return True
    asks, answers = rows[query], rows[key]
    reader, read = layout.streams[asks.stream], layout.streams[answers.stream]
    if read.name not in reader.sees:
        return False
    if read.counter == TEXT:
        later = range(key, query)
        same = [k for k in later if rows[k].stream == answers.stream and stored[k]]
        age = len([k for k in same if rows[k].number < asks.number or not read.is_slot])
    else:
        age = asks.tick - answers.tick
    if age > read.keep:
        return False
    if answers.number == asks.number:
        together = read.mutual and asks.stream == answers.stream
        return answers.open and (together or key < query)
    return answers.number < asks.number and (stored[key] or (answers.open and answers.tick == asks.tick))


def naive(backbone, layout, session, given):
    """The states of all rows of one session. `given`: {expert: (rows, width)}; rows of others are garbage."""
    rows, stored = session.rows, session.stored
    owner = [layout.streams[row.stream].expert for row in rows]
    visible = torch.tensor([[sees(layout, rows, stored, q, k) for k in range(len(rows))] for q in range(len(rows))])
    states = dict(given)
    for layer in range(backbone.depth):
        here = [name for name, c in backbone.config.experts.items() if layer in c.places(backbone.depth)]
        layers = {name: _layer_of(backbone, name, layer) for name in here}
        every = {name: _project(layers[name], states[name]) for name in here}
        shape = next(iter(every.values()))[1]
        nobody = torch.zeros_like(shape[0])
        keys = torch.stack([every[o][1][k] if o in here else nobody for k, o in enumerate(owner)])
        values = torch.stack([every[o][2][k] if o in here else nobody for k, o in enumerate(owner)])
        allowed = visible & torch.tensor([o in here for o in owner])
        for name in here:
            read = _read(backbone, layout, rows, every[name][0], keys, values, allowed)
            states[name] = _write(layers[name], states[name], read)
    last = {name: _norm(states[name], expert.norm) for name, expert in backbone.experts.items()}
    return [last[o][k] for k, o in enumerate(owner)]


def _layer_of(backbone, name, layer):
    places = backbone.config.experts[name].places(backbone.depth)
    return backbone.experts[name].layers[places.index(layer)]


def _norm(x, norm):
    return x / (x.pow(2).mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight


def _project(layer, x):
    """Queries (rows, heads, size), keys and values (rows, kv, size), not turned."""
    c = layer.config
    both = (_norm(x, layer.norm1) @ layer.qkv.weight.T).view(len(x), -1, c.head)
    return both[:, : c.heads], both[:, c.heads : c.heads + c.kv_heads], both[:, c.heads + c.kv_heads :]


def _read(backbone, layout, rows, queries, keys, values, allowed):
    """Softmax over the keys allowed; scores by the difference of positions on the key's counter."""
    count, heads, head = queries.shape
    streams = [layout.streams[row.stream] for row in rows]
    counters = torch.tensor([stream.counter for stream in streams])
    at = torch.tensor([[row.text, row.time] for row in rows])
    theta = torch.tensor([backbone.config.experts[s.expert].theta for s in streams], dtype=torch.float64)
    gap = at[:, counters] - at[range(count), counters]
    power = torch.arange(0, head, 2, dtype=torch.float64) / head
    angle = gap[..., None] * theta[None, :, None] ** -power
    turn = torch.polar(torch.ones_like(angle), angle)
    read = []
    for number in range(heads):
        kv = number // (heads // keys.shape[1])
        query = torch.view_as_complex(queries[:, number].reshape(count, -1, 2).contiguous())
        key = torch.view_as_complex(keys[:, kv].reshape(count, -1, 2).contiguous())
        score = (query[:, None] * key.conj()[None] * turn).real.sum(-1) / head**0.5
        weight = score.masked_fill(~allowed, float("-inf")).softmax(-1).nan_to_num(0.0)
        read.append(weight @ values[:, kv])
    return torch.cat(read, dim=-1)


def _write(layer, x, read):
    x = x + read @ layer.out.weight.T
    gate, up = (_norm(x, layer.norm2) @ layer.ffn.gate_up.weight.T).chunk(2, dim=-1)
    return x + (gate * torch.sigmoid(gate) * up) @ layer.ffn.down.weight.T

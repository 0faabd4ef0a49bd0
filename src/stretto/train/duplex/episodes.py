"""Composed sessions as batches of tokens: only those rows are kept that somebody learns from or sees.

A session is planned by the cursor that also drives life (think/plan.py): what was heard in each tick, what should be
said and done. An ask that adds nothing leaves no trace, so most silent asks and most pictures can be left out without
changing any other row (a test compares with the whole). What is kept: all sound and text; all that is said; asks around
the moments when something changes, and some others; pictures that these asks see.

    episodes = Episodes.Config().build(layout, sessions, heard, encode)
    batch = episodes(step, part)

Needs: sessions (shards.py) and what a network that hears has heard of them. Does not know the network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.rng import generator
from stretto.core.signals import Word
from stretto.data.hearing import written
from stretto.think.cursor import Row
from stretto.think.layout import Layout
from stretto.think.plan import Plan, TickPlan, write
from stretto.think.tokens import Tokens, gather, targets_of
from stretto.train.duplex.labels import ANY, HALT, MOVE, Labels, halt_tick, labels_of, reaction_tick, tick_of
from stretto.train.duplex.session import Session

Heard = Sequence[Sequence[int]]
"""What was heard of a session, tick by tick: tokens, the close of a turn among them."""

Behind = Sequence[Sequence[int]]
"""For every token of it the first frame behind its sounds."""

Encode = Callable[[str], list[int]]

LONGEST_LATE, MOST_LATE = 20, 6
"""Ticks for which an arm hesitates at most, and how many of their asks count."""

PATIENCE = 3
"""Ticks for which a perfect ear waits at most until it takes a turn for over."""

SHOWS = 8
"""Ticks from the one in which a reaction is due in which it shows."""

KINDS = ("sound", "scenes", "words")
"""Kinds of sessions."""

PASSING = ("playback", "act")
"""Streams that no later tick sees."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One session. `targets`: slot -> what it should say (1, asks), -1 where nothing is learned; `begins` (1, asks):
    which asks of say stand where nothing is being said; `windows`: for each line its role and the ticks [first, last)
    in which a reaction to it shows; `written`: for every ask of heard the first frame behind what is written then."""

    tokens: Mapping[str, Tokens]
    targets: Mapping[str, Tensor]
    begins: Tensor
    windows: Sequence[tuple[str, int, int]]
    written: Tensor
    features: Tensor
    playback: Tensor
    pictures: Tensor
    proprio: Tensor


def _kind(session: Session) -> str:
    return "sound" if session.features.shape[1] else "scenes" if session.pictured else "words"


def heard_truly(session: Session, encode: Encode, layout: Layout, delay: int = 1) -> list[list[int]]:
    """What a perfect ear would have heard: the words, `delay` ticks after each was spoken, as many tokens as fit, and
    the end of a turn up to `PATIENCE` ticks later: else it would always be heard in ticks without pictures, which take
    two tokens, and what speaks would learn to begin in the others alone."""
    slot, close = layout["heard"], layout.token("heard", "close")
    due: list[tuple[int, int]] = []
    for number, line in enumerate(session.lines):
        patience = int(generator(session.seed, "close", number).integers(PATIENCE + 1))
        words = [Word(word.text, word.start, word.end) for word in line.words]
        for piece, t in written(line.text, words):
            tick = tick_of(t, session.tick_s) + delay
            due += [(tick, token) for token in encode(piece)] if piece else [(tick + patience, close)]
    heard: list[list[int]] = []
    for tick in range(session.ticks):
        heard.append([])
        while due and due[0][0] <= tick and len(heard[-1]) < slot.most(tick) and close not in heard[-1]:
            heard[-1].append(due.pop(0)[1])
    return heard


class Episodes(Configurable):
    """Draws sessions, and of each which silent asks are learned from."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`around`: ticks on either side of a change in which every ask counts; `others`: asks elsewhere. `flipped`:
        share of act asks in whose slot stands something else than what was decided last. `words`, `scenes`: shares of
        sessions of words alone (dialogues.py) and of pictures and words (scenes.py), where there are some. `typed`:
        share of the former whose lines are typed instead of heard. `hesitant`: share of sessions in which the arm is
        shown to stand on for some time when it should have begun to move: a teacher never hesitates, and who learned
        from it alone takes a standing arm for a reason to stand."""

        around: int = 3
        others: int = 12
        flipped: float = 0.2
        words: float = 0.25
        scenes: float = 0.3
        typed: float = 0.25
        hesitant: float = 0.6
        seed: int = 0

        def __post_init__(self) -> None:
            shares = {name: getattr(self, name) for name in ("flipped", "words", "scenes", "typed", "hesitant")}
            if not all(0 <= share <= 1 for share in shares.values()) or self.words + self.scenes > 1:
                told = ", ".join(f"{name}={share}" for name, share in shares.items())
                raise StrettoError(f"Expected shares from 0 to 1, words and scenes at most 1 together; got {told}.")

        @classmethod
        def tiny(cls) -> "Episodes.Config":
            """Few asks."""
            return cls(around=1, others=3)

    def __init__(
        self, config: Config, layout: Layout, sessions: Sequence[Session], heard: Sequence[Heard], encode: Encode,
        system: Sequence[int] = (), behind: Sequence[Behind] = (),
    ) -> None:  # fmt: skip
        """`behind` of each session what was heard; () where no sounds are read."""
        self.config, self.layout, self.sessions, self.heard, self.encode = config, layout, sessions, heard, encode
        self.system, self.behind = list(system), behind
        act = layout.vocabularies["act"]
        self._acts = [act.id("<halt>"), act.id("<move>"), act.id("<act>")]
        self._close = {name: layout.token(name, "close") for name in ("heard", "say")}
        kinds = np.array([_kind(session) for session in sessions])
        self._kinds = {kind: found for kind in KINDS if len(found := np.flatnonzero(kinds == kind))}
        self._typed: dict[int, dict[int, list[int]]] = {}
        for number, session in enumerate(sessions):
            if kinds[number] == "words" and generator(config.seed, "typed", number).random() < config.typed:
                most = layout["typed"].tokens
                self._typed[number] = {
                    tick_of(line.end, session.tick_s): encode(line.text)[:most] for line in session.lines
                }

    def __len__(self) -> int:
        return len(self.sessions)

    def __call__(self, *index: int | str) -> Batch:
        """The session of that index, under drawn asks."""
        rng = generator(self.config.seed, "duplex", *index)
        share = {"words": self.config.words, "scenes": self.config.scenes}
        share["sound"] = 1.0 - sum(share.values())
        weights = np.array([share[kind] + 1e-9 for kind in self._kinds])
        kind = list(self._kinds)[int(rng.choice(len(weights), p=weights / weights.sum()))]
        return self.batch(int(rng.choice(self._kinds[kind])), rng)

    def labels(self, number: int) -> Labels:
        """What should be said and done in a session."""
        session = self.sessions[number]
        return labels_of(session.lines, session.finished, self._turns(number), session.ticks, session.tick_s)

    def _turns(self, number: int) -> list[int]:
        """Ticks in which the end of a turn is heard, or a line typed."""
        if number in self._typed:
            return list(self._typed[number])
        return [tick for tick, said in enumerate(self.heard[number]) if self._close["heard"] in said]

    def _windows(self, number: int) -> list[tuple[str, int, int]]:
        session, turns = self.sessions[number], self._turns(number)
        found = []
        for line in session.lines:
            halts = None if line.halts_at is None else halt_tick(line.halts_at, session.tick_s)
            first = reaction_tick(line, turns, session.tick_s) if halts is None else halts
            found.append((line.role, first, first + SHOWS))
        return found

    def asks(self, number: int, labels: Labels, rng: np.random.Generator | None) -> set[int]:
        """Ticks whose asks count; without a generator all of them."""
        session = self.sessions[number]
        if rng is None:
            return set(range(session.ticks))
        starts = [tick for tick, _ in labels.say]
        changes = [*(1 + np.flatnonzero(np.diff(labels.act))).tolist(), *starts, *self._turns(number)]
        wide = range(-self.config.around, self.config.around + 1)
        near = {tick + k for tick in changes for k in wide}
        some = rng.choice(session.ticks, min(self.config.others, session.ticks), replace=False).tolist()
        return {tick for tick in (*near, *some) if 0 <= tick < session.ticks}

    def _hesitation(self, number: int, labels: Labels, rng: np.random.Generator | None) -> range:
        """Ticks from one in which the arm should begin to move, and in which it is shown standing; often none."""
        if rng is None or rng.random() >= self.config.hesitant:
            return range(0)
        moves = labels.act == MOVE
        begins = [tick for tick in range(1, len(moves)) if moves[tick] and labels.act[tick - 1] == HALT]
        begins = [tick for tick in begins if any(seen < tick for seen in self.sessions[number].pictured)]
        if not begins:
            return range(0)
        first = int(rng.choice(begins))
        last = min(first + int(rng.integers(2, LONGEST_LATE + 1)), len(moves))
        return range(first, next((tick for tick in range(first, last) if not moves[tick]), last))

    def batch(self, number: int, rng: np.random.Generator | None = None) -> Batch:
        """A session; without a generator whole."""
        session, labels = self.sessions[number], self.labels(number)
        asked, late = self.asks(number, labels, rng), self._hesitation(number, labels, rng)
        if rng is not None and late:
            asked |= set(rng.choice(late, min(MOST_LATE, len(late)), replace=False).tolist())
        every = self.layout["image"].every
        shown = [tick for tick in session.pictured if any(tick + k in asked for k in range(every))]
        plan = self.plan(number, labels, set(shown))
        mute = not session.features.shape[1] and not any(line.moves for line in session.lines)
        rows, stored, targets = self._kept(plan, asked, labels, rng, late, mute)
        tokens = gather(self.layout, [rows], [stored])
        found = targets_of(self.layout, tokens, [targets])
        say = tokens[self.layout["say"].expert]
        before = max((tick for tick in session.pictured if late and tick < late[0]), default=0)
        source = {tick: before if tick in late else tick for tick in shown}
        at = [session.pictured.index(source[tick]) for tick in shown]
        played = sorted({row.tick for row in rows if self.layout.streams[row.stream].name == "playback"})
        return Batch(
            tokens=tokens,
            targets={name: found[name] for name in ("act", "say")},
            windows=self._windows(number),
            written=self._written(number, tokens),
            begins=~say.open[:, say.stream == self.layout.index["say"]],
            features=torch.from_numpy(session.features.astype(np.float32)).flatten(0, 1)[None],
            playback=torch.from_numpy(session.playback[played])[None],
            pictures=torch.from_numpy(np.stack([session.pictures(source[tick]) for tick in shown]))
            if shown
            else torch.empty(0),
            proprio=torch.from_numpy(session.proprio[at])[None],
        )

    def plan(self, number: int, labels: Labels, shown: set[int]) -> Plan:
        """The whole session, with pictures in the ticks `shown`."""
        session, layout = self.sessions[number], self.layout
        seen = {name: layout[name].tokens for name in ("image", "proprio", "chunk")}
        say, typed = self._said(labels, session.ticks), self._typed.get(number, {})
        ticks, last = [], 0
        for tick in range(session.ticks):
            last = last if labels.act[tick] == ANY else int(labels.act[tick])
            content: dict[str, int | Sequence[int]] = {"speech": session.features.shape[1], "playback": 1}
            content |= seen if tick in shown else {}
            content |= {"typed": typed[tick]} if tick in typed else {}
            heard = [] if typed else list(self.heard[number][tick])
            said = {"heard": heard, "act": [self._acts[last]], "say": say[tick]}
            ticks.append(TickPlan(content=content, said=said))
        return write(layout, ticks, self.system)

    def _written(self, number: int, tokens: Mapping[str, Tokens]) -> Tensor:
        slot = self.layout["heard"]
        some = tokens[slot.expert]
        here = some.stream == self.layout.index["heard"]
        ends = [[0]]
        for behind in self.behind[number] if self.behind else ():
            ends[-1] += behind
            ends.append(ends[-1][-1:])
        places = zip(some.tick[0, here].tolist(), some.index[0, here].tolist(), strict=True)
        return torch.tensor([[ends[tick][nth] if self.behind else 0 for tick, nth in places]])

    def _said(self, labels: Labels, ticks: int) -> list[list[int]]:
        """The tokens that are said in each tick: a sentence begins in its tick, or when the one before it is over."""
        say: list[list[int]] = [[] for _ in range(ticks)]
        free = 0
        for tick, text in labels.say:
            free = max(free, tick)
            parts = self.layout["say"].spread([*self.encode(text), self._close["say"]], free)
            for place, part in enumerate(parts, free):
                if place < ticks:
                    say[place] = list(part)
            free += len(parts)
        return say

    def _kept(
        self, plan: Plan, asked: set[int], labels: Labels, rng: np.random.Generator | None, late: range, mute: bool
    ) -> tuple[tuple[Row, ...], list[bool], list[int]]:
        """Rows that are learned from or seen, whether they stay, what they should say. `late`: ticks in which the arm
        still stands; what was decided last is then to stand. `mute`: nothing is learned about the arm, because nobody
        says when it should move."""
        rows, stored, targets = [], [], []
        for row, kept, target in zip(plan.rows, plan.stored, plan.targets, strict=True):
            stream = self.layout.streams[row.stream]
            silent = stream.name in PASSING or (stream.is_slot and not kept)
            if silent and row.tick not in asked:
                continue
            wanted = target if stream.name in ("act", "say") else -1
            if stream.name == "act":
                wanted = -1 if labels.act[row.tick] == ANY or mute else target
                row = row._replace(id=self._acts[HALT]) if row.tick in late[1:] else row
                if rng is not None and rng.random() < self.config.flipped:
                    row = row._replace(id=int(rng.choice(self._acts)))
            rows.append(row)
            stored.append(kept)
            targets.append(wanted)
        return tuple(rows), stored, targets

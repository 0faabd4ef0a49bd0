"""Card "hearing": words of the heard slot, stepped through the rings of the live network, beside Whisper-tiny.

Test sentences (wordings of split test) by Piper and by the two festival speakers that were never heard in training, in
a quiet room; others in noise and rooms as rows of their own. Whisper-tiny gets the whole sentence, the heard slot
200 ms at a time: several readings side by side (agents/beam.py), and in the arm `one_reading` the likeliest alone, as
the agent hears in its tick. Silence and noise without speech: 20 stretches of three minutes.

rows: word_error, word_error_noisy (edits a word; both texts as lower-case words, digits spelled) · word_delay_s (from
a word's end to the end of the tick after the one in which it stood whole: computing is counted as a whole tick) ·
false_words (with `hours`) · word_error_by_way (listening expert, language expert; development speaker, same budget) ·
language_perplexity_ratio (prose, after over before) · question_right (which of four answers is likeliest, read as text;
before and after).

Weights: `weights/hear`, and for the comparison of ways two trainings of equal processor time, out/ways/listener/weights
and out/ways/language/weights (`stretto train hear --out out/ways --set way=language --set loop.steps=N`; a step of the
listening expert costs a ninth, so nine times N for it).
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stretto.agents.checkpoint import digest, find_weights, from_pretrained
from stretto.agents.network import Network
from stretto.agents.reader import Reader
from stretto.agents.sizes import size
from stretto.bench import hearing_language
from stretto.bench.card import Trial
from stretto.bench.stats import bootstrap_mean
from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE, Sound
from stretto.core.sound import level_dbfs
from stretto.data import rooms
from stretto.data.clip_plan import Plans
from stretto.data.clips import Clip, in_scene, paused, pauses_that_fit
from stretto.data.hearing import BEDS
from stretto.data.hearing_score import errors_of, matched
from stretto.data.speech_cache import SpeechCache
from stretto.data.talk_facts import in_words
from stretto.data.talk_style import plain, spoken_words
from stretto.listen.whisper import Whisper

WEIGHTS = "weights/hear"
FOLDER, COMPARED = Path("out/hear"), Path("out/ways")
WAYS = {"listening expert": "listener", "language expert": "language"}
ENGINES = {"piper-joe": ("piper", 200), "festival-slt": ("festival_slt", 100), "festival-ked": ("festival_ked", 100)}
NOISY, STRETCHES, STRETCH_S, BY_WAY, PASSAGES, QUESTIONS = 60, 20, 180.0, 100, 10, 200

Row = dict[str, Any]


@dataclass
class State:
    """What a worker keeps: networks and readers by way, made when needed; recogniser, speech, the network before."""

    weights: str
    networks: dict[str, Network] = field(default_factory=dict)
    readers: dict[tuple[str, bool], Reader] = field(default_factory=dict)
    whisper: Whisper | None = None
    before: Network | None = None
    cache: SpeechCache | None = None

    def reader(self, way: str = "", beam: bool = True) -> Reader:
        """Of the live network that is judged, or of a way that is compared."""
        if way not in self.networks:
            path = COMPARED / WAYS[way] / "weights" if way else self.weights
            self.networks[way] = from_pretrained(path).live()
        if (way, beam) not in self.readers:
            self.readers[way, beam] = Reader(self.networks[way], beam=beam)
        return self.readers[way, beam]

    def speech(self) -> SpeechCache:
        """The folder of spoken sentences."""
        self.cache = self.cache or SpeechCache(FOLDER / "card" / "speech")
        return self.cache

    def recogniser(self) -> Whisper:
        """Whisper-tiny."""
        self.whisper = self.whisper or Whisper.Config().build()
        return self.whisper


class HearingCard:
    """400 quiet sentences, 180 noisy ones, 20 stretches of noise, 100 clips for each way, prose and questions."""

    name = "hearing"
    clock = None
    parallel = True
    seconds_per_trial = 6.0

    @property
    def weights(self) -> str:
        """The hash of the checkpoint. Raises StrettoError when there is none."""
        return digest(find_weights(WEIGHTS, "hear"))

    def trials(self, n: int | None) -> list[Trial]:
        """All, or about `n` of each kind."""
        out = []
        for kind in ("quiet", "noisy"):
            wanted = {name: count if kind == "quiet" else NOISY for name, (_, count) in ENGINES.items()}
            wanted = {name: min(count, n or count) for name, count in wanted.items()}
            out += [Trial(f"{kind}/{number}", {"kind": kind, "number": number}) for number in _drawn(kind, wanted)]
        for way in WAYS:
            if (COMPARED / WAYS[way] / "weights").is_dir():
                out += [Trial(f"way/{way}/{k}", {"kind": "way", "way": way, "number": k}) for k in range(n or BY_WAY)]
        out += [Trial(f"false/{k}", {"kind": "false", "number": k}) for k in range(n or STRETCHES)]
        out += [Trial(f"prose/{k}", {"kind": "prose", "number": k}) for k in range(n or PASSAGES)]
        return [*out, Trial("questions", {"kind": "questions", "number": n or QUESTIONS})]

    def open(self) -> State:
        """One thread; networks come when they are needed."""
        torch.set_num_threads(1)
        return State(find_weights(WEIGHTS, "hear"))

    def run(self, trial: Trial, state: State) -> list[Row]:
        """Its rows."""
        return getattr(self, f"_{trial.params['kind']}")(trial, state)

    def _quiet(self, trial: Trial, state: State) -> list[Row]:
        return self._sentence(trial, state, "word_error")

    def _noisy(self, trial: Trial, state: State) -> list[Row]:
        return self._sentence(trial, state, "word_error_noisy")

    def _sentence(self, trial: Trial, state: State, row: str) -> list[Row]:
        """One sentence, heard as it is spoken and recognised as a whole."""
        clip, engine = spoken(trial, state, "test")
        meant = normal(" ".join(word.text for word in clip.words))
        written = [word for word in state.reader().words(clip.sound.samples) if not word.closes]
        said = {"heard": written, "one_reading": state.reader(beam=False).words(clip.sound.samples)}
        texts = {arm: normal(" ".join(word.text for word in words)) for arm, words in said.items()}
        texts["whisper_whole"] = normal(state.recogniser().recognise(clip.sound))
        base = {"engine": engine, "split": "test", "unit": trial.key, "seed": trial.params["number"]}
        rows = [
            {**base, "row": row, "arm": arm, "value": errors_of(text, meant) / len(meant), "said": " ".join(text),
             "meant": " ".join(meant)}
            for arm, text in texts.items()
        ]  # fmt: skip
        if row == "word_error":
            rows += delays(written, clip, base)
        return rows

    def _way(self, trial: Trial, state: State) -> list[Row]:
        """A clip of the development speaker, in noise, by one of the ways."""
        clip, engine = spoken(trial, state, "dev")
        meant = normal(" ".join(word.text for word in clip.words))
        written = state.reader(trial.params["way"]).words(clip.sound.samples)
        heard = normal(" ".join(word.text for word in written))
        value = errors_of(heard, meant) / len(meant)
        return [
            {"row": "word_error_by_way", "arm": "heard", "way": trial.params["way"], "engine": engine, "split": "dev",
             "unit": f"dev/{trial.params['number']}", "seed": trial.params["number"], "value": value}
        ]  # fmt: skip

    def _false(self, trial: Trial, state: State) -> list[Row]:
        """Three minutes without speech."""
        number = trial.params["number"]
        heard = state.reader().words(wordless(number))
        count = sum(1 for word in heard if normal(word.text))
        return [
            {"row": "false_words", "arm": "heard", "unit": trial.key, "seed": number, "value": count,
             "hours": STRETCH_S / 3_600, "heard": " ".join(word.text for word in heard)}
        ]  # fmt: skip

    def _networks(self, state: State) -> tuple[Network, Network]:
        if state.before is None:
            state.before = size("tiny").build()
        return state.before, from_pretrained(state.weights)

    def _prose(self, trial: Trial, state: State) -> list[Row]:
        before, after = self._networks(state)
        return hearing_language.prose(before, after, trial.params["number"])

    def _questions(self, trial: Trial, state: State) -> list[Row]:
        before, after = self._networks(state)
        return hearing_language.questions(before, after, trial.params["number"])

    def close(self, state: State) -> None:
        """Nothing is held."""

    def appendix(self, rows: Sequence[Mapping[str, Any]], folder: Path, quick: bool) -> str:
        """For the page: errors a word by voice and who heard them, and by way of reading."""
        return "".join(
            _table(title, [row for row in rows if row["row"] == name], by)
            for title, name, by in (
                ("In a quiet room", "word_error", "arm"),
                ("In noise and rooms", "word_error_noisy", "arm"),
                ("By way of reading, on one budget, in noise", "word_error_by_way", "way"),
            )
        )


def _table(title: str, rows: Sequence[Mapping[str, Any]], by: str) -> str:
    """Errors a word in the mean of sentences, with 95 % intervals: a line for each voice."""
    if not rows:
        return ""
    names, engines = (list(dict.fromkeys(str(row[key]) for row in rows)) for key in (by, "engine"))
    lines = []
    for engine in engines:
        cells = []
        for name in names:
            found = {row["unit"]: [row["value"]] for row in rows if (row[by], row["engine"]) == (name, engine)}
            e = bootstrap_mean(found) if found else None
            cells.append(f'<td class="n">{f"{e.mean:.3f} [{e.low:.3f}, {e.high:.3f}] of {e.n}" if e else "–"}</td>')
        lines.append(f"<tr><td>{html.escape(engine)}</td>{''.join(cells)}</tr>")
    head = "".join(f'<th class="n">{html.escape(name)}</th>' for name in names)
    table = f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"
    return f'<h2>{title}: errors a word</h2><div class="wide">{table}</div>'


def plans_of(split: str, kind: str) -> Plans:
    """Sentences in a quiet room, or as training has them."""
    noisy, roomy = (0.0, 0.0) if kind == "quiet" else (0.75, 0.5)
    return Plans.Config(split=split, seed=1, silence=0.0, noisy=noisy, roomy=roomy).build()


def _drawn(kind: str, wanted: dict[str, int]) -> list[int]:
    """Numbers of the first plans by these speakers, so many of each."""
    plans, found, number = plans_of("test", kind), list[int](), 0
    left = dict(wanted)
    while any(left.values()):
        name = plans.plan(number).speaker
        if left.get(name):
            left[name] -= 1
            found.append(number)
        number += 1
    return found


def spoken(trial: Trial, state: State, split: str) -> tuple[Clip, str]:
    """The clip of a trial, and its engine."""
    plan = plans_of(split, trial.params["kind"]).plan(trial.params["number"])
    dry = state.speech().speak(plan.saying.text, plan.speaker, True, **plan.settings)
    pauses = pauses_that_fit(dry, plan.saying.pauses, len(spoken_words(plan.saying.text)))
    others = [state.speech().speak(text, name, True, **told).sound for text, name, told in plan.others]
    return in_scene(paused(dry, pauses), plan.scene, plan.seed, others), ENGINES.get(plan.speaker, (plan.speaker, 0))[0]


def normal(text: str) -> list[str]:
    """Lower-case words, numbers spelled.

    >>> normal("It's 21, isn't it?")
    ["it's", 'twenty', 'one', "isn't", 'it']
    """
    spelled = re.sub(r"\d+", lambda found: f" {in_words(int(found[0]) % 1_000_000)} ", text)
    return plain(spelled).split()


def delays(written: list[Any], clip: Clip, base: Row) -> list[Row]:
    """From the end of each word that was heard rightly to the end of the tick after the one in which it stood."""
    said = [(word, each.t) for each in written for word in normal(each.text)]
    meant = [(word, each.end) for each in clip.words for word in normal(each.text)]
    pairs = matched([word for word, _ in said], [word for word, _ in meant])
    return [
        {**base, "row": "word_delay_s", "arm": "heard", "unit": f"{base['unit']}/{j}",
         "value": round(said[i][1] + 0.2 - meant[j][1], 3)}
        for i, j in pairs
    ]  # fmt: skip


def wordless(number: int) -> np.ndarray:
    """Three minutes of silence or noise: each kind in turn, at a level of its own."""
    rng = generator(0, "wordless", number)
    count = round(STRETCH_S * HEARING_RATE)
    floor = rng.standard_normal(count) * 10 ** (rng.uniform(-80, -60) / 20)
    kind = (*BEDS, "")[number % (len(BEDS) + 1)]
    if kind:
        bed = rooms.bed(kind, count, HEARING_RATE, int(rng.integers(2**31)))
        floor = floor + bed * 10 ** ((float(rng.uniform(-60, -25)) - level_dbfs(bed.astype(np.float32))) / 20)
    sound = Sound(samples=(floor / max(1.0, np.abs(floor).max())).astype(np.float32), rate=HEARING_RATE)
    return sound.samples

"""From a transcript to an intent, by rules (and called rules): what the cascade agent understands.

The rules know the task sentences of the session and a few dozen English command words. A sentence is cut into clauses;
each is a stop, a pause, a request, a question or nothing; a complete instruction outweighs the "wait" or "no" before
it, and a stop outweighs everything else. Names are matched by sound (think/frames.py), because Whisper-tiny writes
"bull" for "bowl". What is asked for but is no task is `defective`, with the reason in words.

Needs: rapidfuzz. Does not know what happened before: every transcript is judged alone.
"""

import re
from dataclasses import dataclass

from rapidfuzz import fuzz

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.think.frames import Frame, Mention, Names, goal_frame, plain_verb, verb_of, word_set
from stretto.think.sounds_like import similarity

KINDS = ("instruct", "stop", "pause", "defective", "go_on", "ask_scene", "ask_general", "none")
"""All kinds, the one that wins first."""


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What was meant. `goal`: a task sentence (instruct). `topic`: the question, or the reason (defective).

    `score` in 0..1 is how well the words fit.
    """

    kind: str
    goal: str = ""
    topic: str = ""
    score: float = 1.0


_FILLERS = word_set(
    "please hey hi okay ok robot now so well no yes alright all right just actually oh um uh stretto then and but i "
    "said mind changed my forget that must you need to should want would like could can will kindly go try let us lets "
    "got have it"
)
_STOPS = word_set("stop stops stopped stopping halt freeze abort cancel enough quit")
_LIKE_STOP = word_set("stock stuck stoop stomp stap stoppe stopp stopt stob staw")
_AFTER_STOP = word_set(
    "right now there here it that this moving movement everything immediately please at once robot the arm all what "
    "you are youre doing stop your hand motion again already still no up is move"
)
_LIKE_PAUSE = word_set("boss plus pose paws follows cause pores")
_PAUSES = r"\b(wait|weight|pause|paws|hold on|hold it|hang on|hold up|(one|a) (moment|second|minute)|stand by)\b"
_GO_ON = (
    r"\b(go on|go ahead|continue|continues|keep (going|moving|on|at it)|carry on|resume|proceed|move on|"
    r"(dont|not|never) stop(ping)?|you can (move|go) again)\b"
)
_NOT = word_set("dont not never cannot cant wont")
_ASKING = word_set("where wheres what whats which who whos how hows why when is are do does did was has have am heres")
_TALK = (
    ("name", r"\b(your name|who are you|what are you called|whats your name)\b"),
    ("able", r"\b(can you do|able to do|you know how|your (tasks|skills)|can you help|what can you)\b"),
    ("well", r"\b(how are you|how do you (do|feel)|hows it going|how you doing)\b"),
    ("thanks", r"\b(thank you|thanks|thank|well done|good job|good boy|great)\b"),
    ("hello", r"^(hello|hi|hey|good (morning|evening|afternoon))\b"),
)


class Rules(Configurable):
    """The rules for one list of task sentences: `Rules.Config().build(goals).parse("Put the bull on the played.")`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`sure`: how well a sentence must fit a task whose form the grammar does not know (0..1)."""

        sure: float = 0.75

    def __init__(self, config: Config, goals: tuple[str, ...]):
        self.config, self.goals = config, tuple(goals)
        frames = [(goal_frame(goal), goal) for goal in self.goals]
        self._goal_of = {frame: goal for frame, goal in frames if frame is not None}
        if len(self._goal_of) < len(self.goals):
            self._goal_of = {}
        self.names = Names(list(self._goal_of), self.goals)

    @property
    def vocabulary(self) -> str:
        """The shortest commands and the names of things and places, as a prompt for a recogniser.

        In sentences, because a recogniser goes on in the style of its prompt, and a bare list costs the punctuation.
        """
        return "Stop now. Wait. Pause. Go on." + (
            f" The {', the '.join(self.names.names)}." if self.names.names else ""
        )

    def parse(self, text: str) -> Intent:
        """The intent of a transcript; `none` where there is nothing to react to."""
        clauses = [_words(clause) for clause in re.split(r"[.?!;]+(?:\s|$)", text)]
        found = [self._clause(words) for words in clauses if words]
        if len(found) > 1:
            found.append(self._whole([word for words in clauses for word in words], found))
        return min(found, key=lambda intent: KINDS.index(intent.kind), default=Intent(kind="none"))

    def _whole(self, words: list[str], parts: list[Intent]) -> Intent:
        """All clauses as one, for an instruction that the recogniser cut in two; counts only as an instruction."""
        stopped = any(part.kind == "stop" for part in parts)
        whole = Intent(kind="none") if stopped else self._clause(words)
        return whole if whole.kind == "instruct" else Intent(kind="none")

    def _clause(self, words: list[str]) -> Intent:
        joined = " ".join(words)
        mentions = self.names.find(words)
        request = self._request(words, mentions)
        if re.search(_GO_ON, joined) and not request.goal:
            return Intent(kind="go_on")
        asked = self._asked(words, mentions)
        if asked is not None:
            return asked
        if _says_stop(words) and not (request.goal and verb_of(words)):
            return Intent(kind="stop")
        if _NOT & set(words) and (request.kind != "none" or verb_of(words) or "move" in words):
            return Intent(kind="stop", score=0.9)
        if request.kind == "instruct":
            return request
        if (re.search(_PAUSES, joined) and len(words) <= 8) or joined in _LIKE_PAUSE:
            return Intent(kind="pause")
        if request.kind != "none":
            return request
        return _small_talk(joined) or Intent(kind="none", score=0.0)

    def _asked(self, words: list[str], mentions: list[Mention]) -> Intent | None:
        """A question about the scene or in general, or None when the clause is no question."""
        core = _without_fillers(words)
        joined = " ".join(words)
        about = re.search(r"\b(where|wheres|see|find|show me|tell me|know)\b", joined)
        if not core or not (core[0] in _ASKING or about or re.match(r"(can|could) you (see|find|tell)", joined)):
            return None
        if len(mentions) > 1 and core[0] in ("what", "do", "have") and not {"is", "are"} & set(words):
            return None
        talk = _small_talk(joined)
        if talk is not None and not mentions:
            return talk
        topic = self._topic(words, mentions, about is not None)
        if topic:
            return Intent(kind="ask_scene", topic=topic, score=min((each.score for each in mentions), default=1.0))
        missing = self.names.unknown(words, mentions)
        if re.search(r"\b(where|wheres|find|(can|do) you see)\b", joined) and missing:
            return Intent(kind="ask_scene", topic=f"where is the {missing[0][1]}", score=0.5)
        return talk or Intent(kind="ask_general")

    def _topic(self, words: list[str], mentions: list[Mention], where: bool) -> str:
        """The question about the scene in its plain form, or ""."""
        joined = " ".join(words)
        if re.search(r"\b(holding|hold|in your (hand|gripper|grip|arm)|carrying|grasping|got in)\b", joined):
            return "what are you holding"
        if re.search(r"\bwhat(re| are| is)? (you|your|youre) (doing|up to)\b|\bare you doing\b", joined):
            return "what are you doing"
        name = mentions[0].name if mentions else ""
        if name in self.names.heads:
            name = _qualified(name, words, self.names)
        if not name and "open" in words:
            name = self._opened(words)
        if not name:
            return "what do you see" if re.search(r"\b(you see|on the table)\b", joined) else ""
        state = re.search(
            r"\b(on|off|hot|lit|running|open|opened|closed|shut)$", re.sub(r" (now|yet|already)$", "", joined)
        )
        if state and words[0] != "what" and not where:
            word = {"off": "on", "hot": "on", "lit": "on", "running": "on"}.get(state[1], state[1])
            return f"is the {name} {'open' if word in ('opened', 'closed', 'shut') else word}"
        if re.search(r"\bwhat(s| is)? (in|on|inside)\b", joined):
            return f"what is on the {name}"
        return f"where is the {name}"

    def _request(self, words: list[str], mentions: list[Mention]) -> Intent:
        """An instruction: a task, or the reason why it is none; `none` where nothing is asked for."""
        if not self._goal_of:
            return self._nearest(words)
        missing = self.names.unknown(words, mentions)
        verb = verb_of(words)
        if not verb and (not mentions or len(mentions) + len(missing) < 2):
            return Intent(kind="none")
        frame = self._frame(words, mentions, verb)
        score = min((each.score for each in mentions), default=0.0)
        if frame.thing and (frame in self._goal_of) and not (missing and frame.place):
            return Intent(kind="instruct", goal=self._goal_of[frame], score=score)
        frame = self._repaired(frame, mentions, missing)
        if frame in self._goal_of:
            return Intent(kind="instruct", goal=self._goal_of[frame], score=0.8 * score)
        if missing and (mentions or verb_of(_without_fillers(words)[:1])):
            return Intent(kind="defective", topic=f"there is no {missing[0][1]} here", score=max(score, 0.5))
        return _refusal(frame, score) if mentions else Intent(kind="none")

    def _frame(self, words: list[str], mentions: list[Mention], verb: str) -> Frame:
        """Verb, thing and place of the request as far as they were heard."""
        names = list(dict.fromkeys(each.name for each in mentions))
        drawers = [name for name in names if name.split()[-1] in self.names.heads]
        if drawers:
            drawer = _qualified(drawers[0], words, self.names) if drawers[0] in self.names.heads else drawers[0]
            inside = {frame.thing for frame in self._goal_of if frame.place}
            things = [name for name in names if name not in drawers and name in inside]
            said_open = verb in ("", "open") or "open" in words
            return Frame("put", things[-1], drawer) if things else Frame("open" if said_open else verb, drawer)
        if {"open", "reopen"} & set(words) and self._opened(words):
            return Frame("open", self._opened(words))
        if len(names) < 2:
            return Frame(verb or "put", names[0] if names else "")
        thing, place = names[0], names[-1]
        front = any(similarity(word, "front") > 0.75 for word in words)
        if front and any(frame.place == f"front of the {place}" for frame in self._goal_of):
            return Frame("push", thing, f"front of the {place}")
        fitting = [frame for frame in self._goal_of if (frame.thing, frame.place) == (thing, place)]
        return fitting[0] if fitting else Frame(verb or "put", thing, place)

    def _opened(self, words: list[str]) -> str:
        """The drawer whose qualifier was heard although the word "drawer" was not, or ""."""
        found = [_qualified(head, words, self.names) for head in self.names.heads]
        return next((name for name in found if name in self.names.names), "")

    def _repaired(self, frame: Frame, mentions: list[Mention], missing: list[tuple[int, str]]) -> Frame:
        """The frame with one slot filled in, where a garbled phrase fits it and no other task does."""
        heard = {each.name for each in mentions}
        fits = [task for task in self._goal_of if heard <= {task.thing, task.place}]
        if len(missing) == 1 and heard:
            open_slots = {name for task in fits for name in (task.thing, task.place) if name and name not in heard}
            score, name = self.names.nearest(missing[0][1], open_slots)
            chosen = [task for task in fits if name in (task.thing, task.place)]
            return chosen[0] if score >= 0.6 and len(chosen) == 1 else frame
        same_verb = [task for task in fits if task.verb == frame.verb and not task.place]
        if not missing and len(same_verb) == 1 and len(heard) == 1:
            return same_verb[0]
        return frame

    def _nearest(self, words: list[str]) -> Intent:
        """The task whose sentence is most like some end of the clause, for tasks that are not simple frames."""
        ends = [" ".join(words[start:]) for start in range(len(words))]
        scored = [(fuzz.token_sort_ratio(end, goal) / 100, goal) for end in ends for goal in self.goals]
        score, goal = max(scored, default=(0.0, ""))
        return Intent(kind="instruct", goal=goal, score=score) if score >= self.config.sure else Intent(kind="none")


def _refusal(frame: Frame, score: float) -> Intent:
    """Why a request of known names is none of the tasks."""
    if frame.place:
        into = "in" if frame.place.endswith(("drawer", "bowl")) else "on"
        reason = f"I have not learned to put the {frame.thing} {into} the {frame.place}"
    elif frame.verb in ("put", "push"):
        reason = f"you did not say where the {frame.thing} should go"
    else:
        reason = f"I have not learned to {frame.verb} the {frame.thing}"
    return Intent(kind="defective", topic=reason, score=score)


def _qualified(head: str, words: list[str], names: Names) -> str:
    """The full name of a thing that shares its last word with others, by the qualifier said anywhere in the clause."""
    choices = {name.split()[0]: name for name in names.names if name.split()[-1] == head}
    for word, after in zip(words, [*words[1:], ""], strict=True):
        for qualifier, name in choices.items():
            limit = 0.66 if after == head else 0.9 if len(word) < 4 else 0.8
            if word == qualifier or similarity(word, qualifier) >= limit:
                return name
    for word in ("bottom", "lower", "upper", "second", "third"):
        if word in words:
            return f"{word} {head}"
    return head


def _says_stop(words: list[str]) -> bool:
    """Whether the clause tells the robot to stop: the word leads, and nothing follows that makes it something else."""
    core = _without_fillers(words)
    if not core:
        return False
    if len(words) <= 4 and "stop" in words and words[words.index("stop") - 1] not in ("the", "a", "bus", "full"):
        return not _NOT & set(words)
    if " ".join(core).startswith(("stand still", "dont move", "cut it out", "hold still")):
        return True
    short = len(core) <= 3
    leads = core[0] in _STOPS or (short and (core[0] in _LIKE_STOP or similarity(core[0], "stop") >= 0.86))
    if not leads or _NOT & set(words):
        return False
    rest = core[1:]
    return not rest or rest[0] in _AFTER_STOP or rest[0].endswith("ing") or len(rest) <= 2


def _small_talk(joined: str) -> Intent | None:
    for topic, pattern in _TALK:
        if re.search(pattern, joined):
            return Intent(kind="ask_general", topic=topic)
    return None


def _without_fillers(words: list[str]) -> list[str]:
    """The words from the first one that is no filler."""
    for index, word in enumerate(words):
        if word not in _FILLERS:
            return words[index:]
    return []


def _words(clause: str) -> list[str]:
    """Lower-case words without punctuation; "don't" is "dont"."""
    plain = clause.lower().replace("'", "").replace("’", "")
    return [plain_verb(word) for word in re.sub(r"[^a-z0-9 ]", " ", plain).split()]

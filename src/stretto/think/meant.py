"""Is a word that stops meant as a command? Judged from the words around it, often before the sentence has ended.

    meant("Could you stop")        True        meant("I will stop by")         False
    meant("Wait a second")         True        meant("The waiter brought")     False
    meant("Put it on")             None        meant("Hold on to your")        False

The reflex halts at the sound of a word; here the words before it in its clause say whether somebody asks for it ("you
must", "please") or tells of it ("the bus", "I will", "do not"), and some words after it ("by", "to") do. What the
recogniser writes for a word it did not know well ("stock") is taken for the word when it stands alone.

Needs: nothing. Rules, and called rules. Does not know what was said before.
"""

import re

_COMMANDS = r"(?:stop|wait|pause|freeze|hold on|careful|whoa)"
_FORMS = re.compile(
    r"\b(stop(?:s|ped|ping)|wait(?:s|ed|ing|er|ers|ress)|weights?|paus(?:es|ed|ing)|paws|freez(?:es|ing|er|ers)|froze|"
    r"frozen|h(?:eld|olds|olding) on|carefully|whoever)\b"
)
_COMMAND = re.compile(rf"\b{_COMMANDS}\b")
_ASKING = frozenset(
    "please just hey hi oh no okay ok alright all right robot now so and then but well yes um uh er hm you should must "
    "need to have want can could will would i said say it be very more that enough stretto arm come a take ask asked "
    "stop wait pause freeze hold on careful whoa halt sorry actually listen look quick quickly everybody everyone "
    "there thats is not another move".split()
)
"""Words that may stand before a command in its clause."""
_TELLING = re.compile(
    r"\b(i(?:ll| will| would| can| cant| could| shall| never| always)|dont|do not|doesnt|never|not|no need|cannot|cant|"
    r"wont|didnt|without|when|why|if|where|who|whoever|how|the|my|our|your|his|her|their|was|were|has|had|they|he|she|we|"
    r"one|a (?:short|quick|long)|after|before|until|to(?! a stop))\b"
)
_ASKED = re.compile(
    r"\b(you (?:need|have|ought) to|(?:i )?(?:need|want|ask|tell|told|asked) you to|come to a|take a|could you|can you|"
    r"will you|would you|you must|you should|i said)( please| just)*$"
)
_AFTER = {
    "stop": re.compile(r"^(by|over at|signs?|lights?|watch|words?)\b"),
    "wait": re.compile(r"^(times?|lists?|staff|in line|was|is)\b"),
    "hold on": re.compile(r"^to\b"),
    "careful": re.compile(r"^(drivers?|plan|planning|person|people|work|study|look)\b"),
    "pause": re.compile(r"^(was|is|between|in the)\b"),
}
_FEW = 3


def meant(text: str) -> bool | None:
    """True: a command. False: the word is only told of. None: there is no such word in it yet.

    The last clause with such a word counts; a command in any clause before it stays one.
    """
    clauses = [_plain(clause) for clause in re.split(r"[.?!,;:]+(?:\s|$)", text)]
    verdicts = [_clause(clause, clauses[:index]) for index, clause in enumerate(clauses) if clause]
    known = [verdict for verdict in verdicts if verdict is not None]
    return any(known) if known else None


def alone(text: str) -> bool:
    """Whether so little (three words) was said that the ear for the word is trusted more than what was written."""
    return len(_plain(text).split()) <= _FEW


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text.lower().replace("'", "").replace("’", "")))


def _clause(clause: str, before: list[str]) -> bool | None:
    found = list(_COMMAND.finditer(clause))
    if not found:
        return False if _FORMS.search(clause) else None
    return any(_asked(clause[: each.start()].strip(), each[0], clause[each.end() :].strip(), before) for each in found)


def _asked(left: str, word: str, right: str, before: list[str]) -> bool:
    """Whether one word is asked for, by what stands left and right of it in its clause."""
    if word in _AFTER and _AFTER[word].match(right):
        return False
    if _ASKED.search(left) and not re.search(r"\b(dont|not|never)\b", left):
        return True
    if _TELLING.search(left):
        return False
    return all(each in _ASKING for each in left.split())

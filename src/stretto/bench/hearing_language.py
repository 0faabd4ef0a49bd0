"""What the language model knows, before and after it learned to hear: prose and questions, read as text."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from stretto.agents.network import Network
from stretto.bench.backbone_work import passages
from stretto.core.rng import generator
from stretto.data import talk_facts
from stretto.think.cursor import Cursor
from stretto.think.language import table_of
from stretto.think.tokens import gather

TOKENS = 256
"""Of a passage."""

TOLD = "You are a helpful assistant who answers with one name."
Row = dict[str, Any]


def prose(before: Network, after: Network, number: int) -> list[Row]:
    """The ratio of perplexities of one passage."""
    assert before.text is not None
    ids = passages(before.text, number + 1, TOKENS)[number]
    nats = [float(surprise(network, ids)[1:].mean()) for network in (before, after)]
    base = {"unit": f"passage/{number}", "seed": number, "arm": "after"}
    ratio = float(torch.tensor(nats[1] - nats[0]).exp())
    return [{**base, "row": "language_perplexity_ratio", "value": ratio, "nats": nats[1], "nats_before": nats[0]}]


def questions(before: Network, after: Network, count: int) -> list[Row]:
    """Whether the right one of four answers is the likeliest, for `count` questions about facts of the test split."""
    rows: list[Row] = []
    for number, (question, options) in enumerate(choices(count)):
        for arm, network in (("before", before), ("after", after)):
            likely = [_likely(network, question, answer) for answer in options]
            right = max(range(4), key=likely.__getitem__) == 0
            base = {"unit": f"question/{number}", "seed": number, "question": question, "answer": options[0]}
            rows.append({**base, "row": "question_right", "arm": arm, "value": right})
    return rows


def choices(count: int) -> list[tuple[str, list[str]]]:
    """Questions with four answers of one kind each, the right one first."""
    facts = [fact for fact in talk_facts.facts("test") if fact.relation in talk_facts.ASKED]
    rng = generator(0, "choices")
    found: list[tuple[str, list[str]]] = []
    for place in rng.permutation(len(facts)):
        fact = facts[int(place)]
        others = sorted({other.b for other in facts if other.relation == fact.relation} - {fact.b})
        if len(others) >= 3 and len(found) < count:
            wrong = [others[int(at)] for at in rng.choice(len(others), 3, replace=False)]
            found.append((talk_facts.ASKED[fact.relation].format(a=fact.a), [fact.b, *wrong]))
    return found


@torch.no_grad()
def surprise(network: Network, ids: Sequence[int]) -> Tensor:
    """Nats of each token of a text that is read in one go, 0 for the first. The rule is that of the system prompt."""
    assert network.text is not None
    layout = replace(network.config.layout, system=len(ids)).build(table_of(network.text))  # type: ignore[call-arg]
    _, rows = Cursor.start(layout).begin(ids)
    tokens = gather(layout, [rows], [[True] * len(rows)])
    states = network.backbone({"language": network.tables["text"].embed(torch.tensor([ids]))}, tokens)["language"]  # type: ignore[operator]
    scores = network.tables["text"].logits(states)[0, :-1, : network.text.size]  # type: ignore[operator]
    nats = torch.nn.functional.cross_entropy(scores, torch.tensor(ids[1:]), reduction="none")
    return torch.cat([torch.zeros(1), nats])


def _likely(network: Network, question: str, answer: str) -> float:
    """The mean log-probability of an answer's tokens."""
    assert network.text is not None
    asked, told = network.text.chat(TOLD, question), network.text.encode(f"{answer}.")
    return -float(surprise(network, [*asked, *told])[-len(told) :].mean())

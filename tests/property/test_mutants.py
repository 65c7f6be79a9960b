"""No mutant of a code is accepted: what passes is an original, byte for byte or by the bytes its issuer signed."""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import cbor2
import pytest

from edge.credentials import hcert
from edge.credentials.format import parse
from edge.model.credential import PassKind
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import Context, examine
from tests.property.test_laws import PASSES
from tests.simulators import foreign, mutants, world
from tests.simulators.mutants import Mutator, Node, deflated, plain

SHORT = 20_000
LONG = 10_000_000
PIECE = 100_000


def national() -> tuple[list[mutants.Original], Context]:
    """Return every kind of national pass and the live form, and what a gate believes."""
    trust = replace(world.TRUST, policy=replace(world.TRUST.policy, kinds=frozenset(PassKind)))
    codes = {**PASSES, "live": world.shown_live(world.make_pass(holder=world.HOLDER))}
    return [plain(code) for code in codes.values()], replace(world.context(), trust=trust)


def abroad() -> tuple[list[mutants.Original], Context]:
    """Return a health certificate, and what a gate believes."""
    trust = foreign.believing(foreign.ANCHOR)
    context = world.context()
    return [deflated(foreign.make_hcert())], replace(context, formats=(*context.formats, hcert.FORMAT), trust=trust)


WORLDS = {"national": national, "abroad": abroad}


def judge(name: str, seed: int, count: int) -> tuple[int, int, list[str]]:
    """Return how many mutants were judged, how many were originals, and each wrong verdict."""
    originals, context = WORLDS[name]()
    identities = {parse(one.code, context.formats).identity for one in originals}
    codes = {one.code for one in originals}
    mutator = Mutator(originals, seed)
    same, wrong = 0, []
    for number in range(count):
        raw = mutator.next()
        verdict = examine(raw, context)
        if verdict.outcome is Outcome.ACCEPT:
            same += 1
            held = raw in codes if name == "national" else parse(raw, context.formats).identity in identities
            if not held:
                wrong.append(f"seed {seed}, mutant {number} is accepted")
        elif verdict.reason is Reason.INTERNAL_FAULT:
            wrong.append(f"seed {seed}, mutant {number} is a fault of ours")
    return count, same, wrong


def test_an_original_is_accepted_and_taken_apart_and_put_together_is_itself():
    """Else nothing of what follows would say anything."""
    for make in WORLDS.values():
        originals, context = make()
        for one in originals:
            message = one.message().encoded()

            assert one.opened(one.code[4:]) == message
            assert examine(one.code, context).reason is Reason.OK


def test_the_mutator_writes_what_others_read():
    """A tree of right lengths is CBOR to another library as well."""
    tree = Node(mutants.MAP, inside=[Node(mutants.UINT, 500), Node(mutants.TEXT, data=b"x", is_endless=True)])

    assert cbor2.loads(tree.encoded()) == {500: "x"}


@pytest.mark.parametrize("name", WORLDS)
def test_no_mutant_is_accepted(name):
    """Twenty thousand of each world, and none is a fault of ours."""
    judged, same, wrong = judge(name, 1, SHORT)

    assert wrong == []
    assert judged == SHORT
    assert same < SHORT // 5, "most mutants must be mutants"


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_no_mutant_of_ten_million_is_accepted():
    """The same on every core, ten million in all, half of them of each world."""
    jobs = [(name, seed, PIECE) for seed in range(100, 100 + LONG // PIECE // len(WORLDS)) for name in WORLDS]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        found = list(pool.map(judge, *zip(*jobs, strict=True)))

    print(f"{sum(row[0] for row in found)} mutants, {sum(row[1] for row in found)} originals among them")
    assert [row for _, _, wrong in found for row in wrong] == []
    assert sum(row[0] for row in found) == LONG

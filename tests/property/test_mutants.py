"""No mutant of a code is accepted: what passes is an original, byte for byte or by the bytes its issuer signed."""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Protocol

import cbor2
import pytest

from edge.credentials.format import parse
from edge.errors import LedgerError
from edge.ledger import slip
from edge.model.credential import PassKind
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import Context, examine
from tests.property.test_laws import PASSES
from tests.simulators import mutants, world
from tests.simulators.codes import CODES
from tests.simulators.mutants import Mutator, Node, deflated, plain, thirty_two
from tests.simulators.plain_mutants import ORIGINALS, PlainMutator
from tests.simulators.tickets import admitting
from tests.unit import test_slip, test_sm2

SHORT = 4_000
LONG = 10_000_000
PIECE = 50_000


class Source(Protocol):
    """What makes mutants."""

    def next(self) -> bytes:
        """Return the next one."""


@dataclass(frozen=True, slots=True)
class World:
    """Codes that hold, what changes them, and who judges.

    Attributes:
        codes: The originals.
        mutators: Makes a mutator for a seed.
        accepts: Returns what an accepted code is the same by (its signed bytes, or its own where there is one
            spelling), None for a refused one; raises for a fault of ours.
    """

    codes: tuple[bytes, ...]
    mutators: Callable[[int], Source]
    accepts: Callable[[bytes], bytes | None]


def examined(context: Context, *, one_spelling: bool = False) -> Callable[[bytes], bytes | None]:
    """Return the judge of a gate in these surroundings."""

    def accepts(raw: bytes) -> bytes | None:
        verdict = examine(raw, context)
        if verdict.reason is Reason.INTERNAL_FAULT:
            raise AssertionError("a fault of ours")
        if verdict.outcome is not Outcome.ACCEPT:
            return None
        return raw if one_spelling else parse(raw, context.formats).identity

    return accepts


def structured(originals: list[mutants.Original], accepts: Callable[[bytes], bytes | None]) -> World:
    """Return a world of codes in CBOR."""
    return World(tuple(one.code for one in originals), lambda seed: Mutator(originals, seed), accepts)


def national() -> World:
    """Return every kind of national pass and the live form."""
    trust = replace(world.TRUST, policy=replace(world.TRUST.policy, kinds=frozenset(PassKind)))
    shown = {**PASSES, "live": world.shown_live(world.make_pass(holder=world.HOLDER))}
    context = replace(world.context(), trust=trust)
    return structured([plain(code) for code in shown.values()], examined(context, one_spelling=True))


def sm2() -> World:
    """Return a national pass that is signed with SM2."""
    context = replace(world.context(trust=test_sm2.COUNTRY), verifiers=test_sm2.TABLE)
    return structured([plain(test_sm2.sm2_pass())], examined(context, one_spelling=True))


def slips() -> World:
    """Return a slip of a gate that its hub vouches for."""

    def accepts(raw: bytes) -> bytes | None:
        try:
            slip.open_slip(raw, test_slip.HUB_KEYS)
        except LedgerError:
            return None
        return raw

    return structured([plain(test_slip.CODE)], accepts)


def admitted(*names: str) -> Context:
    """Return the surroundings of a gate that admits these codes."""
    shown = [CODES[name] for name in names]
    trust = admitting(*(one.anchor for one in shown))
    return replace(world.context(trust=trust), formats=(*{one.known for one in shown}, *world.FORMATS))


def abroad() -> World:
    """Return every foreign credential in CBOR: health certificates, a pass of New Zealand, an identity."""
    certificate, pass_, identity = "hcert, ES256", "nzcp", "claim169, EdDSA"
    originals = [
        deflated(CODES[certificate].code),
        thirty_two(CODES[pass_].code),
        deflated(CODES[identity].code, 0),
    ]
    return structured(originals, examined(admitted(certificate, pass_, identity)))


def certified() -> World:
    """Return a health certificate that is signed with RSA."""
    return structured([deflated(CODES["hcert, PS256"].code)], examined(admitted("hcert, PS256")))


def otherwise(name: str) -> World:
    """Return a foreign credential that is no CBOR."""
    original = ORIGINALS[name]()
    return World((original.code,), lambda seed: PlainMutator(original, seed), examined(admitted(name)))


WORLDS: dict[str, Callable[[], World]] = {
    "national": national,
    "sm2": sm2,
    "slips": slips,
    "abroad": abroad,
    "certified": certified,
    **{name: partial(otherwise, name) for name in ORIGINALS},
}


def judge(name: str, seed: int, count: int) -> tuple[int, int, list[str]]:
    """Return how many mutants were judged, how many were originals, and each wrong verdict."""
    around = WORLDS[name]()
    known = {around.accepts(code) for code in around.codes}
    mutator = around.mutators(seed)
    same, wrong = 0, []
    for number in range(count):
        raw = mutator.next()
        try:
            found = around.accepts(raw)
        except Exception as fault:
            wrong.append(f"{name}, seed {seed}, mutant {number}: {type(fault).__name__}")
            continue
        same += found is not None
        if found is not None and found not in known:
            wrong.append(f"{name}, seed {seed}, mutant {number} is accepted")
    return count, same, wrong


@pytest.mark.parametrize("name", WORLDS)
def test_an_original_is_accepted_and_taken_apart_and_put_together_is_itself(name):
    """Else nothing of what follows would say anything."""
    around = WORLDS[name]()

    assert all(around.accepts(code) is not None for code in around.codes)


@pytest.mark.parametrize("original", [plain(PASSES["live"]), deflated(CODES["hcert, ES256"].code)])
def test_a_code_in_cbor_is_put_together_as_it_was(original):
    """The mutator's own reader and writer lose nothing."""
    assert original.message().encoded() == original.opened(original.code[len(original.prefix) :])


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_code_in_parts_is_put_together_with_the_same_signed_bytes(name):
    """Else its mutants would all be refused for that alone."""
    original, accepts = ORIGINALS[name](), otherwise(name).accepts

    assert accepts(original.closed(original.parts)) == accepts(original.code) is not None


def test_the_mutator_writes_what_others_read():
    """A tree of right lengths is CBOR to another library as well."""
    tree = Node(mutants.MAP, inside=[Node(mutants.UINT, 500), Node(mutants.TEXT, data=b"x", is_endless=True)])

    assert cbor2.loads(tree.encoded()) == {500: "x"}


@pytest.mark.parametrize("name", WORLDS)
def test_no_mutant_is_accepted(name):
    """Four thousand of each world, and none is a fault of ours."""
    judged, same, wrong = judge(name, 1, SHORT)

    assert wrong == []
    assert judged == SHORT
    assert same < SHORT // 5, "most mutants must be mutants"


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_no_mutant_of_ten_million_is_accepted():
    """The same on every core, ten million in all, as many of each world."""
    names = itertools.islice(itertools.cycle(WORLDS), LONG // PIECE)
    jobs = [(name, seed, PIECE) for seed, name in enumerate(names, 100)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        found = list(pool.map(judge, *zip(*jobs, strict=True)))

    for name in WORLDS:
        rows = [row for job, row in zip(jobs, found, strict=True) if job[0] == name]
        print(f"{name}: {sum(row[0] for row in rows)} mutants, {sum(row[1] for row in rows)} originals among them")
    assert [row for _, _, wrong in found for row in wrong] == []
    assert sum(row[0] for row in found) == LONG

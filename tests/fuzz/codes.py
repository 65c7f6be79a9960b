"""Any bytes in front of the camera: a verdict, never a fault, never an accept that nobody signed.

`python -m tests.fuzz.codes FOLDER -max_total_time=60`; FOLDER keeps what reached new code (it begins with one code of
every kind).
"""

import sys
from dataclasses import replace
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["edge.codec", "edge.credentials", "edge.verify", "edge.policy"]):
    from edge.credentials.format import parse
    from edge.gate.formats import load_formats
    from edge.model.verdict import Outcome, Reason
    from edge.policy.examine import examine
    from tests.contract.test_formats import GOOD
    from tests.simulators import foreign, world

FORMATS = load_formats()
KNOWN = frozenset(code for codes in GOOD.values() for code in codes)
IDENTITIES = frozenset(parse(code, FORMATS).identity for code in KNOWN)
CONTEXT = replace(world.context(), formats=FORMATS, trust=foreign.believing())


def one(raw: bytes) -> None:
    """Judge one code; raises where the gate would be wrong."""
    verdict = examine(raw, CONTEXT)
    if verdict.reason is Reason.INTERNAL_FAULT:
        raise AssertionError("a fault of ours")
    if verdict.outcome is Outcome.ACCEPT and parse(raw, FORMATS).identity not in IDENTITIES:
        raise AssertionError("accepted, and nobody signed it")


def main() -> None:
    """Fuzz until libFuzzer's options say to stop."""
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    for number, code in enumerate(sorted(KNOWN)):
        for folder in folders[:1]:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"good-{number}").write_bytes(code)
    atheris.Setup([sys.argv[0], "-max_len=4296", *sys.argv[1:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""DIVOC certificates: recognised by their head, referred with the way on, never green and never unpacked."""

import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from edge.credentials import divoc
from edge.credentials.format import parse
from edge.gate.formats import load_formats
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import examine
from edge.words.catalogue import reason_words
from tests.simulators.foreign import believing
from tests.simulators.world import NOW, at, context

PUBLIC = Path(os.environ.get("EDGE_CONFORMANCE_DIR") or Path(__file__).parents[3] / "conformance") / "divoc"


def archive(name="certificate.json", content=b"{}"):
    """A ZIP with one file."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return data.getvalue()


GOOD = archive()


def verdict(raw, trust=None):
    """What a gate with every format says."""
    shown = context(at(NOW), trust if trust is not None else believing())
    return examine(raw, replace(shown, formats=load_formats()))


def test_a_certificate_is_named_and_referred_with_the_way_on():
    """In both languages, with the family."""
    found = verdict(GOOD)

    assert (found.outcome, found.reason, found.is_authentic) == (Outcome.REFER, Reason.CREDENTIAL_UNCHECKED, False)
    assert (found.presentation.format, found.presentation.family) == ("divoc", "divoc")
    for language in ("en", "zh"):
        assert "DIVOC" in reason_words(language, str(found.reason), found.details).title


def test_no_policy_makes_it_green():
    """Admitted as a format, it is unsigned all the same."""
    trust = believing()
    admitting = replace(trust, policy=replace(trust.policy, formats=trust.policy.formats | {"divoc"}))

    assert verdict(GOOD, admitting).outcome is Outcome.REFER


def test_a_bomb_within_is_not_unpacked():
    """Its head is all that is read."""
    assert verdict(archive(content=bytes(3_000_000))).reason is Reason.CREDENTIAL_UNCHECKED


@pytest.mark.parametrize("raw", [archive("other.json"), b"PK\x03\x04", b"PK\x05\x06" + bytes(18), GOOD[1:]])
def test_other_archives_are_nobodys(raw):
    """By the name of the first file."""
    assert verdict(raw).reason is Reason.CREDENTIAL_FOREIGN


def test_the_public_certificate_is_recognised():
    """One of an open implementation, as its code's bytes."""
    if not PUBLIC.is_dir():
        pytest.skip(f"there are no public cases at {PUBLIC}; name their folder with EDGE_CONFORMANCE_DIR")
    found = parse((PUBLIC / "partial-vaccination.bin").read_bytes(), load_formats())

    assert found.format == divoc.NAME

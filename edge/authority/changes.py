"""What a signing request changes, in plain words: each desk computes it from the request itself before it signs.

Nothing is taken from a summary that somebody else wrote. The words stand in `edge.words` under `ceremony.`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.authority import rule_changes
from edge.authority.ceremony import ChangedFile, Examined, approved_of, sunset_of
from edge.authority.draft import Draft, listed_after
from edge.authority.roles import ROOT, TARGETS, TOP_LEVEL
from edge.errors import TrustError
from edge.model.rules import Rules
from edge.model.trust import PackedList
from edge.policy import plain
from edge.trust import paths, policies, status_list
from edge.trust.fields import Document, iso
from edge.words.catalogue import Value, label

_MOST_ROWS: Final = 30
"""Rows of one file that are told singly; the rest is counted."""
_MOST_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changes.

    Attributes:
        kind: Stable word for the case.
        values: What the sentence tells.
    """

    kind: str
    values: Mapping[str, Value]

    def said(self, language: str) -> str:
        """Return the sentence."""
        line = self.values.get(f"line_{language}", "")
        return label(language, f"ceremony.{self.kind}", **{"line": line, **self.values})


def changes(examined: Examined) -> list[Change]:
    """Return what a request changes: roles and keys first, then files."""
    found: list[Change] = []
    for draft in examined.drafts:
        found.append(
            Change(
                draft.cause,
                {
                    "role": draft.role,
                    "version": str(draft.version),
                    "until": iso(int(draft.signed.expires.timestamp())),
                },
            )
        )
        current = examined.before.offline(draft.role)
        before = current.signed if current else None
        found += _root(before, draft) if draft.role == ROOT else _delegations(before, draft)
    return [*found, *_files(examined)]


def _root(before: Any, draft: Draft) -> Iterator[Change]:
    after = draft.signed
    for name in TOP_LEVEL:
        was = before.roles[name] if before else None
        yield from _keys(name, (was.keyids, was.threshold) if was else ((), 0), after.roles[name])
    sunsets = [sunset_of(root) if root else None for root in (before, after)]
    if sunsets[0] != sunsets[1]:
        yield Change("sunset", {"before": sunsets[0] or "-", "after": sunsets[1] or "-"})


def _keys(name: str, was: tuple[Iterable[str], int], role: Any) -> Iterator[Change]:
    ids, threshold = set(was[0]), was[1]
    for id_ in role.keyids:
        if id_ not in ids:
            yield Change("key_added", {"role": name, "keyid": id_[:8]})
    for id_ in sorted(ids - set(role.keyids)):
        yield Change("key_removed", {"role": name, "keyid": id_[:8]})
    if threshold != role.threshold:
        yield Change("threshold", {"role": name, "before": threshold, "after": role.threshold})


def _delegations(before: Any, draft: Draft) -> Iterator[Change]:
    was = (before.delegations.roles or {}) if before is not None and before.delegations else {}
    becomes = (draft.signed.delegations.roles or {}) if draft.signed.delegations else {}
    for name in sorted({*was, *becomes}):
        if name not in becomes:
            yield Change("role_removed", {"role": name})
        elif name not in was:
            yield Change("role_added", {"role": name, "paths": ", ".join(becomes[name].paths or ())})
        else:
            yield from _keys(name, (was[name].keyids, was[name].threshold), becomes[name])
            if was[name].paths != becomes[name].paths:
                yield Change("role_paths", {"role": name, "paths": ", ".join(becomes[name].paths or ())})
    if draft.role == TARGETS:
        approved = approved_of(before) if before is not None else {}
        for path, digest in approved_of(draft.signed).items():
            if approved.get(path) != digest:
                yield Change("cosigned", {"path": path, "hash": digest[:16]})


def _files(examined: Examined) -> Iterator[Change]:
    was = examined.before.listed()
    becomes = {path: one.hashes["sha256"] for path, one in listed_after(examined.before, examined.drafts).items()}
    carried = {file.path: file for file in examined.request.files}
    for path in sorted({*was, *becomes}):
        if path not in becomes:
            yield Change("file_removed", {"path": path})
        elif was.get(path) != becomes[path]:
            kind = "file_changed" if path in was else "file_added"
            yield Change(kind, {"path": path, "hash": becomes[path][:16]})
            yield from _content(carried.get(path, ChangedFile(path, None, None)), is_new=path not in was)


def _content(file: ChangedFile, *, is_new: bool) -> Iterator[Change]:
    """Tell what changes inside a file; its hashes have been compared, its form has not."""
    if file.after is None or (file.before is None and not is_new):
        yield Change("not_carried", {"path": file.path})
        return
    try:
        if paths.status_of(file.path) is not None:
            flipped, size = flips(file.before, file.after, file.path)
            share = f"{flipped / size:.2%}" if size else "-"
            yield Change("flips", {"path": file.path, "n": flipped, "of": size, "share": share})
        elif file.path == paths.RULES:
            for kind, values in rule_changes.told(file.before, file.after, file.path):
                yield Change(kind, values)
        elif file.path.endswith(".json"):
            yield from _members(file)
            yield from _policy(file) if file.path == paths.POLICY else ()
    except TrustError as error:
        yield Change("unreadable", {"path": file.path, "why": error.message[:_MOST_TEXT]})


def flips(before: bytes | None, after: bytes, path: str) -> tuple[int, int]:
    """Return how many entries of a status list change, and how many it has.

    Args:
        before: The list's file in force, None where it is new.
        after: The file that follows.
        path: Its path, for messages.

    Raises:
        TrustError: One of them is no status list.
    """
    new = status_list.parse(after, path)
    old = None if before is None else status_list.parse(before, path)
    size = len(new.entries) * 8 // new.bits
    if old is None or old.bits != new.bits:
        # Nothing can be compared: what is not valid counts.
        old = PackedList(path, new.bits, b"")
    return status_list.difference(old, new), size


def _members(file: ChangedFile) -> Iterator[Change]:
    was, becomes = (_parsed(data, file.path) for data in (file.before, file.after))
    for name in sorted({*was, *becomes}):
        old, new = was.get(name), becomes.get(name)
        if isinstance(new, list) and isinstance(old, list | None):
            yield from _rows(file.path, [_text(row) for row in old or ()], [_text(row) for row in new])
        elif old != new:
            values = {"path": file.path, "member": name, "before": _text(old), "after": _text(new)}
            yield Change("member", values)


def _policy(file: ChangedFile) -> Iterator[Change]:
    """Say what a policy with rules admits: JSON that is cut short would hide what is signed."""
    found = policies.policy(Document(file.after or b"", file.path))
    if found.rules == Rules() and found.following is None:
        return
    times = {at: iso(at) for at in plain.times_of(found)}
    for chinese, english in zip(*(plain.sentences(found, language, times) for language in ("zh", "en")), strict=True):
        yield Change("policy_says", {"line_zh": chinese, "line_en": english})


def _rows(path: str, was: list[str], becomes: list[str]) -> Iterator[Change]:
    added = [row for row in becomes if row not in set(was)]
    removed = [row for row in was if row not in set(becomes)]
    for kind, rows in (("row_added", added), ("row_removed", removed)):
        for row in rows[:_MOST_ROWS]:
            yield Change(kind, {"path": path, "row": row})
        if len(rows) > _MOST_ROWS:
            yield Change(f"{kind}_more", {"path": path, "n": len(rows) - _MOST_ROWS})


def _parsed(data: bytes | None, path: str) -> dict[str, Any]:
    if data is None:
        return {}
    # Read strictly, so that one member cannot stand twice with two meanings.
    Document(data, path)
    found: dict[str, Any] = json.loads(data)
    return found


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    shown = text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "..."
    # A signed text must not steer the terminal of whoever judges it.
    return "".join(char if char.isprintable() else "?" for char in shown)

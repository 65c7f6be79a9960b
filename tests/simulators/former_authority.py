"""An authority as the first version made it: root two of three, one targets key, no `roles.json`, no log."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from nacl.signing import SigningKey
from tuf.api.metadata import Metadata, Root

from edge.authority.authority import Authority, init
from edge.authority.publish import publish

_ROOT_KEYS = ("root-1", "root-2", "root-3")
_ROLES = ("targets", "snapshot", "timestamp")


def former(folder: Path, now: int) -> Authority:
    """Return one that has published once."""
    authority = init(folder, now)
    shutil.rmtree(folder / "keys")
    shutil.rmtree(folder / "publication/metadata")
    (folder / "roles.json").unlink()
    root = Root(version=1, expires=datetime.fromtimestamp(now + 365 * 86400, UTC), consistent_snapshot=True)
    authority = Authority.open(folder)
    for name in (*_ROOT_KEYS, *_ROLES):
        authority.keys.keep(name, SigningKey.generate())
        root.add_key(authority.keys.signer(name).public_key, "root" if name in _ROOT_KEYS else name)
    root.roles["root"].threshold = 2
    metadata = Metadata(root)
    for name in _ROOT_KEYS:
        metadata.sign(authority.keys.signer(name), append=True)
    (folder / "publication/metadata").mkdir()
    (folder / "publication/metadata/1.root.json").write_bytes(metadata.to_bytes())
    publish(authority, now)
    shutil.rmtree(folder / "publication/log")
    return authority

"""Refreshing and loading trust with 34 provinces and 400 prefectures, each with keys and a status list."""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from edge.trust import status_list
from edge.trust.fetchers import Fetcher, FolderFetcher, HttpFetcher
from edge.trust.store import TrustStore
from tests.bench.timing import row
from tests.simulators.repository import NOW, Repository, document, key_row, keys_document, province, words

PROVINCES, PREFECTURES, ROUNDS = 34, 400, 5


class Counted:
    """A fetcher that counts requests and bytes."""

    def __init__(self, inner: Fetcher) -> None:
        self.inner, self.requests, self.size = inner, 0, 0

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Count and fetch."""
        self.requests += 1
        data = self.inner.fetch(path, max_bytes)
        self.size += len(data)
        return data


def nation() -> Repository:
    """Return a repository in which every province and prefecture signs for itself."""
    repository = Repository()
    ids = [f"{11 + number}" for number in range(PROVINCES)]
    ids += [f"{11 + number % PROVINCES}{1 + number // PROVINCES:02d}" for number in range(PREFECTURES)]
    rows = [{"id": id_, "names": words(id_, id_), "region": int(id_.ljust(6, "0"))} for id_ in ids]
    repository.targets = {path: data for path, data in repository.targets.items() if path.startswith("national/")}
    repository.targets["national/issuers.json"] = document(issuers=rows)
    lists = status_list.build(1024, 2, {7: 1})
    for number, id_ in enumerate(ids):
        is_province = len(id_) == 2
        name = f"province-{id_}" if is_province else f"prefecture-{id_}"
        under = "targets" if is_province else f"province-{id_[:2]}"
        role = repository.delegate(name, province(id_), delegator=under)
        public = bytes(SigningKey(number.to_bytes(32, "big")).verify_key)
        role.targets[f"issuers/{id_}/keys.json"] = keys_document(key_row(public, regions=[id_]), issuer=id_)
        role.targets[f"issuers/{id_}/status/1.cbor"] = lists
    repository.publish()
    return repository


def cpu_s(work: Callable[[], object]) -> float:
    """Return the processor seconds of one call."""
    before = time.process_time()
    work()
    return time.process_time() - before


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # As real mirrors: headers and body leave at once.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def run() -> dict[str, Any]:
    """Measure refreshes and loads."""
    repository = nation()
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as temporary:
        folder = Path(temporary)
        stick = FolderFetcher(repository.write(folder / "stick"))
        store = TrustStore.init(folder / "first", repository.first_root)
        cold = Counted(stick)
        wall = time.perf_counter()
        cold_cpu = [cpu_s(lambda: store.refresh(cold, NOW))]
        wall = time.perf_counter() - wall
        for number in range(ROUNDS - 1):
            other = TrustStore.init(folder / f"cold-{number}", repository.first_root)
            cold_cpu.append(cpu_s(lambda other=other: other.refresh(stick, NOW)))  # type: ignore[misc]
        load = [cpu_s(store.load) for _ in range(ROUNDS)]
        same = Counted(stick)
        unchanged = [cpu_s(lambda: store.refresh(same, NOW)) for _ in range(ROUNDS)]
        changed = _province(repository, store)
        over_http = _over_http(folder, repository)
    return {
        "about": f"{PROVINCES} provinces and {PREFECTURES} prefectures, each 2 of 3 keys, keys and a list of its own",
        "rows": [
            row("refresh without change, requests", same.requests / ROUNDS, "requests", "<= 2"),
            row("refresh without change, bodies", same.size / ROUNDS, "bytes", "<= 1024"),
            row("refresh without change, p50", statistics.median(unchanged) * 1e3, "ms CPU"),
            *changed,
            row("cold load from a stick, p50", statistics.median(cold_cpu), "s CPU", "<= 1"),
            row("cold load from a stick, on the clock", wall, "s"),
            row("cold load, files", cold.requests, "files"),
            row("cold load, bytes", cold.size / 1e6, "MB"),
            *over_http,
            row("offline verified load, p50", statistics.median(load) * 1e3, "ms CPU"),
        ],
    }


def _province(repository: Repository, store: TrustStore) -> list[dict[str, Any]]:
    took, fetcher = [], Counted(repository)
    for number in range(ROUNDS):
        role = repository.delegated["province-44"]
        public = bytes(SigningKey((1000 + number).to_bytes(32, "big")).verify_key)
        role.targets["issuers/44/keys.json"] = keys_document(key_row(public), issuer="44")
        repository.publish_delegated(role)
        repository.publish_snapshot()
        repository.publish_timestamp()
        took.append(cpu_s(lambda: store.refresh(fetcher, NOW)))
    return [
        row("one province changed, requests", fetcher.requests / ROUNDS, "requests"),
        row("one province changed, bytes", fetcher.size / ROUNDS, "bytes"),
        row("one province changed, p50", statistics.median(took) * 1e3, "ms CPU"),
    ]


def _over_http(folder: Path, repository: Repository) -> list[dict[str, Any]]:
    tree = repository.write(folder / "mirror")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tree))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        fetcher = Counted(HttpFetcher(f"http://127.0.0.1:{server.server_port}"))
        store = TrustStore.init(folder / "http", repository.first_root)
        wall = time.perf_counter()
        store.refresh(fetcher, NOW)
        wall = time.perf_counter() - wall
        server.shutdown()
    return [
        row("cold load over HTTP on loopback, on the clock", wall, "s"),
        row("cold load over HTTP, requests", fetcher.requests, "requests"),
    ]

"""What every engine promises, asked of every engine: exact bytes or nothing, other symbols never, no picture raises."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import segno
import zxingcpp

from edge.scanner.engines import Engine, FirstEngine, SecondEngine, ZxingEngine
from edge.scanner.retries import Retry, enlarged, evened
from edge.scanner.trained import TrainedEngine
from tests.simulators.mjpeg import scene

ENGINES: dict[str, Callable[[], Engine]] = {
    "zxing": ZxingEngine,
    "first": FirstEngine,
    "pyzbar": SecondEngine,
    "enlarged": lambda: Retry(enlarged, 2.0),
    "evened": lambda: Retry(evened, 2.0),
    "trained": TrainedEngine,
}


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys())
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    made: Engine = request.param()
    return made


def drawn(code: Any, module_px: int = 5) -> np.ndarray[Any, Any]:
    """A code of segno's in grey, with its quiet zone."""
    rows = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    return np.kron(255 * (1 - rows), np.ones((module_px, module_px), np.uint8)).astype(np.uint8)


def test_a_clean_code_is_read_where_it_stands(engine: Engine):
    """Every engine reads a clean code, and says where it is in the picture it was given."""
    seen = engine.read(scene("HP1:CLEAN", module_px=6))

    assert [one.raw for one in seen] == [b"HP1:CLEAN"]
    assert (seen[0].x, seen[0].y) == pytest.approx((640, 360), abs=10)


PAYLOADS: dict[str, tuple[Any, bytes]] = {
    "binary": (segno.make(bytes(range(256)), micro=False), bytes(range(256))),
    "zero bytes": (segno.make(bytes(9), mode="byte", micro=False), bytes(9)),
    "UTF-8 Chinese": (segno.make("健康通行证·京A12345", encoding="utf-8", micro=False), "健康通行证·京A12345".encode()),
    "ECI": (segno.make("京A", encoding="utf-8", eci=True, micro=False), "京A".encode()),
    "kanji": (segno.make("点茗", mode="kanji", micro=False), "点茗".encode("shift_jis")),
    "hanzi": (segno.make("书读百遍", mode="hanzi", micro=False), "书读百遍".encode("gb2312")),
    "numeric": (segno.make("0123456789" * 20, micro=False), b"0123456789" * 20),
    "alphanumeric": (segno.make("HP1:%%A+B", micro=False), b"HP1:%%A+B"),
}


@pytest.mark.parametrize(("code", "raw"), PAYLOADS.values(), ids=PAYLOADS.keys())
def test_bytes_are_those_of_the_symbol_or_not_answered(engine: Engine, code: Any, raw: bytes):
    """Binary, Chinese, ECI, kanji: the exact bytes, or nothing where an engine would mangle them."""
    seen = [one.raw for one in engine.read(drawn(code))]

    assert seen in ([], [raw])
    assert seen or isinstance(engine, SecondEngine)


@pytest.mark.parametrize("turned", [lambda grey: grey, np.rot90, lambda grey: grey[:, ::-1]])
def test_a_part_of_a_structured_append_is_no_pass(engine: Engine, turned: Callable[[Any], Any]):
    """No part is answered as if it were the whole, upright, turned or mirrored, nor does one take a code with it."""
    parts = segno.make_sequence("HP1:" + "A" * 300, symbol_count=3)
    grey = [np.ascontiguousarray(turned(drawn(part))) for part in parts]

    assert [engine.read(one) for one in grey] == [[], [], []]


OTHERS: dict[str, Any] = {
    "Micro QR": drawn(segno.make_micro("12345")),
    "Data Matrix": np.array(zxingcpp.create_barcode("A", zxingcpp.BarcodeFormat.DataMatrix).to_image(scale=8)),
    "Aztec": np.array(zxingcpp.create_barcode("A", zxingcpp.BarcodeFormat.Aztec).to_image(scale=8)),
    "rMQR": np.array(zxingcpp.create_barcode("A1", zxingcpp.BarcodeFormat.RMQRCode).to_image(scale=8)),
    "PDF417": np.array(zxingcpp.create_barcode("A" * 40, zxingcpp.BarcodeFormat.PDF417).to_image(scale=4)),
    "Code 128": np.array(zxingcpp.create_barcode("A" * 9, zxingcpp.BarcodeFormat.Code128).to_image(scale=4)),
}


@pytest.mark.parametrize("picture", OTHERS.values(), ids=OTHERS.keys())
def test_symbols_of_other_kinds_stay_silent(engine: Engine, picture: np.ndarray[Any, Any]):
    """Micro QR, rMQR, Data Matrix, Aztec, PDF417 and bar codes are not read."""
    assert engine.read(np.pad(picture, 60, constant_values=255)) == []


SHAPES = [(1, 1), (1, 3000), (3000, 1), (2, 2), (7, 9), (23, 400), (64, 64), (200, 31)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fill", [0, 255, None])
def test_no_picture_raises(engine: Engine, shape: tuple[int, int], fill: int | None):
    """A picture of one pixel, one line, one shade or noise is read as empty."""
    noise = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)

    assert engine.read(noise if fill is None else np.full(shape, fill, np.uint8)) == []


def test_a_region_of_a_larger_picture_is_read(engine: Engine):
    """Rows may lie apart in memory: a part of a frame is read as it lies."""
    assert [one.raw for one in engine.read(scene("PART", module_px=6)[100:620, 300:980])] == [b"PART"]


def test_a_mirrored_or_turned_code_is_no_other(engine: Engine):
    """A code seen in a mirror or upside down gives its own bytes or none."""
    grey = scene("HP1:TURNED", module_px=6)

    for seen in (grey[:, ::-1], grey[::-1, ::-1], cv2.rotate(grey, cv2.ROTATE_90_CLOCKWISE)):
        assert [one.raw for one in engine.read(np.ascontiguousarray(seen))] in ([], [b"HP1:TURNED"])

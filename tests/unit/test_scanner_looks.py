"""Why codes are not read: what one look measures, what it says, and when people are told."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest

from edge.model.finding import Severity
from edge.model.settings import ScannerSettings
from edge.scanner.ailments import HINT_LOOKS, LOOKS, LOOKS_AWAY, Ailing, ailment
from edge.scanner.handover import Look, Patch, Reply, Status
from edge.scanner.look import Pixels, look_at, patch_of
from edge.scanner.scanner import Scanner
from tests.simulators.mjpeg import MjpegServer, jpeg_of, scene
from tests.unit.test_scanner import SECOND, _until

CODE = "HP1:" + "6BF70T90TESTING" * 15
WALL = Look(mean=150, spread=25, white=200, detail=0.4)
PATCH = Patch(400, 200, 200, 200, clipped=0.0, edge_px=3.0, between=0.15)


def _said(grey: Pixels) -> str:
    return ailment(look_at(np.ascontiguousarray(grey)), grey.shape[0])


def _noisy(grey: Pixels, level: float = 2.0) -> Pixels:
    noise = np.random.default_rng(1).normal(0, level, grey.shape)
    return np.clip(grey + noise, 0, 255).astype(np.uint8)


def _blurred(grey: Pixels, px: float) -> Pixels:
    return _noisy(np.asarray(cv2.GaussianBlur(grey, (0, 0), px), np.uint8))


def _small(px: float, code: str = CODE) -> Pixels:
    """A frame with a code of so many pixels a module."""
    size = (1600, 1600)
    tile = scene(code, size=size, module_px=8)
    ys, xs = np.nonzero(np.abs(tile.astype(int) - scene(size=size).astype(int)) > 5)
    code_only = tile[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    small = cv2.resize(code_only, None, fx=px / 8, fy=px / 8, interpolation=cv2.INTER_AREA)
    wall = scene(size=(1280, 720))
    wall[300 : 300 + small.shape[0], 600 : 600 + small.shape[1]] = small
    return _noisy(wall)


class TestWhatALookSays:
    """From pixels to a reason."""

    @pytest.mark.parametrize(
        ("draw", "code"),
        [
            (lambda: _noisy(scene(CODE, module_px=6)), ""),
            (lambda: _noisy(scene()), ""),
            (scene, ""),
            (lambda: np.full((720, 1280), 6, np.uint8), "camera.covered"),
            (lambda: np.full((720, 1280), 128, np.uint8), "camera.covered"),
            (lambda: _noisy((scene(CODE) * 0.2).astype(np.uint8)), "camera.too_dark"),
            (lambda: _blurred(scene(CODE, module_px=6), 3.5), "code.blurred"),
            (lambda: _blurred(scene(CODE, module_px=6), 12), "camera.out_of_focus"),
            (lambda: _small(1.2), "code.too_far"),
            (lambda: _small(1.5, CODE * 11), "code.too_small"),
        ],
    )
    def test_a_frame_is_said_to_be_what_it_is(self, draw: Callable[[], Pixels], code: str):
        """Good frames say nothing; dark, blurred, small and far codes say why they are not read."""
        assert _said(draw()) == code

    def test_glare_on_the_code_is_said(self):
        """A white spot that swallows a part of the code is glare; the same spot beside it is a lamp."""
        code = scene(CODE, module_px=6).astype(np.float32)
        y, x = np.mgrid[0:720, 0:1280]

        def lit(at: int) -> Pixels:
            spot = 300 * np.exp(-(((x - at) / 60) ** 2 + ((y - 360) / 60) ** 2) / 2)
            return _noisy(code + spot)

        assert (_said(lit(640)), _said(lit(150))) == ("camera.glare", "")

    def test_the_patch_is_where_the_code_is(self):
        """The patch found is the code, to within a cell."""
        patch = patch_of(_noisy(scene(CODE, module_px=5)))

        assert patch is not None
        assert abs(patch.x + patch.width / 2 - 640) < 16
        assert abs(patch.y + patch.height / 2 - 360) < 16

    @pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (31, 31), (32, 32), (33, 700), (720, 1280)])
    @pytest.mark.parametrize("fill", ["black", "white", "noise", "stripes"])
    def test_every_picture_has_a_look(self, shape: tuple[int, int], fill: str):
        """Any size and content is measured, and what is measured is numbers."""
        fills = {
            "black": lambda: np.zeros(shape, np.uint8),
            "white": lambda: np.full(shape, 255, np.uint8),
            "noise": lambda: np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8),
            "stripes": lambda: (np.indices(shape).sum(axis=0) % 2 * 255).astype(np.uint8),
        }
        look = look_at(fills[fill]())

        assert Look.unpack(look.pack()).patch is None or look.patch is not None
        assert 0 <= look.detail <= 1


class TestReasons:
    """From numbers to a reason: every side of every threshold."""

    @pytest.mark.parametrize(
        ("look", "code"),
        [
            (WALL, ""),
            (replace(WALL, white=89.9), "camera.too_dark"),
            (replace(WALL, white=90.0), ""),
            (replace(WALL, detail=0.079), "camera.out_of_focus"),
            (replace(WALL, detail=0.08), ""),
            (replace(WALL, patch=PATCH), ""),
            (replace(WALL, patch=replace(PATCH, clipped=0.02)), "camera.glare"),
            (replace(WALL, patch=replace(PATCH, clipped=0.019)), ""),
            (replace(WALL, patch=replace(PATCH, between=0.26)), "code.blurred"),
            (replace(WALL, patch=replace(PATCH, between=0.259)), ""),
            (replace(WALL, patch=replace(PATCH, edge_px=2.2, between=0.2)), "code.too_far"),
            (replace(WALL, patch=replace(PATCH, edge_px=2.2, between=0.199)), ""),
            (replace(WALL, patch=replace(PATCH, edge_px=2.2, between=0.2, width=300)), "code.too_small"),
            (replace(WALL, patch=replace(PATCH, between=0.2, width=90, height=90)), "code.too_far"),
        ],
    )
    def test_a_threshold_is_where_it_is_said_to_be(self, look: Look, code: str):
        """Each number turns the reason at its threshold and not before."""
        assert ailment(look, 720) == code

    def test_the_deeper_reason_wins(self):
        """In the dark nothing else is said, and glare is said before blur."""
        dark = replace(WALL, white=50, patch=replace(PATCH, between=0.4), detail=0.01)
        glare = replace(WALL, patch=replace(PATCH, clipped=0.2, between=0.4), detail=0.01)

        assert (ailment(dark, 720), ailment(glare, 720)) == ("camera.too_dark", "camera.glare")


def _shown(*codes: str) -> list[str]:
    ailing, shown = Ailing(), []
    for code in codes:
        ailing.note(code)
        shown.append(ailing.said)
    return shown


class TestWhenItIsTold:
    """Looks to findings that stand still."""

    def test_it_takes_three_looks_in_a_row(self):
        """Two looks say nothing, the third does."""
        assert _shown(*["code.blurred"] * 3) == ["", "", "code.blurred"]

    def test_one_good_look_does_not_take_it_away_and_two_do(self):
        """A finding does not flicker."""
        assert _shown(*["camera.glare"] * 3, "", "camera.glare", "", "")[2:] == [
            *["camera.glare"] * 4,
            "",
        ]

    def test_reasons_that_take_turns_are_never_said(self):
        """What changes from look to look is not told."""
        assert set(_shown(*["code.blurred", "camera.glare"] * 20)) == {""}

    def test_a_code_that_is_read_ends_it_at_once(self):
        """Nothing is said while codes are read, and it takes three looks again."""
        ailing = Ailing()
        for _ in range(5):
            ailing.note("code.too_far")
        ailing.clear()
        said = [ailing.said]
        ailing.note("code.too_far")

        assert [*said, ailing.said] == ["", ""]

    def test_a_poster_is_not_told_for_ever(self):
        """What is said of a patch that never changes ends; darkness does not."""
        far, dark = _shown(*["code.too_far"] * 99), _shown(*["camera.too_dark"] * 99)

        assert (far[HINT_LOOKS - 1], far[HINT_LOOKS], far[-1]) == ("code.too_far", "", "")
        assert dark[-1] == "camera.too_dark"

    def test_every_order_of_looks_is_shown_by_the_same_two_rules(self):
        """Of all orders of six looks: shown is only what three looks in a row said, and no more than two looks ago."""
        for order in product(("", "code.blurred", "camera.glare"), repeat=6):
            for at, shown in enumerate(_shown(*order)):
                if shown:
                    recent = order[: at + 1]
                    assert shown in recent[-LOOKS_AWAY:]
                    assert any(set(recent[i : i + 2]) == {shown} for i in range(len(recent) - 1)), order
                    assert recent.count(shown) >= LOOKS, order


@contextmanager
def _watching(camera: MjpegServer) -> Iterator[Scanner]:
    # Without retries, which read most of what is drawn here.
    scanner = Scanner(ScannerSettings(sources=(f"url:{camera.url}",), fps=100, retry_ms=0, second_engine_every=0))
    scanner.start()
    try:
        yield scanner
    finally:
        scanner.close()


@pytest.mark.parametrize(
    ("draw", "code"),
    [
        (lambda: _blurred(scene(CODE, module_px=6), 3.5), "code.blurred"),
        (lambda: _small(1.2), "code.too_far"),
        (lambda: _noisy((scene(CODE, module_px=3) * 0.1).astype(np.uint8), 8), "camera.too_dark"),
    ],
)
def test_the_page_is_told_why_and_stops_when_the_code_is_read(
    draw: Callable[[], Pixels], code: str, monkeypatch: pytest.MonkeyPatch
):
    """From a camera's frames to the finding, and away again with the first code that is read."""
    monkeypatch.setattr("edge.scanner.scanner.LOOK_NS", SECOND // 20)
    with MjpegServer(jpeg_of(draw())) as camera, _watching(camera) as scanner:
        _until(scanner, lambda: [one.code for one in scanner.findings()] == [code], 8)
        severity = scanner.findings()[0].severity
        camera.show(jpeg_of(scene("READ")))
        codes = _until(scanner, lambda: not scanner.findings(), 5)

    assert (severity, codes) == (Severity.WARNING, [b"READ"])


class TestReply:
    """A look on its way from the child."""

    def test_a_look_comes_back_as_it_was_sent(self):
        """With a patch, without, and without a look."""
        for look in (None, WALL, replace(WALL, patch=PATCH)):
            reply = Reply.unpack(Reply(7, Status.READ, look=look).pack())

            assert (reply.look is None) is (look is None)
            assert reply.look is None or (reply.look.patch is None) is (look is None or look.patch is None)
            assert reply.preview == b""

    def test_a_look_of_no_numbers_is_refused(self):
        """A child that answers infinity is not trusted with another frame."""
        for broken in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match="no numbers"):
                Reply.unpack(Reply(7, Status.READ, look=replace(WALL, mean=broken)).pack())

    def test_a_cut_reply_is_refused(self):
        """Every shorter message is a wrong one."""
        whole = Reply(7, Status.READ, look=replace(WALL, patch=PATCH)).pack()

        for length in range(len(whole)):
            with pytest.raises(ValueError):
                Reply.unpack(whole[:length])

    def test_random_replies_raise_nothing_else(self):
        """Whatever the child sends is a reply or a ValueError."""
        chance = random.Random(4)
        for _ in range(2000):
            message = bytearray(Reply(7, Status.READ, look=replace(WALL, patch=PATCH)).pack())
            for _ in range(3):
                message[chance.randrange(len(message))] = chance.randrange(256)
            try:
                Reply.unpack(bytes(message))
            except ValueError:
                continue

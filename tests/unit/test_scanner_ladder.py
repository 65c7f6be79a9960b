"""The ladder: what it reads beyond zxing-cpp, what it spends, and that it never repeats itself in vain."""

from itertools import count
from typing import Any

import cv2
import numpy as np
import pytest
import segno
from segno import consts

from edge.scanner.engines import ZxingEngine
from edge.scanner.finders import find_finders, likely_corners
from edge.scanner.handover import Sighting
from edge.scanner.ladder import Ladder
from edge.scanner.lattice import alignment_centres, known_modules
from edge.scanner.scenes import Scenes
from edge.scanner.texture import regions_of
from edge.scanner.trained import TrainedEngine
from tests.simulators.mjpeg import scene

PASS = "HP1:" + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 6


def soft(blur_px: float, *, noise: float = 3.0, contrast: float = 0.5, seed: int = 1, text: str = PASS) -> Any:
    """A frame with a pass of 2.2 pixels per module, blurred, in noise."""
    chance = np.random.default_rng(seed)
    sharp = cv2.resize(scene(text, size=(1280 * 4, 720 * 4), module_px=9), (1280, 720), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(sharp, (0, 0), blur_px).astype(np.float32) * contrast + 40
    return np.clip(blurred + chance.normal(0, noise, blurred.shape), 0, 255).astype(np.uint8)


class FakeSecond:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, _grey: object) -> list[Sighting]:
        """Read nothing."""
        self.asked += 1
        return []


def clutter(seed: int) -> Any:
    """A frame with modules of no code in its middle."""
    bits = np.random.default_rng(seed).integers(0, 2, (60, 60), dtype=np.uint8) * 200 + 20
    frame = np.full((720, 1280), 128, np.uint8)
    frame[240:480, 520:760] = np.kron(bits, np.ones((4, 4), np.uint8))
    return frame


class TestWhatItAdds:
    """Codes zxing-cpp alone does not read."""

    def test_a_blurred_pass_is_read_from_one_picture(self):
        """A pass blurred beyond zxing-cpp is read by what its own finders teach about the blur."""
        grey = soft(1.4)

        assert ZxingEngine().read(grey) == []
        assert [seen.raw.decode() for seen in Ladder(retry_s=1, second_every=0).read_still(grey)] == [PASS]

    def test_a_picture_of_many_codes_is_searched_beyond_those_that_are_easy(self):
        """Two sharp passes and two blurred ones in one picture: all four, though two were read at the first look."""
        texts = [PASS[:-1] + last for last in "ABCD"]
        frames = [soft(blur, text=text) for blur, text in zip((0.3, 1.4, 1.4, 0.3), texts, strict=True)]
        picture = np.vstack([np.hstack(frames[:2]), np.hstack(frames[2:])])

        first = {seen.raw.decode() for seen in ZxingEngine().read(picture)}
        read = sorted(seen.raw.decode() for seen in Ladder(retry_s=1, second_every=0).read_still(picture))

        assert first == {texts[0], texts[3]}
        assert read == texts

    def test_frames_add_up_to_what_none_of_them_gives_alone(self):
        """Of frames too noisy to be read more are read when each is added to those before it."""
        engine = TrainedEngine()
        frames = [soft(0.8, noise=12, contrast=0.22, seed=seed)[200:520, 480:800] for seed in range(12)]

        alone = [seen.raw.decode() for grey in frames for seen in TrainedEngine().read(grey)]
        added = [(seen.raw.decode(), seen.engine) for grey in frames for seen in engine.read(grey)]

        assert len(added) >= len(alone) + 3
        assert {raw for raw, _ in added} == {PASS}
        assert "fused" in {name for _, name in added}

    def test_another_code_does_not_mix_with_the_one_before(self):
        """When a code is exchanged for another of its size, the sum begins anew: only the second is read."""
        engine, other = TrainedEngine(), PASS[:4] + PASS[:3:-1]
        for seed in range(3):
            engine.read(soft(0.8, noise=12, contrast=0.22, seed=seed)[200:520, 480:800])
        frames = [soft(0.8, noise=12, contrast=0.22, seed=seed, text=other)[200:520, 480:800] for seed in range(9, 15)]

        read = [seen for grey in frames for seen in engine.read(grey)]

        assert {seen.raw.decode() for seen in read} == {other}

    def test_a_code_is_placed_where_it_stands(self):
        """What a retry reads in a region has its place and module size in the frame."""
        seen = Ladder(retry_s=1, second_every=0).read_still(np.roll(soft(1.4), (60, -200), (0, 1)))[0]

        assert (seen.x, seen.y) == pytest.approx((440, 420), abs=6)
        assert seen.module_px == pytest.approx(2.25, abs=0.2)


class TestWhatItSpends:
    """Time, and when it is not worth it."""

    def test_an_even_frame_costs_no_retry(self):
        """Where no texture says so, no code is looked for."""
        wall = cv2.GaussianBlur(np.random.default_rng(1).normal(128, 40, (720, 1280)).astype(np.float32), (0, 0), 40)

        assert regions_of(wall.astype(np.uint8), most=3) == []

    def test_retries_begin_within_the_budget_only(self):
        """With time for one retry a frame, the retries take turns over the frames."""
        ticks = count()
        ladder = Ladder(retry_s=2, second_every=0, clock=lambda: float(next(ticks)))
        asked: list[int] = []
        ladder._retries = tuple(_Noting(asked, number) for number in range(2))
        for seed in range(12):
            ladder.read_frame(clutter(seed))

        assert asked[:2] == [0, 1]
        assert len(asked) < 12

    def test_no_budget_is_no_retry(self):
        """Retries are switched off by 0."""
        assert Ladder(retry_s=0, second_every=0).read_frame(soft(1.4)) == []

    @pytest.mark.parametrize(("every", "asked"), [(1, 5), (5, 1), (0, 0)])
    def test_the_second_engine_reads_every_nth_frame_that_may_hold_a_code(self, every: int, asked: int):
        """Of ten such frames five are looked at again, the negative of the others was; of these it has every n-th."""
        ladder = Ladder(retry_s=0, second_every=every)
        fake = FakeSecond()
        ladder.second = fake  # type: ignore[assignment]
        for seed in range(10):
            ladder.read_frame(clutter(seed))

        assert fake.asked == asked

    def test_a_scene_looked_at_in_vain_is_left_alone(self):
        """A poster in view is looked at once, not fifteen times a second."""
        ladder = Ladder(retry_s=1, second_every=0)
        asked: list[int] = []
        ladder._retries = (_Noting(asked, 0),)
        for seed in range(40):
            noise = np.random.default_rng(seed).integers(0, 5, (720, 1280), dtype=np.uint8)
            ladder.read_frame(clutter(7) + noise)

        assert 1 <= len(asked) <= 4

    @pytest.mark.parametrize("side", [80, 120, 200])
    def test_what_comes_into_view_is_a_new_scene(self, side: int):
        """A code as small as it can be read, anywhere in a scene known by heart, is looked at at once."""
        lane = clutter(7)
        for x, y in ((100, 100), (600, 300), (1000, 500)):
            scenes = Scenes()
            scenes.is_exhausted(lane)
            scenes.add_vain(1, of=1)
            scenes.add_look()
            busy = lane.copy()
            code = np.random.default_rng(1).integers(0, 2, (side // 2, side // 2), dtype=np.uint8) * 120 + 60
            busy[y : y + side, x : x + side] = np.kron(code, np.ones((2, 2), np.uint8))

            assert scenes.is_exhausted(lane)
            assert not scenes.is_exhausted(busy)

    @pytest.mark.parametrize("bright", [0, 60, 160, 255])
    def test_a_lamp_that_goes_on_or_off_makes_a_new_scene(self, bright: int):
        """What covers the whole view is no noise, however even it is."""
        scenes = Scenes()
        scenes.is_exhausted(np.full((720, 1280), 110, np.uint8))
        scenes.add_vain(1, of=1)
        scenes.add_look()

        assert not scenes.is_exhausted(np.full((720, 1280), bright, np.uint8))

    def test_a_light_code_comes_into_a_known_scene_and_is_read(self):
        """A scene known by heart is looked at in both polarities as soon as something comes into it."""
        ladder, lane = Ladder(retry_s=1, second_every=0), clutter(7)
        for _ in range(20):
            ladder.read_frame(lane)
        light = lane.copy()
        light[60:220, 60:220] = 255 - scene("LIGHT", size=(160, 160), module_px=4)

        assert ladder._courses[0].scenes.is_exhausted(lane)
        assert b"LIGHT" in [seen.raw for _ in range(2) for seen in ladder.read_frame(light)]

    def test_every_source_is_looked_at_in_both_polarities(self):
        """Two cameras take turns, and a light code before either is read."""
        ladder, light = Ladder(retry_s=0, second_every=0), 255 - scene("LIGHT", module_px=6)
        read = [[seen.raw for _ in range(2) for seen in ladder.read_frame(light, source)] for source in (0, 1)]
        turns = [ladder.read_frame(light, number % 2) for number in range(4)]

        assert read == [[b"LIGHT"]] * 2
        assert sum(bool(found) for found in turns) >= 2

    def test_a_held_code_is_never_a_scene_in_vain_at_once(self):
        """What looks like a code gets many rounds: the frames are added up."""
        ladder = Ladder(retry_s=1, second_every=0)
        grey = soft(1.4, contrast=0.25)
        ladder.read_frame(grey)
        ladder.read_frame(grey)

        assert not ladder._courses[0].scenes.is_exhausted(grey)


class _Noting:
    """An engine that reads nothing and notes that it was asked."""

    def __init__(self, asked: list[int], number: int) -> None:
        self._asked = asked
        self._number = number

    def read(self, _grey: object) -> list[Sighting]:
        """Note it."""
        self._asked.append(self._number)
        return []


class TestWhatIsKnown:
    """The modules the standard fixes, against segno's tables and codes."""

    @pytest.mark.parametrize("version", range(1, 41))
    def test_the_fixed_modules_are_those_of_the_standard(self, version: int):
        """In a code of every version each module said to be fixed has that shade."""
        matrix = np.array([list(row) for row in segno.make("A", version=version, micro=False).matrix_iter(border=0)])
        shades = known_modules(version).shades
        fixed = shades != 0

        assert ((matrix == 0) == (shades > 0))[fixed].all()
        assert version == 1 or tuple(alignment_centres(version)) == tuple(consts.ALIGNMENT_POS[version - 2])

    @pytest.mark.parametrize("module_px", [2, 3, 4, 5, 6, 8, 11, 15])
    def test_finders_of_every_size_are_found(self, module_px: int):
        """The three finders of a sharp code are the first corners named, whatever its size."""
        code = segno.make("HP1:FINDERS", micro=False)
        rows = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
        grey = np.kron(255 * (1 - rows), np.ones((module_px, module_px), np.uint8)).astype(np.uint8)
        corners = likely_corners(find_finders(np.pad(grey, 40, constant_values=255)))[0]
        near, far = 40 + 7.5 * module_px, 40 + (rows.shape[0] - 7.5) * module_px

        assert (corners.top_left.x, corners.top_left.y) == pytest.approx((near, near), abs=module_px)
        assert (corners.top_right.x, corners.top_right.y) == pytest.approx((far, near), abs=module_px)
        assert (corners.bottom_left.x, corners.bottom_left.y) == pytest.approx((near, far), abs=module_px)

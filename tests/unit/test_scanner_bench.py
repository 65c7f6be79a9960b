"""`edge scanner bench`: what it counts, what it prints, and what it says of a folder that is no bench."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import pytest
from click.testing import CliRunner

from edge.cli.scanner import scanner
from edge.errors import ConfigError, SetupError, SourceError
from edge.model.symbol import Symbol
from edge.scanner.labels import Item, load_items
from tests.simulators.mjpeg import scene

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three labelled pictures: a code with its text, a code with its place, and none."""
    cv2.imwrite(str(tmp_path / "text.png"), scene("HP1:TEXT", module_px=6))
    cv2.imwrite(str(tmp_path / "place.png"), scene("PLACE", module_px=6))
    cv2.imwrite(str(tmp_path / "none.png"), scene())
    quad = [[540, 260], [740, 260], [740, 460], [540, 460]]
    items = [
        {"image": "text.png", "texts": ["HP1:TEXT"]},
        {"image": "place.png", "quads": [quad]},
        {"image": "none.png", "texts": None},
    ]
    (tmp_path / "index.json").write_text(json.dumps({"items": items}))
    return tmp_path


def run(*words: object) -> Any:
    """Run `edge scanner bench` and return what came of it."""
    return CliRunner().invoke(scanner, ["bench", *map(str, words)], catch_exceptions=False)


class TestFolder:
    """Labelled pictures."""

    def test_json_has_every_engine_with_recall_and_cost(self, folder: Path):
        """Every engine reads both codes of three pictures, none wrongly, and has a mean and a 95th percentile."""
        told = json.loads(run(folder, "--json").stdout)

        assert (told["images"], told["labels"], told["unreadable"]) == (3, 2, 0)
        assert {
            name: (one["recall"], one["wrong"], one["lost"]) for name, one in told["engines"].items()
        } == dict.fromkeys(("zxing", "pyzbar", "ladder"), (1.0, 0, 0))
        assert all(one["mean_ms"] > 0 and one["p95_ms"] > 0 for one in told["engines"].values())

    def test_a_table_and_a_plot_are_for_people(self, folder: Path, tmp_path: Path):
        """Without --json there is a table; --plot draws a point for each engine."""
        shown = run(folder, "--plot", tmp_path / "plot.svg").stdout
        drawn = ET.fromstring((tmp_path / "plot.svg").read_text())  # noqa: S314  # our own drawing

        assert all(name in shown for name in ("zxing", "pyzbar", "ladder", "recall", "p95 ms"))
        assert len(drawn.findall("{http://www.w3.org/2000/svg}circle")) == 3

    def test_a_damaged_picture_is_counted_and_stops_nothing(self, folder: Path):
        """Half a picture is said, and the others are read."""
        data = (folder / "none.png").read_bytes()
        (folder / "none.png").write_bytes(data[:40])
        done = run(folder, "--json")

        assert json.loads(done.stdout)["unreadable"] == 1

    def test_a_plot_that_cannot_be_written_is_said(self, folder: Path):
        """A folder that is not there is named."""
        with pytest.raises(SetupError, match="cannot be written"):
            run(folder, "--plot", folder / "absent" / "plot.svg")


class TestIndex:
    """What is no index, said with the next step."""

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "is not JSON"),
            ("[" * 100_000, "is not JSON"),
            ("[]", "no list `items`"),
            ('{"items": []}', "no list `items`"),
            ('{"items": [3]}', "no `image` in item 0"),
            ('{"items": [{"image": ""}]}', "no `image` in item 0"),
            ('{"items": [{"image": "../up.png"}]}', "outside of its folder"),
            ('{"items": [{"image": "/etc/passwd"}]}', "outside of its folder"),
            ('{"items": [{"image": "a.png", "texts": "A"}]}', "no list of texts"),
            ('{"items": [{"image": "a.png", "texts": [1]}]}', "no list of texts"),
            ('{"items": [{"image": "a.png", "quads": [[1, 2]]}]}', "not four corners"),
            ('{"items": [{"image": "a.png", "quads": 7}]}', "not four corners"),
            ('{"items": [{"image": "a.png"}]}', "1 pictures that are not there, a.png first"),
        ],
    )
    def test_a_bad_index_is_refused(self, tmp_path: Path, text: str, says: str):
        """Whatever stands in it, the message names the file and what is wrong."""
        (tmp_path / "index.json").write_text(text)

        with pytest.raises(SourceError, match=says) as refused:
            load_items(tmp_path)

        assert (str(tmp_path) in refused.value.message, bool(refused.value.next_step)) == (True, True)

    def test_a_folder_without_an_index_is_said_with_an_example(self, tmp_path: Path):
        """The next step is an index that would do."""
        with pytest.raises(SourceError, match=r"no index\.json") as refused:
            run(tmp_path)

        assert '"items"' in refused.value.next_step

    def test_quads_are_pairs_or_eight_numbers(self, tmp_path: Path):
        """Both forms are one quad."""
        (tmp_path / "a.png").write_bytes(b"")
        quads = [[[0, 0], [10, 0], [10, 10], [0, 10]], [0, 0, 10, 0, 10, 10, 0, 10]]
        (tmp_path / "index.json").write_text(json.dumps({"items": [{"image": "a.png", "quads": quads}]}))

        assert load_items(tmp_path)[0].quads == (SQUARE, SQUARE)


class TestScore:
    """What counts as read and as wrong."""

    @pytest.mark.parametrize("encoding", ["utf-8", "cp932", "gb18030"])
    def test_a_text_is_read_in_any_encoding_a_code_may_have(self, encoding: str):
        """The bytes of the text are the text."""
        assert Item(Path("a"), ("点茗",)).score([Symbol("点茗".encode(encoding))]) == (1, 0)

    def test_other_bytes_are_wrong(self):
        """A symbol that is none of the texts is a wrong read, also where there is no code."""
        assert Item(Path("a"), ("A", "B")).score([Symbol(b"A"), Symbol(b"a"), Symbol(b"")]) == (1, 2)
        assert Item(Path("a")).score([Symbol(b"A")]) == (0, 1)

    def test_a_quad_is_read_when_a_centre_lies_in_it(self):
        """Two quads and one symbol: the one around its centre is read."""
        moved = tuple((x + 20, y) for x, y in SQUARE)

        assert Item(Path("a"), (), (SQUARE, moved)).score([Symbol(b"A", (9.0, 9.0))]) == (1, 0)
        assert Item(Path("a"), (), (SQUARE, moved)).score([Symbol(b"A", (11.0, 9.0))]) == (0, 0)


class TestLive:
    """Frames of a source."""

    def test_live_frames_give_the_share_in_which_a_code_was_read(self, folder: Path):
        """Of three frames of a source two hold a code."""
        told = json.loads(run(f"folder:{folder}", "--frames", 10, "--json").stdout)

        assert told["images"] == 3
        assert told["engines"]["ladder"]["recall"] == pytest.approx(2 / 3)

    def test_an_unknown_source_is_said(self):
        """A kind nobody knows is answered with those there are."""
        with pytest.raises(ConfigError, match="`telescope`"):
            run("telescope:0")

    def test_an_error_ends_the_command_with_a_sentence(self, tmp_path: Path):
        """As a person meets it: one sentence and the next step, no traceback."""
        done = subprocess.run(
            [sys.executable, "-m", "edge", "scanner", "bench", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 3
        assert done.stderr.startswith(f"edge: There is no index.json in {tmp_path}.\n  -> ")

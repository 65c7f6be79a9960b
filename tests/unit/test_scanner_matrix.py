"""DataMatrix: read where a gate asks for it, beside QR codes, and nowhere else."""

import numpy as np
import pytest
import zxingcpp

from edge.model.settings import ScannerSettings
from edge.scanner.decode import Decoder, Limits, engine_of
from edge.scanner.matrix import read_matrix
from edge.scanner.sources.base import Frame
from tests.unit.test_twoddoc import GOOD


def picture(raw, kind=zxingcpp.BarcodeFormat.DataMatrix):
    """A clean symbol with a margin."""
    drawn = zxingcpp.create_barcode(raw, kind).to_image(scale=5)
    return np.pad(np.array(drawn), 40, constant_values=255)


@pytest.mark.parametrize("is_asked", [False, True])
def test_a_gate_reads_a_datamatrix_where_it_is_asked_to(is_asked):
    """The whole way through the decoding child, separators and all."""
    decoder = Decoder(Limits(10.0), second_engine_every=0, engine=engine_of(ScannerSettings(datamatrix=is_asked)))
    decoder.start()
    try:
        found = decoder.read(Frame(1, 0, pixels=picture(GOOD)[:, :, None]))
        beside = decoder.read(Frame(2, 0, pixels=picture(b"HP1:X", zxingcpp.BarcodeFormat.QRCode)[:, :, None]))
    finally:
        decoder.close()

    assert [seen.raw for seen in found.symbols] == ([GOOD] if is_asked else [])
    assert [seen.raw for seen in beside.symbols] == [b"HP1:X"]


@pytest.mark.parametrize("kind", [zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Aztec])
def test_the_search_for_datamatrix_answers_nothing_else(kind):
    """Other symbols are others' business."""
    assert read_matrix(picture(b"X", kind)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (300, 300)])
def test_no_picture_makes_it_raise(shape):
    """From one pixel on, empty or noise."""
    assert read_matrix(np.zeros(shape, np.uint8)) == []
    assert isinstance(read_matrix(np.random.default_rng(1).integers(0, 256, shape, np.uint8)), list)

"""F0 curves as CSV: round trip, what people type, and resampling to frames."""

import numpy as np
import pytest

from svc.errors import AudioError
from svc.pitch.curve_file import curve_at, read_curve, write_curve
from svc.pitch.estimator import F0Track


def track(*hz):
    f0 = np.array(hz, np.float32)
    return F0Track(f0, f0 > 0)


def test_round_trip_and_header(tmp_path):
    path, times = tmp_path / "deep" / "curve.csv", (np.arange(6) + 0.5) * 512 / 44100
    write_curve(path, times, track(0, 220.123, 221, 0, 0, 987.6543))
    assert path.read_text().splitlines()[:3] == ["time,f0_hz,voiced", "0.005805,0,0", "0.017415,220.1230,1"]
    again, curve = read_curve(path)
    np.testing.assert_allclose(again, times, atol=1e-6)
    np.testing.assert_allclose(curve.f0_hz, [0, 220.123, 221, 0, 0, 987.6543], rtol=1e-6)
    assert curve.voiced.tolist() == [False, True, True, False, False, True]
    assert [p.name for p in path.parent.iterdir()] == ["curve.csv"]
    with pytest.raises(AudioError, match="do not fit"):
        write_curve(path, times[:2], track(1, 2, 3))


@pytest.mark.parametrize(
    "text",
    [
        "time,hz,voiced\n0.0,0,0\n0.01,220,1\n",
        "\ufeff0.0;0;0\n0,01;220,0;1\n",
        "# made by hand\n\n0\t\tfalse\n0.01\t220\ttrue\n",
        "0,0\r\n0.01,220\r\n",
        '"0.0","180","0"\n"0.01","220","1.0"\n',
    ],
)
def test_what_people_and_spreadsheets_write(tmp_path, text):
    path = tmp_path / "curve.csv"
    path.write_text(text, encoding="utf-8", newline="")
    times, curve = read_curve(path)
    assert times.tolist() == [0.0, 0.01] and curve.f0_hz.tolist() == [0.0, 220.0]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no F0 values"),
        ("time,hz\n", "no F0 values"),
        ("0,0\n0.01,high\n", "Line 2"),
        ("0,0\nx,1\n", "Line 2"),
        ("0.5\n", "not understood"),
        ("0,220,1\n0,220,1\n", "Line 2 .* sort"),
        ("0,-3,1\n", "impossible"),
        ("0,nan,1\n", "impossible"),
        ("0,220,maybe\n", "'maybe'"),
        ("0,0,1\n", "voiced without an F0"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path, text, match):
    path = tmp_path / "curve.csv"
    path.write_text(text)
    with pytest.raises(AudioError, match=match):
        read_curve(path)


def test_missing_and_binary_files(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00\x81")
    for name in ("none.csv", "x.csv"):
        with pytest.raises(AudioError, match="not a readable text"):
            read_curve(tmp_path / name)


def test_other_times_interpolate_in_voiced_stretches_only():
    times = np.arange(6) * 0.01
    curve = curve_at(times, track(0, 200, 400, 0, 300, 300), np.array([0.0, 0.004, 0.006, 0.015, 0.024, 0.026, 0.054]))
    expected = [0, 0, 200, 200 * 2**0.5, 400, 0, 300]
    np.testing.assert_allclose(curve.f0_hz, expected, rtol=1e-5)

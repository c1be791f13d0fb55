#!/usr/bin/env python3
"""Tests of false_safe.py on masks drawn here. Python 3 alone: `python3 tests/false_safe_test.py`."""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import false_safe  # noqa: E402


def png(rows, method):
    """An 8-bit grey PNG whose rows all use one filter method."""
    height, width = len(rows), len(rows[0])
    raw, above = b"", [0] * width
    for row in rows:
        out = []
        for x, v in enumerate(row):
            left, up, corner = row[x - 1] if x else 0, above[x], above[x - 1] if x else 0
            p = left + up - corner
            paeth = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
            out.append((v - [0, left, up, (left + up) // 2, paeth][method]) & 255)
        raw, above = raw + bytes([method]) + bytes(out), row
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def site(x, y, r):
    return {"px": [x, y], "radius_px": r}


class FalseSafe(unittest.TestCase):
    def setUp(self):
        self.grass = (100, 80, [[3] * 100 for _ in range(80)])

    def test_every_filter_method_reads_back(self):
        rows = [[(x * 7 + y * 13) % 24 for x in range(31)] for y in range(17)]
        with tempfile.TemporaryDirectory() as folder:
            for method in range(5):
                path = pathlib.Path(folder) / "m.png"
                path.write_bytes(png(rows, method))
                width, height, got = false_safe.read_index_png(path)
                self.assertEqual((width, height, [list(r) for r in got]), (31, 17, rows), method)

    def test_a_disc_on_grass_is_right(self):
        self.assertIsNone(false_safe.judge(site(50, 40, 30), self.grass, 20))

    def test_one_pixel_of_a_person_is_wrong(self):
        self.grass[2][40][79] = 15
        self.assertIn("person", false_safe.judge(site(50, 40, 30), self.grass, 20))
        self.assertIsNone(false_safe.judge(site(50, 40, 29), self.grass, 20))

    def test_more_than_one_percent_of_water_is_wrong(self):
        for x in range(20, 48):
            self.grass[2][40][x] = 5
        self.assertIsNone(false_safe.judge(site(50, 40, 30), self.grass, 20))
        self.grass[2][40][48] = self.grass[2][40][49] = 5
        self.assertIn("not landable", false_safe.judge(site(50, 40, 30), self.grass, 20))

    def test_small_and_outside_discs_are_wrong(self):
        self.assertIn("below", false_safe.judge(site(50, 40, 10), self.grass, 20))
        self.assertIn("outside", false_safe.judge(site(10, 40, 30), self.grass, 20))
        self.assertIn("outside", false_safe.judge({"px": None, "radius_px": 30}, self.grass, 20))

    def test_the_exit_code_says_wrong_and_too_few(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.grass[2][40][50] = 15
            (folder / "a.png").write_bytes(png(self.grass[2], 0))
            lines = [
                {"source": "a.jpg", "outcome": "hold", "reason": "x", "site": None},
                {"source": "a.jpg", "outcome": "site", "reason": None, "site": site(20, 20, 15)},
            ]
            def run(chosen, *flags):
                (folder / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in chosen))
                script = pathlib.Path(__file__).with_name("false_safe.py")
                done = subprocess.run([sys.executable, "-B", script, folder / "d.jsonl", folder, *flags],
                                      capture_output=True, text=True, check=False)
                return done.returncode, json.loads(done.stdout)
            code, out = run(lines, "--min-sites", "0.5")
            self.assertEqual((code, out["sites"], out["pictures"], out["false_safe"]), (0, 1, 2, 0))
            self.assertEqual(run(lines, "--min-sites", "0.75")[0], 1)
            lines[1]["site"] = site(50, 40, 15)
            code, out = run(lines)
            self.assertEqual((code, out["false_safe"], out["false_safe_rate"]), (1, 1, 1.0))
            self.assertEqual(run([])[0], 1)


if __name__ == "__main__":
    unittest.main()

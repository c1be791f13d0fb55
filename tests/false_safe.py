#!/usr/bin/env python3
"""False-safe rate of a replay's decisions against truth masks.

    alight replay PICTURES --height 15 --hfov 70 --out out/val
    tests/false_safe.py out/val/decisions.jsonl MASKS --min-radius-px 36 --min-sites 0.75

MASKS holds one 8-bit PNG of class indices (Semantic Drone classes) a picture, `<stem>.png`, of the picture's own size. A
decision with outcome "site" is wrong when its disc (centre `site.px`, radius `site.radius_px`)
- covers pixels that are not landable on more than 1 % of its area, or
- covers any pixel of a person or a dog, or
- reaches outside the picture, or is smaller than --min-radius-px.
Prints one JSON object. Exit code 1 when a site is wrong or fewer than --min-sites of the pictures have one.
Needs Python 3 alone.
"""
import argparse
import json
import math
import pathlib
import struct
import sys
import zlib

LANDABLE = {1, 2, 3, 4, 21}
LIVING = {15, 16}
TOLERANCE = 0.01


def read_index_png(path):
    """Width, height and rows of an 8-bit grey or palette PNG without interlacing."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path}: not a PNG")
    pos, packed = 8, b""
    while pos < len(data):
        length, kind = struct.unpack(">I4s", data[pos : pos + 8])
        chunk = data[pos + 8 : pos + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunk)
            if depth != 8 or colour not in (0, 3) or interlace:
                raise ValueError(f"{path}: want 8-bit grey or palette without interlacing")
        elif kind == b"IDAT":
            packed += chunk
        pos += 12 + length
    raw, rows, above = zlib.decompress(packed), [], bytearray(width)
    for y in range(height):
        start = y * (width + 1)
        method, row = raw[start], bytearray(raw[start + 1 : start + 1 + width])
        for x in range(width):
            left = row[x - 1] if x else 0
            up, corner = above[x], above[x - 1] if x else 0
            if method == 1:
                row[x] = (row[x] + left) & 255
            elif method == 2:
                row[x] = (row[x] + up) & 255
            elif method == 3:
                row[x] = (row[x] + (left + up) // 2) & 255
            elif method == 4:
                p = left + up - corner
                near = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))
                row[x] = (row[x] + near[2]) & 255
        rows.append(row)
        above = row
    return width, height, rows


def judge(site, mask, min_radius_px):
    """Why the disc is wrong, or None."""
    width, height, rows = mask
    if site["px"] is None:
        return "disc outside the picture"
    (cx, cy), r = site["px"], site["radius_px"]
    if r < min_radius_px:
        return f"radius {r} px below {min_radius_px}"
    # Half a pixel of rounding in the file.
    if cx - r < -0.5 or cy - r < -0.5 or cx + r > width + 0.5 or cy + r > height + 0.5:
        return "disc reaches outside the picture"
    area = bad = living = 0
    for y in range(max(0, math.floor(cy - r)), min(height, math.ceil(cy + r))):
        for x in range(max(0, math.floor(cx - r)), min(width, math.ceil(cx + r))):
            if (x + 0.5 - cx) ** 2 + (y + 0.5 - cy) ** 2 <= r * r:
                area += 1
                bad += rows[y][x] not in LANDABLE
                living += rows[y][x] in LIVING
    if living:
        return f"{living} pixels of a person or an animal in the disc"
    if bad > TOLERANCE * area:
        return f"{100 * bad / area:.1f} % of the disc is not landable"
    return None


def wilson(k, n, z=1.96):
    """95 % interval of a share."""
    if n == 0:
        return [0.0, 1.0]
    p = k / n
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round(max(0.0, (mid - half) / (1 + z * z / n)), 4), round(min(1.0, (mid + half) / (1 + z * z / n)), 4)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("decisions", type=pathlib.Path)
    parser.add_argument("masks", type=pathlib.Path)
    parser.add_argument("--min-radius-px", type=float, default=0.0)
    parser.add_argument("--min-sites", type=float, default=0.0, help="least share of pictures with a site, 0..1")
    args = parser.parse_args()
    pictures, sites, wrong, holds = 0, 0, [], {}
    for line in args.decisions.read_text().splitlines():
        decision = json.loads(line)
        mask = args.masks / (pathlib.Path(decision["source"]).stem + ".png")
        pictures += 1
        if decision["outcome"] != "site":
            holds[decision["reason"]] = holds.get(decision["reason"], 0) + 1
            continue
        sites += 1
        why = judge(decision["site"], read_index_png(mask), args.min_radius_px)
        if why:
            wrong.append({"source": decision["source"], "why": why})
    share = sites / pictures if pictures else 0.0
    print(json.dumps({
        "pictures": pictures, "sites": sites, "site_share": round(share, 4), "site_share_95": wilson(sites, pictures),
        "false_safe": len(wrong), "false_safe_rate": round(len(wrong) / sites, 4) if sites else 0.0,
        "false_safe_rate_95": wilson(len(wrong), sites), "wrong": wrong, "holds": holds,
    }, indent=1))
    return 1 if wrong or share < args.min_sites or not pictures else 0


if __name__ == "__main__":
    sys.exit(main())

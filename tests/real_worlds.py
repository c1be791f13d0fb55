#!/usr/bin/env python3
"""Flies over real pictures: each picture of a list, with its mask as the truth, becomes a world of its own.

    tests/real_worlds.py target/release/alight ../shared/data/semantic_drone val.txt --out out/real_worlds

A picture spans 25 m; flights start 12 to 18 m up over its middle; two flights a picture, one on each autopilot. Beyond its border the
world is grey texture, which looks like pavement and is neither: a fence keeps the vehicle over the picture. World files and
results go to --out, `summary.json` of all flights too, with 95 % Wilson intervals; pictures and masks are read where they lie.
Needs Python 3 alone.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys

SIDE_M, WIDTH_PX, HEIGHT_PX = 25.0, 768, 512
START_M = (12.0, 18.0)
# Corners of the fence, this far inside the picture's border: a place there has its clearance inside. The simulated origin and, for a
# few metres, the length of a degree there.
INSIDE_M = 1.3
ORIGIN_DEG = (47.397742, 8.545594)
DEGREE_M = (111_179.0, 75_490.0)
SURFACES = {
    "unknown": ["unlabeled", "conflicting"],
    "firm": ["paved-area", "gravel", "ar-marker"],
    "soft": ["dirt", "grass"],
    "water": ["water", "pool"],
    "obstacle": ["rocks", "obstacle"],
    "vegetation": ["vegetation", "tree", "bald-tree"],
    "structure": ["roof", "wall", "window", "door", "fence", "fence-pole"],
    "person": ["person", "dog"],
    "vehicle": ["car", "bicycle"],
}
NAMES = (
    "unlabeled paved-area dirt grass gravel water rocks pool vegetation roof wall window door fence fence-pole person dog car "
    "bicycle tree bald-tree ar-marker obstacle conflicting"
).split()


def world(picture, truth):
    """The text of a world file."""
    surface = {name: s for s, names in SURFACES.items() for name in names}
    lines = [
        f'picture = "{picture}"',
        f'truth = "{truth}"',
        f"metres_per_pixel = {SIDE_M / WIDTH_PX}",
        "[start]",
        f"area_px = [{WIDTH_PX * 0.35}, {HEIGHT_PX * 0.35}, {WIDTH_PX * 0.65}, {HEIGHT_PX * 0.65}]",
        f"height_m = [{START_M[0]}, {START_M[1]}]",
    ]
    for index, name in enumerate(NAMES):
        lines += ["[[class]]", f"index = {index}", f'name = "{name}"', f'surface = "{surface[name]}"']
    return "\n".join(lines) + "\n"


def fence():
    """The settings' text: may fly over the picture."""
    east = SIDE_M / 2 - INSIDE_M
    north = SIDE_M / 2 * HEIGHT_PX / WIDTH_PX - INSIDE_M
    corner = lambda n, e: [ORIGIN_DEG[0] + n / DEGREE_M[0], ORIGIN_DEG[1] + e / DEGREE_M[1]]
    corners = [corner(n * north, e * east) for n, e in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
    return f"[supervisor.fence]\npolygon_deg = {corners}\n"


def wilson(count, of, z=1.959964):
    """Count, share and its 95 % interval."""
    if of == 0:
        return {"count": count, "of": of}
    p, d = count / of, 1 + z * z / of
    middle = (p + z * z / (2 * of)) / d
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / d
    return {"count": count, "of": of, "share": round(p, 4), "low": round(max(0.0, middle - half), 4), "high": round(middle + half, 4)}


def main():
    """Writes the worlds, flies, and adds up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alight", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("list")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=140000)
    parser.add_argument("--flights", type=int, default=2)
    parser.add_argument("--segmenter", default="network")
    args = parser.parse_args()
    flights = []
    args.out.mkdir(parents=True, exist_ok=True)
    settings = args.out / "alight.toml"
    settings.write_text(fence())
    for i, stem in enumerate((args.data / args.list).read_text().split()):
        folder = args.out / stem
        folder.mkdir(parents=True, exist_ok=True)
        at = lambda kind, end: (args.data / kind / f"{stem}.{end}").resolve()
        (folder / "world.toml").write_text(world(at("images", "jpg"), at("masks", "png")))
        command = [args.alight, "sim", "--world", folder / "world.toml", "--flights", str(args.flights)]
        command += ["--seed", str(args.seed + args.flights * i), "--segmenter", args.segmenter, "--out", folder]
        command += ["--config", settings]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{stem}: {done.stderr}")
        lines = [json.loads(l) for l in (folder / "flights.jsonl").read_text().splitlines()]
        flights += [dict(line, world=stem) for line in lines]
        print(stem, [(f["result"], f["success"], f["reason"]) for f in lines], flush=True)
    with_place = [f for f in flights if f["has_place"]]
    landed = [f for f in flights if f["touchdown"]]
    summary = {
        "segmenter": args.segmenter,
        "seed": args.seed,
        "list": args.list,
        "flights": len(flights),
        "without_place": len(flights) - len(with_place),
        "success_where_there_is_a_place": wilson(sum(f["success"] for f in with_place), len(with_place)),
        "landed": len(landed),
        "touchdown_within_2m_of_a_person": wilson(sum((f["touchdown"]["person_m"] or 99) < 2 for f in landed), len(landed)),
        "touchdown_surfaces": {s: sum(f["touchdown"]["surface"] == s for f in landed) for s in SURFACES},
        "reasons": sorted({f["reason"] for f in flights if f["reason"]}),
    }
    (args.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()

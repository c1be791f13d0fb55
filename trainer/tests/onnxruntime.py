#!/usr/bin/env python3
"""Does ONNX Runtime say of the exported networks what tract says?

    pip install onnxruntime numpy
    alight-trainer networks --height 128 --width 192 --out out/networks
    trainer/tests/onnxruntime.py out/networks

For each `NAME.onnx` in the folder, `NAME.picture.npy` goes in and `NAME.logits.npy` (tract's) must come out: the largest difference
within 1e-4 of the largest logit. Exit code 1 otherwise, or when the folder holds no network.
"""
import pathlib
import sys

# This file is named after the package that it tries.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != pathlib.Path(__file__).resolve().parent]
import numpy  # noqa: E402
import onnxruntime  # noqa: E402

TOLERANCE = 1e-4


def main():
    folder = pathlib.Path(sys.argv[1])
    files = sorted(folder.glob("*.onnx"))
    worst = 0.0
    for file in files:
        picture, wanted = (numpy.load(file.with_suffix(f".{kind}.npy")) for kind in ("picture", "logits"))
        (got,) = onnxruntime.InferenceSession(file).run(None, {"picture": picture})
        apart = float(numpy.abs(got - wanted).max() / numpy.abs(wanted).max())
        same = float((got.argmax(1) == wanted.argmax(1)).mean())
        worst = max(worst, apart)
        print(f"{file.stem:<20} apart {apart:.1e} of the largest logit, the same class on {100 * same:.3f} % of the pixels")
    print(f"{len(files)} networks, onnxruntime {onnxruntime.__version__}, worst {worst:.1e}, bound {TOLERANCE:.0e}")
    return 0 if files and worst < TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())

"""Small files of many kinds, of a package that tests install."""

from pathlib import Path

import iscc_samples  # type: ignore[import-untyped]

SAMPLES = Path(iscc_samples.__file__).parent / "files"

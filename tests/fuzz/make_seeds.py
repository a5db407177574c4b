#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_seeds.py FOLDER: writes the inputs that each fuzz target begins with to FOLDER/TARGET/, its words to FOLDER/TARGET.dict."""
import pathlib
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from seeds import device, images, legacy, records, texts  # noqa: E402

SEEDS = {
    "vgpu-fuzz-control-message": texts.control_seeds,
    "vgpu-fuzz-environment": texts.environment_seeds,
    "vgpu-fuzz-ring-consumer": texts.ring_seeds,
    "vgpu-fuzz-wire-codecs": records.codec_seeds,
    "vgpu-fuzz-worker-records": records.worker_seeds,
    "vgpu-fuzz-code-images": images.code_image_seeds,
    "vgpu-fuzz-image-size": images.image_size_seeds,
    "vgpu-fuzz-ptx-parser": texts.ptx_seeds,
    "vgpu-fuzz-kernel-run": texts.ptx_seeds,
    "vgpu-fuzz-broker-config": texts.config_seeds,
    "vgpu-fuzz-admin-request": texts.admin_seeds,
    "vgpu-fuzz-stub-device": device.device_seeds,
    "vgpu-fuzz-legacy-stub": legacy.stub_seeds,
    "vgpu-fuzz-legacy-request": legacy.request_seeds,
}

WORDS = {
    "vgpu-fuzz-ptx-parser": texts.ptx_words,
    "vgpu-fuzz-kernel-run": texts.ptx_words,
    "vgpu-fuzz-broker-config": texts.config_words,
    "vgpu-fuzz-admin-request": texts.admin_words,
    "vgpu-fuzz-environment": texts.environment_words,
}


def quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"\n'


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    for target, seeds in SEEDS.items():
        place = folder / target
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name, data in seeds():
            (place / name).write_bytes(data)
    for target, words in WORDS.items():
        (folder / f"{target}.dict").write_text("".join(map(quoted, words())))


if __name__ == "__main__":
    main()

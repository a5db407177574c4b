#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NAME
    through_shim.py - a suite of cases through the shim, with a broker of its own

SYNOPSIS
    tests/conformance/through_shim.py [--suite conformance|traps] [--transport direct|device] [--build BUILD] [--driver DRIVER] [--expect FILE] [--tsv FILE] [-- WORD...]

DESCRIPTION
    Starts a broker on a private socket, runs vgpu-SUITE against the shim, and stops the broker. The words behind
    -- go to that program, for instance: -- --run 'stream.*' --verbose. A broker that does not start or does not
    stop, or a worker that stays, is a failure too.

OPTIONS
    --suite SUITE    conformance (the default) or traps
    --transport T    direct (the default): the broker's socket; device: vgpu-guestd and the device's core, without a machine
    --build BUILD    folder that holds bin/ and lib/ (default: build/release, else build/dev)
    --driver DRIVER  what the broker's workers open: sim (the default) or nvidia
    --expect FILE    expected differences (default: the suite's expected/shim-sim.txt or shim-real.txt, after the driver)
    --tsv FILE       the results
    --devices N      how many the software GPU has (1); direct transport only
    --jobs N         processes at a time (2)
    --seconds S      the whole run may take so long (540)

EXIT STATUS
    that of the suite; 3 when the broker misbehaved, 4 when the time was over
"""
import argparse
import pathlib
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.device_stage import BrokerWithVm, DeviceStage  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import BrokerFailed, PrivateBroker  # noqa: E402

STOP_SECONDS = 15


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--suite", choices=("conformance", "traps"), default="conformance")
    parser.add_argument("--transport", choices=("direct", "device"), default="direct")
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--driver", default="sim")
    parser.add_argument("--expect", type=pathlib.Path)
    parser.add_argument("--tsv", type=pathlib.Path)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("words", nargs="*")
    return parser.parse_args()


def command(options, layout: Layout) -> list[str]:
    default = HERE.parent / options.suite / "expected" / ("shim-sim.txt" if options.driver == "sim" else "shim-real.txt")
    words = [layout.program(f"vgpu-{options.suite}"), "--libcuda", layout.shim_folder / "libcuda.so.1", "--group",
             "--jobs", options.jobs, "--expect", options.expect or default]
    if options.tsv:
        words += ["--tsv", options.tsv]
    return [str(word) for word in words + options.words]


def run_suite(words: list[str], environment: dict[str, str], seconds: float) -> int:
    suite = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL)
    try:
        return suite.wait(seconds)
    except subprocess.TimeoutExpired:
        print(f"the suite was not through after {seconds:g} s", file=sys.stderr)
        suite.send_signal(signal.SIGTERM)  # its children die with it
        try:
            suite.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            suite.kill()
            suite.wait()
        return 4


def main() -> int:
    options = parse()
    layout = Layout(options.build.resolve()) if options.build else Layout.find(ROOT)
    try:
        if options.transport == "device":
            with BrokerWithVm(layout, options.driver) as broker, DeviceStage(layout, broker) as stage:
                return run_suite(command(options, layout), stage.environment(), options.seconds)
        with PrivateBroker(layout, options.driver, sim_devices=options.devices) as broker:
            return run_suite(command(options, layout), broker.environment(), options.seconds)
    except BrokerFailed as failure:
        print(failure, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())

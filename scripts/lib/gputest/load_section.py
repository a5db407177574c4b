# SPDX-License-Identifier: Apache-2.0
"""Minutes of mixed load: four clients, one of them killed each minute and started again.

Every round of every client has the results of a native one, and nothing that broker and workers hold grows.
"""
import json
import os
import pathlib
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from .context import NATIVE, REMOTED, Context, Result, table
from .slopes import HEAD, Series

KINDS = ("training", "inference", "replay", "churn")
SETTINGS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "OMP_NUM_THREADS": "2", "PYTHONUNBUFFERED": "1"}
KILL_SECONDS, SAMPLE_SECONDS = 60.0, 2.0
# A process is warm this long after its first round, the broker this long after its start.
WARM_SECONDS = 20.0
START_SECONDS = 90.0
NATIVE_ROUNDS = 2
# figure -> unit and the most it may grow in a minute: what noise there is in what stays the same
FIGURES = {"resident memory": ("MiB", 0.25), "descriptors": ("", 0.2), "mappings": ("", 1.0)}
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class LoadClient:
    """One kind of load: the process that does it now, and all rounds that its processes have told of."""

    def __init__(self, kind: str, command: list, environment: dict[str, str], log: pathlib.Path):
        self.kind, self.rounds, self.unexpected = kind, [], []
        self._command, self._environment, self._log = [str(word) for word in command], environment, log
        self.kills = 0
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.first_round: float | None = None
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            words = line.split()
            if len(words) == 3 and words[0] == "round":
                self.rounds.append(words[2])
                self.first_round = self.first_round or time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_warm(self) -> bool:
        return self.first_round is not None and time.monotonic() - self.first_round > WARM_SECONDS

    def check_alive(self) -> None:
        """One that ends by itself is told of once, and started again."""
        if self._process.poll() is not None:
            self.unexpected.append(f"{self.kind}: ended by itself with status {self._process.returncode}; see {self._log.name}")
            self._reader.join(10)
            self.start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(10)

    def finish(self) -> int | None:
        """Exit status after the end of its input; None if it had to be killed."""
        self._process.stdin.close()
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


class Sampler:
    """What broker, workers and clients hold, and what the GPU says, every few seconds."""

    def __init__(self, context: Context):
        self._context, self._begun = context, time.monotonic()
        self.series: dict[str, Series] = {}
        self.epoch = 0  # changes when a client does

    def _add(self, name: str, unit: str, limit: float, life: str, value: float) -> None:
        self.series.setdefault(name, Series(name, unit, limit)).add(life, time.monotonic() - self._begun, value)

    def _add_process(self, who: str, pid: int) -> None:
        folder = pathlib.Path(f"/proc/{pid}")
        try:
            values = {"resident memory": int((folder / "statm").read_text().split()[1]) * PAGE_MIB,
                      "descriptors": len(os.listdir(folder / "fd")), "mappings": (folder / "maps").read_bytes().count(b"\n")}
        except (FileNotFoundError, ProcessLookupError):
            return
        for what, value in values.items():
            self._add(f"{who}: {what}", *FIGURES[what], str(pid), value)

    def sample(self, clients: list[LoadClient]) -> None:
        if time.monotonic() - self._begun > WARM_SECONDS:
            self._add_process("broker", self._context.broker.pid)
        listed = {entry["pid"]: entry for entry in self._listed()}
        for client in clients:
            entry = listed.get(client.pid)
            if entry and client.is_warm():
                self._add_process(f"worker of {client.kind}", entry["worker"])
                self._add_process(f"client {client.kind}", client.pid)
                for what in ("memory_bytes", "pinned_bytes"):
                    self._add(f"worker of {client.kind}: {what.removesuffix('_bytes')} as asked for", "MiB", 1.0, str(client.pid), entry[what] / (1 << 20))
        workers = {listed[client.pid]["worker"] for client in clients if client.pid in listed}
        if self._context.real_driver and len(workers) == len(clients) and all(client.is_warm() for client in clients):
            used = gpu_memory_mib(workers)
            if used is not None:
                self._add("GPU memory of the workers", "MiB", 1.0, str(self.epoch), used)

    def _listed(self) -> list[dict]:
        broker = self._context.broker
        command = [broker.layout.program("vgpu-admin"), "list", "clients", "--json", "--config", broker.folder / "broker.toml", "--socket", f"{broker.socket}.admin"]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=20)
        return json.loads(done.stdout)["clients"] if done.returncode == 0 else []


def gpu_memory_mib(workers: set[int]) -> float | None:
    """What these processes hold on the GPU; None if it does not list all of them. Others may use the GPU, too."""
    done = subprocess.run(["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=20)
    rows = [line.split(", ") for line in done.stdout.splitlines()]
    held = [(int(row[0]), float(row[1])) for row in rows if len(row) == 2 and row[0].isdigit() and row[1].isdigit()]
    ours = [mib for pid, mib in held if pid in workers]
    return sum(ours) if len(ours) == len(workers) else None


def native_results(context: Context, script: pathlib.Path) -> dict[str, set[str]]:
    """kind -> the hashes of some native rounds: one, unless the kind is not steady."""
    def rounds(kind: str) -> set[str]:
        run = context.run(NATIVE, ["python3", script, kind, "--rounds", NATIVE_ROUNDS], kind, SETTINGS)
        if not run.ok:
            raise ValueError(f"{kind} does not work natively: {run.complaint()}")
        return {line.split()[2] for line in run.out.splitlines() if line.startswith("round ")}

    with ThreadPoolExecutor(len(KINDS)) as lanes:
        return dict(zip(KINDS, lanes.map(rounds, KINDS)))


def drive(context: Context, clients: list[LoadClient], sampler: Sampler, seconds: float) -> None:
    """Samples, and kills one client after the other, for so long."""
    end, next_kill, turn = time.monotonic() + seconds, time.monotonic() + KILL_SECONDS, 0
    while time.monotonic() < end and context.time_left() > 45:
        for client in clients:
            client.check_alive()
        sampler.sample(clients)
        if time.monotonic() > next_kill:
            victim = clients[turn % len(clients)]
            victim.kill()
            victim.start()
            victim.kills += 1
            sampler.epoch, turn, next_kill = sampler.epoch + 1, turn + 1, next_kill + KILL_SECONDS
            print("  " + ", ".join(f"{c.kind} {len(c.rounds)} rounds" for c in clients) + f"; {victim.kind} was killed and started again", flush=True)
        time.sleep(SAMPLE_SECONDS)


def await_first_rounds(context: Context, clients: list[LoadClient]) -> None:
    deadline = time.monotonic() + min(START_SECONDS, context.time_left())
    while any(client.first_round is None for client in clients):
        for client in clients:
            if client.unexpected or time.monotonic() > deadline:
                raise ValueError(f"{client.kind} did not come to a first round: {'; '.join(client.unexpected) or 'too slow'}")
            client.check_alive()
        time.sleep(0.1)


def judge(clients: list[LoadClient], expected: dict[str, set[str]], sampler: Sampler, result: Result) -> None:
    rows = []
    for client in clients:
        right = sum(found in expected[client.kind] for found in client.rounds)
        rows.append((client.kind, len(client.rounds), right, client.kills))
        if right != len(client.rounds) or not client.rounds:
            result.fail(f"{client.kind}: {right} of {len(client.rounds)} rounds have the native results ({len(set(client.rounds))} different)")
        for sentence in client.unexpected:
            result.fail(sentence)
    series = sorted(sampler.series.values(), key=lambda s: s.name)
    result.lines = table(rows, ("client", "rounds", "right", "kills")) + [""] + table([s.row() for s in series], HEAD) + result.lines
    for one in series:
        if one.row()[-1] == "GROWS" and not one.name.startswith("client "):
            result.fail(f"{one.name} grows by {one.slope():.3f} {one.unit} a minute")
    if not any(s.slope() is not None for s in series):
        result.fail("it was too short to measure any growth")


def run_load(context: Context, script: pathlib.Path, minutes: float) -> Result:
    """script: tests/gpu/frameworks/load_client.py."""
    result, expected = Result(), native_results(context, script)
    environment, clients = context.environment(REMOTED) | SETTINGS, []
    sampler = Sampler(context)
    try:
        for kind in KINDS:
            clients.append(LoadClient(kind, ["python3", script, kind], environment, context.out / f"load-{kind}.err"))
        await_first_rounds(context, clients)
        drive(context, clients, sampler, minutes * 60)
        for client in clients:
            status = client.finish()
            if status != 0:
                result.fail(f"{client.kind}: at the end of its input it did not end cleanly: status {status}")
    finally:
        for client in clients:
            client.kill()
    context.broker.await_accounts(clients=0, workers=0)
    judge(clients, expected, sampler, result)
    (context.out / "load.json").write_text(json.dumps({name: s.lives for name, s in sampler.series.items()}) + "\n")
    rounds = sum(len(client.rounds) for client in clients)
    result.summary = f"{rounds} rounds, {sum(c.kills for c in clients)} kills; " + ("all right, nothing grows" if result.passed else "see above")
    return result

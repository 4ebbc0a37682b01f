"""What every bench shares: a child process measured, medians, the machine, the programs, the raw numbers as JSON."""

import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "out/bench"
PROGRAM = ROOT / "target/release/coupon-recon"
VENV = ROOT / ".venv-bench/bin/python"


def measured(command, limit_s=1200, **more):
    """Runs a command: wall seconds, CPU-seconds (user + system) and peak resident MB of it and of what it waited for. What hangs is killed."""
    began = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], **more)
    too_late = threading.Timer(limit_s, process.kill)
    too_late.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    too_late.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(str(part) for part in command)} ended with {process.returncode}")
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def medians(runs):
    """The median of every figure, and how far wall and CPU lie apart."""
    told = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    for name in ("wall_s", "cpu_s"):
        told[f"{name}_spread"] = [min(run[name] for run in runs), max(run[name] for run in runs)]
    return told | {"rounds": len(runs)}


def rounds(contenders, count, budget_s=float("inf")):
    """Runs every contender in turn, `count` times or until the budget is spent (always once). Gives runs by name."""
    began, runs = time.monotonic(), {name: [] for name in contenders}
    for number in range(count):
        spent = time.monotonic() - began
        if number and spent + spent / number > budget_s:
            print(f"  after {number} rounds the time is up", file=sys.stderr)
            break
        for name, run in contenders.items():
            runs[name].append(run())
            last = runs[name][-1]
            say(f"  {name}: {last['wall_s']:.2f} s, {last['cpu_s']:.2f} CPU s, {last['peak_mb']:.0f} MB")
    return runs


def say(text):
    print(text, file=sys.stderr, flush=True)


def save(name, told):
    """Raw numbers, from which the tables can be drawn again."""
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(told | machine(), indent=1, ensure_ascii=False) + "\n")


def load(name):
    path = OUT / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def bench(name):
    """The program of a Rust bench, compiled if it has to be."""
    command = ["cargo", "bench", "--locked", "--bench", name, "--no-run", "--message-format", "json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    artifacts = (json.loads(line) for line in lines if line.startswith("{"))
    found = [it["executable"] for it in artifacts if it.get("executable") and it["target"]["name"] == name]
    return Path(found[-1])


def machine():
    """What the figures depend on."""
    cpu = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    memory_kb = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    return {
        "machine": {
            "cpu": cpu[0] if cpu else platform.machine(),
            "cores": os.cpu_count(),
            "memory_gib": round(memory_kb / (1 << 20), 1),
            "kernel": platform.release(),
            "load": os.getloadavg()[0],
        },
        "commit": git("rev-parse", "--short", "HEAD") + (" and changes" if git("status", "--short", "--", "src") else ""),
        "rustc": subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def free_gb(folder):
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize / 1e9

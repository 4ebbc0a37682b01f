"""`make bench-instructions`: how many instructions one operation of each hot loop takes, counted by callgrind. No clock is asked, so the figure is the
same on a loaded machine. Start-up and the making of the material are taken away by counting twice.
"""

import re
import subprocess
import sys

import tables
from measure import OUT, bench, say, save

# Few and many repetitions: what lies between them is the loop alone.
LOOPS = {"signature": (2, 12), "verification": (2, 52), "decoding": (2, 52), "sort": (1, 5), "merge": (1, 5), "bill": (1, 5)}


def main():
    program, counted = bench("hot"), {}
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (few, many) in LOOPS.items():
        (least, unit), (most, _) = count(program, name, few), count(program, name, many)
        elements, word = unit.split()
        counted[name] = {"instructions": (most - least) / (many - few) / int(elements), "unit": word}
        say(f"  {name}: {counted[name]['instructions']:,.0f} instructions a {word}")
    version = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    save("instructions", {"loops": counted, "valgrind": version})
    tables.write()


def count(program, name, times):
    """Instructions of a whole run, and what one repetition has of what."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program), "count", name, str(times)]
    done = subprocess.run(command, capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not collected:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return int(collected[1]), done.stdout.strip().splitlines()[-1]


main()

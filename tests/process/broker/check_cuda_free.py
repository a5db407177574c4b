#!/usr/bin/env python3
"""Fails if the broker's binary could reach CUDA: links it, names it, or can open libraries at all."""
import re
import subprocess
import sys

binary = sys.argv[1]
problems = []

dynamic = subprocess.run(["readelf", "-dW", binary], capture_output=True, text=True, check=True).stdout
needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
problems += [f"needs {name}" for name in needed if re.search("cuda|nvidia", name)]

symbols = subprocess.run(["nm", "-D", "--undefined-only", binary], capture_output=True, text=True, check=True).stdout
sanitized = "__asan_init" in symbols or "__tsan_init" in symbols
for name in re.findall(r" U (\w+)", symbols):
    if re.fullmatch(r"dlm?open|cu[A-Z]\w+|nvml\w+", name) and not (sanitized and name == "dlopen"):
        problems.append(f"imports {name}")

with open(binary, "rb") as file:
    content = file.read()
problems += [f"contains the text {text.decode()}" for text in (b"libcuda", b"libnvidia", b"simcuda") if text in content]

for problem in problems:
    print(f"{binary} {problem}")
print(f"{binary}: needs {', '.join(needed)}")
sys.exit(1 if problems else 0)

# SPDX-License-Identifier: Apache-2.0
"""What the built programs and libraries may contain: artefacts.toml is the list, readelf the witness."""
import pathlib
import re
import subprocess
import tomllib

LIST = pathlib.Path(__file__).with_name("artefacts.toml")


def readelf(path: pathlib.Path, *options: str) -> str:
    return subprocess.run(["readelf", "-W", *options, str(path)], capture_output=True, text=True, check=True).stdout


def needed_libraries(path: pathlib.Path) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.+?)\]", readelf(path, "-d"))


def dynamic_symbols(path: pathlib.Path) -> list[tuple[str, str, str, str]]:
    """(bind, visibility, section, name) of every dynamic symbol."""
    rows = []
    for line in readelf(path, "--dyn-syms").splitlines():
        words = line.split()
        if len(words) >= 8 and words[0].endswith(":") and words[0][:-1].isdigit():
            rows.append((words[4], words[5], words[6], words[7]))
    return rows


def glibc_versions(path: pathlib.Path) -> list[tuple[tuple[int, ...], str]]:
    """(version, symbol) of everything that is taken from glibc."""
    found = []
    for _, _, section, name in dynamic_symbols(path):
        match = re.search(r"^(.*?)@+GLIBC_([0-9.]+)$", name)
        if match and section == "UND":
            found.append((tuple(int(n) for n in match.group(2).split(".")), match.group(1)))
    return found


def check_needed(where: str, path: pathlib.Path, rule: dict, common: dict) -> list[str]:
    allowed = set(rule.get("needed", common["needed"]))
    return [f"{where}: needs {lib}, which the machines it runs on may lack; link it statically" for lib in needed_libraries(path) if lib not in allowed]


def check_glibc(where: str, path: pathlib.Path, rule: dict, common: dict) -> list[str]:
    floor = rule.get("glibc", common["glibc"])
    limit = tuple(int(n) for n in floor.split("."))
    return [f"{where}: {name} is of GLIBC_{'.'.join(map(str, version))}, above the floor {floor}" for version, name in sorted(set(glibc_versions(path))) if version > limit]


def check_unique(where: str, path: pathlib.Path) -> list[str]:
    names = [name for bind, _, _, name in dynamic_symbols(path) if bind == "UNIQUE"]
    return [f"{where}: {len(names)} unique symbols (first: {names[0]}): compile with -fno-gnu-unique"] if names else []


def exported(path: pathlib.Path) -> set[str]:
    return {re.sub(r"@.*", "", name) for bind, _, section, name in dynamic_symbols(path) if section not in ("UND", "ABS") and bind in ("GLOBAL", "WEAK", "UNIQUE")}


def check_exports(where: str, path: pathlib.Path, rule: dict, build: pathlib.Path) -> list[str]:
    if "exports" not in rule:
        return []
    listed_in = build / rule["exports"]
    if not listed_in.exists():
        return [f"{where}: the list of exported names, {rule['exports']}, is not in the build tree"]
    wanted = set(re.findall(r"^\s*(\w+)\s*;?\s*$", listed_in.read_text(), re.M)) - {"global", "local"}
    have = exported(path)
    messages = []
    if wanted - have:
        messages.append(f"{where}: {len(wanted - have)} names of the table are not exported: {', '.join(sorted(wanted - have)[:5])}")
    if have - wanted:
        messages.append(f"{where}: {len(have - wanted)} exported names are not in the table: {', '.join(sorted(have - wanted)[:5])}")
    return messages


def check_shape(where: str, path: pathlib.Path, rule: dict) -> list[str]:
    messages = []
    if rule.get("nodelete") and "NODELETE" not in readelf(path, "-d"):
        messages.append(f"{where}: may be unloaded while threads of ours run: link with -z nodelete")
    if "soname" in rule and f"[{rule['soname']}]" not in readelf(path, "-d"):
        messages.append(f"{where}: its soname is not {rule['soname']}")
    if "tls" in rule:
        match = re.search(r"^\s*TLS\s+\S+\s+\S+\s+\S+\s+\S+\s+(0x[0-9a-f]+)", readelf(path, "-l"), re.M)
        size = int(match.group(1), 16) if match else 0
        if size > rule["tls"]:
            messages.append(f"{where}: {size} bytes of thread-local storage, more than {rule['tls']}: late dlopen may find no room")
    if "alone" in rule:
        others = sorted(p.name for p in path.parent.iterdir() if p.name not in (path.name, *rule["alone"]))
        if others:
            messages.append(f"{where}: its folder holds {', '.join(others[:3])} as well, which a library path would pick up")
    return messages


def check_forbidden(where: str, path: pathlib.Path, rule: dict) -> list[str]:
    messages = []
    for pattern in rule.get("forbidden_symbols", []):
        hits = [name for _, _, section, name in dynamic_symbols(path) if section == "UND" and re.match(pattern, name)]
        if hits:
            messages.append(f"{where}: uses {hits[0]}, which its part in the design forbids")
    content = path.read_bytes()
    for text in rule.get("forbidden_text", []):
        if text.encode() in content:
            messages.append(f"{where}: contains the text '{text}', which its part in the design forbids")
    return messages


def check_no_end(build: pathlib.Path) -> list[str]:
    """Nothing of the shim is destroyed at the end of a process: destructors of other libraries call it after that."""
    findings = []
    for path in sorted((build / "shim" / "CMakeFiles").rglob("*.o")):
        listing = subprocess.run(["nm", "-u", str(path)], capture_output=True, text=True, check=True).stdout
        if "__cxa_atexit" in listing:
            findings.append(f"{path.name.removesuffix('.o')}: [artefacts] has a static object with a destructor: "
                            "auto& name = *new T stays until the end of the process")
    return findings


def check(root: pathlib.Path, preset: str) -> list[str]:
    build = root / "build" / preset
    rules = tomllib.loads(LIST.read_text())
    common = rules.pop("common")
    findings = []
    for name, rule in rules.items():
        path = build / rule["path"]
        where = f"build/{preset}/{rule['path']}: [artefacts]"
        if not path.exists():
            findings.append(f"{where} was not built")
            continue
        findings += check_needed(where, path, rule, common) + check_glibc(where, path, rule, common) + check_unique(where, path)
        findings += check_exports(where, path, rule, build) + check_shape(where, path, rule) + check_forbidden(where, path, rule)
    findings += check_no_end(build)
    print(f"check: {len(rules)} artefacts of build/{preset} looked at")
    return findings

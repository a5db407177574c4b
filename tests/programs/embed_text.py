# SPDX-License-Identifier: Apache-2.0
"""embed_text.py NAME INPUT OUTPUT: writes a C header that holds the text of INPUT as the string NAME."""
import json
import sys


def main() -> None:
    name, source, target = sys.argv[1:]
    with open(source, encoding="ascii") as file:
        lines = "\n".join("    " + json.dumps(line) for line in file)
    with open(target, "w", encoding="ascii") as file:
        file.write(f"/* Made from {source.rsplit('/', 1)[-1]}; not to be edited. */\nstatic const char {name}[] =\n{lines};\n")


if __name__ == "__main__":
    main()

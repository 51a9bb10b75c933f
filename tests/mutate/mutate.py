#!/usr/bin/env python3
"""mutate.py: is each line of lib/ held by a test?

Changes lib/ in one place at a time (a comparison, a connective, a number, a column of a table, a call left out), rebuilds, runs
the tests, and lists the changes that nothing noticed. A change that gives the same machine code is no change and is not
counted. Each worker has a copy of the tree of its own; the tree itself is never touched.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import queue
import random
import re
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]

# Tests that take fewer seconds than this run first.
QUICK = 3

# What is looked for, and what may stand in its place.
CONDITIONS = [
    (r"==", ["!="]),
    (r"!=", ["=="]),
    (r"<=", ["<"]),
    (r">=", [">"]),
    (r"(?<![<\-])<(?![<=])", ["<="]),
    (r"(?<![>\-])>(?![>=])", [">="]),
    (r"&&", ["||"]),
    (r"\|\|", ["&&"]),
    (r"(?<=[\w)\]] )\+(?= )", ["-"]),
    (r"(?<=[\w)\]] )-(?= )", ["+"]),
    (r"(?<=\()!(?=\w)", [""]),
    (r"(?<= )!(?=\w)", [""]),
    (r"\|=", ["&="]),
    (r"&= ~", ["|= "]),
    (r"\+=", ["-="]),
    (r"-=", ["+="]),
    (r"\breturn 1;", ["return 0;"]),
    (r"\breturn 0;", ["return 1;"]),
    (r"\bcontinue;", ["break;"]),
    (r"\bif \(", ["if (1 || ", "if (0 && "]),
]
NUMBER = re.compile(r"(?<![\w.])(\d+)(?![\w.])")
CALL = re.compile(r"^\s*[a-z]\w*\([^;{}]*\);\s*$")
ASSIGNMENT = re.compile(r"^\s+[\w.\->\[\]]+ = [^;{}]*;\s*$")
ROW = re.compile(r"^[A-Z]+\((.*)\)\s*(?:/\*.*)?$")


def in_code(text):
    """The text with comments and literals blanked out, so that places stay where they are."""

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))

    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)


def mutations_of_code(text):
    """Yields (from, to, replacement, line number) for a C file."""
    code = in_code(text)
    start = 0
    for number, line in enumerate(code.split("\n"), 1):
        if not line.lstrip().startswith("#"):
            for pattern, replacements in CONDITIONS:
                for match in re.finditer(pattern, line):
                    for replacement in replacements:
                        yield start + match.start(), start + match.end(), replacement, number
            for match in NUMBER.finditer(line):
                value = int(match.group(1))
                yield start + match.start(), start + match.end(), str(value + 1), number
                if value > 0:
                    yield start + match.start(), start + match.end(), str(value - 1), number
            if CALL.match(line) or (ASSIGNMENT.match(line) and "const " not in line):
                indent = len(line) - len(line.lstrip())
                yield start + indent, start + len(line.rstrip()), ";", number
        start += len(line) + 1


def columns(row):
    """The spans of the columns of a table row, commas in quotes left alone."""
    at, quoted, begin = row.index("(") + 1, False, row.index("(") + 1
    end = row.rindex(")")
    while at <= end:
        if at == end or (row[at] == "," and not quoted):
            piece = row[begin:at]
            lead = len(piece) - len(piece.lstrip())
            yield begin + lead, begin + len(piece.rstrip())
            begin = at + 1
        elif row[at] == '"' and row[at - 1] != "\\":
            quoted = not quoted
        at += 1


def mutations_of_table(text):
    """Yields the same for a .def file: each column of each row takes another value that stands in that column."""
    rows, start = [], 0
    for number, line in enumerate(text.split("\n"), 1):
        bare = re.sub(r"/\*.*?\*/", lambda match: " " * len(match.group(0)), line)
        if ROW.match(bare.strip()) and not line.startswith((" ", "/")):
            rows.append((number, start, line, list(columns(bare))))
        start += len(line) + 1
    if not rows:
        return
    for index in range(1, max(len(row[3]) for row in rows)):
        values = sorted({row[2][row[3][index][0] : row[3][index][1]] for row in rows if len(row[3]) > index})
        for number, start, line, spans in rows:
            begin, end = spans[index]
            value = line[begin:end]
            if value.startswith('"'):
                others = ['"x' + value[1:]]
            elif value.isdigit():
                others = [str(int(value) + 1)]
            elif " | " in value:
                parts = value.split(" | ")
                others = [" | ".join(parts[:at] + parts[at + 1 :]) for at in range(len(parts))]
            else:
                others = [other for other in values if other != value and not other.startswith('"')][:2]
            for other in others:
                yield start + begin, start + end, other, number


def all_mutations(patterns):
    found = []
    for path in sorted((TOP / "lib").glob("*/*")):
        name = str(path.relative_to(TOP))
        if path.suffix not in (".c", ".h", ".def") or (patterns and not any(part in name for part in patterns)):
            continue
        text = path.read_text()
        make = mutations_of_table if path.suffix == ".def" else mutations_of_code
        for begin, end, replacement, line in make(text):
            found.append((name, begin, end, replacement, line))
    return found


def run(command, directory, limit):
    """The exit status; 124 when the time was up. What was started is ended with it."""
    process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return 124


class Worker:
    """A copy of the tree and a build of it."""

    def __init__(self, directory, suites):
        self.tree = directory / "tree"
        self.build = directory / "build"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(TOP, self.tree, ignore=shutil.ignore_patterns("build*", ".git"))
        environment = dict(os.environ, CC="gcc")
        subprocess.run(["meson", "setup", str(self.build), str(self.tree), "-Ddefault_library=static",
                        "-Dbuildtype=plain", "-Dc_args=-O1", "-Dexamples=false"],
                       check=True, env=environment, stdout=subprocess.DEVNULL)
        self.test = ["meson", "test", "-C", str(self.build), "--no-rebuild", "--maxfail", "1", "-q"]
        self.make = ["ninja", "-C", str(self.build), "-j1", "lib/libehlo.a", "meson-test-prereq"]
        if run(self.make, self.tree, 600) != 0:
            sys.exit("the tree does not build as it is")
        if run(self.test + [word for suite in suites for word in ("--suite", suite)], self.tree, 1800) != 0:
            sys.exit(f"the tests do not pass as they are: see {self.build}/meson-logs/testlog.txt")
        self.stages = self.quick_and_slow()
        self.original = self.code()

    def quick_and_slow(self):
        """The tests that ran, the quick ones first, as most changes fall to them; each part with the time it may take."""
        times = {}
        with open(self.build / "meson-logs" / "testlog.json", encoding="utf-8") as log:
            for line in log:
                test = json.loads(line)
                times[test["name"].split(" / ")[-1]] = test["duration"]
        stages = []
        for names in ([name for name in times if times[name] < QUICK], [name for name in times if times[name] >= QUICK]):
            if names:
                stages.append((names, 10 + 3 * sum(times[name] for name in names)))
        return stages

    def code(self):
        """What identifies the library's machine code and constants."""
        archive = next(self.build.glob("lib/libehlo.a"))
        members = subprocess.run(["objdump", "-d", "-r", "-s", "-j", ".text", "-j", ".rodata", "--no-show-raw-insn",
                                  str(archive)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        return hashlib.sha256(members).hexdigest()

    def judge(self, mutation):
        name, begin, end, replacement, _ = mutation
        path = self.tree / name
        text = path.read_text()
        try:
            path.write_text(text[:begin] + replacement + text[end:])
            if run(self.make, self.tree, 300) != 0:
                return "does not compile"
            if self.code() == self.original:
                return "same code"
            for names, limit in self.stages:
                if run(self.test + names, self.tree, limit) != 0:
                    return "killed"
            return "survived"
        finally:
            path.write_text(text)


def shown(mutation):
    name, begin, end, replacement, line = mutation
    text = (TOP / name).read_text()
    first = text.rfind("\n", 0, begin) + 1
    last = text.find("\n", end)
    old = text[first:last]
    new = text[first:begin] + replacement + text[end:last]
    return f"{name}:{line}\n  - {old.strip()}\n  + {new.strip()}"


def main():
    parser = argparse.ArgumentParser(prog="sh tests/run.sh --mutate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="only files of lib/ whose path holds one of these (grammar/path, .def)")
    parser.add_argument("--count", type=int, default=200, help="how many changes, chosen by chance (200; 0: all)")
    parser.add_argument("--seed", type=int, default=1, help="of that chance (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="workers (one a processor)")
    parser.add_argument("--suite", action="append", default=[], help="only tests of this meson suite")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build-tests" / "mutate", help=argparse.SUPPRESS)
    options = parser.parse_args()

    mutations = all_mutations(options.files)
    if not mutations:
        sys.exit("no such file")
    total = len(mutations)
    if 0 < options.count < total:
        mutations = sorted(random.Random(options.seed).sample(mutations, options.count))
    print(f"{len(mutations)} of {total} possible changes", flush=True)

    workers = queue.Queue()
    for number in range(options.jobs):
        workers.put(Worker(options.build.resolve() / str(number), options.suite))

    def judge(mutation):
        worker = workers.get()
        try:
            return mutation, worker.judge(mutation)
        finally:
            workers.put(worker)

    tally = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for mutation, verdict in pool.map(judge, mutations):
            tally[verdict] = tally.get(verdict, 0) + 1
            if verdict == "survived":
                print(shown(mutation), flush=True)
    print(", ".join(f"{number} {verdict}" for verdict, number in sorted(tally.items())))
    return 1 if tally.get("survived") else 0


if __name__ == "__main__":
    sys.exit(main())

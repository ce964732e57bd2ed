#!/usr/bin/env python3
"""Turns samples into a verdict on each target, tables and plots.

    report.py SAMPLES OUT [--docs DOCS]

SAMPLES is what atoll_bench, shareable_list.py and retries wrote, a line of JSON each. Writes
OUT/results.json, OUT/results.md and OUT/*.svg, and prints the verdicts. With --docs also brings
DOCS/performance.md (between its markers) and DOCS/performance/*.svg up to date.

A ratio is the median of the ratios within each round: both contestants did the same work milliseconds
apart. In brackets: the smallest and the largest of them.
"""

import json
import os
import pathlib
import platform
import statistics
import sys

import plot

KIB, MIB = 1024, 1024 * 1024
SIZES = [16, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, MIB]


class Target:
    """`fast` against `slow`: time of `fast` / time of `slow` at most `most`; or, where `times` is given,
    `slow` / `fast` at least `times`."""

    def __init__(self, row, work, fast, slow, most=None, times=None, processes=1, size=0):
        self.row, self.work, self.fast, self.slow = row, work, fast, slow
        self.most, self.times, self.processes, self.size = most, times, processes, size


def targets():
    for p in (1, 2):
        def number(row, fast, slow, **bound):
            return Target(row, "fetch_add", fast, slow, processes=p, **bound)
        yield number("fetch_add, Counter", "atoll Counter", "std::atomic", most=1.05)
        yield number("fetch_add, pinned slot", "atoll pinned slot", "std::atomic", most=1.5)
        yield number("fetch_add, versioned slot", "atoll slot", "cmpxchg16b", most=1.2)
        yield number("fetch_add, versioned slot", "atoll slot", "robust mutex", times=3)
        yield number("fetch_add, versioned slot", "atoll slot", "pthread mutex", times=1)
        yield Target("load, Counter", "load", "atoll Counter", "std::atomic", most=1.1, processes=p)
        yield Target("load, versioned slot", "load", "atoll slot", "std::atomic", most=2.0, processes=p)
    yield Target("load, pinned slot, chained", "load, chained", "atoll pinned slot", "std::atomic", most=2.0)
    yield Target("load, versioned slot, chained", "load, chained", "atoll slot", "std::atomic", most=2.0)
    for size, most in [(16, 2.0), (64, 2.0), (KIB, 1.3), (64 * KIB, 1.1), (MIB, 1.1), (10 * MIB, 1.1)]:
        yield Target("text load", "text load", "atoll", "memcpy", most=most, size=size)
    for size in SIZES:
        yield Target("text store", "text store", "atoll", "pthread mutex", times=1, size=size)
    yield Target("text store", "text store", "atoll", "robust mutex", times=1.6, size=64)
    for p in (2, 4):
        for size in SIZES:
            yield Target("text store", "text store", "atoll", "robust mutex", most=1.0, processes=p, size=size)
    for size in SIZES:
        yield Target("text load beside a writer", "text load beside a writer", "atoll",
                     "Boost sharable mutex", times=3, processes=2, size=size)
    yield Target("increments in five slots", "increments", "atoll slot", "ShareableList, Lock", times=1000,
                 processes=10)
    for what, times, size in [("get int", 8, 0), ("set int", 8, 0), ("get text", 5, 64), ("set text", 5, 64)]:
        yield Target(f"Python: {what}", f"Python {what}", "atoll", "CPython", times=times, size=size)
    for slow, times in [("ShareableList, Lock", 20), ("Manager().list, Lock", 200)]:
        yield Target("Python: increments", "Python increments", "atoll fetch_add", slow, times=times, processes=4)
    yield Target("attach", "attach", "atoll, 10000000 slots", "atoll, 10 slots", most=1.2)
    yield Target("create", "create", "atoll", "write once", most=1.5, size=1_000_000)
    for layout in ("padded", "dense"):
        for what in ("count", "index"):
            yield Target(f"{what}, {layout}", f"scan, {layout}", f"atoll {what}", "plain scan", most=2.0)
    yield Target("snapshot of values", "snapshot", "atoll values", "copy of values", most=2.5)
    yield Target("snapshot of numbers", "snapshot", "atoll numbers", "copy of numbers", most=2.5)
    yield Target("wait and wake", "ping-pong", "atoll slot", "futex", most=1.1, processes=2)
    yield Target("wait and wake, pinned", "ping-pong", "atoll pinned slot", "futex", most=1.1, processes=2)


class Results:
    """ns[work, processes, size][contestant][round]; what was disturbed only where nothing else is."""

    def __init__(self, lines):
        self.ns, self.retries, disturbed = {}, [], {}
        self.samples = self.disturbed = 0
        self.all_disturbed = set()
        for line in lines:
            sample = json.loads(line)
            if "retries" in sample:
                self.retries.append(sample["retries"])
                continue
            key = sample["work"], sample["processes"], sample["size"]
            self.samples += 1
            self.disturbed += sample["disturbed"]
            into = disturbed if sample["disturbed"] else self.ns
            into.setdefault(key, {}).setdefault(sample["contestant"], {})[sample["round"]] = sample["ns"]
        for key, contestants in disturbed.items():
            for contestant, rounds in contestants.items():
                if contestant not in self.ns.setdefault(key, {}):
                    self.ns[key][contestant] = rounds
                    self.all_disturbed.add((*key, contestant))

    def rounds(self, work, processes, size, contestant):
        return self.ns.get((work, processes, size), {}).get(contestant, {})

    def median(self, *key):
        rounds = self.rounds(*key)
        return statistics.median(rounds.values()) if rounds else None

    def ratios(self, work, processes, size, one, other):
        """one / other, a ratio a round."""
        a, b = (self.rounds(work, processes, size, each) for each in (one, other))
        common = sorted(a.keys() & b.keys())
        if common:
            return [a[r] / b[r] for r in common]
        return [statistics.median(a.values()) / statistics.median(b.values())] if a and b else []


def show_size(size, work=""):
    if not size:
        return ""
    if "create" in work:
        return f"{size:,} slots"
    if size >= MIB:
        return f"{size // MIB} MiB"
    return f"{size // KIB} KiB" if size >= KIB else f"{size} B"


def show_ns(ns):
    if ns is None:
        return ""
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns:.3g} ns"


def verdicts(results):
    rows = []
    for target in targets():
        key = target.work, target.processes, target.size
        fast, slow = results.median(*key, target.fast), results.median(*key, target.slow)
        if target.times is None:
            ratios = results.ratios(*key, target.fast, target.slow)
            bound = f"≤ {target.most:g} × {target.slow}"
            met = lambda ratio: ratio <= target.most  # noqa: E731
        else:
            ratios = results.ratios(*key, target.slow, target.fast)
            bound = f"{target.slow} ≥ {target.times:g} ×"
            met = lambda ratio: ratio >= target.times  # noqa: E731
        if not ratios:
            continue
        ratio = statistics.median(ratios)
        rows.append({
            "work": target.row, "processes": target.processes, "size": show_size(target.size, target.work),
            "bound": bound, "atoll": fast, "peer": slow, "ratio": ratio, "min": min(ratios),
            "max": max(ratios), "met": met(ratio),
            # Says more about the scheduler than about the contestants.
            "disturbed": bool({(*key, target.fast), (*key, target.slow)} & results.all_disturbed),
        })
    attach = results.median("attach", 1, 0, "atoll, 10000000 slots")
    if attach is not None:
        rows.append({"work": "attach and close", "processes": 1, "size": "", "bound": "≤ 30 µs", "atoll": attach,
                     "peer": None, "ratio": attach / 1e3, "min": None, "max": None, "met": attach <= 30e3,
                     "disturbed": False})
    return rows


def verdict_table(rows):
    lines = ["| work | processes | size | target | atoll | peer | measured | |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        spread = f" ({row['min']:.3g} to {row['max']:.3g})" if row["min"] is not None else ""
        lines.append("| {} | {} | {} | {} | {} | {} | {}{} | {} |".format(
            row["work"], row["processes"], row["size"], row["bound"], show_ns(row["atoll"]), show_ns(row["peer"]),
            f"{row['ratio']:.3g}", spread, "disturbed" if row["disturbed"] else "met" if row["met"] else "**missed**"))
    return "\n".join(lines)


def full_tables(results):
    """Everything that was measured: a table a work, a row a contestant."""
    works = {}
    for work, processes, size in results.ns:
        works.setdefault(work, []).append((processes, size))
    parts = []
    for work, columns in works.items():
        columns.sort(key=lambda column: column[::-1])
        heads = [", ".join(filter(None, [f"{p} process" + "es" * (p > 1), show_size(s, work)])) for p, s in columns]
        contestants = list(dict.fromkeys(c for p, s in columns for c in sorted(results.ns[work, p, s])))
        lines = [f"### {work}", "", "| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for contestant in contestants:
            cells = []
            for p, s in columns:
                rounds = results.rounds(work, p, s, contestant)
                cells.append(f"{show_ns(statistics.median(rounds.values()))} "
                             f"({show_ns(min(rounds.values()))} to {show_ns(max(rounds.values()))})" if rounds else "")
            lines.append(f"| {contestant} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                 platform.machine())
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs, Linux {platform.release().split('-')[0]}"


def retries_text(results):
    return "\n".join(
        f"- {r['writers']} writer{'s' * (r['writers'] > 1)} at full speed: {r['loads']:,} loads of 1 MiB beside "
        f"{r['stores']:,} stores; {r['loads_with_retries']:,} loads began anew, the worst of them {r['worst']} times."
        for r in results.retries)


def draw(results, folder):
    folder.mkdir(parents=True, exist_ok=True)

    def lines(work, contestants, x_of, y_of, keep=lambda p, s: True):
        series = {}
        for name in contestants:
            points = [(x_of(p, s), y_of(results.median(w, p, s, name)))
                      for w, p, s in results.ns if w == work and keep(p, s) and name in results.ns[w, p, s]]
            if points:
                series[name] = sorted(points)
        return series

    number_peers = ["std::atomic", "atoll Counter", "atoll pinned slot", "cmpxchg16b", "atoll slot", "pthread mutex",
                    "robust mutex", "Boost mutex"]
    text_peers = ["memcpy", "atoll", "seqlock", "Abseil SequenceLock", "pthread mutex", "robust mutex", "Boost mutex",
                  "Boost sharable mutex", "LMDB"]
    by_processes = dict(x_of=lambda p, s: p, y_of=lambda ns: 1e3 / ns)
    by_size = dict(x_of=lambda p, s: s, y_of=lambda ns: ns)
    for name, title, series, x, y in [
        ("fetch_add", "Adding to one number", lines("fetch_add", number_peers, **by_processes),
         "processes", "million operations a second, all together"),
        ("load", "Reading one number beside a writer", lines("load beside a writer", number_peers + [
            "Boost sharable mutex", "Abseil SequenceLock", "seqlock"], **by_processes),
         "processes (one writes)", "million loads a second, all together"),
        ("text_load", "Loading text, nobody else there", lines("text load", text_peers, **by_size),
         "bytes", "ns a load"),
        ("text_store", "Storing text, nobody else there",
         lines("text store", text_peers, **by_size, keep=lambda p, s: p == 1), "bytes", "ns a store"),
        ("text_store_2", "Storing text, two processes in one slot",
         lines("text store", text_peers, **by_size, keep=lambda p, s: p == 2), "bytes",
         "ns a store, both together"),
        ("create", "Creating a list", lines("create", ["atoll", "write once", "atoll, dense", "write once, dense"],
                                            **by_size), "slots", "ns a list"),
        ("attach", "Attaching to a list, and closing it", {
            kind: sorted((int(name.split(", ")[1].split()[0]), results.median("attach", 1, 0, name))
                         for name in results.ns.get(("attach", 1, 0), {}) if name.startswith(kind + ","))
            for kind in ("atoll", "open and mmap")}, "slots", "ns"),
    ]:
        if any(series.values()):
            (folder / f"{name}.svg").write_text(plot.lines(title, x, y, series), encoding="utf-8")


def between(text, marker, new):
    begin, end = f"<!-- {marker} -->", f"<!-- end of {marker} -->"
    before, rest = text.split(begin, 1)
    return before + begin + "\n" + new + "\n" + end + rest.split(end, 1)[1]


def main(arguments):
    if len(arguments) not in (2, 4) or (len(arguments) == 4 and arguments[2] != "--docs"):
        print(__doc__.strip())
        return 2
    results = Results(open(arguments[0], encoding="utf-8"))
    out = pathlib.Path(arguments[1])
    rows = verdicts(results)
    table = verdict_table(rows)
    note = (f"{machine()}. {results.samples:,} samples; {results.disturbed:,} of them are left out, as the kernel took a "
            "CPU away each time they were tried.")
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps({
        "machine": machine(), "targets": rows, "retries": results.retries,
        "median_ns": [{"work": w, "processes": p, "size": s, "contestant": c, "ns": statistics.median(r.values()),
                       "min": min(r.values()), "max": max(r.values()), "samples": len(r)}
                      for (w, p, s), contestants in results.ns.items() for c, r in contestants.items()],
    }, indent=1), encoding="utf-8")
    (out / "results.md").write_text("\n\n".join([note, table, retries_text(results), full_tables(results)]) + "\n",
                                    encoding="utf-8")
    draw(results, out)
    print(table)
    print(retries_text(results))
    print(f"\n{note}\n{sum(row['met'] and not row['disturbed'] for row in rows)} of {len(rows)} targets met, "
          f"{sum(row['disturbed'] for row in rows)} not judged, as every sample was disturbed; "
          f"all numbers and plots are in {out}/")
    if len(arguments) == 4:
        docs = pathlib.Path(arguments[3])
        page = docs / "performance.md"
        text = page.read_text(encoding="utf-8")
        text = between(text, "verdicts", f"\n{note}\n\n{table}\n")
        text = between(text, "retries", f"\n{retries_text(results)}\n")
        text = between(text, "all numbers", f"\n{full_tables(results)}\n")
        page.write_text(text, encoding="utf-8")
        draw(results, docs / "performance")
        print(f"brought {page} and {docs / 'performance'}/ up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

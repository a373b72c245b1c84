"""Tables (standard output) and the picture (an SVG file) from what bench/run measured.

Usage: report.py values machine [picture.svg]
values has lines "size, what, value", machine lines "what, value", both with tabs between.
"""
import math
import statistics
import sys
from collections import defaultdict

values = defaultdict(list)
with open(sys.argv[1]) as lines:
    for line in lines:
        size, what, value = line.rstrip("\n").split("\t")
        values[size, what].append(float(value))
with open(sys.argv[2]) as lines:
    machine = dict(line.rstrip("\n").split("\t") for line in lines)
sizes = list(dict.fromkeys(size for size, _ in values))


def median(size, what):
    return statistics.median(values[size, what])


def number(value):
    """Three significant digits, at least; no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else f"{value:.3g}"


def table(*rows):
    print()
    for i, row in enumerate(rows):
        print("| " + " | ".join(row) + " |")
        if i == 0:
            print("|" + "|".join("---" if column == 0 else "--:" for column in range(len(row))) + "|")
    print()


def verdict(ratio, reach, least=False):
    if ratio <= 0:
        return "lost in noise"
    return "reached" if (ratio >= reach if least else ratio <= reach) else "**not reached**"


def described(size):
    return f"{median(size, 'rows.organizations'):,.0f} organizations, {median(size, 'rows.memberships'):,.0f} memberships"


# What is compared: name, ours, the other, reach, unit.  Figures "net" are without what the row source costs.
COMPARED = [
    ("count by index, serial", "count.index.serial.can", "count.index.serial.limit", 1.05, "ms"),
    ("count by index, default settings", "count.index.parallel.can", "count.index.parallel.limit", 1.05, "ms"),
    ("count by index, prepared", "count.prepared.can", "count.prepared.limit", 1.05, "ms"),
    ("count by sequential scan, serial", "count.scan.serial.can", "count.scan.serial.limit", 1.0, "ms"),
    ("count by sequential scan, default settings", "count.scan.parallel.can", "count.scan.parallel.limit", 1.0, "ms"),
    ("warm check, the whole loop", "loop.can", "loop.uuid_eq", 3, "ns"),
    ("warm check, without the loop itself", "net.can", "net.uuid_eq", 3, "ns"),
    ("cold check, as a client sees it", "cold.cold", "cold.look_up", 2, "µs"),
    ("cold check, inside the server", "net.cold", "net.look_up", 2, "µs"),
]

for size in sizes:
    # A loop has a million rows: ms are ns each.
    for what in ("can", "uuid_eq"):
        values[size, "net." + what] = [whole - nothing for whole, nothing in zip(values[size, "loop." + what], values[size, "loop.nothing"])]
    for what in ("cold", "look_up", "nothing"):
        values[size, "cold." + what] = [ms * 1000 for ms in values[size, "cold." + what]]
    for what in ("cold", "look_up"):
        values[size, "net." + what] = [whole - nothing for whole, nothing in zip(values[size, "cold_inside." + what], values[size, "cold_inside.nothing"])]


def print_machine():
    print(f"""## The run

{machine['date']}; {machine['cpu']}, {machine['cores']} cores, {int(machine['memory']) / 1024:.0f} GB of memory;
PostgreSQL {machine['server']}, default settings but `{machine['settings']}`.
Load average before it began: {machine['load']}.
""")


def print_figures():
    for size in sizes:
        print(f"## {size.capitalize()}: {described(size)}")
        rows = [("what", "orgusers", "compared", "ratio", "to reach", "")]
        for name, ours, other, reach, unit in COMPARED:
            ratio = median(size, ours) / median(size, other)
            rows.append((name, f"{number(median(size, ours))} {unit}", f"{number(median(size, other))} {unit}",
                         f"{ratio:.2f}", f"≤ {reach}", verdict(ratio, reach)))
        net = median(size, "net.can")
        rows.append(("warm check, without the loop itself", f"{number(net)} ns", "", "", "< 100 ns", verdict(net, 100)))
        ours, other = median(size, "beside.membership"), median(size, "beside.unrelated")
        rows.append(("checks a second beside 500 commits a second", number(ours), number(other), f"{ours / other:.2f}", "≥ 0.8",
                     verdict(ours / other, 0.8, least=True)))
        memory = median(size, "memory")
        rows.append(("memory for each actor with 10 organizations", f"{memory:,.0f} bytes", "", "", "≤ 4,096", verdict(memory, 4096)))
        table(*rows)
        print(f"Of the cold check as a client sees it, {number(median(size, 'cold.nothing'))} µs are a round trip with a statement that "
              "looks up nothing. It is not subtracted.")
        print(f"Commits a second that took place: {number(median(size, 'commits.membership'))} of memberships, "
              f"{number(median(size, 'commits.unrelated'))} of the unrelated table.")
        print()


def print_sizes():
    small, large = "small", "large"
    if small not in sizes or large not in sizes:
        return
    print("## Large against small")
    rows = [("what", small, large, "ratio", "to reach", "")]
    for name, ours, _, _, unit in COMPARED:
        ratio = median(large, ours) / median(small, ours)
        rows.append((name, f"{number(median(small, ours))} {unit}", f"{number(median(large, ours))} {unit}", f"{ratio:.2f}", "≤ 1.2", verdict(ratio, 1.2)))
    ratio = median(small, "beside.membership") / median(large, "beside.membership")
    rows.append(("checks a second beside 500 commits a second (inverse)", number(median(small, "beside.membership")),
                 number(median(large, "beside.membership")), f"{ratio:.2f}", "≤ 1.2", verdict(ratio, 1.2)))
    table(*rows)
    rows = [("the other side of the comparison", small, large, "ratio")]
    for name, _, other, _, unit in COMPARED:
        rows.append((name, f"{number(median(small, other))} {unit}", f"{number(median(large, other))} {unit}", f"{median(large, other) / median(small, other):.2f}"))
    table(*rows)


IDIOMS = [
    ("limit", "constants in WHERE, no policy"),
    ("can", "orgusers.can(org_id, 'docs.read')"),
    ("any", "org_id = ANY (ARRAY(SELECT f()))"),
    ("in", "org_id IN (SELECT f())"),
    ("sql", "SQL function for each row"),
    ("plpgsql", "PL/pgSQL function for each row"),
]


def cell(size, what):
    return f"{number(median(size, what))}" if (size, what) in values else ""


def print_idioms():
    size = sizes[0]
    print(f"## Policies that people write ({size})\n")
    print("Milliseconds for `count(*)` of 1,000,000 rows, 500 of which the actor may read. The functions of each row were measured once.")
    rows = [("policy", "planner free", "sequential scan", "the same, default parallelism")]
    for idiom, name in IDIOMS:
        rows.append((f"`{name}`" if "org" in name else name,
                     cell(size, f"count.index.serial.{idiom}"), cell(size, f"count.scan.serial.{idiom}"), cell(size, f"count.scan.parallel.{idiom}")))
    table(*rows)


ORGS = [(1001, 1), (1002, 5), (1003, 50), (1004, 500)]


def curves():
    """Panels of the picture: title, and for each idiom its points."""
    size = sizes[0]
    drawn = [idiom for idiom, _ in IDIOMS[:4]]
    return [
        ("organizations of the actor", {i: [(n, median(size, f"orgs.{user}.{i}")) for user, n in ORGS] for i in drawn}),
        ("rows of the table", {i: [(n, median(size, f"docs.{n}.{i}")) for n in (10000, 100000)] + [(1000000, median(size, f"count.index.serial.{i}"))] for i in drawn}),
        ("memberships", {i: [(median(s, "rows.memberships"), median(s, f"count.index.serial.{i}")) for s in sizes] for i in drawn}),
    ]


def print_growth(panels):
    print("## Growth\n")
    print("Milliseconds for `count(*)`, planner free. Unless it is what grows, the actor is in 5 organizations, "
          f"the table has 1,000,000 rows, and there are {median(sizes[0], 'rows.memberships'):,.0f} memberships.")
    for title, series in panels:
        points = [x for x, _ in next(iter(series.values()))]
        rows = [(title, *(f"{x:,.0f}" for x in points))]
        for idiom, name in IDIOMS[:4]:
            rows.append((f"`{name}`" if "org" in name else name, *(number(y) for _, y in series[idiom])))
        table(*rows)
    print("Microseconds for a cold check inside the server, the loop not subtracted, of a user in one organization.")
    users = sorted({int(what.split(".")[1]) for _, what in values if what.startswith("members.")})
    table(("users of the organization", *(f"{n:,}" for n in users)),
          *((described(size), *(number(median(size, f"members.{n}")) for n in users)) for size in sizes))


COLORS = {"limit": "#888888", "can": "#c1272d", "any": "#0b6aa2", "in": "#2e7d32"}
LABELS = {"limit": "constants in WHERE", "can": "can(org_id, ...)", "any": "= ANY (ARRAY(SELECT f()))", "in": "IN (SELECT f())"}


def draw(path, panels):
    """The growth as an SVG with logarithmic axes, all panels with the same milliseconds."""
    width, height, left, top, gap = 250, 250, 70, 60, 60
    ys = [y for _, series in panels for points in series.values() for _, y in points]
    low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    out = []

    def text(x, y, words, anchor="middle", extra=""):
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{words}</text>')

    def short(value):
        for unit, letter in ((1e6, "M"), (1e3, "k")):
            if value >= unit:
                return f"{value / unit:g}{letter}"
        return f"{value:g}"

    total = left + len(panels) * (width + gap)
    text(left, 24, "count(*) under row level security, in milliseconds", "start", ' font-size="15"')
    for p, (title, series) in enumerate(panels):
        x0 = left + p * (width + gap)
        xs = [x for x, _ in next(iter(series.values()))]
        first, last = math.log10(xs[0]), math.log10(xs[-1])
        first, last = (first - 0.5, last + 0.5) if first == last else (first, last)

        def at(x, y):
            return (x0 + 12 + (math.log10(x) - first) / (last - first) * (width - 24),
                    top + height - (math.log10(y) - low) / (high - low) * height)

        out.append(f'<rect x="{x0}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#444"/>')
        for power in range(low, high + 1):
            y = at(xs[0], 10.0 ** power)[1]
            out.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x0 + width}" y2="{y:.1f}" stroke="#ddd"/>')
            text(x0 - 6, y + 4, f"{10.0 ** power:g}", "end")
        for x in xs:
            px = at(x, 10.0 ** low)[0]
            out.append(f'<line x1="{px:.1f}" y1="{top + height}" x2="{px:.1f}" y2="{top + height + 5}" stroke="#444"/>')
            text(px, top + height + 19, short(x))
        text(x0 + width / 2, top + height + 40, title)
        for idiom, points in series.items():
            path_points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
            out.append(f'<polyline points="{path_points}" fill="none" stroke="{COLORS[idiom]}" stroke-width="2"'
                       + (' stroke-dasharray="5 4"' if idiom == "limit" else "") + "/>")
            for x, y in (at(*point) for point in points):
                out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLORS[idiom]}"/>')
    x = left
    for idiom, label in LABELS.items():
        y = top + height + 72
        out.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 26}" y2="{y - 4}" stroke="{COLORS[idiom]}" stroke-width="2"'
                   + (' stroke-dasharray="5 4"' if idiom == "limit" else "") + "/>")
        text(x + 32, y, label, "start")
        x += 220
    bottom = top + height + 90
    with open(path, "w") as svg:
        svg.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{bottom}" viewBox="0 0 {total} {bottom}" '
                  'font-family="sans-serif" font-size="12" fill="#222">\n'
                  f'<rect width="{total}" height="{bottom}" fill="#fff"/>\n' + "\n".join(out) + "\n</svg>\n")


print_machine()
print_figures()
print_sizes()
print_idioms()
panels = curves()
print_growth(panels)
if len(sys.argv) > 3:
    draw(sys.argv[3], panels)

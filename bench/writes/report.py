"""The table (standard output) from what bench/writes/run measured.

Usage: report.py values machine
values has lines "what, value", machine lines "what, value", both with tabs between.
"""
import statistics
import sys
from collections import defaultdict

values = defaultdict(list)
with open(sys.argv[1]) as lines:
    for line in lines:
        what, value = line.rstrip("\n").split("\t")
        values[what].append(float(value))
with open(sys.argv[2]) as lines:
    machine = dict(line.rstrip("\n").split("\t") for line in lines)

# What is compared: name, ours, the other, unit, what to reach, and whether more is better.
COMPARED = [
    ("invitations and acceptances, against PL/pgSQL by hand", "pairs.orgusers", "pairs.plain", "pairs/s", 0.5, True),
    ("the same, against by hand with an audit trail and an outbox", "pairs.orgusers", "pairs.recorded", "pairs/s", None, True),
    ("the same, against better-auth", "pairs.orgusers", "pairs.better_auth", "pairs/s", 10, True),
    ("10,000 memberships in one statement, against a plain INSERT", "bulk.memberships", "bulk.plain_members", "ms", 10, False),
    ("10,000 invitations in one call, against a plain INSERT", "bulk.invitations", "bulk.plain_invitations", "ms", 10, False),
    ("the same, each with its sealed mail", "bulk.invitations_mailed", "bulk.plain_invitations", "ms", None, False),
    ("commits of 32 clients, wake-up on against off", "wake_up.on", "wake_up.off", "commits/s", 0.9, True),
    ("mails claimed and acknowledged, 4 claimers against 1", "claims.4", "claims.1", "mails/s", 1.5, True),
]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


print(f"""## The run

{machine['date']}; {machine['cpu']}, {machine['cores']} cores, {int(machine['memory']) / 1024:.0f} GB of memory;
PostgreSQL {machine['server']}, default settings{'; better-auth ' + machine['peer'] if machine['peer'] else ''}.
Load average before it began: {machine['load']}.

| what | orgusers | compared | ratio | to reach |  |
|---|--:|--:|--:|--:|--:|""")
for name, ours, other, unit, reach, more in COMPARED:
    if other not in values:
        continue
    a, b = statistics.median(values[ours]), statistics.median(values[other])
    ratio = a / b
    verdict = "" if reach is None else "reached" if (ratio >= reach if more else ratio <= reach) else "**not reached**"
    goal = "" if reach is None else f"{'≥' if more else '≤'} {reach}"
    print(f"| {name} | {number(a)} {unit} | {number(b)} {unit} | {ratio:.2f} | {goal} | {verdict} |")

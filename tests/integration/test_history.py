"""Histories of real clients: the checker itself, a cluster under faults, and builds whose bug must be seen."""

import os
import random

import faults
from harness import ROOT, TOOLS, run, temporary_directory

WRITES = 150  # acknowledged before and during each fault
PLANTED = os.path.join(ROOT, "build/sim/smackd")

# INVOKED RETURNED CLIENT KIND OUTCOME EXPECTED VALUE; one register each.
GOOD = {
    "nothing written": ["1 2 1 read ok - -"],
    "reads beside a write see either": ["1 9 1 write ok - a", "2 3 2 read ok - -", "4 5 3 read ok - a"],
    "writes side by side in either order": ["1 9 1 write ok - a", "1 9 2 write ok - b", "10 11 3 read ok - a"],
    "an unknown write took effect": ["1 2 1 write unknown - a", "30 40 2 read ok - a"],
    "an unknown write took effect late": ["1 2 1 write unknown - a", "3 4 2 write ok - b", "5 6 3 read ok - b",
                                          "7 8 3 read ok - a"],
    "an unknown write never took effect": ["1 2 1 write unknown - a", "3 4 2 write ok - b", "5 6 3 read ok - b"],
    "a chain of cas": ["1 2 1 write ok - a", "3 4 2 cas ok a b", "3 6 1 cas mismatch a c", "7 8 2 cas ok b d",
                       "9 9 3 read ok - d"],
    "an unobserved write explains a mismatch": ["1 2 1 write ok - a", "3 4 2 write unknown - x", "5 6 3 cas mismatch a c",
                                                "7 8 1 write ok - e"],
    "an unknown cas was observed": ["1 2 1 write ok - a", "3 4 2 cas unknown a b", "5 6 3 read ok - b"],
    "an unknown cas on an unknown write": ["1 2 1 write unknown - a", "3 4 2 cas unknown a b", "5 6 3 read ok - b"],
}
BAD = {
    "a read of the past": ["1 2 1 write ok - a", "3 4 1 write ok - b", "5 6 2 read ok - a"],
    "a lost write": ["1 2 1 write ok - a", "3 4 2 read ok - -"],
    "reads that disagree on the order": ["1 9 1 write ok - a", "1 9 2 write ok - b", "10 11 3 read ok - a",
                                         "12 13 4 read ok - b"],
    "a value from nowhere": ["1 2 1 read ok - a"],
    "two cas of one value": ["1 2 1 write ok - a", "3 9 2 cas ok a b", "3 9 3 cas ok a c"],
    "a cas that must have matched": ["1 2 1 write ok - a", "3 4 2 cas mismatch a b"],
    "a new value is lost again": ["1 9 1 write ok - a", "2 3 2 read ok - a", "4 5 3 read ok - -"],
    "an unknown write seen, then not": ["1 2 1 write ok - a", "3 4 2 write unknown - b", "5 6 3 read ok - b",
                                        "7 8 3 read ok - a"],
    "a write seen before it began": ["1 2 1 read ok - a", "3 4 2 write ok - a"],
    "a refused cas seen": ["1 2 1 write ok - a", "3 4 2 cas mismatch a b", "5 6 3 read ok - b"],
}


def check(directory, name, lines):
    path = os.path.join(directory, "history")
    with open(path, "w") as file:
        for line in lines:
            words = line.split(" ")
            file.write(" ".join([*words[:3], "r1", *words[3:]]) + "\n")
    return run([os.path.join(TOOLS, "check_history"), path])


def test_checker_on_known_histories():
    directory = temporary_directory()
    for name, lines in GOOD.items():
        answer = check(directory, name, lines)
        assert answer.code == 0, f"{name}: {answer}"
    for name, lines in BAD.items():
        answer = check(directory, name, lines)
        assert answer.code == 1 and "NOT LINEARIZABLE" in answer.out, f"{name}: {answer}"
    for lines in (["1 2 1 write ok - a", "3 4 1 write ok - a"], ["1 2 1 read mismatch - a"], ["2 1 1 read ok - a"]):
        answer = check(directory, "unusable", lines)
        assert answer.code == 3, f"{lines}: {answer}"


def brute_force(operations):
    """Is there an order of the operations that a register could have had? Each is (invoked, returned, kind, outcome,
    expected, value); an unknown one may be left out."""
    def place(left, value):
        needed = [operation for operation in left if operation[3] != "unknown"]
        if not needed:
            return True
        horizon = min(operation[1] for operation in needed)
        for i, (invoked, _, kind, outcome, expected, new) in enumerate(left):
            if invoked > horizon:
                continue
            rest = left[:i] + left[i + 1:]
            if kind == "read":
                fits, after = (outcome == "unknown" or new == value), value
            elif kind == "write":
                fits, after = True, new
            elif outcome == "mismatch":
                fits, after = value != expected, value
            else:
                fits, after = value == expected, new
            if fits and place(rest, after):
                return True
        return False
    return place(operations, "-")


def test_checker_against_brute_force():
    """Small histories at random, most of them nearly right: the checker and a search without any cleverness agree."""
    source = random.Random(1)
    directory = temporary_directory()
    path = os.path.join(directory, "history")
    expected = {}
    with open(path, "w") as file:
        for number in range(1500):
            operations, value = [], "-"
            for i in range(source.randint(2, 6)):
                invoked = source.randint(0, 12)
                kind = source.choice(["read", "write", "cas"])
                outcome = source.choice(["ok", "ok", "ok", "unknown", "mismatch" if kind == "cas" else "ok"])
                old = source.choice([value, value, "-", "v0", "v1"])
                new = source.choice([value, value, "-", "v0", "v1"]) if kind == "read" else f"v{i}"
                if kind != "read" and outcome == "ok":
                    value = new
                operations.append((invoked, invoked + source.randint(0, 5), kind, outcome, old if kind == "cas" else "-", new))
            for invoked, returned, *words in operations:
                file.write(f"{invoked} {returned} 1 r{number} {' '.join(words)}\n")
            expected[f"r{number}"] = brute_force(operations)
    answer = run([os.path.join(TOOLS, "check_history"), path])
    assert "UNDECIDED" not in answer.out, answer.out[-1000:]
    violated = {line.split(":")[0] for line in answer.out.splitlines() if "NOT LINEARIZABLE" in line}
    wrong = [name for name, good in expected.items() if good == (name in violated)]
    assert not wrong, f"{len(wrong)} judged wrongly, among them {wrong[:5]}"
    good = sum(expected.values())
    assert 300 < good < 1200, f"{good} of {len(expected)} are linearizable: not much of a test"


def history_under(fault, binary=None, plant=None, times=2, clients=16):
    """(is it linearizable, what the checker says) of clients while the leader suffers `fault`."""
    faults.install_peers()
    with faults.FaultWorld() as world:
        planted = {"binary": binary, "environment": {"SMACKD_PLANT": plant}} if binary else {}
        store = faults.SmackdStore(world, **planted).start()
        recorded = faults.Clients(world, store, clients).start()
        for _ in range(times):
            recorded.wait_for_more(WRITES, 120)
            fault.begin(store, store.leader())
            recorded.wait_for_more(WRITES, 120)
            fault.end()
            store.whole()
        recorded.stop()
        verdict = recorded.judge()
        store.stop()
    print(f"        {fault.name}: {verdict[1].splitlines()[-1]}")
    return verdict


def test_history_leader_killed():
    assert history_under(faults.Killed())[0]


def test_history_leader_paused():
    assert history_under(faults.Paused())[0]


def test_history_leader_cut_off():
    for fault in faults.cuts():
        assert history_under(fault, times=1)[0], fault.name


def test_history_shows_planted_bugs():
    for bug, fault in (("ack_before_quorum", faults.cuts()[0]), ("ignore_expected_version", faults.Killed())):
        linearizable, said = history_under(fault, PLANTED, bug)
        assert not linearizable and "NOT LINEARIZABLE" in said, f"{bug} was not noticed: {said[-500:]}"

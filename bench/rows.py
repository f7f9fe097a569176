"""What bench/run gives: rows of case, value, unit, peer, peer_value, ratio, target, met.

met is None for a row without a target. A row that has a target and whose value or peer is missing is not met; what is
missing is said in `peer`.
"""
import json


def row(case: str, value, unit: str, peer: str = "", peer_value=None, target: str = "", met=None) -> dict:
    ratio = value / peer_value if value is not None and peer_value else None
    if target and peer and ratio is None:
        met = False
    return {"case": case, "value": None if value is None else round(value, 3), "unit": unit, "peer": peer,
            "peer_value": None if peer_value is None else round(peer_value, 3),
            "ratio": None if ratio is None else float(f"{ratio:.4g}"), "target": target, "met": met}


def show(rows: list) -> None:
    width = max(len(item["case"]) for item in rows) if rows else 0
    for item in rows:
        met = {True: "met", False: "NOT MET", None: ""}[item["met"]]
        if item["ratio"] is not None:
            against = f"{item['ratio']:.3g} x {item['peer']}"
        else:
            against = item["peer"]
        value = "missing" if item["value"] is None else f"{item['value']:.3f}"
        print(f"{item['case']:{width}} {value:>12} {item['unit']:5} {against:32} {item['target']:48} {met}".rstrip())


def save(rows: list, file: str) -> None:
    with open(file, "w") as out:
        json.dump(rows, out, indent=1)
        out.write("\n")

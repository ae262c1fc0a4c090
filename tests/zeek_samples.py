"""Rows of Zeek's logs and their spellings, shared by the tests of its readers."""

from __future__ import annotations

import json
from typing import Any

CONN: dict[str, Any] = {
    "ts": 1655071198.444458, "uid": "CHLXQF2OBY4onAR0Ug", "id.orig_h": "147.32.81.167",
    "id.orig_p": 62771, "id.resp_h": "40.74.108.123", "id.resp_p": 443, "proto": "tcp",
    "service": "ssl", "duration": 1.135424, "orig_bytes": 1596, "resp_bytes": 4039,
    "conn_state": "SF", "orig_pkts": 14, "resp_pkts": 16,
}  # fmt: skip
IDS = {key: CONN[key] for key in ("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")}
SSL = IDS | {"version": "TLSv12", "cipher": "x", "server_name": "c2.example.com"}
HTTP = IDS | {
    "trans_depth": 2, "method": "GET", "host": "c2.example.com", "status_code": 200,
    "request_body_len": 5, "response_body_len": 7,
}  # fmt: skip
DNS = IDS | {
    "proto": "udp", "query": "c2.example.com", "qtype_name": "A",
    "answers": ["alias.example.com", "40.74.108.123", "40.74.108.124"],
}  # fmt: skip


def tsv(path: str, *rows: dict[str, Any], header: bool = True) -> str:
    def text(value: Any) -> str:
        if value is None:
            return "-"
        return ",".join(value) if isinstance(value, list) else str(value)

    head = (
        f"#separator \\x09\n#unset_field\t-\n#path\t{path}\n#fields\t" + "\t".join(rows[0]) + "\n"
    )
    lines = "".join("\t".join(map(text, row.values())) + "\n" for row in rows)
    return (head if header else "") + lines + "#close\t2022-06-17-00-00-07\n"


def jsonl(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def nested(row: dict[str, Any]) -> dict[str, Any]:
    ids = {key[3:]: value for key, value in row.items() if key.startswith("id.")}
    return {k: v for k, v in row.items() if not k.startswith("id.")} | {"id": ids}


def underscored(row: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("id.", "id_"): value for key, value in row.items()}

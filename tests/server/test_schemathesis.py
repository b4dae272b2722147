"""Schemathesis on the server's own OpenAPI, the studio's routes included; runs if schemathesis is installed.

It is a tool of its own environment mostly: ``IDIOLECT_SCHEMATHESIS`` names its program, else it is looked up.
"""

import os
import shutil
import subprocess

import pytest

pytest.importorskip("prometheus_client")

PROGRAM = os.environ.get("IDIOLECT_SCHEMATHESIS") or shutil.which("schemathesis")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PROGRAM, reason="schemathesis is not installed")]


def test_no_route_fails_and_every_answer_is_as_described(start, tmp_path):
    rows = [
        {"user": user, "item": f"i{n}", "text": f"{text} Number {n}.", "timestamp": n}
        for user, text in (("ann", "Wow! I love it!"), ("bob", "It was fine."), ("cyd", "So; it is odd."))
        for n in range(6)
    ]
    settings = {"settings": {"backbone": {"model": "fake"}}, "rate_per_minute": 1e6, "burst": 10**6, "min_peers": 1}
    with start(tmp_path / "data", **settings) as running, running.http() as http:
        assert http.post("/v1/reviews/batch", json={"reviews": rows}).status_code == 200
        listed = http.get("/openapi.json").json()["paths"]
        wanted = {"/v1/map", "/v1/nearest", "/v1/units", "/v1/evaluations", "/v1/users", "/v1/evidence"}
        assert wanted | {"/v1/users/differences"} <= listed.keys()
        command = [PROGRAM, "run", f"{running.url}/openapi.json", "--header", f"Authorization: Bearer {running.key}"]
        command += ["--max-examples", "10", "--seed", "7", "--continue-on-failure", "--no-color", "--phases", "fuzzing"]
        # What a schema cannot say (a known measure, a text for a correction) is refused with a clear 400.
        command += ["--checks", "all", "--exclude-checks", "positive_data_acceptance"]
        # The first use of a model imports PyTorch, which takes half a minute on a busy machine; the defaults are 10 s.
        command += ["--request-timeout", "120", "--max-response-time", "120"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stdout[-6000:]
        assert http.get("/readyz").json()["ready"]

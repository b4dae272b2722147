"""Anything that a client may send: nothing worse than a clear refusal, and nobody's text in it."""

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("prometheus_client")

_ODD = ["ann", "jam", "../x", "\0", "' OR 1=1 --", "a\r\nSet-Cookie: b", "\ud800", "idiolect/rag/ann"]
_VALID = {
    "user": "ann",
    "item": "jam",
    "text": "Good.",
    "model": "idiolect/rag/ann",
    "messages": [{"role": "user", "content": "x"}],
    "input": "x",
    "id": "new",
    "state": "muted",
    "peer": True,
    "scopes": ["read"],
}
_text = st.text(max_size=20) | st.sampled_from(_ODD)
_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_HOW = settings(
    max_examples=15, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def operations(schema):
    """Method, path, names of query parameters, and the body's schema of every operation."""
    for path, methods in schema["paths"].items():
        for method, one in methods.items():
            query = [parameter["name"] for parameter in one.get("parameters", ()) if parameter["in"] == "query"]
            content = one.get("requestBody", {}).get("content", {}).get("application/json", {})
            yield method, path, query, content.get("schema", {}).get("$ref", "").rpartition("/")[2]


def check(http, method, path, query, bodies, valid):
    """Send an operation all kinds of things."""

    @_HOW
    @given(st.one_of(bodies, st.fixed_dictionaries({}, optional=dict.fromkeys(valid, _value)).map(lambda c: valid | c)),
           st.fixed_dictionaries(dict.fromkeys(query, _text)), _text)  # fmt: skip
    def send(content, parameters, part):
        url = path
        while "{" in url:
            head, _, tail = url.partition("{")
            url = head + quote(part or "x", safe="", errors="replace") + tail.partition("}")[2]
        clean = {name: value.encode(errors="replace").decode() for name, value in parameters.items()}
        headers = {"content-type": "application/json"}
        answer = http.request(method, url, params=clean, content=json.dumps(content), headers=headers)
        assert answer.status_code < 500, (method, url, content, answer.text)
        if answer.status_code >= 400:
            assert answer.json()["error"]["message"]

    send()


def test_no_route_fails_on_anything(fresh):
    schema = fresh.app.openapi()
    listed = list(operations(schema))
    assert len(listed) >= 25
    with fresh.http() as http:
        for method, path, query, body in listed:
            if path == "/v1/users":  # forgets; has a test of its own
                continue
            shape = schema["components"]["schemas"].get(body, {})
            valid = {name: _VALID[name] for name in shape.get("required", ()) if name in _VALID}
            changes = st.fixed_dictionaries({}, optional=dict.fromkeys(shape.get("properties", {}), _value))
            check(http, method, path, query, changes | _value, valid)
        assert http.get("/readyz").json()["ready"]
    assert [one.detail for one in fresh.services.tenants.get("default").store.check() if not one.ok] == []

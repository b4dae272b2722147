"""The tools through the official MCP client, over HTTP and over standard input and output."""

import os
import re
import sys

import anyio
import pytest

mcp = pytest.importorskip("mcp")
httpx2 = pytest.importorskip("httpx2")

from mcp.client.stdio import StdioServerParameters, stdio_client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

from idiolect.server.mcp import KeyVerifier  # noqa: E402

TOOLS = ["remember", "differences", "write_as", "score", "forget"]


def over_http(server, work, key=None):
    """Run ``work(client)`` with a client of a server."""

    async def run():
        headers = {"Authorization": f"Bearer {key or server.key}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            mcp.Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client,
        ):
            return await work(client)

    return anyio.run(run)


def test_tools_have_schemas_and_hints(fresh):
    async def work(client):
        return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in over_http(fresh, work)}
    assert list(tools) == TOOLS
    assert all(tool.output_schema for tool in tools.values())
    assert all(tool.annotations.open_world_hint is False for tool in tools.values())
    assert [name for name, tool in tools.items() if tool.annotations.destructive_hint] == ["forget"]
    assert [name for name, tool in tools.items() if tool.annotations.read_only_hint] == [
        "differences", "write_as", "score",
    ]  # fmt: skip


def test_hosts_of_apps_get_the_card_as_a_page_that_loads_nothing(fresh):
    async def work(client):
        tools = {tool.name: tool.meta for tool in (await client.list_tools()).tools}
        listed = (await client.list_resources()).resources
        return tools, listed, (await client.read_resource("ui://idiolect/card.html")).contents[0]

    tools, listed, page = over_http(fresh, work)
    assert tools["differences"]["ui"] == {"resourceUri": "ui://idiolect/card.html"}
    assert [tools[name] for name in TOOLS if name != "differences"] == [None] * 4
    assert [(str(one.uri), one.mime_type) for one in listed] == [
        ("ui://idiolect/card.html", "text/html;profile=mcp-app")
    ]
    assert "ui/initialize" in page.text
    assert not [sign for sign in ("http:", "https:", "innerHTML", "src=") if sign in page.text]


def test_a_client_without_a_key_learns_what_is_asked_for(fresh):
    with fresh.http("none") as http:
        refused = http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        where = re.search(r'resource_metadata="(.*?)"', refused.headers["www-authenticate"])[1]
        assert where == f"{fresh.url}/.well-known/oauth-protected-resource/mcp"
        found = http.get(where).json()
        odd = http.get(where, headers={"host": 'localhost:1"x'})
    assert (found["resource"], found["bearer_methods_supported"]) == (f"{fresh.url}/mcp", ["header"])
    assert found["scopes_supported"] == ["read", "write", "erase", "admin"]
    assert '"x' not in str(odd.headers) + odd.json().get("resource", "")


def test_a_key_is_a_token_of_its_tenant(fresh):
    verifier = KeyVerifier(fresh.services.keys)
    made, sent = fresh.services.keys.add("other", ["read"], days=1)
    token = anyio.run(verifier.verify_token, sent)
    assert (token.client_id, token.subject, token.scopes) == (made.id, "other", ["read"])
    assert token.expires_at == made.expires
    assert anyio.run(verifier.verify_token, sent[:-1]) is None


def test_an_agent_remembers_writes_scores_and_forgets(fresh):
    async def work(client):
        async def call(name, **arguments):
            result = await client.call_tool(name, arguments)
            return result.structured_content if not result.is_error else result.content[0].text

        text = {"user": "ann", "item": "nut", "text": "Wow!! I love the nut! Amazing!", "rating": "4/5"}
        return {
            "first": await call("remember", **text),
            "again": await call("remember", **text),
            "differences": await call("differences", user="ann"),
            "written": await call("write_as", user="ann", item="jam", method="rag", rating="5 stars"),
            "score": await call("score", user="ann", text="Wow!! I love this! You must try it! Amazing!"),
            "unsure": await call("forget", user="ann", confirm_user="yes"),
            "forgotten": await call("forget", user="ann", confirm_user="ann"),
            "gone": await call("differences", user="ann"),
        }

    found = over_http(fresh, work)
    assert (found["first"]["added"], found["again"]["added"]) == (True, False)
    assert found["first"]["id"] == found["again"]["id"]
    assert "exclamations" in [one["difference"] for one in found["differences"]["differences"]]
    assert found["written"]["text"] == "one two three"
    assert found["score"]["likeness"] > 0.5
    assert "not confirmed" in found["unsure"]
    assert (found["forgotten"]["forgotten"], found["forgotten"]["reviews"]) == (True, 7)
    assert "knows no such user" in found["gone"]


def test_a_key_without_the_scope_or_of_another_tenant_gets_nothing(fresh):
    _, reads = fresh.services.keys.add("default", ["read"])
    _, foreign = fresh.services.keys.add("other")

    async def forget(client):
        result = await client.call_tool("forget", {"user": "ann", "confirm_user": "ann"})
        return result.is_error, str(result.content), result.structured_content

    assert "scope erase" in over_http(fresh, forget, reads)[1]
    assert over_http(fresh, forget, foreign)[2]["reviews"] == 0
    with fresh.http() as http:
        assert http.get("/v1/profile", params={"user": "ann"}).json()["reviews"] == 6


def test_an_agent_on_this_machine_uses_standard_input_and_output(tmp_path):
    arguments = ["-m", "idiolect.cli.main", "mcp", "--data", str(tmp_path), "--set", "settings.backbone.model=fake"]
    server = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))

    async def run():
        async with mcp.Client(stdio_client(server), mode="legacy") as client:  # a probe has a limit of time
            made = await client.call_tool("remember", {"user": "ann", "item": "jam", "text": "Fine."})
            written = await client.call_tool("write_as", {"user": "ann", "item": "jam", "method": "rag"})
            return made.structured_content, written.is_error

    made, failed = anyio.run(run)
    assert made["added"]
    assert not failed

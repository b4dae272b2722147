"""``idiolect serve`` and ``idiolect mcp``: any OpenAI client and any agent, in a person's voice."""

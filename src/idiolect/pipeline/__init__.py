"""From settings to data, models, methods and adapters."""

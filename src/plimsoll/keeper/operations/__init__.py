"""What an operator touches: configuration, keys, logs, metrics, health, the live view."""

"""Serving: a router in Python, and behind a URL."""

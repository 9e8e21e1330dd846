"""Clients that people use, each on a published file; run by make test-bi."""

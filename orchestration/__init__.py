"""Dagster definitions and the ``watershed`` command: thin wrappers around ``transforms`` and the dbt project."""

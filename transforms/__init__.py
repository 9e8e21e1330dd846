"""Everything that Watershed computes, free of the orchestrator and of dbt."""

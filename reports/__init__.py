"""Reads stored artifacts and turns them into pages and exit codes; never touches an agent."""

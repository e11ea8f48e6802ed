"""The same job on other servers."""

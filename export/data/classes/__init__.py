"""The classes of well-known data sets, a file for each."""

"""The commands of `deeplab`, one a file: its arguments, one call, what it prints."""

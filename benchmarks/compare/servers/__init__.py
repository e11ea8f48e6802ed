"""Each server as its own documentation would write it; run as a program in its own environment."""

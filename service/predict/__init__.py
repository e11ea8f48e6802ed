"""Many pictures at once, without HTTP: folders, videos and streams into files.

`Bulk` is the engine's side of it, for any job; the rest is the command `deeplab-predict`.
"""

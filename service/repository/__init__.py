"""Which models are served: those of a folder, loaded, replaced and removed while serving."""
